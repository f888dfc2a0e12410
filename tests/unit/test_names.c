/* SPDX-License-Identifier: Apache-2.0 */
/* test_names.c - names of pods and Services, and what their ports and gateways are called */
#include "control/base/names.c"

#include "vswitch/switch.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static_assert(NAMES_SIZE == SWITCH_NAME, "what is made here must be a name there");

#define ID "0123456789abcdef0123456789abcdef"
#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
#define X63 X60 "xxx"

static void test_ports(void **state)
{
	static const struct {
		const char *namespace, *pod, *id, *ifname, *expected;
	} cases[] = {
		{"media", "tv-0", ID, "vx0", "media.tv-0@0123456789ab"},
		{"media", "tv-0", ID, "net1", "media.tv-0@0123456789ab.net1"},
		{"media", "tv-0", ID, "vx01", "media.tv-0@0123456789ab.vx01"},
		{"media", "tv.one", ID, "vx0", "media.tv.one@0123456789ab"},
		{"1", "2", "3", "v", "1.2@3.v"},
		{"m", "p", "a.b_c-D", "e.1-2_3", "m.p@a.b_c-D.e.1-2_3"},
		{"", "p", ID, "vx0", NULL},
		{"m", "", ID, "vx0", NULL},
		{"m", "p", "", "vx0", NULL},
		{"m", "p", ID, "", NULL},
		{"m.n", "p", ID, "vx0", NULL},
		{"M", "p", ID, "vx0", NULL},
		{"-m", "p", ID, "vx0", NULL},
		{"m-", "p", ID, "vx0", NULL},
		{X63 "x", "p", ID, "vx0", NULL},
		{"m", "p..q", ID, "vx0", NULL},
		{"m", ".p", ID, "vx0", NULL},
		{"m", "p.", ID, "vx0", NULL},
		{"m", "p/../q", ID, "vx0", NULL},
		{"m", "p@q", ID, "vx0", NULL},
		{"m", "p\n", ID, "vx0", NULL},
		{"m", "p", "../../etc", "vx0", NULL},
		{"m", "p", ".hidden", "vx0", NULL},
		{"m", "p", "a/b", "vx0", NULL},
		{"m", "p", "a b", "vx0", NULL},
		{"m", "p", "a\xc3\xa4", "vx0", NULL},
		{"m", "p", ID, "..", NULL},
		{"m", "p", ID, "a/b", NULL},
		{"m", "p", ID, "a:b", NULL},
		{"m", "p", ID, "sixteen-is-long1", NULL},
		{"m", "p", ID, "fifteen-is-most", "m.p@0123456789ab.fifteen-is-most"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char name[NAMES_SIZE] = "untouched";
		int error = port_name(name, cases[i].namespace, cases[i].pod, cases[i].id, cases[i].ifname);
		assert_int_equal(error, cases[i].expected ? 0 : -EINVAL);
		assert_string_equal(name, cases[i].expected ? cases[i].expected : "untouched");
	}
}

/* The pod's part is cut, never the id or the interface, and what comes out is a name for podswitchd. */
static void test_long_ports(void **state)
{
	char name[NAMES_SIZE], pod[255] = "";

	(void)state;
	for (size_t length = 1; length <= 253; length++) {
		pod[length - 1] = length % 50 ? 'p' : '.';
		if (pod[length - 1] == '.')
			continue;
		assert_int_equal(port_name(name, X63, pod, ID, "vx0"), 0);
		assert_int_equal(strlen(name), length > 114 ? 191 : 77 + length);
		assert_string_equal(strchr(name, '@'), "@0123456789ab");
		assert_true(switch_name_valid(name));
		assert_int_equal(port_name(name, X63, pod, ID, "fifteen-is-most"), 0);
		assert_int_equal(strlen(name), length > 98 ? 191 : 93 + length);
		assert_string_equal(strchr(name, '@'), "@0123456789ab.fifteen-is-most");
		assert_int_equal(strncmp(name + 64, pod, length > 98 ? 98 : length), 0);
	}
	pod[253] = 'p';
	assert_int_equal(port_name(name, "m", pod, ID, "vx0"), -EINVAL);
}

static void test_uid(void **state)
{
	char id[NAMES_ID + 1] = "untouched";

	(void)state;
	assert_int_equal(port_id_of_uid(id, "01234567-89ab-cdef-0123-456789abcdef"), 0);
	assert_string_equal(id, "0123456789ab");
	assert_int_equal(port_id_of_uid(id, "01234567-89a"), -EINVAL);
	assert_int_equal(port_id_of_uid(id, ""), -EINVAL);
	assert_int_equal(port_id_of_uid(id, "0123456/89ab-cdef"), -EINVAL);
	assert_string_equal(id, "0123456789ab");
}

static void test_gateways(void **state)
{
	char name[NAMES_SIZE] = "untouched";

	(void)state;
	assert_int_equal(gateway_name(name, "media", "vpn.x", "10.244.2.7"), -EINVAL);
	assert_int_equal(gateway_name(name, "media", "vpn", "10.244.2"), -EINVAL);
	assert_int_equal(gateway_name(name, "media", "vpn", "gateway"), -EINVAL);
	assert_int_equal(gateway_name(name, "media", "vpn", ""), -EINVAL);
	assert_string_equal(name, "untouched");
	assert_int_equal(gateway_name(name, "media", "vpn", "10.244.2.7"), 0);
	assert_string_equal(name, "media.vpn@10.244.2.7");
	assert_int_equal(gateway_name(name, "media", "vpn", "fd00::7"), 0);
	assert_string_equal(name, "media.vpn@fd00::7");
	assert_true(switch_name_valid(name));
	assert_int_equal(gateway_name(name, X63, X63, "1111:2222:3333:4444:5555:6666:255.255.255.255"), 0);
	assert_true(switch_name_valid(name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_long_ports),
		cmocka_unit_test(test_uid),
		cmocka_unit_test(test_gateways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
