/* SPDX-License-Identifier: Apache-2.0 */
/* test_network_set.c - sets of networks against a naive oracle: every address of a small space, one by one */
#include "control/kube/network_set.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SPACE 4096 /* addresses: 10.0.0.0/20, or its like */

static struct prefix network_at(unsigned first, unsigned at, unsigned length)
{
	struct prefix out = {.address.family = AF_INET, .length = (uint8_t)length};

	out.address.bytes[0] = (uint8_t)first;
	out.address.bytes[2] = (uint8_t)(at >> 8);
	out.address.bytes[3] = (uint8_t)at;
	return prefix_network(&out);
}

static void mark(const struct network_set *set, unsigned first, uint8_t out[SPACE])
{
	memset(out, 0, SPACE);
	for (unsigned at = 0; at < SPACE; at++) {
		struct prefix address = network_at(first, at, 32);
		for (size_t i = 0; i < set->n; i++)
			out[at] += prefix_holds(&set->list[i], &address);
	}
}

static void fill_random(struct network_set *set, unsigned first)
{
	unsigned n = (unsigned)rand() % 40 + 1;

	for (unsigned i = 0; i < n; i++) {
		struct prefix network = network_at(first, (unsigned)rand() % SPACE, 32 - (unsigned)rand() % 8);
		network_set_add(set, &network);
	}
}

static void tidy_changes_nothing(void **state)
{
	uint8_t before[SPACE], after[SPACE];

	(void)state;
	srand(7);
	for (int round = 0; round < 300; round++) {
		struct network_set set = {0};
		fill_random(&set, 10);
		mark(&set, 10, before);
		network_set_tidy(&set);
		mark(&set, 10, after);
		for (unsigned at = 0; at < SPACE; at++)
			assert_int_equal(after[at], before[at] ? 1 : 0);
		for (size_t i = 1; i < set.n; i++)
			assert_true(network_compare(&set.list[i - 1], &set.list[i]) < 0);
		network_set_free(&set);
	}
}

static void subtract_is_exact(void **state)
{
	(void)state;
	srand(8);
	for (int round = 0; round < 300; round++) {
		struct network_set set = {0}, known = {0}, rest = {0};
		fill_random(&set, 10);
		fill_random(&known, 10);
		network_set_tidy(&set);
		network_set_tidy(&known);
		for (size_t i = 0; i < set.n; i++) {
			bool held = false;
			for (size_t k = 0; k < known.n; k++)
				held = held || prefix_holds(&known.list[k], &set.list[i]);
			if (!held)
				network_set_add(&rest, &set.list[i]);
			assert_true(networks_have(set.list, set.n, &set.list[i]));
		}
		network_set_subtract(&set, &known);
		assert_true(prefix_lists_equal(set.list, set.n, rest.list, rest.n));
		network_set_free(&set);
		network_set_free(&known);
		network_set_free(&rest);
	}
}

/* All that was in it stays, it fits, nothing avoided is taken in, and no smaller level would have done. */
static void covers(void **state)
{
	uint8_t before[SPACE], after[SPACE];
	unsigned covered = 0;

	(void)state;
	srand(9);
	for (int round = 0; round < 300; round++) {
		struct network_set set = {0}, less = {0};
		struct prefix avoid = network_at(10, (unsigned)rand() % SPACE, 28 + (unsigned)rand() % 5);
		fill_random(&set, 10);
		network_set_tidy(&set);
		mark(&set, 10, before);
		for (size_t i = 0; i < set.n; i++)
			network_set_add(&less, &set.list[i]);
		unsigned level = network_set_cover(&set, 8, NETWORK_SET_LEVELS, &avoid, 1);
		covered += level > 0;
		mark(&set, 10, after);
		assert_true(set.n <= 8 || level == NETWORK_SET_LEVELS);
		for (unsigned at = 0; at < SPACE; at++) {
			struct prefix address = network_at(10, at, 32);
			assert_true(!before[at] || after[at] == 1);
			assert_true(before[at] || !after[at] || !prefix_holds(&avoid, &address));
		}
		if (level)
			network_set_cover(&less, 8, level - 1, &avoid, 1);
		assert_true(!level || less.n > 8);
		network_set_free(&set);
		network_set_free(&less);
	}
	assert_in_range(covered, 100, 300);
}

/* Public networks are joined where nothing is added, and else left as they are. */
static void public_space_is_not_widened(void **state)
{
	(void)state;
	srand(10);
	for (int round = 0; round < 100; round++) {
		struct network_set set = {0}, same = {0};
		fill_random(&set, 34);
		network_set_tidy(&set);
		for (size_t i = 0; i < set.n; i++)
			network_set_add(&same, &set.list[i]);
		network_set_cover(&set, 1, NETWORK_SET_LEVELS, NULL, 0);
		assert_true(prefix_lists_equal(set.list, set.n, same.list, same.n));
		network_set_free(&set);
		network_set_free(&same);
	}
}

static void make_set(struct network_set *set, const char *const *texts)
{
	struct prefix network;

	*set = (struct network_set){0};
	for (; *texts; texts++) {
		assert_int_equal(prefix_parse(*texts, &network), 0);
		network_set_add(set, &network);
	}
	network_set_tidy(set);
}

static void has(const struct network_set *set, const char *const *texts)
{
	char text[ADDRESS_TEXT];
	size_t n = 0;

	for (; texts[n]; n++) {
		assert_true(n < set->n);
		assert_string_equal(prefix_format(&set->list[n], text), texts[n]);
	}
	assert_int_equal(set->n, n);
}

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

static void examples(void **state)
{
	const struct {
		const char *const *from, *const *to;
	} cases[] = {
		{SET("10.0.0.1/24", "10.0.1.0/24"), SET("10.0.0.0/23")},
		{SET("10.0.0.9/32", "192.168.0.9/32"), SET("10.0.0.9/32", "192.168.0.9/32")},
		{SET("10.0.0.9/32", "10.15.255.9/32"), SET("10.0.0.0/12")},
		{SET("10.0.0.9/32", "10.16.0.9/32"), SET("10.0.0.9/32", "10.16.0.9/32")},
		{SET("192.168.0.1/32", "192.169.0.1/32"), SET("192.168.0.1/32", "192.169.0.1/32")},
		{SET("10.0.0.0/8", "10.1.0.0/16"), SET("10.0.0.0/8")},
		{SET("0.0.0.0/1", "128.0.0.0/1"), SET("0.0.0.0/0")},
		{SET("fd00::1/128", "fd00:0:0:ffff::1/128"), SET("fd00::/48")},
		{SET("fd00::1/128", "fd00:0:1::1/128"), SET("fd00::1/128", "fd00:0:1::1/128")},
		{SET("2001:db8::1/128", "2001:db8::2/128"), SET("2001:db8::1/128", "2001:db8::2/128")},
		{SET("fe80::1/128", "10.0.0.1/32"), SET("10.0.0.1/32", "fe80::1/128")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct network_set set;
		make_set(&set, cases[i].from);
		network_set_cover(&set, 1, NETWORK_SET_LEVELS, NULL, 0);
		has(&set, cases[i].to);
		network_set_free(&set);
	}
}

static void empty(void **state)
{
	struct network_set set = {0}, other = {0};
	struct prefix network = network_at(10, 1, 32);

	(void)state;
	network_set_tidy(&set);
	network_set_subtract(&set, &other);
	assert_int_equal(network_set_cover(&set, 0, NETWORK_SET_LEVELS, NULL, 0), 0);
	assert_false(networks_have(NULL, 0, &network));
	network_set_free(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tidy_changes_nothing),
		cmocka_unit_test(subtract_is_exact),
		cmocka_unit_test(covers),
		cmocka_unit_test(public_space_is_not_widened),
		cmocka_unit_test(examples),
		cmocka_unit_test(empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
