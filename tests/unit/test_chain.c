/* SPDX-License-Identifier: Apache-2.0 */
/* test_chain.c - the plugin's place on the node, while others take it away: put back, a few times a minute, and said */
#include "control/kube/chain.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/shell.h"

#define PRIMARY "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[{\"type\":\"bridge\"},{\"type\":\"portmap\"}]}"
#define LISTED "grep -q podswitch-cni $D/conf/00-podswitch.conflist"

struct fixture {
	char top[64], bin[80], conf[80], program[80], note[80];
	struct settings settings;
	struct chain *chain;
	char told[1024], message[1024];
	uint64_t now;
};

/* The node's containerd is none of this test's. */
static const char *other_folders;

bool runtime_folders_differ(const char *conf_dir, const char *bin_dir, char *out, size_t size)
{
	assert_true(*conf_dir && *bin_dir);
	if (other_folders)
		snprintf(out, size, "%s", other_folders);
	return other_folders;
}

static void tell(void *context, bool warning, const char *reason, const char *message)
{
	struct fixture *f = context;
	size_t used = strlen(f->told);

	snprintf(f->told + used, sizeof(f->told) - used, "%s%s|", warning ? "!" : "", reason);
	snprintf(f->message, sizeof(f->message), "%s", message);
}

static void sh(const struct fixture *f, const char *command)
{
	if (shell_status(f->top, command))
		assert_string_equal(command, "to succeed");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->top, "/dev/shm/podswitch-chain-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->bin, sizeof(f->bin), "%s/bin", f->top);
	snprintf(f->conf, sizeof(f->conf), "%s/conf", f->top);
	snprintf(f->program, sizeof(f->program), "%s/image", f->top);
	snprintf(f->note, sizeof(f->note), "%s/note", f->top);
	sh(f, "mkdir $D/bin $D/conf; echo program >$D/image; echo '" PRIMARY "' >$D/conf/10-p.conflist");
	f->settings = (struct settings){.cni_bin_dir = f->bin, .cni_conf_dir = f->conf, .cni_program = f->program};
	f->now = 1000000;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	chain_close(f->chain);
	assert_int_equal(shell_status(f->top, "rm -rf $D"), 0);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	chain_close(f->chain);
	f->settings.socket = "/run/podswitch/control.sock";
	f->chain = chain_open(&f->settings, f->note, tell, f);
	chain_turn(f->chain, f->now);
}

static void chain_turn_after(struct fixture *f, unsigned ms)
{
	f->now += ms;
	chain_turn(f->chain, f->now);
}

static void expect_ready(const struct fixture *f, const char *piece)
{
	const char *reason;
	bool ready = chain_ready(f->chain, &reason);

	if (piece && !strstr(reason, piece))
		assert_string_equal(reason, piece);
	assert_int_equal(ready, !piece);
}

/* The file put back, the list and the program removed: each while no agent ran. */
static void test_agent_was_away(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_null(f->chain); /* nobody has installed the plugin */
	expect_ready(f, NULL);
	sh(f, "echo old >$D/bin/podswitch-cni; chmod 755 $D/bin/podswitch-cni");
	start(f);
	sh(f, LISTED " && cmp $D/bin/podswitch-cni $D/image && test -x $D/bin/podswitch-cni");
	expect_ready(f, NULL);
	sh(f, "rm $D/conf/00*");
	start(f);
	sh(f, LISTED);
	/* All of it at once; the note of before remains. */
	sh(f, "rm $D/conf/00* $D/bin/*");
	start(f);
	sh(f, LISTED " && cmp $D/bin/podswitch-cni $D/image");
	/* The network changed. */
	sh(f, "echo '" PRIMARY "' | sed s/bridge/ptp/ >$D/conf/05-q.conflist; rm $D/conf/10*");
	start(f);
	sh(f, LISTED " && grep -q ptp $D/conf/00*");
	assert_string_equal(f->told, "");
}

/* Changes are seen at once, also in a folder that was replaced as a whole. */
static void test_follows(void **state)
{
	struct fixture *f = *state;

	sh(f, "touch $D/note");
	start(f);
	sh(f, "rm $D/conf/00*");
	chain_turn_after(f, 1);
	sh(f, LISTED);
	sh(f, "mv $D/conf $D/old; mkdir $D/conf; cp $D/old/10* $D/conf; rm -r $D/old");
	chain_turn_after(f, LOOK_PERIOD);
	sh(f, LISTED "; rm $D/conf/00*");
	chain_turn_after(f, MINUTE);
	sh(f, LISTED);
	sh(f, "rm -r $D/bin; mkdir $D/bin");
	chain_turn_after(f, CHECK_PERIOD);
	sh(f, "cmp $D/bin/podswitch-cni $D/image");
	sh(f, "chmod 644 $D/bin/podswitch-cni");
	chain_turn_after(f, CHECK_PERIOD);
	sh(f, "test -x $D/bin/podswitch-cni");
	struct chain_counters counters;
	chain_count(f->chain, &counters);
	assert_int_equal(counters.programs, 3); /* with the first one */
	assert_true(counters.in_force && !counters.contested);
}

/* Its owner takes the list away each time. */
static void test_contest(void **state)
{
	struct fixture *f = *state;
	struct chain_counters counters;

	sh(f, "touch $D/note; mv $D/conf/10-p.conflist $D/conf/05-cilium.conflist");
	start(f);
	for (int i = 0; i < 50; i++) {
		(void)shell_status(
			f->top,
			"mv $D/conf/00-podswitch.conflist $D/conf/00-podswitch.conflist.cilium_bak 2>/dev/null");
		chain_turn_after(f, 100);
	}
	chain_count(f->chain, &counters);
	assert_int_equal(counters.rewrites, REWRITES);
	assert_true(counters.contested && !counters.in_force);
	assert_string_equal(f->told, "!CNIConfigContested|");
	assert_non_null(strstr(f->message, "Cilium takes podswitch-cni out"));
	assert_non_null(strstr(f->message, "05-cilium.conflist"));
	expect_ready(f, "cni.exclusive=false");
	/* A minute later it is tried again, and taken out again: no second Event. */
	chain_turn_after(f, MINUTE);
	sh(f, LISTED);
	expect_ready(f, NULL);
	for (int i = 0; i < 10; i++) {
		(void)shell_status(
			f->top,
			"mv $D/conf/00-podswitch.conflist $D/conf/00-podswitch.conflist.cilium_bak 2>/dev/null");
		chain_turn_after(f, 100);
	}
	chain_count(f->chain, &counters);
	assert_int_equal(counters.rewrites, 2 * REWRITES);
	assert_string_equal(f->told, "!CNIConfigContested|");
	/* The dust settles. */
	chain_turn_after(f, MINUTE);
	sh(f, LISTED);
	chain_turn_after(f, MINUTE);
	assert_string_equal(f->told, "!CNIConfigContested|CNIConfigSettled|");
	chain_count(f->chain, &counters);
	assert_true(counters.in_force && !counters.contested);
}

/* Somebody whose name is not known; and a primary that changes its own file often is no contest. */
static void test_contest_unnamed(void **state)
{
	struct fixture *f = *state;

	sh(f, "touch $D/note");
	start(f);
	for (int i = 0; i < 10; i++) {
		sh(f, "sed -i 's/\"n/\"nn/' $D/conf/10-p.conflist");
		chain_turn_after(f, 100);
	}
	struct chain_counters counters;
	chain_count(f->chain, &counters);
	assert_int_equal(counters.rewrites, 1 + UPDATES);
	assert_string_equal(f->told, "");
	expect_ready(f, NULL);
	chain_turn_after(f, MINUTE);
	for (int i = 0; i < 10; i++) {
		(void)shell_status(f->top, "rm -f $D/conf/00*");
		chain_turn_after(f, 100);
	}
	assert_string_equal(f->told, "!CNIConfigContested|");
	assert_non_null(strstr(f->message, "10-p.conflist"));
	assert_non_null(strstr(f->message, "cni.exclusive=false"));
}

static void test_other_folders(void **state)
{
	struct fixture *f = *state;
	struct chain_counters counters;

	sh(f, "touch $D/note");
	other_folders = "containerd reads /x";
	start(f);
	chain_turn_after(f, MINUTE);
	chain_count(f->chain, &counters);
	assert_true(counters.astray);
	assert_string_equal(f->told, "!CNIPluginNotCalled|");
	assert_string_equal(f->message, other_folders);
	other_folders = NULL;
	chain_turn_after(f, MINUTE);
	chain_count(f->chain, &counters);
	assert_false(counters.astray);
}

/* An empty or missing network is waited for; without one nothing starts past us. */
static void test_no_network(void **state)
{
	struct fixture *f = *state;

	sh(f, "touch $D/note; : >$D/conf/10-p.conflist");
	start(f);
	expect_ready(f, NULL);
	sh(f, "rm $D/conf/10-p.conflist");
	chain_turn_after(f, 1);
	expect_ready(f, NULL);
	sh(f, "echo '" PRIMARY "' >$D/conf/10-p.conflist");
	chain_turn_after(f, 1);
	sh(f, LISTED);
	/* What cannot be followed is past us. */
	sh(f, "sed -i s/1.0.0/9.0.0/ $D/conf/10-p.conflist; rm $D/conf/00*");
	chain_turn_after(f, 1);
	expect_ready(f, "has cniVersion 9.0.0");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_agent_was_away),  test(test_follows),    test(test_contest),
		test(test_contest_unnamed), test(test_no_network), test(test_other_folders),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
