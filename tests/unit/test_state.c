/* SPDX-License-Identifier: Apache-2.0 */
/* test_state.c - the state directory when it is used, shared, damaged and full; and the configuration of podswitchd */
#include "control/daemon/state.c"

#include "control/daemon/config.h"
#include "tap/base/log.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_switch.h"
#include "tests/unit/shell.h"

struct fixture {
	struct state *state;
	char top[64], path[80];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct failure why = {0};

	strcpy(f->top, "/dev/shm/podswitch-state-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->path, sizeof(f->path), "%s/a/b", f->top);
	assert_int_equal(state_open(f->path, &f->state, &why), 0);
	log_set_level(LOG_ERROR);
	*state = f;
	return 0;
}

static void shell(const char *command, const char *path)
{
	assert_int_equal(shell_status(path, command), 0);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	state_close(f->state);
	shell("rm -rf $D", f->top);
	free(f);
	return 0;
}

static void put(struct fixture *f, enum state_kind kind, const char *name)
{
	struct failure why = {0};
	json_t *params = json_pack("{s:s}", "name", name);

	assert_int_equal(state_put(f->state, kind, name, params, &why), 0);
	json_decref(params);
}

static int transient; /* why what is called "busy..." fails; 0: it does not */

/* Writes down what is loaded; refuses what is called "refused". */
static int note(void *context, enum state_kind kind, const char *name, json_t *params, struct failure *why)
{
	char *notes = context;

	if (!strcmp(name, "refused"))
		return fail(why, -EINVAL, "name", "name: is refused");
	if (!strncmp(name, "busy", 4) && transient)
		return fail(why, transient, "remote", "remote: not now");
	assert_string_equal(json_string_value(json_object_get(params, "name")), name);
	sprintf(notes + strlen(notes), "%d%s ", kind, name);
	return 0;
}

static bool exists(const struct fixture *f, const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", f->path, file);
	return !access(path, F_OK);
}

static void expect_load(struct fixture *f, const char *expected, unsigned count)
{
	char notes[1024] = "";

	assert_int_equal(state_load(f->state, note, notes), count);
	assert_string_equal(notes, expected);
}

static void test_put_load_remove(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	struct stat status;

	expect_load(f, "", 0);
	put(f, STATE_PORT, "b");
	put(f, STATE_FDB, "g,02:00:00:00:00:01");
	put(f, STATE_PORT, "a");
	put(f, STATE_GATEWAY, "z");
	put(f, STATE_PORT, "a");
	put(f, STATE_GATEWAY, "x.json");
	expect_load(f, "0x.json 0z 1a 1b 2g,02:00:00:00:00:01 ", 5);
	assert_int_equal(stat(f->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(state_remove(f->state, STATE_PORT, "b", &why), 0);
	assert_int_equal(state_remove(f->state, STATE_PORT, "b", &why), 0);
	expect_load(f, "0x.json 0z 1a 2g,02:00:00:00:00:01 ", 4);
}

/* Enough that the order on the disk is not this one by chance. */
static void test_order(void **state)
{
	struct fixture *f = *state;
	char expected[512] = "", name[8];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%02d", i * 7 % 40);
		put(f, STATE_PORT, name);
		sprintf(expected + strlen(expected), "1n%02d ", i);
	}
	expect_load(f, expected, 40);
}

static bool keep_a(void *context, const char *name)
{
	(void)context;
	return !strcmp(name, "a");
}

static void test_prune(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};

	put(f, STATE_FDB, "a");
	put(f, STATE_FDB, "b");
	put(f, STATE_PORT, "c");
	assert_int_equal(state_prune(f->state, STATE_FDB, keep_a, NULL, &why), 0);
	expect_load(f, "1c 2a ", 2);
}

static void test_longest_name(void **state)
{
	struct fixture *f = *state;
	char name[SWITCH_NAME + 18];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	put(f, STATE_FDB, name);
	char notes[1024] = "";
	assert_int_equal(state_load(f->state, note, notes), 1);
}

static void test_damaged(void **state)
{
	struct fixture *f = *state;

	put(f, STATE_PORT, "good");
	put(f, STATE_PORT, "refused");
	shell("cd $D/ports && printf '{\"name\": \"cut' >cut.json && : >empty.json && echo '[1]' >list.json", f->path);
	shell("cd $D/ports && ln -s good.json link.json && mkdir dir.json && mkfifo pipe.json", f->path);
	shell("cd $D/ports && head -c 2000000 /dev/zero >huge.json && echo x >.half.tmp && echo x >other", f->path);
	expect_load(f, "1good ", 1);
	static const char *const bad[] = {"cut", "empty", "list", "link", "dir", "pipe", "huge", "refused"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char file[64];
		snprintf(file, sizeof(file), "ports/%s.json.bad", bad[i]);
		assert_true(exists(f, file));
		snprintf(file, sizeof(file), "ports/%s.json", bad[i]);
		assert_false(exists(f, file));
	}
	assert_false(exists(f, "ports/.half.tmp"));
	assert_true(exists(f, "ports/other"));
	expect_load(f, "1good ", 1);
}

static void expect_retry(struct fixture *f, const char *expected, unsigned count)
{
	char notes[1024] = "";

	assert_int_equal(state_retry(f->state, note, notes), count);
	assert_string_equal(notes, expected);
}

/* A shortage costs nothing: what could not be restored stays, and is, later. */
static void test_shortage(void **state)
{
	static const int reasons[] = {-EADDRINUSE, -EMFILE, -ENFILE, -ENOMEM,        -ENOSPC, -ENOBUFS,
				      -EBUSY,      -EPERM,  -EAGAIN, -EADDRNOTAVAIL, -ENODEV, -EEXIST};
	struct fixture *f = *state;

	put(f, STATE_GATEWAY, "busy");
	put(f, STATE_GATEWAY, "good");
	put(f, STATE_PORT, "busy-1");
	put(f, STATE_PORT, "refused");
	put(f, STATE_FDB, "busy,x");
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		transient = reasons[i];
		expect_load(f, "0good ", 1);
		assert_true(exists(f, "gateways/busy.json") && exists(f, "ports/busy-1.json"));
		assert_true(state_waits(f->state, STATE_PORT, "busy-1"));
		expect_retry(f, "", 0);
		transient = 0;
		expect_retry(f, "0busy 1busy-1 2busy,x ", 3);
		assert_false(state_waits(f->state, STATE_PORT, "busy-1"));
		expect_retry(f, "", 0);
	}
	assert_true(exists(f, "ports/refused.json.bad"));
	assert_false(exists(f, "gateways/busy.json.bad"));
}

/* What waits goes for good when it is removed, and is not brought back over what was written since. */
static void test_waiting_is_changed(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};

	put(f, STATE_PORT, "busy-1");
	put(f, STATE_PORT, "busy-2");
	put(f, STATE_FDB, "busy,x");
	transient = -ENOMEM;
	expect_load(f, "", 0);
	assert_int_equal(state_prune(f->state, STATE_FDB, keep_a, NULL, &why), 0);
	assert_int_equal(state_remove(f->state, STATE_PORT, "busy-1", &why), 0);
	put(f, STATE_PORT, "busy-2");
	transient = 0;
	expect_retry(f, "2busy,x ", 1);
	expect_load(f, "1busy-2 2busy,x ", 2);
}

/* What is missing may be waiting itself; else it is missing for good. */
static void test_missing(void **state)
{
	struct fixture *f = *state;

	put(f, STATE_GATEWAY, "good");
	put(f, STATE_FDB, "busy,x");
	assert_int_equal(mkdirat(f->state->directory, "ports", 0700), 0);
	transient = -ENOMEM;
	put(f, STATE_GATEWAY, "busy");
	expect_load(f, "0good ", 1);
	assert_true(exists(f, "fdb/busy,x.json"));
	assert_int_equal(state_remove(f->state, STATE_GATEWAY, "busy", NULL), 0);
	transient = -ENOENT;
	expect_retry(f, "", 0);
	assert_true(exists(f, "fdb/busy,x.json.bad"));
	transient = 0;
}

/* Without descriptors not even the directories can be read. */
static void test_no_descriptors(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, few;

	put(f, STATE_GATEWAY, "a");
	put(f, STATE_PORT, "b");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	char notes[64] = "";
	unsigned loaded = state_load(f->state, note, notes);
	unsigned again = state_retry(f->state, note, notes);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(loaded + again, 0);
	expect_retry(f, "0a 1b ", 2);
	expect_retry(f, "", 0);
}

static void expect_no_put(struct fixture *f, int error)
{
	struct failure why = {0};
	json_t *params = json_pack("{s:s}", "name", "new");

	assert_int_equal(state_put(f->state, STATE_PORT, "p", params, &why), error);
	json_decref(params);
	assert_string_equal(why.key, "state_dir");
	assert_non_null(strstr(why.text, "a restart will not know it"));
}

static void test_write_failures(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	struct rlimit old, none = {0};

	put(f, STATE_PORT, "p");
	/* A full disk: the old file stays whole, no half of a new one is left. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	expect_no_put(f, -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_false(exists(f, "ports/.p.tmp"));
	expect_load(f, "1p ", 1);

	shell("rm -r $D/ports", f->path);
	put(f, STATE_PORT, "q"); /* made again */
	shell("rm -r $D/ports && touch $D/ports", f->path);
	expect_no_put(f, -ENOTDIR);
	assert_int_equal(state_remove(f->state, STATE_PORT, "p", &why), -ENOTDIR);
	assert_non_null(strstr(why.text, "bring it back"));
	shell("rm -r $D", f->path);
	expect_no_put(f, -ENOENT);
	assert_int_equal(state_remove(f->state, STATE_PORT, "p", &why), 0); /* nothing is left to bring it back */
	expect_load(f, "", 0);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	/* In a namespace of our own, so that the mount is gone with the child. */
	pid_t child = fork();
	if (!child) {
		if (unshare(CLONE_NEWNS) ||
		    shell_status(f->path,
				 "mount --make-rprivate / && mount --bind $D $D && mount -o remount,ro,bind $D"))
			_exit(77);
		struct failure why = {0};
		struct state *again = NULL;
		json_t *params = json_object();
		close(f->state->directory);
		f->state->directory = open(f->path, O_RDONLY | O_DIRECTORY);
		int error = state_put(f->state, STATE_PORT, "p", params, &why);
		bool refused = state_open(f->path, &again, &why) == -EROFS;
		_exit(error == -EROFS && refused ? 0 : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

static void test_second_is_refused(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	struct state *second = NULL;
	char pid[16];

	assert_int_equal(state_open(f->path, &second, &why), -EBUSY);
	snprintf(pid, sizeof(pid), " %ld;", (long)getpid());
	assert_non_null(strstr(why.text, pid));
	assert_null(second);
	state_close(f->state);
	assert_int_equal(state_open(f->path, &f->state, &why), 0);
}

static void test_bad_directories(void **state)
{
	struct failure why = {0};
	struct state *none = NULL;

	(void)state;
	assert_int_equal(state_open("/proc/nowhere/x", &none, &why), -ENOENT);
	assert_string_equal(why.key, "state_dir");
	assert_int_equal(state_open("/dev/null/x", &none, &why), -ENOTDIR);
	assert_int_equal(state_open("", &none, &why), -ENAMETOOLONG);
	assert_null(none);
}

/* ---- config ---- */

static int apply(struct config *config, const char *text, struct failure *why)
{
	json_t *object = json_loads(text, 0, NULL);

	assert_non_null(object);
	int error = config_read_json(config, object, why);
	json_decref(object);
	return error;
}

static void test_config(void **state)
{
	struct config config = CONFIG_DEFAULT;
	struct failure why = {0};

	(void)state;
	assert_int_equal(
		apply(&config,
		      "{\"socket\":\"/s\",\"state_dir\":\"/d\",\"workers\":4,\"vtep\":[\"10.0.0.1\",\"fd00::1\"],"
		      "\"log_level\":\"debug\",\"reserved\":\"ignore\",\"ageing\":7,\"fdb_gateway_limit\":8,"
		      "\"fdb_remote_limit\":9}",
		      &why),
		0);
	assert_string_equal(config.socket, "/s");
	assert_string_equal(config.state_dir, "/d");
	assert_int_equal(config.options.workers, 4);
	assert_int_equal(config.options.vtep[0].family, AF_INET);
	assert_int_equal(config.options.vtep[1].family, AF_INET6);
	assert_int_equal(config.log_level, LOG_DEBUG);
	assert_true(config.options.ignore_reserved);
	assert_int_equal(config.options.ageing, 7);
	assert_int_equal(config.options.fdb_gateway_limit, 8);
	assert_int_equal(config.options.fdb_remote_limit, 9);
	assert_int_equal(apply(&config, "{\"vtep\":\"10.0.0.2\"}", &why), 0);
	assert_int_equal(config.options.vtep[1].family, 0); /* replaced, not added */
}

static void test_config_refused(void **state)
{
	static const struct {
		const char *text, *key;
	} cases[] = {
		{"{\"sockets\":\"/s\"}", "sockets"},
		{"{\"socket\":\"\"}", "socket"},
		{"{\"socket\":1}", "socket"},
		{"{\"workers\":0}", "workers"},
		{"{\"workers\":17}", "workers"},
		{"{\"workers\":\"2\"}", "workers"},
		{"{\"workers\":2.0}", "workers"},
		{"{\"vtep\":\"10.0.0\"}", "vtep"},
		{"{\"vtep\":\"0.0.0.0\"}", "vtep"},
		{"{\"vtep\":[\"10.0.0.1\",\"10.0.0.2\"]}", "vtep"},
		{"{\"vtep\":[\"10.0.0.1\",\"fd00::1\",\"fd00::2\"]}", "vtep"},
		{"{\"vtep\":[1]}", "vtep"},
		{"{\"log_level\":\"loud\"}", "log_level"},
		{"{\"reserved\":true}", "reserved"},
		{"{\"ageing\":0}", "ageing"},
		{"{\"fdb_gateway_limit\":-1}", "fdb_gateway_limit"},
	};
	struct config config = CONFIG_DEFAULT, before = config;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct failure why = {0};
		assert_int_equal(apply(&config, cases[i].text, &why), -EINVAL);
		assert_string_equal(why.key, cases[i].key);
		assert_int_equal(strncmp(why.text, cases[i].key, strlen(cases[i].key)), 0);
		assert_memory_equal(&config, &before, sizeof(config));
	}
}

static void test_config_file(void **state)
{
	struct fixture *f = *state;
	struct config config = CONFIG_DEFAULT;
	struct failure why = {0};
	char path[128];

	snprintf(path, sizeof(path), "%s/config.json", f->top);
	shell("echo '{\"workers\": 3, \"vtep\": \"10.0.0.1\"}' >$D/config.json", f->top);
	assert_int_equal(config_read_file(&config, path, &why), 0);
	assert_int_equal(config.options.workers, 3);

	char *words[] = {"--workers", "5",       "--state-dir=12", "--vtep", "10.0.0.2",
			 "--vtep",    "fd00::2", "--log-level",    "error",  NULL};
	assert_int_equal(config_read_line(&config, words, &why), 0);
	assert_int_equal(config.options.workers, 5);
	assert_string_equal(config.state_dir, "12");
	assert_int_equal(config.options.vtep[0].bytes[3], 2);
	assert_int_equal(config.options.vtep[1].family, AF_INET6);

	shell("echo '{\"workers\": 3,' >$D/config.json", f->top);
	assert_int_equal(config_read_file(&config, path, &why), -EINVAL);
	assert_non_null(strstr(why.text, "line"));
	shell("echo '[]' >$D/config.json", f->top);
	assert_int_equal(config_read_file(&config, path, &why), -EINVAL);
	shell("echo '{\"nope\": 1}' >$D/config.json", f->top);
	assert_int_equal(config_read_file(&config, path, &why), -EINVAL);
	assert_string_equal(why.key, "nope");
	shell("rm $D/config.json", f->top);
	assert_int_equal(config_read_file(&config, path, &why), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_put_load_remove), TEST(test_order),
		TEST(test_prune),           TEST(test_longest_name),
		TEST(test_damaged),         TEST(test_write_failures),
		TEST(test_shortage),        TEST(test_waiting_is_changed),
		TEST(test_missing),         TEST(test_no_descriptors),
		TEST(test_read_only),       TEST(test_second_is_refused),
		TEST(test_bad_directories), TEST(test_config),
		TEST(test_config_refused),  TEST(test_config_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
