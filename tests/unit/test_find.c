/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_find.c - the network namespace of a pod, by processes whose control groups are what the test says
 *
 * The processes and namespaces are real; what stands in /proc/PID/cgroup of them is not, as not every machine lets a
 * test make control groups.
 */
#include <stdio.h>

static FILE *fake_fopen(const char *path, const char *mode);
#define fopen fake_fopen
#include "control/kube/find.c"
#undef fopen

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shell.h"

#define UID "0a1b2c3d-0123-4567-89ab-0123456789ab"

static struct fake_process {
	pid_t pid;
	const char *cgroups;
} processes[3];

static FILE *fake_fopen(const char *path, const char *mode)
{
	long pid = 0;
	char own[64];

	assert_string_equal(mode, "re");
	for (size_t i = 0; i < 3; i++) {
		pid = processes[i].pid;
		snprintf(own, sizeof(own), "/proc/%ld/cgroup", pid);
		if (pid && processes[i].cgroups && !strcmp(path, own))
			return fmemopen((char *)processes[i].cgroups, strlen(processes[i].cgroups), "r");
	}
	return fopen(path, mode);
}

/* A process in a network namespace of its own, or in ours. */
static pid_t start(bool apart)
{
	int ready[2];
	char scrap;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(ready[0]);
		if (apart && unshare(CLONE_NEWNET))
			_exit(1);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	ssize_t got = read(ready[0], &scrap, 1);
	close(ready[0]);
	if (got == 1)
		return pid;
	waitpid(pid, NULL, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		if (!processes[i].pid)
			continue;
		kill(processes[i].pid, SIGKILL);
		waitpid(processes[i].pid, NULL, 0);
		processes[i] = (struct fake_process){0};
	}
	return 0;
}

static void start_all(size_t n, const char *cgroups)
{
	for (size_t i = 0; i < n; i++) {
		processes[i] = (struct fake_process){start(true), cgroups};
		if (!processes[i].pid)
			skip(); /* no right to make network namespaces */
	}
}

static void names(void **state)
{
	(void)state;
	assert_true(names_pod("0::/kubepods/besteffort/pod" UID "/0f0f0f", UID));
	assert_true(names_pod("0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0a1b2c3d_0123_4567_"
			      "89ab_0123456789ab.slice/cri-containerd-0f.scope",
			      UID));
	assert_true(names_pod("12:cpu:/x\n1:name=systemd:/kubepods/burstable/pod" UID "/1\n0::/y", UID));
	assert_true(names_pod("0::/pods/pod" UID, UID)); /* the first "pod" is another word */
	assert_true(names_pod("0::/k/pod00ff00ff/x", "00ff00ff"));
	assert_false(names_pod("0::/kubepods/besteffort/" UID, UID));
	assert_false(names_pod("0::/kubepods/besteffort/pod1a1b2c3d-0123-4567-89ab-0123456789ab/x", UID));
	assert_false(names_pod("0::/kubepods/besteffort/pod0a1b2c3d-0123-4567-89ab-0123456789a", UID));
	assert_false(names_pod("0::/pod", UID));
	assert_false(names_pod("", UID));
	/* '_' stands for '-' alone, and not the other way round. */
	assert_false(names_pod("0::/poda_b", "acb"));
	assert_false(names_pod("0::/poda-b", "a_b"));
}

static void by_process(void **state)
{
	char out[256], expected[64];

	(void)state;
	start_all(1, "0::/kubepods/besteffort/pod" UID "/0f\n");
	assert_int_equal(find_netns(UID, out, sizeof(out)), 0);
	snprintf(expected, sizeof(expected), "/proc/%d/ns/net", processes[0].pid);
	assert_string_equal(out, expected);
	assert_int_equal(find_netns("ffffffff", out, sizeof(out)), -ENOENT);
	assert_int_equal(find_netns("", out, sizeof(out)), -ENOENT);
	assert_int_equal(find_netns(UID, out, 8), -ENOENT);
}

/* A pod in the node's own network is never one to attach. */
static void in_our_own_namespace(void **state)
{
	char out[256];

	(void)state;
	processes[0] = (struct fake_process){start(false), "0::/kubepods/besteffort/pod" UID "/0f\n"};
	assert_int_equal(find_netns(UID, out, sizeof(out)), -ENOENT);
}

/* The second process is the pod's own, by the runtime's name; the first is in a namespace that the pod made. */
static void by_name(void **state)
{
	char out[256], mounted[64];

	(void)state;
	start_all(3, "0::/kubepods/besteffort/pod" UID "/0f\n");
	processes[2].cgroups = "0::/other\n";
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		skip();
	assert_int_equal(shell_status("/run/netns", "mkdir -p $D"), 0);
	assert_int_equal(mount("none", "/run/netns", "tmpfs", 0, NULL), 0);
	assert_int_equal(shell_status("/run/netns", "touch $D/.hidden $D/other $D/cni-1"), 0);
	snprintf(mounted, sizeof(mounted), "/proc/%d/ns/net", processes[2].pid);
	assert_int_equal(mount(mounted, "/run/netns/other", NULL, MS_BIND, NULL), 0);
	snprintf(mounted, sizeof(mounted), "/proc/%d/ns/net", processes[1].pid);
	assert_int_equal(mount(mounted, "/run/netns/cni-1", NULL, MS_BIND, NULL), 0);
	assert_int_equal(find_netns(UID, out, sizeof(out)), 0);
	assert_string_equal(out, "/run/netns/cni-1");
	/* No room for the name: nothing half. */
	assert_int_equal(find_netns(UID, out, 4), -ENOENT);
	assert_int_equal(umount2("/run/netns", MNT_DETACH), 0);
}

/* A process that sees a namespace mounted on `path`, where we see an empty file. */
static pid_t start_runtime(const char *path)
{
	int ready[2];
	char scrap;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(ready[0]);
		if (unshare(CLONE_NEWNS | CLONE_NEWNET) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	ssize_t got = read(ready[0], &scrap, 1);
	close(ready[0]);
	processes[0] = (struct fake_process){pid, NULL};
	return got == 1 ? pid : 0;
}

static void by_the_runtime(void **state)
{
	char path[] = "/dev/shm/podswitch-find-XXXXXX", out[256], expected[64];

	(void)state;
	close(mkstemp(path));
	pid_t runtime = start_runtime(path);
	if (!runtime)
		skip();
	assert_false(find_is_namespace(path));
	find_netns_of_runtime(path, runtime, out, sizeof(out));
	snprintf(expected, sizeof(expected), "/proc/%d/root%s", runtime, path);
	assert_string_equal(out, expected);
	assert_true(find_is_namespace(out));
	/* Nobody says who the runtime is, or there is no room: podswitchd's own words are better than ours. */
	find_netns_of_runtime(path, 0, out, sizeof(out));
	assert_string_equal(out, path);
	find_netns_of_runtime(path, runtime, out, sizeof(path));
	assert_string_equal(out, path);
	/* What we see ourselves needs no way round. */
	find_netns_of_runtime("/proc/self/ns/net", runtime, out, sizeof(out));
	assert_string_equal(out, "/proc/self/ns/net");
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test_teardown(by_process, tear_down),
		cmocka_unit_test_teardown(in_our_own_namespace, tear_down),
		cmocka_unit_test_teardown(by_the_runtime, tear_down),
		cmocka_unit_test_teardown(by_name, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
