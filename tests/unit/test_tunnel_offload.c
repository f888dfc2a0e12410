/* SPDX-License-Identifier: Apache-2.0 */
/* test_tunnel_offload.c - which devices take super-frames in tunnels */
#include "tap/tunnel_offload.c"

#include <arpa/inet.h>
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

static int offload_to(const char *address)
{
	struct sockaddr_storage to = {0};
	struct sockaddr_in *ip4 = (struct sockaddr_in *)&to;
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)&to;
	to.ss_family = inet_pton(AF_INET, address, &ip4->sin_addr) == 1 ? AF_INET : AF_INET6;
	if (to.ss_family == AF_INET6)
		assert_int_equal(inet_pton(AF_INET6, address, &ip6->sin6_addr), 1);
	return tunnel_offload(&to);
}

/* Of both families, directly and behind a router. */
static void assert_offload(int wanted)
{
	assert_int_equal(offload_to("192.0.2.2"), wanted);
	assert_int_equal(offload_to("198.51.100.9"), wanted);
	assert_int_equal(offload_to("2001:db8::2"), wanted);
}

static void test_features(void **state)
{
	static const char *const features[] = {"tx-udp_tnl-csum-segmentation", "tx-tcp-segmentation", "tx", "sg"};
	char command[128];
	(void)state;
	assert_offload(1);
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		snprintf(command, sizeof(command), "ethtool -K v0 %s off >/dev/null", features[i]);
		run(command);
		assert_offload(0);
		run("ethtool -K v0 tx on sg on tso on tx-udp_tnl-csum-segmentation on >/dev/null");
		assert_offload(1);
	}
}

static void test_nowhere(void **state)
{
	(void)state;
	assert_int_equal(offload_to("203.0.113.1"), -ENETUNREACH);
	assert_true(offload_to("2001:db8:1::1") < 0);
	run("ip route add blackhole 203.0.113.0/24");
	assert_true(offload_to("203.0.113.1") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_nowhere),
	};
	if (unshare(CLONE_NEWNET) ||
	    shell_status(
		    ".",
		    "ip link set lo up; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up;"
		    "ip addr add 192.0.2.1/24 dev v0; ip addr add 2001:db8::1/64 dev v0 nodad;"
		    "ip route add 198.51.100.0/24 via 192.0.2.2"))
		return 1;
	return cmocka_run_group_tests_name("tunnel_offload", tests, NULL, NULL);
}
