/* SPDX-License-Identifier: Apache-2.0 */
/* test_runtime_folders.c - which folders a containerd reads, by its command line and configuration; none is started */
#include "control/kube/runtime_folders.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shell.h"

static void command_lines(void **state)
{
	static const char a[] = "containerd\0--config\0/a.toml\0--x", b[] = "/usr/bin/containerd\0--config=/b.toml",
			  c[] = "containerd\0-c\0/c.toml", d[] = "containerd\0--config", e[] = "";

	(void)state;
	assert_string_equal(config_of(a, sizeof(a)), "/a.toml");
	assert_string_equal(config_of(b, sizeof(b)), "/b.toml");
	assert_string_equal(config_of(c, sizeof(c)), "/c.toml");
	assert_string_equal(config_of(d, sizeof(d)), USUAL_CONFIG);
	assert_string_equal(config_of(e, 0), USUAL_CONFIG);
}

static void expect_toml(const char *text, const char *key, const char *expected)
{
	char out[64];

	read_toml(text, key, "usual", out, sizeof(out));
	assert_string_equal(out, expected);
}

static void configurations(void **state)
{
	static const char text[] = "version = 2\n# conf_dir = \"/no\"\n[plugins.cni]\n  conf_dir_x = \"/no\"\n"
				   "\tconf_dir=  \"/a b\"\r\n  bin_dirs = [\n '/one', '/two']\n  odd = 5\nlast = \"/z";

	(void)state;
	expect_toml(text, "conf_dir", "/a b");
	expect_toml(text, "bin_dirs", "/one");
	expect_toml(text, "bin_dir", "usual");
	expect_toml(text, "odd", "usual");
	expect_toml(text, "last", "/z");
	expect_toml("", "conf_dir", "usual");
	expect_toml("conf_dir", "conf_dir", "usual");
	expect_toml("conf_dir =", "conf_dir", "usual");
}

/* This process plays the containerd. Its configuration is that of its own command line, so the usual one, or none. */
static void compared(void **state)
{
	char top[] = "/dev/shm/podswitch-folders-XXXXXX", conf[64], bin[64], out[700], pid[32];
	struct folders folders = {.root = "/proc/self/root"};

	(void)state;
	assert_non_null(mkdtemp(top));
	snprintf(conf, sizeof(conf), "%s/conf", top);
	snprintf(bin, sizeof(bin), "%s/bin", top);
	assert_int_equal(shell_status(top, "mkdir $D/conf $D/bin; ln -s conf $D/link"), 0);
	assert_true(folder_is(&folders, conf, conf));
	snprintf(out, sizeof(out), "%s/link", top);
	assert_true(folder_is(&folders, out, conf));
	assert_false(folder_is(&folders, bin, conf));
	assert_false(folder_is(&folders, "/nonexistent", conf));
	assert_int_equal(prctl(PR_SET_NAME, "containerd"), 0);
	assert_true(find_containerd(pid) && runtime_is_containerd());
	assert_int_equal(prctl(PR_SET_NAME, "other"), 0);
	assert_int_equal(shell_status(top, "rm -r $D"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command_lines),
		cmocka_unit_test(configurations),
		cmocka_unit_test(compared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
