/* SPDX-License-Identifier: Apache-2.0 */
/* test_file.c - files read whole up to a bound, and replaced with nothing left behind */
#include "tap/base/file.c"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/shell.h"

static char top[64];
static int folder;

static int set_up(void **state)
{
	(void)state;
	strcpy(top, "/dev/shm/podswitch-file-XXXXXX");
	assert_non_null(mkdtemp(top));
	folder = open(top, O_RDONLY | O_DIRECTORY);
	assert_true(folder >= 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(folder);
	return shell_status(top, "rm -rf $D");
}

static int sh(const char *command)
{
	return shell_status(top, command);
}

static void reads_up_to_a_bound(void **state)
{
	struct stat status;
	size_t length = 77;
	char *text = NULL;

	(void)state;
	assert_int_equal(sh("printf abc >$D/a; head -c 100000 /dev/zero >$D/large; : >$D/empty; mkfifo $D/fifo"), 0);
	assert_int_equal(sh("ln -s a $D/link; mkdir $D/dir"), 0);
	assert_int_equal(file_read(folder, "a", 0, 2, &text, &length, NULL), -EFBIG);
	assert_int_equal(file_read(folder, "large", 0, 99999, &text, &length, NULL), -EFBIG);
	assert_int_equal(file_read(folder, "missing", 0, 3, &text, &length, NULL), -ENOENT);
	assert_int_equal(file_read(folder, "dir", 0, 3, &text, &length, NULL), -EISDIR);
	assert_int_equal(file_read(folder, "link", O_NOFOLLOW, 3, &text, &length, NULL), -ELOOP);
	assert_null(text);
	assert_int_equal(length, 77);
	assert_int_equal(file_read(folder, "link", 0, 3, &text, &length, &status), 0);
	assert_string_equal(text, "abc");
	assert_int_equal(length, 3);
	assert_int_equal(status.st_size, 3);
	free(text);
	assert_int_equal(file_read(folder, "large", 0, 100000, &text, &length, NULL), 0);
	assert_int_equal(length, 100000);
	assert_int_equal(text[length], 0);
	free(text);
	/* Without a writer, a FIFO is empty; nothing waits for one. */
	assert_int_equal(file_read(folder, "fifo", 0, 3, &text, &length, NULL), 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(file_read(folder, "empty", 0, 0, &text, &length, NULL), 0);
	assert_int_equal(length, 0);
	free(text);
}

static void replaces_in_one_step(void **state)
{
	struct rlimit old, none = {0};

	(void)state;
	assert_int_equal(sh("echo old >$D/a; echo target >$D/b; ln -s b $D/.t"), 0);
	mode_t mask = umask(0077);
	assert_int_equal(file_replace(folder, ".t", "a", "new", 3, 0644), 0);
	umask(mask);
	assert_int_equal(sh("test \"$(cat $D/a) $(stat -c %a $D/a) $(cat $D/b)\" = 'new 644 target'"), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(file_replace(folder, ".t", "a", "newer", 5, 0644), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(sh("mkdir $D/dir"), 0);
	assert_int_equal(file_replace(folder, ".t", "dir", "new", 3, 0600), -EISDIR);
	assert_int_equal(sh("test \"$(cat $D/a) $(ls -A $D | tr '\\n' ' ')\" = 'new a b dir '"), 0);
	/* A path works as well, with its own directory synced. */
	char temporary[96], name[96];
	snprintf(temporary, sizeof(temporary), "%s/dir/.x", top);
	snprintf(name, sizeof(name), "%s/dir/x", top);
	assert_int_equal(file_replace(AT_FDCWD, temporary, name, "", 0, 0600), 0);
	assert_int_equal(sh("test \"$(ls -A $D/dir)\" = x && ! test -s $D/dir/x"), 0);
}

static void tells_a_change(void **state)
{
	struct stat before, after;

	(void)state;
	assert_int_equal(sh("echo 1 >$D/a; touch -d @1000.5 $D/a"), 0);
	assert_int_equal(fstatat(folder, "a", &before, 0), 0);
	assert_int_equal(fstatat(folder, "a", &after, 0), 0);
	assert_true(file_unchanged(&before, &after));
	assert_int_equal(sh("touch -d @1000.6 $D/a"), 0);
	assert_int_equal(fstatat(folder, "a", &after, 0), 0);
	assert_false(file_unchanged(&before, &after));
	assert_int_equal(sh("echo 2 >$D/b; touch -d @1000.5 $D/b; mv $D/b $D/a"), 0);
	assert_int_equal(fstatat(folder, "a", &after, 0), 0);
	assert_false(file_unchanged(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_up_to_a_bound, set_up, tear_down),
		cmocka_unit_test_setup_teardown(replaces_in_one_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_a_change, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
