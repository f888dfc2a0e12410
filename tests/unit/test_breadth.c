/* SPDX-License-Identifier: Apache-2.0 */
/* test_breadth.c - how much of the address space a list of networks takes up */
#include "tap/base/breadth.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Reads networks with blanks between them. */
static size_t read_networks(const char *text, struct prefix out[static 256])
{
	char copy[512], *rest = NULL;
	size_t n = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		assert_int_equal(prefix_parse(word, &out[n++]), 0);
	return n;
}

static void test_lists(void **state)
{
	(void)state;
	static const struct {
		const char *networks;
		bool exceeds[2]; /* one share, BREADTH_ALL */
	} cases[] = {
		{"", {false, false}},
		{"10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 fc00::/7 fe80::/10",
		 {false, false}},
		{"0.0.0.0/0", {true, true}},
		{"::/0", {true, true}},
		{"0.0.0.0/1", {true, false}},
		{"0.0.0.0/1 128.0.0.0/1", {true, true}},
		{"128.0.0.0/1 0.0.0.0/2 64.0.0.0/2", {true, true}},
		{"0.0.0.0/2 64.0.0.0/2 128.0.0.0/2", {true, true}},
		{"0.0.0.0/2 128.0.0.0/2", {true, false}},
		{"64.0.0.0/3", {false, false}},
		{"64.0.0.0/3 1.1.1.1", {true, false}},
		{"64.0.0.0/3 64.1.0.0/16 64.0.0.0/3 95.255.255.255", {false, false}},
		{"64.1.0.0/16 64.0.0.0/3 95.255.255.255", {false, false}},
		{"0.0.0.0/1 0.0.0.0/1 64.0.0.0/2", {true, false}},
		{"10.0.0.0/8 64.0.0.0/3", {false, false}},
		{"2000::/3", {true, true}},
		{"2000::/12", {false, false}},
		{"2000::/12 2400::/12", {true, false}},
		{"2000::/12 2400::/12 2600::/12 2a00::/12", {true, false}},
		{"2000::/12 2400::/12 2600::/12 2800::/12 2a00::/12", {true, true}},
		{"64.0.0.0/3 2000::/12", {false, false}},
		{"64:ff9b::/96", {true, true}},
		{"64:ff9b::/32", {true, true}},
		{"64:ff9b::/97 64:ff9b::8000:0/97", {true, true}},
		{"64:ff9b::808:808", {false, false}},
		{"64:ff9c::/96", {false, false}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct prefix list[256];
		size_t n = read_networks(cases[i].networks, list);
		if (breadth_exceeds(list, n, 1) != cases[i].exceeds[0] ||
		    breadth_exceeds(list, n, BREADTH_ALL) != cases[i].exceeds[1])
			fail_msg("%s", cases[i].networks);
	}
}

/* However small the pieces are into which everything is cut: so many as a list can have. */
static void test_pieces(void **state)
{
	(void)state;
	for (unsigned length = 1; length <= 8; length++) {
		struct prefix list[256] = {0};
		size_t n = (size_t)1 << length;
		for (size_t i = 0; i < n; i++) {
			list[i].address.family = AF_INET;
			list[i].address.bytes[0] = (uint8_t)(i << (8 - length));
			list[i].length = (uint8_t)length;
		}
		assert_true(breadth_exceeds(list, n, 1));
		assert_true(breadth_exceeds(list, n, BREADTH_ALL));
		for (size_t i = 0; i < n; i++)
			list[i].address.family = AF_INET6;
		assert_true(breadth_exceeds(list, n, BREADTH_ALL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
