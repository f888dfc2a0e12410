/* SPDX-License-Identifier: Apache-2.0 */
/* test_call_filter.c - what a filtered process may do, what it may not, and what ends it */
#include "control/base/call_filter.c"
#include "control/base/sanitizers.h"
#include "control/daemon/calls.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const *const plain[] = {call_filter_base, call_filter_waiting, call_filter_files,
					   call_filter_sockets, NULL};

/* How a child ends that runs `what` under the filter: its exit status, or minus the signal. */
static int ends(const struct call_filter *filter, int (*what)(void))
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		const struct rlimit none = {0};
		setrlimit(RLIMIT_CORE, &none);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || call_filter_install(filter))
			_exit(100);
		_exit(what());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int error_of(long result)
{
	return result < 0 ? errno : 0;
}

static int run_program(void)
{
	char *const words[] = {"true", NULL};
	return error_of(execve("/bin/true", words, words + 1));
}

static int make_process(void)
{
	const long words[2] = {[CLONE_FLAGS] = SIGCHLD};
	return error_of(syscall(SYS_clone, words[0], words[1], 0, 0, 0));
}

static int make_namespace(void)
{
	return error_of(unshare(CLONE_NEWUSER));
}

static int make_clone3(void)
{
	return error_of(syscall(SYS_clone3, NULL, 0));
}

static int ask_priority(void)
{
	errno = 0;
	return error_of(getpriority(PRIO_PROCESS, 0));
}

static int enter_network(void)
{
	return error_of(setns(-1, CLONE_NEWNET));
}

static int enter_mounts(void)
{
	return error_of(setns(-1, CLONE_NEWNS));
}

static int map_code(void)
{
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return code == MAP_FAILED ? errno : 0;
}

static int make_code(void)
{
	void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return data == MAP_FAILED ? 101 : error_of(mprotect(data, 4096, PROT_READ | PROT_EXEC));
}

static void *allocate(void *size)
{
	return malloc(*(const size_t *)size);
}

/* What a program does all day. */
static int live(void)
{
	size_t size = 1000000;
	pthread_t thread;
	void *memory = NULL;
	char path[] = "/tmp/podswitch-test.XXXXXX";
	if (pthread_create(&thread, NULL, allocate, &size) || pthread_join(thread, &memory))
		return 1;
	free(memory);
	int fd = mkstemp(path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w+");
	if (!file || fprintf(file, "x") != 1 || fclose(file) || unlink(path))
		return 2;
	return memory ? 0 : 3;
}

static int give_up(void)
{
	abort();
}

static int make_ring(void)
{
	return error_of(syscall(SYS_io_uring_setup, 1, NULL));
}

static volatile bool sealed;

static void *make_ring_later(void *argument)
{
	(void)argument;
	while (!sealed)
		sched_yield();
	make_ring();
	return NULL;
}

/* In a thread that was there before: it ends the process, all the same. */
static int seal(void)
{
	pthread_t thread;
	if (make_ring() != EFAULT)
		return 1;
	if (pthread_create(&thread, NULL, make_ring_later, NULL) || call_filter_seal(&podswitchd_calls))
		return 2;
	sealed = true;
	pthread_join(thread, NULL);
	return 3;
}

static void test_names(void **state)
{
	(void)state;
	for (const char *const *const *list = plain; *list; list++)
		for (const char *const *name = *list; *name; name++)
			if (seccomp_syscall_resolve_name(*name) == __NR_SCMP_ERROR)
				fail_msg("no system call is called %s", *name);
	for (const char *const *name = hostile; *name; name++)
		if (seccomp_syscall_resolve_name(*name) == __NR_SCMP_ERROR)
			fail_msg("no system call is called %s", *name);
}

static void test_plain(void **state)
{
	const struct call_filter filter = {.allowed = plain};
	(void)state;
	assert_int_equal(ends(&filter, live), 0);
	assert_int_equal(ends(&filter, give_up), -SIGABRT);
	assert_int_equal(ends(&filter, run_program), -SIGSYS);
	assert_int_equal(ends(&filter, make_namespace), -SIGSYS);
	assert_int_equal(ends(&filter, make_process), ENOSYS);
	assert_int_equal(ends(&filter, make_clone3), ENOSYS);
	assert_int_equal(ends(&filter, ask_priority), ENOSYS);
	assert_int_equal(ends(&filter, enter_network), ENOSYS);
	assert_int_equal(ends(&filter, enter_mounts), ENOSYS);
	assert_int_equal(ends(&filter, map_code), MMAP_ARGUMENTS_SHOW ? ENOSYS : 0);
	assert_int_equal(ends(&filter, make_code), ENOSYS);
}

static void test_code(void **state)
{
	const struct call_filter filter = {.allowed = plain, .load_code = true};
	(void)state;
	assert_int_equal(ends(&filter, live), 0);
	assert_int_equal(ends(&filter, map_code), 0);
	assert_int_equal(ends(&filter, make_code), 0);
	assert_int_equal(ends(&filter, run_program), -SIGSYS);
}

static void test_podswitchd(void **state)
{
	(void)state;
	assert_int_equal(ends(&podswitchd_calls, live), 0);
	assert_int_equal(ends(&podswitchd_calls, enter_network), EBADF);
	assert_int_equal(ends(&podswitchd_calls, enter_mounts), ENOSYS);
	assert_int_equal(ends(&podswitchd_calls, map_code), MMAP_ARGUMENTS_SHOW ? ENOSYS : 0);
	assert_int_equal(ends(&podswitchd_calls, run_program), -SIGSYS);
	assert_int_equal(ends(&podswitchd_calls, seal), -SIGSYS);
}

/* What podswitchd may call is also in the profile for container runtimes, which come before its own filter. */
static void test_profile(void **state)
{
	static const char path[] = "deploy/overlays/localhost-seccomp/podswitchd.json";
	/* Before its own filter: tap/steering.c, tap/net_settings.c. */
	static const char *const early[] = {"bpf", "fsopen", "fsconfig", "fsmount", "open_tree"};
	json_error_t where;
	json_t *profile = json_load_file(path, 0, &where), *allowed = json_object(), *rule, *name;
	size_t i, k;
	(void)state;
	if (!profile)
		fail_msg("%s: %s", path, where.text);
	json_array_foreach(json_object_get(profile, "syscalls"), i, rule)
		json_array_foreach(json_object_get(rule, "names"), k, name)
			json_object_set(allowed, json_string_value(name), name);
	for (const char *const *const *list = podswitchd_calls.allowed; *list; list++)
		for (const char *const *call = *list; *call; call++)
			if (!json_object_get(allowed, *call))
				fail_msg("%s does not allow %s", path, *call);
	for (i = 0; i < sizeof(early) / sizeof(early[0]); i++)
		if (!json_object_get(allowed, early[i]))
			fail_msg("%s does not allow %s", path, early[i]);
	json_decref(allowed);
	json_decref(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_plain),
					   cmocka_unit_test(test_code), cmocka_unit_test(test_podswitchd),
					   cmocka_unit_test(test_profile)};
	/* A sanitizer's library makes calls of its own in the children. */
	const struct CMUnitTest names[] = {cmocka_unit_test(test_names)};
	return BUILT_WITH_SANITIZERS ? cmocka_run_group_tests(names, NULL, NULL)
				     : cmocka_run_group_tests(tests, NULL, NULL);
}
