/* SPDX-License-Identifier: Apache-2.0 */
/* test_identity.c - in whose name a frame is, to the byte, and cut short anywhere */
#include "vswitch/path/identity.c"

#include "vswitch/path/dhcp_request.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAC 2, 0, 0, 0, 0, 0x0b
#define MINE 172, 16, 0, 11

static const uint8_t mac[6] = {MAC}, own_ip6_of_test[16] = {0xfd, 0x42, [15] = 0x11};
static const struct link_config link = {.n_addresses = 3,
					.addresses = {{{{MINE}, AF_INET}, 24},
						      {{{0xfd, 0x42, [15] = 0x11}, AF_INET6}, 64},
						      {{{172, 16, 0, 12}, AF_INET}, 24}}};

/* On the heap and without a byte to spare, so that a look behind the end is found. */
static enum drop judge(const uint8_t *bytes, size_t length, bool super)
{
	struct frame frame;
	struct identity own = identity_of(&link);
	uint8_t *exact = malloc(length);
	memcpy(exact, bytes, length);
	enum drop reason = frame_parse(&frame, exact, length);
	if (reason == DROP_NONE)
		reason = identity_check(&own, &frame, super, 4789);
	free(exact);
	return reason;
}

static void test_addresses(void **state)
{
	(void)state;
	struct identity own = identity_of(&link);
	assert_int_equal(own.n4, 2);
	assert_int_equal(own.n6, 1);
	assert_memory_equal(own.ip4[1], ((uint8_t[]){172, 16, 0, 12}), 4);
	assert_true(
		is_own_link_local(mac, (uint8_t[16]){0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0x0b}));
	assert_false(
		is_own_link_local(mac, (uint8_t[16]){0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0x0c}));
	assert_false(
		is_own_link_local(mac, (uint8_t[16]){0xfe, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0x0b}));
}

/* An ARP reply; each byte of the sender counts. */
static void test_arp(void **state)
{
	(void)state;
	uint8_t frame[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, MAC, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, MAC, MINE};
	for (size_t length = ETH_HEADER; length < sizeof(frame); length++)
		assert_int_equal(judge(frame, length, false), DROP_FOREIGN_ARP);
	assert_int_equal(judge(frame, sizeof(frame), false), DROP_NONE);
	for (size_t at = 14; at < 32; at++) {
		frame[at] ^= 0x40;
		assert_int_equal(judge(frame, sizeof(frame), false),
				 at == 20 || at == 21 ? DROP_NONE : DROP_FOREIGN_ARP);
		frame[at] ^= 0x40;
	}
	frame[31] = 12;
	assert_int_equal(judge(frame, sizeof(frame), false), DROP_NONE);
	frame[31] = 13;
	assert_int_equal(judge(frame, sizeof(frame), false), DROP_FOREIGN_ARP);
}

/* A DISCOVER in a frame; returns its length. `options` behind the type, without the end mark. */
static size_t build_discover(uint8_t out[600], const uint8_t *options, size_t n)
{
	const uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, MAC, 8,  0, /* Ethernet */
				0x45, 0,    0,    0,    0,    0,    0,   0,  64, 17, 0, 0, 0, 0, 0, 0,
				0xff, 0xff, 0xff, 0xff, 0,    68,   0,   67, 0,  0,  0, 0, 1, 1, 6, 0};
	size_t length = ETH_HEADER + 28 + 240 + 3 + n + 1;
	memset(out, 0, 600);
	memcpy(out, head, sizeof(head));
	memcpy(out + 42 + 28, mac, 6);
	memcpy(out + 42 + 236, ((uint8_t[]){0x63, 0x82, 0x53, 0x63, 53, 1, 1}), 7);
	memcpy(out + 42 + 243, options, n);
	out[length - 1] = 255;
	store16(out + 16, (uint16_t)(length - 14));
	store16(out + 38, (uint16_t)(length - 34));
	return length;
}

static void test_dhcp(void **state)
{
	(void)state;
	uint8_t frame[600];
	static const struct {
		uint8_t options[24];
		size_t n;
		bool own;
	} cases[] = {
		{{0}, 0, true},
		{{0, 0, 50, 4, 1, 2, 3, 4}, 8, true},
		{{61, 7, 1, MAC}, 9, true},
		{{61, 7, 1, 2, 0, 0, 0, 0, 0x0c}, 9, false},
		{{61, 7, 2, MAC}, 9, false},
		{{61, 6, 1, 2, 0, 0, 0, 0}, 8, false},
		{{61, 0}, 2, false},
		{{61, 7, 1, MAC, 61, 7, 1, MAC}, 18, false},
		{{52, 1, 1}, 3, false},
		{{82, 1, 1}, 3, false},
		{{12, 200, 'x'}, 3, false}, /* longer than the message */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t length = build_discover(frame, cases[i].options, cases[i].n);
		assert_int_equal(judge(frame, length, false), cases[i].own ? DROP_NONE : DROP_FOREIGN_DHCP);
		/* One of several: the others are not seen. */
		assert_int_equal(judge(frame, length, true), DROP_FOREIGN_DHCP);
	}
	size_t length = build_discover(frame, NULL, 0);
	frame[length - 1] = 0; /* no end mark */
	assert_int_equal(judge(frame, length, false), DROP_FOREIGN_DHCP);
}

/* Each field by which a server knows a client, or which makes the message another's. */
static void test_dhcp_fields(void **state)
{
	(void)state;
	uint8_t frame[600];
	size_t length = build_discover(frame, NULL, 0);
	static const size_t fields[] = {42, 43, 44, 42 + 24, 42 + 27, 42 + 28, 42 + 33, 42 + 236, 38};
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		frame[fields[i]] ^= 0x10;
		assert_int_equal(judge(frame, length, false), DROP_FOREIGN_DHCP);
		frame[fields[i]] ^= 0x10;
	}
	assert_int_equal(judge(frame, length, false), DROP_NONE);
	frame[35] = 67; /* from a server's port */
	assert_int_equal(judge(frame, length, false), DROP_FOREIGN_DHCP);
	frame[35] = 68, frame[20] = 0x20; /* the first of several fragments */
	assert_int_equal(judge(frame, length, false), DROP_FOREIGN_DHCP);
	frame[21] = 1; /* a later one, without an address: nobody asks so */
	assert_int_equal(judge(frame, length, false), DROP_FOREIGN_ADDRESS);
	memcpy(frame + 26, ((uint8_t[]){MINE}), 4);
	assert_int_equal(judge(frame, length, false), DROP_NONE);
}

/* An advertisement of the pod's own address behind `before` bytes of extension headers, each cut short as well. */
static void test_discovery(void **state)
{
	(void)state;
	uint8_t frame[14 + 40 + 16 + 32] = {0x33, 0x33, 0, 0, 0, 1, MAC, 0x86, 0xdd, 0x60};
	for (size_t before = 0; before <= 16; before += 8) {
		uint8_t *ip = frame + 14, *message = ip + 40 + before;
		memset(ip + 40, 0, sizeof(frame) - 54);
		memcpy(ip + 8, own_ip6_of_test, 16);
		ip[6] = before ? 60 : 58;
		ip[40] = before == 16 ? 60 : 58;
		ip[48] = before == 16 ? 58 : ip[48];
		ip[5] = (uint8_t)(before + 32);
		memset(message, 0, 32);
		message[0] = 136;
		memcpy(message + 8, own_ip6_of_test, 16);
		memcpy(message + 24, ((uint8_t[]){2, 1, MAC}), 8);
		size_t length = 54 + before + 32;
		assert_int_equal(judge(frame, length, false), DROP_NONE);
		for (size_t at = 0; at < 32; at++) {
			bool counts = at == 0 || (at >= 8 && at < 24) || at == 25 || at >= 26;
			message[at] ^= 2; /* 136 becomes 138, which is no discovery */
			enum drop reason = judge(frame, length, false);
			assert_int_equal(reason, counts && at ? DROP_FOREIGN_NEIGHBOUR : DROP_NONE);
			message[at] ^= 2;
		}
		for (size_t shorter = 54; shorter < length; shorter++) {
			if (shorter == length - 8)
				continue; /* the option is left out: that is allowed */
			ip[5] = (uint8_t)(shorter - 54);
			assert_int_not_equal(judge(frame, shorter, false), DROP_NONE);
		}
	}
}

/* What only a router or a querier says, and VXLAN in VXLAN, each in IPv4; `fragment`: the flags and offset. */
static enum drop judge4(uint8_t protocol, const uint8_t *body, size_t n, uint16_t fragment, bool super)
{
	uint8_t frame[128] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, MAC, 8, 0, 0x45, [23] = protocol, [26] = MINE, 224, 0, 0, 1};
	store16(frame + 16, (uint16_t)(20 + n));
	store16(frame + 20, fragment);
	memcpy(frame + 34, body, n);
	return judge(frame, 34 + n, super);
}

static void test_routers(void **state)
{
	(void)state;
	const uint8_t report[8] = {0x16}, query[8] = {0x11}, echo[8] = {8}, advertisement[16] = {9};
	assert_int_equal(judge4(2, report, 8, 0, false), DROP_NONE);
	assert_int_equal(judge4(2, query, 8, 0, false), DROP_FOREIGN_NEIGHBOUR);
	assert_int_equal(judge4(1, echo, 8, 0, false), DROP_NONE);
	assert_int_equal(judge4(1, advertisement, 16, 0, false), DROP_FOREIGN_NEIGHBOUR);
	assert_int_equal(judge4(112, echo, 8, 0, false), DROP_FOREIGN_NEIGHBOUR);
	assert_int_equal(judge4(112, echo, 8, 0x00b9, false), DROP_NONE); /* a later fragment is nothing by itself */
}

/* An ICMP error is about a packet to an own address, and whole. */
static void test_errors(void **state)
{
	(void)state;
	static const uint8_t types[] = {3, 4, 11, 12};
	for (size_t i = 0; i < sizeof(types); i++) {
		uint8_t error[36] = {types[i], 4, [8] = 0x45, [24] = MINE};
		assert_int_equal(judge4(1, error, 36, 0, false), DROP_NONE);
		assert_int_equal(judge4(1, error, 36, 0x2000, false), DROP_FOREIGN_NEIGHBOUR);
		assert_int_equal(judge4(1, error, 27, 0, false), DROP_FOREIGN_NEIGHBOUR);
		error[27] = 13;
		assert_int_equal(judge4(1, error, 36, 0, false), DROP_FOREIGN_NEIGHBOUR);
	}
	uint8_t frame[14 + 40 + 48] = {0x33, 0x33, 0, 0, 0, 1, MAC, 0x86, 0xdd, 0x60, [19] = 48, 58};
	memcpy(frame + 14 + 8, own_ip6_of_test, 16);
	memcpy(frame + 54 + 8 + 24, own_ip6_of_test, 16);
	for (uint8_t type = 1; type < 5; type++) {
		frame[54] = type;
		assert_int_equal(judge(frame, sizeof(frame), false), DROP_NONE);
		frame[101] ^= 1;
		assert_int_equal(judge(frame, sizeof(frame), false), DROP_FOREIGN_NEIGHBOUR);
		frame[101] ^= 1;
	}
}

/* Also in the first of several fragments, and where IPv6's ports could be in the second one. */
static void test_tunnel(void **state)
{
	(void)state;
	const uint8_t vxlan[16] = {0x80, 0, 0x12, 0xb5, 0, 16, 0, 0, 8},
		      other[16] = {0x80, 0, 0x12, 0xb6, 0, 16, 0, 0, 8};
	assert_int_equal(judge4(17, other, 16, 0, false), DROP_NONE);
	assert_int_equal(judge4(17, vxlan, 16, 0, false), DROP_FOREIGN_TUNNEL);
	assert_int_equal(judge4(17, vxlan, 16, 0, true), DROP_FOREIGN_TUNNEL);
	assert_int_equal(judge4(17, vxlan, 16, 0x2000, false), DROP_FOREIGN_TUNNEL);
	assert_int_equal(judge4(17, vxlan, 16, 0x2001, false), DROP_NONE);
	uint8_t frame[14 + 40 + 8 + 16] = {2, [6] = MAC, 0x86, 0xdd, 0x60, [19] = 24, 44, [54] = 17, [57] = 1};
	memcpy(frame + 14 + 8, own_ip6_of_test, 16);
	memcpy(frame + 62, vxlan, 16);
	assert_int_equal(judge(frame, sizeof(frame), false), DROP_FOREIGN_TUNNEL);
	frame[65] ^= 1;
	assert_int_equal(judge(frame, sizeof(frame), false), DROP_NONE);
	frame[19] = 8;
	assert_int_equal(judge(frame, 62, false), DROP_FOREIGN_TYPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),   cmocka_unit_test(test_arp),       cmocka_unit_test(test_dhcp),
		cmocka_unit_test(test_dhcp_fields), cmocka_unit_test(test_discovery), cmocka_unit_test(test_routers),
		cmocka_unit_test(test_errors),      cmocka_unit_test(test_tunnel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
