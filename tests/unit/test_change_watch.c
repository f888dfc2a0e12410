/* SPDX-License-Identifier: Apache-2.0 */
/* test_change_watch.c - what counts as a change of a namespace, and what does not */
#include "tap/change_watch.c"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/shell.h"

static void run(const char *command)
{
	assert_int_equal(shell_status(".", command), 0);
}

static void test_changes(void **state)
{
	(void)state;
	static const char *const changes[] = {
		"ip link add v0 type veth peer name v1",
		"ip link set v0 up",
		"ip link set v1 up",
		"ip addr add 192.0.2.1/24 dev v0",
		"ip route add 198.51.100.0/24 dev v0",
		"ip rule add to 203.0.113.0/24 table 9",
		"ip route del 198.51.100.0/24",
		"ip link del v0",
	};
	struct change_watch watch = CHANGE_WATCH_NONE;
	assert_false(change_watch_seen(&watch));
	change_watch_open(&watch);
	assert_true(watch.routes >= 0);
	assert_false(change_watch_seen(&watch));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		run(changes[i]);
		assert_true(change_watch_seen(&watch));
		usleep(50000); /* what the kernel says of it a moment later */
		change_watch_seen(&watch);
		assert_false(change_watch_seen(&watch));
	}
	run("ip link >/dev/null; ip route >/dev/null");
	assert_false(change_watch_seen(&watch));
	change_watch_close(&watch);
	change_watch_close(&watch);
	assert_false(change_watch_seen(&watch));
}

static void test_filters(void **state)
{
	(void)state;
	struct change_watch watch = CHANGE_WATCH_NONE;
	if (shell_status(".", "nft add table inet known 2>/dev/null"))
		skip(); /* this kernel has none */
	change_watch_open(&watch);
	assert_false(change_watch_seen(&watch));
	run("nft add chain inet known forward '{ type filter hook forward priority 0; policy drop; }'");
	assert_true(change_watch_seen(&watch));
	assert_false(change_watch_seen(&watch));
	change_watch_close(&watch);
}

/* More than there is room for are a change, too, and are not read for ever. */
static void test_flood(void **state)
{
	(void)state;
	struct change_watch watch = CHANGE_WATCH_NONE;
	const int least = 1;
	change_watch_open(&watch);
	setsockopt(watch.routes, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	run("ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up;"
	    "for i in $(seq 200); do echo \"route add 198.51.100.$i dev v0\"; done | ip -batch -");
	assert_true(change_watch_seen(&watch));
	usleep(50000);
	change_watch_seen(&watch);
	assert_false(change_watch_seen(&watch));
	run("ip link del v0");
	assert_true(change_watch_seen(&watch));
	change_watch_close(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_flood),
	};
	if (unshare(CLONE_NEWNET))
		return 1;
	return cmocka_run_group_tests_name("change_watch", tests, NULL, NULL);
}
