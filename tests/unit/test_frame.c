/* SPDX-License-Identifier: Apache-2.0 */
/* test_frame.c - which headers are found in a frame, and that none is found where there is none */
#include "vswitch/path/frame.c"

#include "tests/unit/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct test_packet packet, other;
static uint8_t secret[192];

static void build(const struct recipe *recipe)
{
	packet_build(&packet, recipe);
}

static struct frame parse_packet(struct test_packet *from)
{
	struct frame frame;
	assert_int_equal(frame_parse(&frame, from->bytes, from->length), DROP_NONE);
	return frame;
}

/* The same in memory that ends where the frame ends, for the sanitizers; data is freed afterwards. */
static enum drop parse_exact(struct frame *out, const uint8_t *bytes, size_t length)
{
	uint8_t *exact = malloc(length ? length : 1);
	assert_non_null(exact);
	memcpy(exact, bytes, length);
	enum drop reason = frame_parse(out, exact, length);
	if (reason == DROP_NONE) {
		frame_flow_hash(out, secret, sizeof(secret));
		frame_checksum_is_partial(out);
		frame_l4_header(out);
		frame_ecn_decapsulate(out, ECN_CE);
	}
	free(exact);
	return reason;
}

static void assert_opaque(const struct frame *frame)
{
	assert_int_equal(frame->version, 0);
	assert_int_equal(frame->l3, 0);
	assert_int_equal(frame->l4, 0);
	assert_int_equal(frame->ip_end, 0);
	assert_int_equal(frame_ecn(frame), ECN_NOT_ECT);
	assert_int_equal(frame_l4_header(frame), 0);
	assert_false(frame_checksum_is_partial(frame));
}

/* Whole frames */

static void test_arp(void **state)
{
	(void)state;
	static uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x50, 0x56, 0x0a, 0x0b,
				  0x0c, 0x08, 0x06, 0,    1,    8,    0,    6,    4,    0,    1};
	struct frame frame;
	assert_int_equal(frame_parse(&frame, arp, sizeof(arp)), DROP_NONE);
	assert_opaque(&frame);
	assert_int_equal(frame.ethertype, 0x0806);
	assert_int_equal(frame.length, sizeof(arp));
	assert_ptr_equal(frame_dst(&frame), arp);
	assert_ptr_equal(frame_src(&frame), arp + 6);
	assert_true(frame_is_group(&frame));
}

static void test_udp4(void **state)
{
	(void)state;
	/* "abc" from 172.16.0.10 port 49153 to 172.16.0.1 port 53 */
	static uint8_t bytes[] = {0x52, 0x54, 0x00, 0x11, 0x22, 0x33, 0x02, 0x50, 0x56, 0x0a, 0x0b, 0x0c,
				  0x08, 0x00, 0x45, 0x00, 0x00, 0x1f, 0xbe, 0xef, 0x40, 0x00, 0x40, 0x11,
				  0x23, 0xb3, 0xac, 0x10, 0x00, 0x0a, 0xac, 0x10, 0x00, 0x01, 0xc0, 0x01,
				  0x00, 0x35, 0x00, 0x0b, 0x23, 0x13, 0x61, 0x62, 0x63};
	struct frame frame;
	assert_int_equal(frame_parse(&frame, bytes, sizeof(bytes)), DROP_NONE);
	assert_int_equal(frame.ethertype, 0x0800);
	assert_int_equal(frame.version, 4);
	assert_int_equal(frame.l3, 14);
	assert_int_equal(frame.l4, 34);
	assert_int_equal(frame.protocol, 17);
	assert_int_equal(frame.ip_end, sizeof(bytes));
	assert_int_equal(frame_l4_header(&frame), 8);
	assert_false(frame_is_group(&frame));
	assert_false(frame_checksum_is_partial(&frame));
	/* ac10+000a + ac10+0001 + 0011 + 000b = 15847 -> 5848 */
	packet_put16(bytes + 40, 0x5848);
	assert_true(frame_checksum_is_partial(&frame));
}

static void test_tcp6(void **state)
{
	(void)state;
	/* A SYN with its MSS from 2001:db8::a to 2001:db8::1, ECT(0) */
	static uint8_t bytes[] = {0x52, 0x54, 0x00, 0x11, 0x22, 0x33, 0x02, 0x50, 0x56, 0x0a, 0x0b, 0x0c, 0x86,
				  0xdd, 0x60, 0x20, 0x00, 0x00, 0x00, 0x18, 0x06, 0x40, 0x20, 0x01, 0x0d, 0xb8,
				  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x20,
				  0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
				  0x00, 0x01, 0xc3, 0x50, 0x01, 0xbb, 0x01, 0x02, 0x03, 0x04, 0x00, 0x00, 0x00,
				  0x00, 0x60, 0x02, 0xfa, 0xf0, 0x78, 0xbb, 0x00, 0x00, 0x02, 0x04, 0x05, 0xa0};
	struct frame frame;
	assert_int_equal(frame_parse(&frame, bytes, sizeof(bytes)), DROP_NONE);
	assert_int_equal(frame.ethertype, 0x86dd);
	assert_int_equal(frame.version, 6);
	assert_int_equal(frame.l3, 14);
	assert_int_equal(frame.l4, 54);
	assert_int_equal(frame.protocol, 6);
	assert_int_equal(frame.ip_end, sizeof(bytes));
	assert_int_equal(frame_l4_header(&frame), 24);
	assert_int_equal(frame_ecn(&frame), ECN_ECT0);
	assert_false(frame_checksum_is_partial(&frame));
	/* 2001+0db8+000a + 2001+0db8+0001 + 0018 + 0006 = 5b9b */
	packet_put16(bytes + 70, 0x5b9b);
	assert_true(frame_checksum_is_partial(&frame));
}

/* Ethernet */

static void test_runts(void **state)
{
	(void)state;
	struct frame frame;
	build(&(struct recipe){.version = 4, .protocol = 17});
	for (size_t length = 0; length < 14; length++)
		assert_int_equal(parse_exact(&frame, packet.bytes, length), DROP_RUNT);
	assert_int_equal(frame_parse(&frame, NULL, 0), DROP_RUNT);
	assert_int_equal(parse_exact(&frame, packet.bytes, 14), DROP_NONE);
	assert_opaque(&frame);
}

static void test_vlan(void **state)
{
	(void)state;
	static const uint16_t tags[] = {0x8100, 0x88a8, 0x9100};
	static const uint16_t others[] = {0x80ff, 0x8101, 0x88a7, 0x9101, 0x0081, 0x8863, 0xffff, 0};
	struct frame frame;
	build(&(struct recipe){.version = 4, .protocol = 17});
	for (size_t i = 0; i < COUNT(tags); i++) {
		packet_put16(packet.bytes + 12, tags[i]);
		assert_int_equal(parse_exact(&frame, packet.bytes, packet.length), DROP_VLAN);
		assert_int_equal(parse_exact(&frame, packet.bytes, 14), DROP_VLAN);
	}
	for (size_t i = 0; i < COUNT(others); i++) {
		packet_put16(packet.bytes + 12, others[i]);
		assert_int_equal(parse_exact(&frame, packet.bytes, packet.length), DROP_NONE);
		assert_int_equal(frame.ethertype, others[i]);
		assert_opaque(&frame);
	}
}

static void test_sources(void **state)
{
	(void)state;
	static const uint8_t bad[][6] = {{0},
					 {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
					 {0x01, 0, 0x5e, 0, 0, 1},
					 {0x33, 0x33, 0, 0, 0, 1},
					 {0x03, 0, 0, 0, 0, 1}};
	struct frame frame;
	build(&(struct recipe){.version = 4, .protocol = 17});
	for (size_t i = 0; i < COUNT(bad); i++) {
		memcpy(packet.bytes + 6, bad[i], 6);
		assert_int_equal(parse_exact(&frame, packet.bytes, packet.length), DROP_BAD_SOURCE);
	}
	/* One non-zero byte is enough, whichever it is, unless it makes a group address. */
	for (int i = 0; i < 6; i++) {
		memset(packet.bytes + 6, 0, 6);
		packet.bytes[6 + i] = 0x80;
		assert_int_equal(parse_exact(&frame, packet.bytes, packet.length), DROP_NONE);
	}
}

static void test_link_local(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 17});
	struct frame frame = parse_packet(&packet);
	assert_false(frame_is_link_local(&frame));
	memcpy(packet.bytes, (uint8_t[]){0x01, 0x80, 0xc2, 0, 0, 0}, 6);
	for (unsigned last = 0; last < 256; last++) {
		packet.bytes[5] = (uint8_t)last;
		assert_int_equal(frame_is_link_local(&frame), last < 16);
	}
	packet.bytes[5] = 0;
	for (int i = 0; i < 5; i++) {
		packet.bytes[i] ^= 0x10;
		assert_false(frame_is_link_local(&frame));
		packet.bytes[i] ^= 0x10;
	}
}

/* IPv4 */

static void test_ip4_header_lengths(void **state)
{
	(void)state;
	struct frame frame;
	for (unsigned options = 0; options <= 40; options += 4) {
		build(&(struct recipe){.version = 4, .protocol = 6, .ip_options = options, .payload = 5});
		frame = parse_packet(&packet);
		assert_int_equal(frame.version, 4);
		assert_int_equal(frame.l4, 34 + options);
		assert_int_equal(frame.ip_end, packet.end);
		assert_int_equal(frame_l4_header(&frame), 20);
	}
	build(&(struct recipe){.version = 4, .protocol = 6, .payload = 5});
	for (unsigned ihl = 0; ihl < 5; ihl++) {
		packet.bytes[14] = (uint8_t)(0x40 | ihl);
		frame = parse_packet(&packet);
		assert_opaque(&frame);
	}
}

static void test_ip4_versions(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 17, .payload = 60});
	for (unsigned version = 0; version < 16; version++) {
		packet.bytes[14] = (uint8_t)(version << 4 | 5);
		struct frame frame = parse_packet(&packet);
		assert_int_equal(frame.version, version == 4 ? 4 : 0);
	}
	/* A good packet with the other version's ethertype is not IP. */
	packet.bytes[14] = 0x45;
	packet_put16(packet.bytes + 12, 0x86dd);
	struct frame frame = parse_packet(&packet);
	assert_opaque(&frame);
}

static void test_ip4_totals(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 17, .ip_options = 8, .payload = 100, .padding = 10});
	for (size_t total = 0; total <= 65535; total++) {
		packet_put16(packet.bytes + 16, total);
		struct frame frame = parse_packet(&packet);
		if (total < 28 || total > packet.length - 14) {
			assert_opaque(&frame);
			continue;
		}
		assert_int_equal(frame.version, 4);
		assert_int_equal(frame.ip_end, 14 + total);
		assert_int_equal(frame.l4, total >= 28 + 8 ? 42 : 0);
	}
}

/* Frames cut anywhere are opaque as soon as the IP packet is incomplete. */
static void test_cut_frames(void **state)
{
	(void)state;
	for (unsigned version = 4; version <= 6; version += 2) {
		build(&(struct recipe){.version = (uint8_t)version,
				       .protocol = 6,
				       .tcp_options = 12,
				       .extensions = 2,
				       .payload = 20,
				       .padding = 6});
		for (size_t length = 14; length <= packet.length; length++) {
			struct frame frame;
			assert_int_equal(parse_exact(&frame, packet.bytes, length), DROP_NONE);
			assert_int_equal(frame.version, length >= packet.end ? version : 0);
			assert_int_equal(frame.l4, length >= packet.end ? packet.l4 : 0);
			assert_int_equal(frame.ip_end, length >= packet.end ? packet.end : 0);
			assert_int_equal(frame.length, length);
		}
	}
}

static void test_ip4_fragments(void **state)
{
	(void)state;
	static const struct {
		uint16_t field;
		bool fragment;
	} cases[] = {
		{0x0000, false}, {0x4000, false}, {0x8000, false}, {0xc000, false}, {0x2000, true},
		{0x2001, true},  {0x0001, true},  {0x1000, true},  {0x00b9, true},  {0x6000, true},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		build(&(struct recipe){.version = 4, .protocol = 17, .payload = 64, .partial = true});
		packet_put16(packet.bytes + 20, cases[i].field);
		struct frame frame = parse_packet(&packet);
		assert_int_equal(frame.version, 4);
		assert_int_equal(frame.protocol, 17);
		assert_int_equal(frame.ip_end, packet.end);
		assert_int_equal(frame.l4, cases[i].fragment ? 0 : 34);
		assert_int_equal(frame_l4_header(&frame), cases[i].fragment ? 0 : 8);
		assert_int_equal(frame_checksum_is_partial(&frame), !cases[i].fragment);
	}
}

static void test_padding(void **state)
{
	(void)state;
	for (unsigned version = 4; version <= 6; version += 2) {
		for (unsigned padding = 0; padding < 50; padding++) {
			build(&(struct recipe){.version = (uint8_t)version, .protocol = 17, .padding = padding});
			struct frame frame = parse_packet(&packet);
			assert_int_equal(frame.length, packet.length);
			assert_int_equal(frame.ip_end, packet.length - padding);
			assert_int_equal(frame.l4, packet.l4);
		}
	}
}

/* IPv6 */

static void test_ip6_totals(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 6, .protocol = 17, .payload = 100, .padding = 10});
	for (size_t length = 0; length <= 65535; length++) {
		packet_put16(packet.bytes + 18, length);
		struct frame frame = parse_packet(&packet);
		if (length > packet.length - 54) {
			assert_opaque(&frame);
			continue;
		}
		assert_int_equal(frame.version, 6);
		assert_int_equal(frame.ip_end, 54 + length);
		assert_int_equal(frame.l4, length >= 8 ? 54 : 0);
	}
}

static void test_ip6_chains(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= 9; n++) {
		build(&(struct recipe){.version = 6, .protocol = 6, .extensions = n, .payload = 3});
		struct frame frame = parse_packet(&packet);
		assert_int_equal(frame.version, 6);
		assert_int_equal(frame.l4, n <= IP6_MAX_EXTENSIONS ? 54 + n * 8 : 0);
		assert_int_equal(frame.protocol, n <= IP6_MAX_EXTENSIONS ? 6 : 60);
	}
}

/* Hop-by-hop, routing and destination options of several lengths before UDP. */
static void test_ip6_kinds(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 6, .protocol = 17, .extensions = 6, .payload = 1});
	uint8_t *at = packet.bytes + 54;
	packet.bytes[20] = 0;
	at[0] = 43;
	at[1] = 1; /* 16 bytes */
	at[16] = 60;
	at[17] = 2; /* 24 bytes */
	at[40] = 17;
	at[41] = 0;
	struct frame frame = parse_packet(&packet);
	assert_int_equal(frame.protocol, 17);
	assert_int_equal(frame.l4, 54 + 48);
}

static void test_ip6_other_next_headers(void **state)
{
	(void)state;
	for (unsigned next = 0; next < 256; next++) {
		if (next == 0 || next == 43 || next == 60)
			continue;
		build(&(struct recipe){.version = 6, .protocol = 17, .payload = 60});
		packet.bytes[20] = (uint8_t)next;
		struct frame frame = parse_packet(&packet);
		bool known = next == 1 || next == 6 || next == 17 || next == 58;
		assert_int_equal(frame.protocol, next);
		assert_int_equal(frame.l4, known ? 54 : 0);
		assert_int_equal(frame_l4_header(&frame), next == 17 ? 8 : 0);
	}
}

/* A chain that is longer than the packet finds no header, wherever it is cut, and whatever padding follows. */
static void test_ip6_cut_chains(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 6, .protocol = 17, .extensions = 3, .payload = 200});
	for (size_t length = 0; length < 40; length++) {
		packet_put16(packet.bytes + 18, length);
		struct frame frame = parse_packet(&packet);
		assert_int_equal(frame.l4, length >= 24 + 8 ? 54 + 24 : 0);
		assert_int_equal(parse_exact(&frame, packet.bytes, 54 + length), DROP_NONE);
		assert_int_equal(frame.l4, length >= 24 + 8 ? 54 + 24 : 0);
	}
	packet_put16(packet.bytes + 18, 24 + 208);
	packet.bytes[54 + 1] = 255; /* 2048 bytes, more than there are */
	packet.bytes[54] = 17;
	struct frame frame = parse_packet(&packet);
	assert_int_equal(frame.version, 6);
	assert_int_equal(frame.protocol, 60);
	assert_int_equal(frame.l4, 0);
}

static void test_ip6_fragments(void **state)
{
	(void)state;
	static const uint16_t fields[] = {0x0001, 0x0009, 0x0008, 0x0000};
	for (size_t i = 0; i < COUNT(fields); i++) {
		build(&(struct recipe){.version = 6, .protocol = 17, .extensions = 1, .payload = 64, .partial = true});
		packet.bytes[20] = 44;
		packet_put16(packet.bytes + 56, fields[i]);
		struct frame frame = parse_packet(&packet);
		assert_int_equal(frame.version, 6);
		assert_int_equal(frame.protocol, 44);
		assert_int_equal(frame.l4, 0);
		assert_int_equal(frame.ip_end, packet.end);
		assert_false(frame_checksum_is_partial(&frame));
	}
}

/* What follows IP */

static void test_cut_l4(void **state)
{
	(void)state;
	static const struct {
		uint8_t protocol, need;
	} cases[] = {{6, 20}, {17, 8}, {1, 8}, {58, 8}};
	for (unsigned version = 4; version <= 6; version += 2) {
		for (size_t i = 0; i < COUNT(cases); i++) {
			build(&(struct recipe){
				.version = (uint8_t)version, .protocol = cases[i].protocol, .payload = 30});
			for (unsigned inner = 0; inner < 30; inner++) {
				struct frame frame;
				packet_put16(packet.bytes + (version == 4 ? 16 : 18), inner + (version == 4 ? 20 : 0));
				assert_int_equal(parse_exact(&frame, packet.bytes, packet.l4 + inner), DROP_NONE);
				assert_int_equal(frame.version, version);
				assert_int_equal(frame.l4, inner >= cases[i].need ? packet.l4 : 0);
			}
		}
	}
}

static void test_tcp_header_lengths(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 6, .payload = 13});
	for (unsigned words = 0; words < 16; words++) {
		packet.bytes[packet.l4 + 12] = (uint8_t)(words << 4 | 0xf);
		struct frame frame = parse_packet(&packet);
		assert_int_equal(frame.l4, 34);
		assert_int_equal(frame_l4_header(&frame), words >= 5 && words <= 8 ? words * 4 : 0);
	}
	build(&(struct recipe){.version = 6, .protocol = 58, .payload = 13});
	struct frame frame = parse_packet(&packet);
	assert_int_equal(frame_l4_header(&frame), 0);
}

/* Flow hash */

static uint64_t hash_of(struct test_packet *of)
{
	struct frame frame = parse_packet(of);
	return frame_flow_hash(&frame, secret, sizeof(secret));
}

static void change(size_t offset, bool same_flow)
{
	memcpy(&other, &packet, sizeof(packet));
	for (unsigned bit = 0; bit < 8; bit++) {
		other.bytes[offset] ^= (uint8_t)(1 << bit);
		if ((hash_of(&other) == hash_of(&packet)) != same_flow)
			fail_msg("IPv%d: byte %zu, bit %u", packet.bytes[14] >> 4, offset, bit);
		other.bytes[offset] ^= (uint8_t)(1 << bit);
	}
}

static void change_all(size_t from, size_t to, bool same_flow)
{
	for (size_t offset = from; offset < to; offset++)
		change(offset, same_flow);
}

static void test_hash_fields(void **state)
{
	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		build(&(struct recipe){.version = 4, .protocol = tcp ? 6 : 17, .payload = 40});
		change_all(0, 6, true);   /* destination MAC */
		change_all(15, 16, true); /* TOS */
		change_all(18, 20, true); /* identification */
		change_all(22, 23, true); /* TTL */
		change_all(26, 34, false);
		change_all(34, 38, false);
		change_all(38, packet.length, true);
		build(&(struct recipe){.version = 6, .protocol = tcp ? 6 : 17, .payload = 40});
		change_all(16, 18, true); /* flow label */
		change_all(21, 22, true); /* hop limit */
		change_all(22, 54, false);
		change_all(54, 58, false);
		change_all(58, packet.length, true);
	}
}

static void test_hash_lengths(void **state)
{
	(void)state;
	for (unsigned version = 4; version <= 6; version += 2) {
		packet_build(&other, &(struct recipe){.version = (uint8_t)version, .protocol = 6});
		for (size_t payload = 0; payload < 1400; payload += 7) {
			build(&(struct recipe){.version = (uint8_t)version,
					       .protocol = 6,
					       .tos = (uint8_t)payload,
					       .tcp_options = payload % 11 * 4,
					       .ip_options = payload % 3 * 4,
					       .extensions = payload % 4,
					       .payload = payload,
					       .padding = payload % 5});
			assert_int_equal(hash_of(&packet), hash_of(&other));
		}
		build(&(struct recipe){.version = (uint8_t)version, .protocol = 17});
		assert_int_not_equal(hash_of(&packet), hash_of(&other));
	}
}

static void test_hash_fragments(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 17, .payload = 64});
	uint64_t whole = hash_of(&packet);
	packet_put16(packet.bytes + 20, 0x2000);
	uint64_t first = hash_of(&packet);
	assert_int_not_equal(first, whole);
	packet_put16(packet.bytes + 20, 0x0008);
	change_all(34, packet.length, true); /* where the ports would be is payload */
	change_all(0, 6, true);
	assert_int_equal(hash_of(&packet), first);

	build(&(struct recipe){.version = 6, .protocol = 17, .extensions = 1, .payload = 64});
	packet.bytes[20] = 44;
	change_all(55, packet.length, true);
}

static void test_hash_direction(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 6});
	memcpy(&other, &packet, sizeof(packet));
	memcpy(other.bytes + 26, packet.bytes + 30, 4);
	memcpy(other.bytes + 30, packet.bytes + 26, 4);
	memcpy(other.bytes + 34, packet.bytes + 36, 2);
	memcpy(other.bytes + 36, packet.bytes + 34, 2);
	assert_int_not_equal(hash_of(&packet), hash_of(&other));
}

static void test_hash_without_ip(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 6});
	packet_put16(packet.bytes + 12, 0x88cc);
	change_all(0, 6, false);
	change_all(7, 14 - 2, false);
	change(13, false);
	change_all(14, packet.length, true);
}

static void test_hash_secret(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 6});
	struct frame frame = parse_packet(&packet);
	uint64_t with = frame_flow_hash(&frame, secret, sizeof(secret));
	uint8_t another[sizeof(secret)];
	for (size_t i = 0; i < sizeof(another); i++)
		another[i] = secret[sizeof(another) - 1 - i];
	assert_int_not_equal(frame_flow_hash(&frame, another, sizeof(another)), with);
}

/*
 * Chi-square of 16 and of 4 buckets, as the pools of source ports use the low bits. With 15 degrees of freedom, 50 is
 * exceeded once in 80,000 secrets, and this secret is always the same.
 */
static void assert_spread(const uint64_t *hashes, size_t n)
{
	for (unsigned buckets = 4; buckets <= 16; buckets *= 4) {
		unsigned hits[16] = {0};
		double expected = (double)n / buckets, chi = 0;
		for (size_t i = 0; i < n; i++)
			hits[hashes[i] % buckets]++;
		for (unsigned i = 0; i < buckets; i++)
			chi += (hits[i] - expected) * (hits[i] - expected) / expected;
		assert_true(chi < 50);
	}
}

static void test_hash_distribution(void **state)
{
	(void)state;
	enum { FLOWS = 16384 };
	static uint64_t by_port[FLOWS], by_address[FLOWS], by_mac[FLOWS];
	for (unsigned version = 4; version <= 6; version += 2) {
		build(&(struct recipe){.version = (uint8_t)version, .protocol = 6});
		memcpy(&other, &packet, sizeof(packet));
		for (unsigned i = 0; i < FLOWS; i++) {
			packet_put16(packet.bytes + packet.l4, 32768 + i);
			by_port[i] = hash_of(&packet);
			packet_put16(other.bytes + (version == 4 ? 28 : 36), i);
			by_address[i] = hash_of(&other);
		}
		assert_spread(by_port, FLOWS);
		assert_spread(by_address, FLOWS);
	}
	packet_put16(packet.bytes + 12, 0x0806);
	for (unsigned i = 0; i < FLOWS; i++) {
		packet_put16(packet.bytes + 10, i);
		by_mac[i] = hash_of(&packet);
	}
	assert_spread(by_mac, FLOWS);
}

/* ECN (RFC 6040 as Linux has it): rows are the inner field, columns the outer; -1: drop */
static const int combined[4][4] = {
	{0, 0, 0, -1},
	{1, 1, 1, 3},
	{2, 1, 2, 3},
	{3, 3, 3, 3},
};

static void test_ecn_decapsulate(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * 4 * 4 * 64; i++) {
		unsigned version = i & 1 ? 6 : 4, inner = i >> 1 & 3, outer = i >> 3 & 3, dscp = i >> 5 << 2;
		struct recipe recipe = {.version = (uint8_t)version, .protocol = 6, .payload = 1};
		recipe.tos = (uint8_t)(dscp | inner);
		build(&recipe);
		struct frame frame = parse_packet(&packet);
		assert_int_equal(frame_ecn(&frame), inner);
		int expected = combined[inner][outer];
		enum drop reason = frame_ecn_decapsulate(&frame, outer);
		assert_int_equal(reason, expected < 0 ? DROP_ECN : DROP_NONE);
		/* Nothing else in the frame has changed, and the checksum is that of the new header. */
		recipe.tos = (uint8_t)(dscp | (expected < 0 ? inner : (unsigned)expected));
		packet_build(&other, &recipe);
		assert_memory_equal(packet.bytes, other.bytes, packet.length);
	}
}

/* Every possible checksum, so that all carries and both zeroes occur, also with header options. */
static void test_ecn_checksums(void **state)
{
	(void)state;
	for (unsigned id = 0; id <= 0xffff; id++) {
		for (unsigned inner = 1; inner < 3; inner++) {
			build(&(struct recipe){.version = 4, .protocol = 17, .tos = (uint8_t)inner, .ip_options = 4});
			packet_put16(packet.bytes + 18, id);
			packet_fix_ip4(packet.bytes);
			struct frame frame = parse_packet(&packet);
			assert_int_equal(frame_ecn_decapsulate(&frame, ECN_CE), DROP_NONE);
			assert_int_equal(packet.bytes[15], 3);
			assert_int_equal(packet_sum(0, packet.bytes + 14, 24), 0xffff);
		}
	}
}

static void test_ecn_encapsulate(void **state)
{
	(void)state;
	static const unsigned outer[4] = {0, 1, 2, 2};
	for (unsigned version = 4; version <= 6; version += 2) {
		for (unsigned inner = 0; inner < 4; inner++) {
			build(&(struct recipe){
				.version = (uint8_t)version, .protocol = 6, .tos = (uint8_t)(0xb8 | inner)});
			struct frame frame = parse_packet(&packet);
			assert_int_equal(frame_ecn_encapsulate(&frame), outer[inner]);
			assert_int_equal(frame_ecn(&frame), inner);
		}
	}
}

static void test_ecn_without_ip(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 6, .tos = 3});
	packet_put16(packet.bytes + 12, 0x0806);
	memcpy(&other, &packet, sizeof(packet));
	struct frame frame = parse_packet(&packet);
	assert_int_equal(frame_ecn_encapsulate(&frame), ECN_NOT_ECT);
	for (unsigned outer = 0; outer < 4; outer++)
		assert_int_equal(frame_ecn_decapsulate(&frame, outer), DROP_NONE);
	assert_memory_equal(packet.bytes, other.bytes, packet.length);
}

/* Partial checksums */

/* Returns how many complete checksums, 0 or 1, were the pseudo-header's sum by chance. */
static unsigned check_partial(uint8_t version, uint8_t protocol, size_t payload)
{
	unsigned chance = 0;
	for (int partial = 0; partial < 2; partial++) {
		build(&(struct recipe){.version = version,
				       .protocol = protocol,
				       .ip_options = payload % 3 * 4,
				       .extensions = payload % 3,
				       .tcp_options = payload % 11 * 4,
				       .payload = payload,
				       .padding = payload % 7,
				       .partial = partial});
		struct frame frame = parse_packet(&packet);
		unsigned field = packet_get16(packet.bytes + packet.l4 + packet_check_at(protocol));
		bool alike = field == packet_pseudo(packet.bytes, protocol, packet.end - packet.l4);
		if (frame_checksum_is_partial(&frame) != alike)
			fail_msg("IPv%u, protocol %u, %zu bytes, %s", version, protocol, payload,
				 partial ? "partial" : "complete");
		chance += alike && !partial;
		assert_true(alike || !partial);
	}
	return chance;
}

static void test_partial(void **state)
{
	(void)state;
	unsigned chance = 0;
	for (uint8_t version = 4; version <= 6; version += 2) {
		for (size_t payload = 0; payload < 1500; payload++) {
			chance += check_partial(version, 6, payload);
			chance += check_partial(version, 17, payload);
		}
		for (size_t payload = 65000; payload < 65400; payload += 13) {
			chance += check_partial(version, 6, payload);
			chance += check_partial(version, 17, payload);
		}
	}
	assert_true(chance < 5); /* of 6,000, where one in 65,536 is to be expected */
}

/* The pseudo-header's sum is a multiple of 0xffff: a kernel folds that to ffff, never to 0. */
static void test_partial_all_ones(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 17, .payload = 4});
	uint32_t sum = packet_pseudo(packet.bytes, 17, 12);
	packet_put16(packet.bytes + 28, packet_get16(packet.bytes + 28) + (0xffff - sum));
	assert_int_equal(packet_pseudo(packet.bytes, 17, 12), 0xffff);
	struct frame frame = parse_packet(&packet);
	packet_put16(packet.bytes + 40, 0xffff);
	assert_true(frame_checksum_is_partial(&frame));
	/* And 0 is UDP without a checksum. */
	packet_put16(packet.bytes + 40, 0);
	assert_false(frame_checksum_is_partial(&frame));
}

static void test_partial_not_of_icmp(void **state)
{
	(void)state;
	build(&(struct recipe){.version = 4, .protocol = 1, .partial = true});
	struct frame frame = parse_packet(&packet);
	assert_false(frame_checksum_is_partial(&frame));
	build(&(struct recipe){.version = 6, .protocol = 58, .partial = true});
	frame = parse_packet(&packet);
	assert_false(frame_checksum_is_partial(&frame));
}

int main(void)
{
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i * 167 + 13);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arp),
		cmocka_unit_test(test_udp4),
		cmocka_unit_test(test_tcp6),
		cmocka_unit_test(test_runts),
		cmocka_unit_test(test_vlan),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_link_local),
		cmocka_unit_test(test_ip4_header_lengths),
		cmocka_unit_test(test_ip4_versions),
		cmocka_unit_test(test_ip4_totals),
		cmocka_unit_test(test_cut_frames),
		cmocka_unit_test(test_ip4_fragments),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_ip6_totals),
		cmocka_unit_test(test_ip6_chains),
		cmocka_unit_test(test_ip6_kinds),
		cmocka_unit_test(test_ip6_other_next_headers),
		cmocka_unit_test(test_ip6_cut_chains),
		cmocka_unit_test(test_ip6_fragments),
		cmocka_unit_test(test_cut_l4),
		cmocka_unit_test(test_tcp_header_lengths),
		cmocka_unit_test(test_hash_fields),
		cmocka_unit_test(test_hash_lengths),
		cmocka_unit_test(test_hash_fragments),
		cmocka_unit_test(test_hash_direction),
		cmocka_unit_test(test_hash_without_ip),
		cmocka_unit_test(test_hash_secret),
		cmocka_unit_test(test_hash_distribution),
		cmocka_unit_test(test_ecn_decapsulate),
		cmocka_unit_test(test_ecn_checksums),
		cmocka_unit_test(test_ecn_encapsulate),
		cmocka_unit_test(test_ecn_without_ip),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_partial_all_ones),
		cmocka_unit_test(test_partial_not_of_icmp),
	};
	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
