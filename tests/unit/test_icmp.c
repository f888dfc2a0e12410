/* SPDX-License-Identifier: Apache-2.0 */
/* test_icmp.c - the ICMP error for a frame that does not fit, and when there must be none */
#include "vswitch/path/icmp.c"

#include "tests/unit/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct test_packet packet;
static uint8_t reply[2048];

static size_t answer(unsigned mtu, size_t size)
{
	struct frame frame;
	assert_int_equal(frame_parse(&frame, packet.bytes, packet.length), DROP_NONE);
	uint8_t *exact = malloc(size ? size : 1);
	assert_non_null(exact);
	memset(exact, 0xa5, size);
	size_t length = icmp_too_big(&frame, mtu, exact, size);
	assert_true(length <= size && length <= sizeof(reply));
	memcpy(reply, exact, length);
	free(exact);
	return length;
}

static void assert_silent(unsigned mtu)
{
	assert_int_equal(answer(mtu, sizeof(reply)), 0);
}

static void check_ethernet(unsigned type)
{
	assert_memory_equal(reply, packet.bytes + 6, 6);
	assert_memory_equal(reply + 6, packet.bytes, 6);
	assert_int_equal(packet_get16(reply + 12), type);
}

static void check_reply4(size_t length, unsigned mtu, size_t quote)
{
	assert_int_equal(length, 14 + 20 + 8 + quote);
	check_ethernet(0x0800);
	const uint8_t *ip = reply + 14, *icmp = ip + 20;
	assert_int_equal(ip[0], 0x45);
	assert_int_equal(packet_get16(ip + 2), 28 + quote);
	assert_int_equal(packet_get16(ip + 6) & 0x3fff, 0); /* no fragment */
	assert_true(ip[8] >= 64);
	assert_int_equal(ip[9], 1);
	assert_memory_equal(ip + 12, packet.bytes + 30, 4);
	assert_memory_equal(ip + 16, packet.bytes + 26, 4);
	assert_int_equal(packet_sum(0, ip, 20), 0xffff);
	assert_int_equal(icmp[0], 3);
	assert_int_equal(icmp[1], 4);
	assert_int_equal(packet_get16(icmp + 4), 0);
	assert_int_equal(packet_get16(icmp + 6), mtu);
	assert_int_equal(packet_sum(0, icmp, 8 + quote), 0xffff);
	assert_memory_equal(icmp + 8, packet.bytes + 14, quote);
}

static void check_reply6(size_t length, unsigned mtu, size_t quote)
{
	assert_int_equal(length, 14 + 40 + 8 + quote);
	check_ethernet(0x86dd);
	const uint8_t *ip = reply + 14, *icmp = ip + 40;
	assert_int_equal(ip[0] >> 4, 6);
	assert_int_equal(packet_get16(ip + 4), 8 + quote);
	assert_int_equal(ip[6], 58);
	assert_true(ip[7] >= 64);
	assert_memory_equal(ip + 8, packet.bytes + 38, 16);
	assert_memory_equal(ip + 24, packet.bytes + 22, 16);
	assert_int_equal(icmp[0], 2);
	assert_int_equal(icmp[1], 0);
	assert_int_equal(packet_get16(icmp + 4), 0);
	assert_int_equal(packet_get16(icmp + 6), mtu);
	assert_int_equal(packet_sum(packet_pseudo(reply, 58, 8 + quote), icmp, 8 + quote), 0xffff);
	assert_memory_equal(icmp + 8, packet.bytes + 14, quote);
}

/* As much as fits into 576 (RFC 1812) and 1280 bytes (RFC 4443), of the IP packet without its padding. */
static void test_ip4(void **state)
{
	(void)state;
	for (size_t payload = 0; payload < 3000; payload++) {
		packet_build(&packet, &(struct recipe){.version = 4,
						       .protocol = payload & 1 ? 6 : 17,
						       .payload = payload,
						       .padding = 20});
		size_t total = packet.end - 14;
		check_reply4(answer((unsigned)total - 1, sizeof(reply)), (unsigned)total - 1,
			     total < 548 ? total : 548);
	}
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 6, .payload = 65000});
	check_reply4(answer(1450, sizeof(reply)), 1450, 548);
}

static void test_ip6(void **state)
{
	(void)state;
	for (size_t payload = 0; payload < 3000; payload++) {
		packet_build(&packet, &(struct recipe){.version = 6,
						       .protocol = payload & 1 ? 6 : 17,
						       .payload = payload,
						       .padding = 20});
		size_t total = packet.end - 14;
		check_reply6(answer((unsigned)total - 1, sizeof(reply)), (unsigned)total - 1,
			     total < 1232 ? total : 1232);
	}
	packet_build(&packet, &(struct recipe){.version = 6, .protocol = 6, .payload = 65000});
	check_reply6(answer(65000, sizeof(reply)), 65000, 1232);
}

/* With options, and with an unknown L4 header: the answer's own header is plain. */
static void test_other_headers(void **state)
{
	(void)state;
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 47, .ip_options = 12, .payload = 1500});
	check_reply4(answer(1450, sizeof(reply)), 1450, 548);
	packet_build(&packet, &(struct recipe){.version = 6, .protocol = 47, .extensions = 3, .payload = 1500});
	check_reply6(answer(1450, sizeof(reply)), 1450, 1232);
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 1500});
	packet_put16(packet.bytes + 20, 0x2000); /* the first fragment */
	check_reply4(answer(1450, sizeof(reply)), 1450, 548);
}

static void test_room(void **state)
{
	(void)state;
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 1500});
	for (size_t size = 0; size < 42; size++)
		assert_int_equal(answer(1450, size), 0);
	for (size_t size = 42; size < 620; size++)
		check_reply4(answer(1450, size), 1450, size - 42 < 548 ? size - 42 : 548);
	packet_build(&packet, &(struct recipe){.version = 6, .protocol = 17, .payload = 1500});
	for (size_t size = 0; size < 62; size++)
		assert_int_equal(answer(1450, size), 0);
	for (size_t size = 62; size < 1310; size++)
		check_reply6(answer(1450, size), 1450, size - 62 < 1232 ? size - 62 : 1232);
}

static void test_fits(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		packet_build(&packet,
			     &(struct recipe){.version = version, .protocol = 17, .payload = 1400, .padding = 300});
		unsigned total = (unsigned)packet.end - 14;
		assert_silent(total);
		assert_silent(total + 1);
		assert_silent(65535);
		assert_silent(65536);
		assert_silent(~0U);
		assert_true(answer(total - 1, sizeof(reply)) > 0);
	}
}

static void test_not_ip(void **state)
{
	(void)state;
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 1500});
	packet_put16(packet.bytes + 12, 0x0806);
	assert_silent(1000);
	packet_put16(packet.bytes + 12, 0x0800);
	packet.bytes[14] = 0x44;
	assert_silent(1000);
}

/* RFC 1122, section 3.2.2: no errors about ICMP errors, but about other ICMP. */
static void test_icmp_errors4(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		packet_build(&packet, &(struct recipe){.version = 4, .protocol = 1, .payload = 1500});
		packet.bytes[packet.l4] = (uint8_t)type;
		bool error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
		assert_int_equal(answer(1450, sizeof(reply)) == 0, error);
	}
}

static void test_icmp_errors6(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		packet_build(&packet,
			     &(struct recipe){.version = 6, .protocol = 58, .extensions = type % 3, .payload = 1500});
		packet.bytes[packet.l4] = (uint8_t)type;
		assert_int_equal(answer(1450, sizeof(reply)) == 0, type < 128);
	}
}

static void test_groups4(void **state)
{
	(void)state;
	static const struct {
		uint8_t source, destination;
		bool answered;
	} cases[] = {
		{10, 10, true},   {223, 223, true}, {127, 10, true},  {0, 10, false},   {224, 10, false},
		{10, 224, false}, {10, 239, false}, {10, 255, false}, {255, 10, false}, {10, 240, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 1500});
		packet.bytes[26] = cases[i].source;
		packet.bytes[30] = cases[i].destination;
		assert_int_equal(answer(1450, sizeof(reply)) > 0, cases[i].answered);
	}
}

static void test_groups6(void **state)
{
	(void)state;
	const struct recipe recipe = {.version = 6, .protocol = 17, .payload = 1500};
	packet_build(&packet, &recipe);
	packet.bytes[22] = 0xff;
	assert_silent(1450);
	packet_build(&packet, &recipe);
	packet.bytes[38] = 0xff;
	assert_silent(1450);
	packet_build(&packet, &recipe);
	memset(packet.bytes + 22, 0, 16);
	assert_silent(1450);
	packet.bytes[37] = 1;
	assert_true(answer(1450, sizeof(reply)) > 0);
}

/* RFC 1812, section 4.3.2.7: a frame to a group is not answered, whatever its packet says. */
static void test_group_frames(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		packet_build(&packet, &(struct recipe){.version = version, .protocol = 17, .payload = 1500});
		memset(packet.bytes, 0xff, 6);
		assert_silent(1450);
	}
}

/* RFC 1812, section 4.3.2.7: only the first fragment is answered. */
static void test_later_fragments(void **state)
{
	(void)state;
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 1500});
	packet_put16(packet.bytes + 20, 0x2001);
	assert_silent(1450);
	packet_put16(packet.bytes + 20, 0x00b9);
	assert_silent(1450);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip4),           cmocka_unit_test(test_ip6),
		cmocka_unit_test(test_other_headers), cmocka_unit_test(test_room),
		cmocka_unit_test(test_fits),          cmocka_unit_test(test_not_ip),
		cmocka_unit_test(test_icmp_errors4),  cmocka_unit_test(test_icmp_errors6),
		cmocka_unit_test(test_groups4),       cmocka_unit_test(test_groups6),
		cmocka_unit_test(test_group_frames),  cmocka_unit_test(test_later_fragments),
	};
	return cmocka_run_group_tests_name("icmp", tests, NULL, NULL);
}
