/* SPDX-License-Identifier: Apache-2.0 */
/* test_kernel.c - which versions have the fault, however a distribution writes them */
#include "vswitch/base/kernel.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_garbled_trains(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"7.0",   "7.0.0-rc1", "7.0.0-14-generic", "7.0.999", "7.1",
		"7.1.0", "7.1.4",     "7.1.4-1-pve",      "7.0-rc7", "7.0.12345678901234567890"};
	static const char *const good[] = {"6.18.44-fc-v669", "6.1.0-37-amd64", "6.999.999", "7.1.5", "7.1.10",
					   "7.2.0-rc1",       "7.10.1",         "70.1.1",    "8.0.0", "",
					   "linux",           "-7.0",           "7000.0.0"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!kernel_garbles_trains(bad[i]))
			fail_msg("%s is taken for sound", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (kernel_garbles_trains(good[i]))
			fail_msg("%s is taken for faulty", good[i]);
}

/* What the user says wins. */
static void test_choice(void **state)
{
	(void)state;
	assert_false(kernel_udp_gso(UDP_GSO_AUTO, "7.1.4"));
	assert_true(kernel_udp_gso(UDP_GSO_AUTO, "7.1.5"));
	assert_true(kernel_udp_gso(UDP_GSO_ON, "7.1.4"));
	assert_false(kernel_udp_gso(UDP_GSO_OFF, "7.1.5"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_garbled_trains), cmocka_unit_test(test_choice)};
	return cmocka_run_group_tests_name("kernel", tests, NULL, NULL);
}
