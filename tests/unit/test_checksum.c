/* SPDX-License-Identifier: Apache-2.0 */
/* test_checksum.c - the sums against a byte-wise oracle, and the RFCs' own numbers */
#include "tap/base/checksum.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/*
 * Sums are compared exactly. 0 and 0xffff are the same number, but end-around carry gives 0 only for data of nothing
 * but zeroes, and code that checks an offloaded field of 0 relies on that.
 */
#define SEED 20240607 /* fixed, so that a failure can be repeated */

/* RFC 1071, section 1, to the letter: pairs of bytes, the first the high half, with end-around carry. */
static uint16_t oracle(const uint8_t *data, size_t length)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < length; i++) {
		sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return (uint16_t)sum;
}

static uint16_t fold_host(uint32_t sum)
{
	return ntohs(checksum_fold(sum));
}

static void fill(uint8_t *data, size_t length)
{
	/* Random data seldom carries twice; runs of 0xff always do. */
	uint8_t ones = random() % 4 ? 0 : 0xff;
	for (size_t i = 0; i < length; i++)
		data[i] = (uint8_t)random() | (random() % 8 ? ones : 0);
}

static void test_rfc1071_example(void **state)
{
	(void)state;
	/* Section 3: the words 0001 f203 f4f5 f6f7 sum up to ddf2. */
	static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	assert_int_equal(fold_host(checksum_add(0, data, sizeof(data))), 0xddf2);
	assert_int_equal(ntohs(checksum_finish(checksum_add(0, data, sizeof(data)))), 0x220d);
	/* The same in pieces at odd offsets. */
	uint32_t sum = checksum_append(0, 0, data, 3);
	sum = checksum_append(sum, 3, data + 3, 1);
	sum = checksum_append(sum, 4, data + 4, 1);
	sum = checksum_append(sum, 5, data + 5, 3);
	assert_int_equal(fold_host(sum), 0xddf2);
}

static void test_rfc1624_example(void **state)
{
	(void)state;
	/* Section 4: a checksum of dd2f, and a word that changes from 5555 to 3285, give 0000, not ffff. */
	assert_int_equal(checksum_update(0xdd2f, 0x5555, 0x3285), 0x0000);
	assert_int_equal(checksum_update(htons(0xdd2f), htons(0x5555), htons(0x3285)), 0x0000);
}

static void test_ipv4_header(void **state)
{
	(void)state;
	uint8_t header[] = {0x45, 0x00, 0x00, 0x54, 0x1a, 0x2b, 0x40, 0x00, 0x40, 0x01,
			    0,    0,    192,  0,    2,    1,    198,  51,   100,  7};
	uint16_t check = checksum_finish(checksum_add(0, header, sizeof(header)));
	assert_int_equal(ntohs(check), (uint16_t)~oracle(header, sizeof(header)));
	assert_false(checksum_valid(checksum_add(0, header, sizeof(header))));
	memcpy(header + 10, &check, sizeof(check));
	assert_true(checksum_valid(checksum_add(0, header, sizeof(header))));
	for (size_t i = 0; i < sizeof(header); i++) {
		header[i] ^= 0x10;
		assert_false(checksum_valid(checksum_add(0, header, sizeof(header))));
		header[i] ^= 0x10;
	}
}

static void test_extremes(void **state)
{
	(void)state;
	static uint8_t data[65536];
	assert_int_equal(checksum_fold(checksum_add(0, data, 0)), 0);
	assert_int_equal(checksum_fold(checksum_add(0, data, sizeof(data))), 0);
	assert_int_equal(checksum_fold(0xffffffff), 0xffff);
	assert_int_equal(checksum_fold(0xffff0000), 0xffff);
	assert_int_equal(checksum_fold(0x0001ffff), 1);
	assert_int_equal(checksum_join(0xffffffff, 1), 1);
	memset(data, 0xff, sizeof(data));
	for (size_t length = 1; length < sizeof(data); length = length * 3 + 1)
		assert_int_equal(fold_host(checksum_add(0xffffffff, data, length)), oracle(data, length));
	assert_int_equal(checksum_finish(0), 0xffff);
	assert_int_equal(checksum_finish(0xffff), 0);
	assert_int_equal(checksum_finish_udp(0xffff), 0xffff);
	assert_int_equal(checksum_finish_udp(htons(0x1234)), htons(0xedcb));
}

static void test_against_oracle(void **state)
{
	(void)state;
	static uint8_t buffer[4096 + 16];
	srandom(SEED);
	for (unsigned round = 0; round < 20000; round++) {
		size_t at = (size_t)random() % 16;
		/* Each length up to 200 comes up a hundred times, larger ones sometimes. */
		size_t length = round % 8 ? round % 200 : (size_t)random() % 4096;
		uint32_t before = (uint32_t)random() << 1;
		fill(buffer + at, length);
		uint16_t expected = oracle(buffer + at, length);
		assert_int_equal(fold_host(checksum_add(0, buffer + at, length)), expected);
		uint32_t sum = (uint32_t)fold_host(before) + expected;
		assert_int_equal(fold_host(checksum_add(before, buffer + at, length)),
				 sum > 0xffff ? sum - 0xffff : sum);
	}
}

static void test_nothing_beyond(void **state)
{
	(void)state;
	/* Allocated to the byte, for the sanitizers; and with other bytes behind it. */
	for (size_t length = 0; length < 80; length++) {
		uint8_t *exact = malloc(length ? length : 1);
		uint8_t longer[96];
		assert_non_null(exact);
		memset(exact, 0xa5, length);
		memset(longer, 0x77, sizeof(longer));
		memset(longer, 0xa5, length);
		assert_int_equal(checksum_add(0, exact, length), checksum_add(0, longer, length));
		free(exact);
	}
}

static void test_pieces(void **state)
{
	(void)state;
	static uint8_t buffer[2048];
	srandom(SEED);
	for (unsigned round = 0; round < 5000; round++) {
		size_t length = (size_t)random() % sizeof(buffer);
		uint32_t sum = 0;
		fill(buffer, length);
		for (size_t at = 0; at < length;) {
			size_t piece = 1 + (size_t)random() % (round % 2 ? 9 : 700);
			if (piece > length - at)
				piece = length - at;
			sum = checksum_append(sum, at, buffer + at, piece);
			at += piece;
		}
		assert_int_equal(fold_host(sum), oracle(buffer, length));
	}
}

static void test_update(void **state)
{
	(void)state;
	uint8_t header[40];
	srandom(SEED);
	for (unsigned round = 0; round < 20000; round++) {
		size_t at = 2 * ((size_t)random() % (sizeof(header) / 2));
		uint16_t was, now = (uint16_t)random();
		fill(header, sizeof(header));
		header[at ? 0 : 2] |= 1; /* all-zero data has no counterpart in equation 3 */
		memcpy(&was, header + at, sizeof(was));
		uint16_t check = checksum_finish(checksum_add(0, header, sizeof(header)));
		memcpy(header + at, &now, sizeof(now));
		uint16_t full = checksum_finish(checksum_add(0, header, sizeof(header)));
		assert_int_equal(checksum_update(check, was, now), full);
	}
}

static void test_pseudo4(void **state)
{
	(void)state;
	/* As RFC 768 draws it: addresses, zero, protocol, length. */
	static const uint8_t pseudo[] = {192, 0, 2, 1, 198, 51, 100, 7, 0, 17, 0x12, 0x34};
	assert_int_equal(fold_host(checksum_pseudo4(pseudo, pseudo + 4, 17, 0x1234)), oracle(pseudo, sizeof(pseudo)));
	assert_int_equal(fold_host(checksum_pseudo4(pseudo + 4, pseudo, 17, 0x1234)), oracle(pseudo, sizeof(pseudo)));
	static const uint8_t ones[] = {255, 255, 255, 255, 255, 255, 255, 255, 0, 255, 255, 255};
	assert_int_equal(fold_host(checksum_pseudo4(ones, ones + 4, 255, 65535)), oracle(ones, sizeof(ones)));
}

static void test_pseudo6(void **state)
{
	(void)state;
	static const uint8_t pseudo[] = {
		0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2,  0, 3, 0, 4, 0, 5, 0, 6,    /* source */
		0xfd, 0x00, 0,    0,    0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0x99, /* destination */
		0,    0x01, 0x23, 0x45, 0, 0, 0, 58,                            /* length, zero, next header */
	};
	assert_int_equal(fold_host(checksum_pseudo6(pseudo, pseudo + 16, 58, 0x12345)), oracle(pseudo, sizeof(pseudo)));
}

/* A whole ICMPv6 echo request, whose checksum was computed by hand from the 16-bit words. */
static void test_icmp6_echo(void **state)
{
	(void)state;
	static const uint8_t source[16] = {0xfe, 0x80, [15] = 1}, destination[16] = {0xfe, 0x80, [15] = 2};
	/* fe80+0001 + fe80+0002 + 0008 + 003a + 8000 + 0001 + 0001 = 27d47 -> 7d49 -> ~ 82b6 */
	uint8_t echo[] = {0x80, 0, 0, 0, 0, 1, 0, 1};
	uint32_t sum = checksum_pseudo6(source, destination, 58, sizeof(echo));
	uint16_t check = checksum_finish(checksum_add(sum, echo, sizeof(echo)));
	assert_int_equal(ntohs(check), 0x82b6);
	memcpy(echo + 2, &check, sizeof(check));
	assert_true(checksum_valid(checksum_add(sum, echo, sizeof(echo))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc1071_example), cmocka_unit_test(test_rfc1624_example),
		cmocka_unit_test(test_ipv4_header),     cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_against_oracle),  cmocka_unit_test(test_nothing_beyond),
		cmocka_unit_test(test_pieces),          cmocka_unit_test(test_update),
		cmocka_unit_test(test_pseudo4),         cmocka_unit_test(test_pseudo6),
		cmocka_unit_test(test_icmp6_echo),
	};
	return cmocka_run_group_tests_name("checksum", tests, NULL, NULL);
}
