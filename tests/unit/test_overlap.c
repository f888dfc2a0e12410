/* SPDX-License-Identifier: Apache-2.0 */
/* test_overlap.c - addresses and leases beside the networks that stay on the first interface */
#include "vswitch/overlap.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct prefix network_of(const char *text)
{
	struct prefix out;
	assert_int_equal(prefix_parse(text, &out), 0);
	return out;
}

static struct port_config keeping(const char *first, const char *second)
{
	static struct prefix keep[2];
	struct port_config config = PORT_CONFIG_DEFAULT;
	config.keep = keep;
	config.exclusive = true;
	config.keep[config.n_keep++] = network_of(first);
	config.keep[config.n_keep++] = network_of(second);
	return config;
}

static void test_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		bool refused;
	} cases[] = {
		{"10.96.0.9/28", true},    {"10.96.0.9/32", true},    {"10.100.0.1/24", true},
		{"10.112.0.1/24", false},  {"10.0.0.1/8", true},      {"11.0.0.1/8", false},
		{"172.16.0.10/24", false}, {"172.16.0.10/12", false}, {"10.111.255.255/32", true},
		{"fd00:9::1/64", true},    {"fd00:a::1/64", false},   {"fc00::1/7", true},
	};
	struct port_config config = keeping("10.96.0.1/12", "fd00:9::/32");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prefix address = network_of(cases[i].address);
		struct failure why = {0};
		int code = overlap_check(&config, &address, "address", "address", &why);
		if (code != (cases[i].refused ? -EINVAL : 0))
			fail_msg("%s: %d", cases[i].address, code);
		assert_string_equal(why.key, code ? "address" : "");
	}
	config.exclusive = false; /* keeps nothing */
	struct prefix address = network_of("10.96.0.9/28");
	assert_int_equal(overlap_check(&config, &address, "address", "address", NULL), 0);
}

static void test_leases(void **state)
{
	(void)state;
	struct port_config config = keeping("10.96.0.0/12", "10.244.0.0/16");
	struct dhcp_lease lease = {.address = network_of("10.96.0.9/28")};
	struct failure why = {0};
	assert_int_equal(address_parse("172.16.0.1", &lease.server), 0);
	assert_int_equal(overlap_check_lease(&config, &lease, &why), -EINVAL);
	assert_string_equal(why.text,
			    "the lease 10.96.0.9/28 from 172.16.0.1 overlaps 10.96.0.0/12, which stays on the "
			    "first interface");
	lease.address = network_of("172.16.0.10/24");
	assert_int_equal(overlap_check_lease(&config, &lease, NULL), 0);
	config.network = network_of("172.17.0.0/24");
	assert_int_equal(overlap_check_lease(&config, &lease, &why), -EINVAL);
	assert_string_equal(why.text,
			    "the lease 172.16.0.10/24 from 172.16.0.1 is not in 172.17.0.0/24, the network that "
			    "is expected");
	assert_string_equal(why.key, "network");
	config.network = network_of("172.16.0.0/24");
	assert_int_equal(overlap_check_lease(&config, &lease, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses), cmocka_unit_test(test_leases)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
