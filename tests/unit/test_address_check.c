/* SPDX-License-Identifier: Apache-2.0 */
/* test_address_check.c - addresses that are free, taken, and taken only for a while */
#include "tap/address_check.c"

#include <errno.h>
#include <net/ethernet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct mac own = {{2, 0, 0, 0, 0, 1}}, other = {{2, 0, 0, 0, 0, 2}};
static const struct address list[2] = {{.bytes = {172, 16, 0, 10}, .family = AF_INET},
				       {.bytes = {172, 16, 0, 11}, .family = AF_INET}};
static const struct address elsewhere = {.bytes = {172, 16, 0, 12}, .family = AF_INET};
static const bool none[2], all[2] = {true, true};

/* An ARP frame of `mac`: its answer that it has `address`, or its own probe for it. */
static enum address_check_news hear(struct address_check *check, const struct mac *mac, const struct address *address,
				    bool answer, uint64_t now)
{
	uint8_t frame[ARP_FRAME], *arp = frame + ETH_HEADER;

	arp_probe_write(frame, mac, answer ? address->bytes : NULL, address->bytes);
	if (answer)
		store16(arp + ARP_OPERATION, ARP_REPLY);
	return address_check_hear(check, frame, &own, now);
}

/* Runs until something is known, and counts the probes of each address. */
static enum address_check_news run(struct address_check *check, uint64_t *now, unsigned *probes)
{
	enum address_check_news news = ADDRESS_CHECK_NONE;

	*probes = 0;
	while (!news && address_check_due(check) != UINT64_MAX) {
		*now = address_check_due(check);
		*probes += address_check_ask(check, *now, &news) == check->n;
		*probes -= news != ADDRESS_CHECK_NONE;
	}
	return news;
}

static void free_after_three_probes(void **state)
{
	struct address_check check;
	uint64_t now = 1000;
	unsigned probes;

	(void)state;
	address_check_begin(&check, list, 2, none, 1, now);
	assert_true(address_check_is_new(&check));
	assert_true(address_check_withholds(&check, &list[0]));
	assert_true(address_check_withholds(&check, &list[1]));
	assert_false(address_check_withholds(&check, &elsewhere));
	enum address_check_news news;
	probes = 0;
	for (; address_check_due(&check) != UINT64_MAX; now = address_check_due(&check)) {
		assert_true(now < 2200);
		probes += address_check_ask(&check, now, &news) == 2;
	}
	assert_int_equal(news, ADDRESS_CHECK_FREE);
	assert_int_equal(probes, ADDRESS_CHECK_PROBES);
	assert_false(address_check_is_new(&check));
	assert_false(address_check_withholds(&check, &list[0]));
	assert_int_equal(hear(&check, &other, &list[0], true, 5000), ADDRESS_CHECK_NONE);
}

static void nothing_to_check(void **state)
{
	struct address_check check;
	enum address_check_news news;

	(void)state;
	address_check_begin(&check, list, 0, none, 1, 0);
	assert_true(address_check_due(&check) == UINT64_MAX);
	assert_false(address_check_is_new(&check));
	address_check_again(&check, 0);
	assert_int_equal(address_check_ask(&check, 10, &news), 0);
	address_check_begin(&check, list, 2, all, 1, 0);
	assert_true(address_check_due(&check) == UINT64_MAX);
	assert_false(address_check_withholds(&check, &list[0]));
}

static void taken_until_nobody_answers(bool answer)
{
	struct address_check check;
	uint64_t now = 1000;
	enum address_check_news news;
	unsigned probes;

	address_check_begin(&check, list, 2, none, 1, now);
	assert_int_equal(hear(&check, &other, &list[1], answer, now), ADDRESS_CHECK_NONE); /* to nobody's question */
	assert_int_equal(address_check_ask(&check, now, &news), 2);
	assert_int_equal(hear(&check, &own, &list[1], answer, now), ADDRESS_CHECK_NONE);
	assert_int_equal(hear(&check, &other, &list[1], answer, now), ADDRESS_CHECK_TAKEN);
	assert_true(address_equal(&check.taken, &list[1]));
	assert_true(mac_equal(&check.holder, &other));
	assert_false(address_check_is_new(&check));
	assert_true(address_check_withholds(&check, &list[1]));
	uint64_t due = address_check_due(&check);
	assert_in_range(due, now + 10000, now + 20000);
	assert_int_equal(address_check_ask(&check, due, &news), 2);
	assert_true(check.taken.family); /* it is still not known to be free */
	assert_int_equal(hear(&check, &other, &list[1], answer, due), ADDRESS_CHECK_TAKEN);
	assert_true(address_check_due(&check) - due != due - now); /* two that collide do not keep step */
	assert_int_equal(run(&check, &now, &probes), ADDRESS_CHECK_FREE);
	assert_false(address_check_withholds(&check, &list[1]));
	assert_int_equal(check.taken.family, 0);
}

static void somebody_has_it(void **state)
{
	(void)state;
	taken_until_nobody_answers(true);
}

static void somebody_is_about_to_take_it(void **state)
{
	(void)state;
	taken_until_nobody_answers(false);
}

static void in_another_network(void **state)
{
	struct address_check check;
	enum address_check_news news;
	uint64_t now = 1000;
	unsigned probes;

	(void)state;
	address_check_begin(&check, list, 2, all, 1, now);
	address_check_again(&check, now);
	assert_false(address_check_is_new(&check));
	assert_int_equal(run(&check, &now, &probes), ADDRESS_CHECK_NONE);
	assert_int_equal(probes, ADDRESS_CHECK_PROBES);
	address_check_again(&check, now);
	assert_int_equal(address_check_ask(&check, now, &news), 2);
	assert_false(address_check_withholds(&check, &list[0]));
	assert_int_equal(hear(&check, &other, &list[0], true, now), ADDRESS_CHECK_TAKEN);
	assert_true(address_check_withholds(&check, &list[0]));
	assert_false(address_check_withholds(&check, &list[1])); /* that one is nobody else's */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_after_three_probes), cmocka_unit_test(nothing_to_check),
		cmocka_unit_test(somebody_has_it),         cmocka_unit_test(somebody_is_about_to_take_it),
		cmocka_unit_test(in_another_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
