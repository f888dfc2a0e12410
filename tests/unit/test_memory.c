/* SPDX-License-Identifier: Apache-2.0 */
/* test_memory.c - what the CNI configuration named, kept in files that may be missing, damaged, or something else */
#include "control/kube/memory.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/shell.h"

#define PORT "media.tv@0123456789ab"

static char top[64], folder[96];

static int set_up(void **state)
{
	(void)state;
	strcpy(top, "/dev/shm/podswitch-memory-XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(folder, sizeof(folder), "%s/a/configured", top);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return shell_status(top, "rm -rf $D");
}

static const char *recall(const char *port)
{
	static char out[32];

	strcpy(out, "untouched");
	return memory_recall(folder, port, out, sizeof(out)) ? "error" : out;
}

static void keeps_and_drops(void **state)
{
	struct failure why = {0};

	(void)state;
	assert_string_equal(recall(PORT), "");
	memory_drop(folder, PORT);
	assert_int_equal(memory_keep(folder, PORT, "vpn.media", &why), 0);
	assert_string_equal(recall(PORT), "vpn.media");
	assert_string_equal(recall(PORT ".net1"), "");
	assert_int_equal(memory_keep(folder, PORT ".new", "other.media", &why), 0);
	assert_int_equal(memory_keep(folder, PORT, "", &why), 0);
	assert_string_equal(recall(PORT), "");
	assert_string_equal(recall(PORT ".new"), "other.media");
	memory_drop(folder, PORT ".new");
	assert_string_equal(recall(PORT ".new"), "");
	assert_int_equal(shell_status(folder, "test \"$(ls -A $D)\" = " PORT), 0);
}

static void cannot_be_said(void **state)
{
	char out[32] = "untouched";

	(void)state;
	assert_int_equal(memory_keep(folder, PORT, "vpn.media", NULL), 0);
	/* Longer than there is room for: "vpn.media" has nine characters. */
	assert_int_equal(memory_recall(folder, PORT, out, 9), -EIO);
	assert_string_equal(out, "untouched");
	assert_int_equal(memory_recall(folder, PORT, out, 10), 0);
	assert_int_equal(shell_status(folder, "cd $D && mv " PORT " x && ln -s x " PORT), 0);
	assert_string_equal(recall(PORT), "error");
	assert_int_equal(shell_status(folder, "cd $D && rm " PORT " && mkdir " PORT), 0);
	assert_string_equal(recall(PORT), "error");
	assert_int_equal(shell_status(top, "rm -r $D/a && : >$D/a"), 0);
	assert_string_equal(recall(PORT), "error");
}

static void cannot_be_kept(void **state)
{
	struct failure why = {0};

	(void)state;
	assert_int_equal(shell_status(top, ": >$D/a"), 0);
	assert_int_not_equal(memory_keep(folder, PORT, "vpn.media", &why), 0);
	assert_non_null(strstr(why.text, "cannot keep the port's gateway"));
	/* Nothing but a port's name is a file there. */
	assert_int_equal(memory_keep(top, "../x", "vpn", &why), -EINVAL);
	assert_int_equal(memory_keep(top, ".new", "vpn", &why), -EINVAL);
	assert_int_equal(memory_keep(top, "", "vpn", &why), -EINVAL);
	assert_string_equal(recall("../x"), "error");
	memory_drop(top, "../x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keeps_and_drops, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cannot_be_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cannot_be_kept, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
