/* SPDX-License-Identifier: Apache-2.0 */
/* test_mounted.c - a folder that was mounted, while the one that it was mounted from is moved, removed and replaced */
#include "control/kube/mounted.c"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>

#include <cmocka.h>

#include "tests/unit/shell.h"

static char top[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(top, "/dev/shm/podswitch-mounted-XXXXXX");
	assert_non_null(mkdtemp(top));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(shell_status(top, "umount $D/there 2>/dev/null; rm -rf $D"), 0);
	return 0;
}

static void mounted_folder(void **state)
{
	char there[96];
	struct mounted mounted;

	(void)state;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		skip();
	snprintf(there, sizeof(there), "%s/there", top);
	static const char *const changes[] = {"mv $D/node $D/old", "rmdir $D/node", "mv $D/node $D/old; mkdir $D/node"};
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		assert_int_equal(shell_status(top, "mkdir -p $D/node $D/there; mount --bind $D/node $D/there"), 0);
		mounted_note(&mounted, there);
		assert_false(mounted_changed(&mounted));
		assert_int_equal(shell_status(top, "touch $D/there/x; rm $D/there/x"), 0);
		assert_false(mounted_changed(&mounted));
		assert_int_equal(shell_status(top, changes[i]), 0);
		assert_true(mounted_changed(&mounted));
		assert_int_equal(shell_status(top, "umount $D/there; rm -rf $D/old $D/node"), 0);
	}
}

/* What is no mount is looked at by its path each time anyway. */
static void plain_folder(void **state)
{
	struct mounted mounted;

	(void)state;
	mounted_note(&mounted, top);
	assert_int_equal(shell_status(top, "mv $D $D.old; mkdir $D; rmdir $D.old"), 0);
	assert_false(mounted_changed(&mounted));
	mounted_note(&mounted, "/nonexistent");
	assert_false(mounted_changed(&mounted));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mounted_folder, set_up, tear_down),
		cmocka_unit_test_setup_teardown(plain_folder, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
