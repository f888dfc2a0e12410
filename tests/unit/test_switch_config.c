/* SPDX-License-Identifier: Apache-2.0 */
/* test_switch_config.c - valid names of gateways and ports */
#include "vswitch/base/switch_config.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_names(void **state)
{
	(void)state;
	static const char *const good[] = {"a",           "0",    "_", ":", "@", "gateway-a", "kube-system.gw:1",
					   "a.b-c_d@e:f", "A..Z-"};
	static const char *const bad[] = {"",     ".",     "..",       ".a",   "-",   "-a",  "a b",   " a",  "a ",
					  "a/b",  "/",     "a\n",      "a\tb", "a*",  "a\\", "\"a\"", "a,b", "a=b",
					  "\x7f", "a\x80", "\xc3\xa4", "a%s",  "a;b", "a'b", "a$b"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!switch_name_valid(good[i]))
			fail_msg("\"%s\" was refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (switch_name_valid(bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
}

/* Every byte, alone, first and second. */
static void test_name_bytes(void **state)
{
	(void)state;
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@-";
	for (int c = 1; c < 256; c++) {
		bool inside = memchr(allowed, c, sizeof(allowed) - 1), first = inside && c != '.' && c != '-';
		assert_int_equal(switch_name_valid((char[]){(char)c, 0}), first);
		assert_int_equal(switch_name_valid((char[]){(char)c, 'x', 0}), first);
		assert_int_equal(switch_name_valid((char[]){'x', (char)c, 0}), inside);
	}
}

static void test_name_lengths(void **state)
{
	(void)state;
	for (size_t length = 1; length < 300; length++) {
		char name[301] = {0};
		memset(name, 'n', length);
		assert_int_equal(switch_name_valid(name), length <= 191);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_name_bytes),
		cmocka_unit_test(test_name_lengths),
	};
	return cmocka_run_group_tests_name("switch", tests, NULL, NULL);
}
