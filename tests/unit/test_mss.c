/* SPDX-License-Identifier: Apache-2.0 */
/* test_mss.c - SYNs ask for segments that fit, their checksums are right, and nothing else is touched */
#include "vswitch/path/mss.c"

#include "tests/unit/cut.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct test_packet packet, before;
static struct frame frame;

/* A SYN with these options, padded with NOPs, which are 1. */
static void build_syn(uint8_t version, const uint8_t *options, unsigned length, unsigned room)
{
	packet_build(&packet, &(struct recipe){.version = version, .protocol = 6, .tcp_options = room});
	memcpy(packet.bytes + packet.l4 + 20, options, length);
	packet.bytes[packet.l4 + 13] = 0x02;
	packet_fix_l4(&packet, 6, false);
	before = packet;
	assert_int_equal(frame_parse(&frame, packet.bytes, packet.length), DROP_NONE);
}

/* The MSS at this offset of the options is `wanted`, the checksum is right, and all else is as it was. */
static void assert_clamped(unsigned at, unsigned wanted)
{
	uint8_t *l4 = packet.bytes + packet.l4;
	assert_int_equal(packet_get16(l4 + 20 + at), wanted);
	assert_true(packet_intact(&packet));
	memcpy(l4 + 20 + at, before.bytes + packet.l4 + 20 + at, 2);
	memcpy(l4 + 16, before.bytes + packet.l4 + 16, 2);
	assert_memory_equal(packet.bytes, before.bytes, packet.length);
}

static void assert_untouched(unsigned mtu)
{
	assert_false(mss_clamp(&frame, mtu, false));
	assert_memory_equal(packet.bytes, before.bytes, packet.length);
}

static void test_lowered(void **state)
{
	(void)state;
	const uint8_t even[] = {2, 4, 0x05, 0xb4}, odd[] = {1, 2, 4, 0x05, 0xb4},
		      later[] = {4, 2, 3, 3, 7, 2, 4, 0x05, 0xb4};
	for (unsigned version = 4; version <= 6; version += 2) {
		unsigned wanted = version == 4 ? 1280 : 1260;
		build_syn((uint8_t)version, even, sizeof(even), 12);
		assert_true(mss_clamp(&frame, 1320, false));
		assert_clamped(2, wanted);
		build_syn((uint8_t)version, odd, sizeof(odd), 12);
		assert_true(mss_clamp(&frame, 1320, false));
		assert_clamped(3, wanted);
		build_syn((uint8_t)version, later, sizeof(later), 12);
		assert_true(mss_clamp(&frame, 1320, false));
		assert_clamped(7, wanted);
		build_syn((uint8_t)version, even, sizeof(even), 4);
		packet.bytes[packet.l4 + 13] = 0x12; /* SYN-ACK */
		packet_fix_l4(&packet, 6, false);
		before = packet;
		assert_true(mss_clamp(&frame, 1320, false));
		assert_clamped(2, wanted);
	}
}

static void test_never_raised(void **state)
{
	(void)state;
	const uint8_t small[] = {2, 4, 0x02, 0x18}, equal[] = {2, 4, 0x05, 0x00}, zero[] = {2, 4, 0, 0};
	build_syn(4, small, sizeof(small), 4);
	assert_untouched(1320);
	build_syn(4, equal, sizeof(equal), 4);
	assert_untouched(1320);
	build_syn(4, zero, sizeof(zero), 4);
	assert_untouched(1320);
	assert_untouched(0);
	assert_untouched(40);
	assert_untouched(65000 + 40);
}

/* Only a SYN has the option; elsewhere the same bytes mean nothing. */
static void test_others(void **state)
{
	(void)state;
	const uint8_t mss[] = {2, 4, 0x05, 0xb4};
	build_syn(4, mss, sizeof(mss), 4);
	packet.bytes[packet.l4 + 13] = 0x10;
	before = packet;
	assert_untouched(1320);
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 30});
	packet.bytes[packet.l4 + 13] = 0x02;
	before = packet;
	assert_int_equal(frame_parse(&frame, packet.bytes, packet.length), DROP_NONE);
	assert_untouched(1320);
}

/* The sum of the pseudo-header does not cover options. */
static void test_partial(void **state)
{
	(void)state;
	const uint8_t mss[] = {2, 4, 0x05, 0xb4};
	build_syn(4, mss, sizeof(mss), 4);
	packet_fix_l4(&packet, 6, true);
	assert_true(mss_clamp(&frame, 1320, true));
	packet_fix_l4(&packet, 6, false);
	assert_clamped(2, 1280);
	build_syn(6, mss, sizeof(mss), 4);
	packet_fix_l4(&packet, 6, true);
	before = packet;
	assert_true(mss_clamp(&frame, 1320, true));
	assert_memory_equal(packet.bytes + packet.l4, before.bytes + packet.l4, 20);
}

/* Damage stays visible. */
static void test_damaged(void **state)
{
	(void)state;
	const uint8_t mss[] = {2, 4, 0x05, 0xb4};
	build_syn(4, mss, sizeof(mss), 4);
	packet.bytes[packet.l4 + 5] ^= 1;
	assert_true(mss_clamp(&frame, 1320, false));
	assert_false(packet_intact(&packet));
}

static void test_hostile(void **state)
{
	(void)state;
	static const uint8_t options[][8] = {
		{2, 0, 0x05, 0xb4},
		{2, 1, 0x05, 0xb4},
		{2, 3, 0x05, 0xb4},
		{2, 5, 0x05, 0xb4, 0},
		{2, 255, 5, 5},
		{0, 2, 4, 0x05, 0xb4},
		{8, 9, 2, 4, 5, 5},
		{1, 1, 1, 1, 1, 1, 1, 2},
		{1, 1, 1, 1, 1, 1, 2, 4},
		{30, 8, 2, 4, 0x05, 0xb4},
		{1, 1, 1, 1, 1, 2, 4, 0x05},
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		build_syn(4, options[i], 8, 8);
		assert_untouched(1320);
	}
}

/* Anything at all: what is not an MSS is as before, and a right checksum stays right. */
static void test_noise(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50000; i++) {
		uint8_t options[40];
		unsigned room = (unsigned)below(11) * 4;
		random_bytes(options, sizeof(options));
		for (unsigned at = 0; at < room; at++)
			options[at] = (uint8_t)(below(2) ? options[at] % 5 : options[at]);
		build_syn(below(2) ? 4 : 6, options, room, room);
		bool changed = mss_clamp(&frame, 576 + (unsigned)below(1000), false);
		assert_true(packet_intact(&packet));
		assert_true(changed == (memcmp(packet.bytes, before.bytes, packet.length) != 0));
		assert_false(mss_clamp(&frame, 65535, false));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lowered), cmocka_unit_test(test_never_raised), cmocka_unit_test(test_others),
		cmocka_unit_test(test_partial), cmocka_unit_test(test_damaged),      cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_noise),
	};
	return cmocka_run_group_tests_name("mss", tests, NULL, NULL);
}
