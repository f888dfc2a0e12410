/* SPDX-License-Identifier: Apache-2.0 */
/* test_leftovers.c - an uninstallation removes what podswitch has made, and nothing of anybody else */
#include "control/kube/leftovers.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/shell.h"

static char directory[64];

static int set_up(void **state)
{
	(void)state;
	strcpy(directory, "/dev/shm/podswitch-leftovers-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return shell_status(directory, "rm -rf $D");
}

static void leave(const char *command)
{
	assert_int_equal(shell_status(directory, command), 0);
}

static void uninstall_beside(bool podswitchd_runs)
{
	char socket[96], agent[96];
	snprintf(socket, sizeof(socket), "%s/x.sock", directory);
	snprintf(agent, sizeof(agent), "%s/agent.sock", directory);
	leftovers_remove(socket, agent, podswitchd_runs);
}
static void uninstall(void)
{
	uninstall_beside(false);
}

#define OURS                                                                                                           \
	"cd $D && mkdir -p configured state/gateways state/ports state/fdb && "                                        \
	"touch x.sock x.sock.new agent.sock cni-installed cni-installed.new configured/media.tv@c1c1c1 "               \
	"configured/.new state/lock state/gateways/media.vpn@1.json state/ports/media.tv@c1.json.bad "                 \
	"state/ports/.a.tmp state/fdb/a,02:00:00:00:00:01.json"

static void all_of_ours(void **state)
{
	(void)state;
	leave(OURS);
	uninstall();
	leave("test -d $D && test -z \"$(ls -A $D)\"");
	uninstall(); /* there may be nothing */
}

static void not_what_is_in_use(void **state)
{
	(void)state;
	leave(OURS);
	uninstall_beside(true);
	leave("cd $D && test -e x.sock && test -e state/lock && test -e state/ports/media.tv@c1.json.bad && "
	      "test ! -e agent.sock && test ! -e configured && test ! -e cni-installed");
}

/* The socket is in a folder of everybody's, as /run. */
static void nothing_of_others(void **state)
{
	(void)state;
	leave(OURS
	      " && mkdir -p systemd/system other.d lock && touch other.pid other.sock systemd/system/unit other.d/a "
	      "configured/theirs state/theirs state/ports/theirs lock/x && ln -s other.d link");
	uninstall();
	leave("cd $D && test \"$(find . ! -name . | sort | tr '\\n' ' ')\" = './configured ./configured/theirs ./link "
	      "./lock ./lock/x ./other.d ./other.d/a ./other.pid ./other.sock ./state ./state/ports "
	      "./state/ports/theirs ./state/theirs ./systemd ./systemd/system ./systemd/system/unit '");
}

/* What has one of our names and leads elsewhere is not followed. */
static void links_are_not_followed(void **state)
{
	(void)state;
	leave("cd $D && mkdir -p far/ports && touch far/lock far/ports/a.json far/a@b && ln -s far state && ln -s far "
	      "configured");
	uninstall();
	leave("cd $D && test -e far/lock && test -e far/ports/a.json && test -e far/a@b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_of_ours, set_up, tear_down),
		cmocka_unit_test_setup_teardown(not_what_is_in_use, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_of_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links_are_not_followed, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
