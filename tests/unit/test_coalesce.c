/* SPDX-License-Identifier: Apache-2.0 */
/* test_coalesce.c - what cut.h has cut becomes one again, to the byte; and what must never be joined */
#include "vswitch/path/coalesce.c"

#include "tests/unit/cut.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROUNDS = 2000, MOST = 140 };

static struct test_packet whole, piece, segments[MOST];
static struct coalesce_group group;
static uint8_t joined[PACKET_ROOM];

static struct frame frame_of(struct test_packet *packet)
{
	struct frame frame;
	assert_int_equal(frame_parse(&frame, packet->bytes, packet->length), DROP_NONE);
	return frame;
}

static void start(struct test_packet *packet)
{
	struct frame frame = frame_of(packet);
	assert_true(coalesce_can_start(&frame));
	coalesce_start(&group, &group, &frame);
}

static bool join(struct test_packet *packet)
{
	struct frame frame = frame_of(packet);
	return coalesce_same_flow(&group, &group, &frame) && coalesce_join(&group, &frame);
}

/* The pieces of the finished group, one after the other. */
static size_t gather(void)
{
	size_t length = 0;
	for (unsigned i = 0; i < group.count; i++) {
		memcpy(joined + length, group.pieces[i].iov_base, group.pieces[i].iov_len);
		length += group.pieces[i].iov_len;
	}
	return length;
}

/* The inverse of cutting */

static void set_flags(struct test_packet *packet, uint8_t flags)
{
	packet->bytes[packet->l4 + 13] = flags;
	packet_fix_l4(packet, 6, true);
}

static void check_inverse(size_t size, bool same_id)
{
	unsigned count = cut_count(&whole, size);
	struct virtio_net_hdr vnet, expected = super_vnet(&whole, size);
	assert_in_range(count, 2, 64);
	for (unsigned i = 0; i < count; i++) {
		cut(&whole, size, i, same_id, &segments[i]);
		/* As a sender on this node leaves it; and padded, as short frames are. */
		if (!below(8))
			packet_fix_l4(&segments[i], packet_is_tcp(&whole) ? 6 : 17, true);
		if (!below(8))
			segments[i].length += below(18);
		if (i)
			assert_true(join(&segments[i]));
		else
			start(&segments[i]);
	}
	assert_int_equal(group.count, count);
	assert_int_equal(coalesce_finish(&group, &vnet), whole.end);
	assert_int_equal(gather(), whole.end);
	assert_memory_equal(joined, whole.bytes, whole.end);
	assert_memory_equal(&vnet, &expected, sizeof(vnet));
}

static void test_inverse_tcp(void **state)
{
	(void)state;
	static const uint8_t starts[] = {0x10, 0x50, 0x00, 0x11, 0x18, 0x19, 0x59};
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t size = 536 + below(1448 - 536 + 1), most = size * 64 < 65000 ? size * 64 : 65000;
		struct recipe recipe = {.version = below(2) ? 6 : 4,
					.protocol = 6,
					.tos = (uint8_t)rand(),
					.tcp_options = (unsigned)below(11) * 4,
					.payload = size + 1 + below(most - size),
					.partial = true};
		packet_random(&whole, &recipe);
		set_flags(&whole, starts[below(sizeof(starts))]);
		check_inverse(size, recipe.version == 4 && whole.bytes[20] && below(2));
	}
}

static void test_inverse_udp(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t size = 1 + below(1472), most = size * 64 < 65000 ? size * 64 : 65000;
		struct recipe recipe = {.version = below(2) ? 6 : 4,
					.protocol = 17,
					.tos = (uint8_t)rand(),
					.payload = size + 1 + below(most - size),
					.partial = true};
		packet_random(&whole, &recipe);
		check_inverse(size, recipe.version == 4 && whole.bytes[20] && below(2));
	}
}

/* Options as found in practice: none, timestamps, timestamps and SACK blocks. */
static void test_inverse_options(void **state)
{
	(void)state;
	static const uint8_t options[40] = {1, 1, 8, 10, 0, 1, 2, 3, 0, 4, 5, 6, 1, 1, 5, 18};
	static const unsigned lengths[] = {0, 12, 32};
	for (unsigned i = 0; i < 6; i++) {
		struct recipe recipe = {.version = i & 1 ? 6 : 4,
					.protocol = 6,
					.tcp_options = lengths[i / 2],
					.payload = 5000,
					.partial = true};
		packet_random(&whole, &recipe);
		memcpy(whole.bytes + whole.l4 + 20, options, recipe.tcp_options);
		set_flags(&whole, 0x18);
		check_inverse(1448 - recipe.tcp_options, false);
	}
}

/* Limits */

static void cut_all(uint8_t version, uint8_t protocol, size_t size, size_t payload)
{
	packet_random(&whole,
		      &(struct recipe){.version = version, .protocol = protocol, .payload = payload, .partial = true});
	/* Without DF, ids matter: fragments are recognised by them. */
	if (version == 4)
		whole.bytes[20] = 0;
	for (unsigned i = 0; i < cut_count(&whole, size); i++)
		cut(&whole, size, i, false, &segments[i]);
}

static void test_at_most_64(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		cut_all(i & 1 ? 6 : 4, i & 2 ? 17 : 6, 10, 700);
		start(&segments[0]);
		for (unsigned at = 1; at < 64; at++)
			assert_true(join(&segments[at]));
		assert_false(join(&segments[64]));
		assert_int_equal(group.count, 64);
	}
}

/* An IPv4 packet of 65535 bytes, and not one more. The same for IPv6, although it could be longer by its header. */
static void test_at_most_64k(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t version = i ? 6 : 4;
		size_t headers = i ? 60 : 40, size = 5000;
		cut_all(version, 6, size, 65535 - headers);
		unsigned last = cut_count(&whole, size) - 1;
		start(&segments[0]);
		for (unsigned at = 1; at < last; at++)
			assert_true(join(&segments[at]));
		piece = segments[last];
		piece.length = ++piece.end;
		piece.bytes[piece.end - 1] = 1;
		packet_put16(piece.bytes + (i ? 18 : 16), piece.end - (i ? 54 : 14));
		if (!i)
			packet_fix_ip4(piece.bytes);
		packet_fix_l4(&piece, 6, false);
		assert_false(join(&piece));
		assert_true(join(&segments[last]));
		struct virtio_net_hdr vnet;
		assert_int_equal(coalesce_finish(&group, &vnet), 14 + 65535);
		assert_int_equal(packet_get16(segments[0].bytes + (i ? 18 : 16)), i ? 65535 - 40 : 65535);
	}
}

static void test_sizes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		uint8_t version = i & 1 ? 6 : 4, protocol = i & 2 ? 17 : 6;
		/* A longer one does not join, and a shorter one is the last. */
		cut_all(version, protocol, 1000, 3000);
		cut(&whole, 999, 0, false, &piece);
		start(&piece);
		cut_all(version, protocol, 1000, 3000);
		start(&segments[0]);
		cut(&whole, 500, 2, false, &piece);
		if (version == 4)
			packet_put16(piece.bytes + 18, packet_get16(segments[1].bytes + 18));
		if (version == 4)
			packet_fix_ip4(piece.bytes);
		assert_true(join(&piece));
		cut(&whole, 500, 3, false, &piece);
		if (version == 4)
			packet_put16(piece.bytes + 18, packet_get16(segments[2].bytes + 18));
		if (version == 4)
			packet_fix_ip4(piece.bytes);
		assert_false(join(&piece));
		assert_int_equal(group.count, 2);
	}
}

static void test_longer(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		uint8_t version = i & 1 ? 6 : 4, protocol = i & 2 ? 17 : 6;
		cut_all(version, protocol, 1000, 3000);
		struct test_packet *first = &segments[0];
		first->length = --first->end;
		packet_put16(first->bytes + (version == 4 ? 16 : 18), first->end - (version == 4 ? 14 : 54));
		if (version == 4)
			packet_fix_ip4(first->bytes);
		if (protocol == 17)
			packet_put16(first->bytes + first->l4 + 4, first->end - first->l4);
		else
			packet_put32(first->bytes + first->l4 + 4, packet_get32(first->bytes + first->l4 + 4) + 1);
		packet_fix_l4(first, protocol, false);
		start(first);
		assert_false(join(&segments[1]));
	}
}

/* What cannot begin a group */

static bool can_start(const struct recipe *recipe, unsigned flags)
{
	packet_build(&piece, recipe);
	if (recipe->protocol == 6)
		piece.bytes[piece.l4 + 13] = (uint8_t)flags;
	struct frame frame = frame_of(&piece);
	return coalesce_can_start(&frame);
}

static void test_starts(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		for (unsigned flags = 0; flags < 256; flags++) {
			struct recipe tcp = {.version = version, .protocol = 6, .payload = 10};
			/* ACK and ECE may be set; FIN, SYN, RST, PSH, URG and CWR may not. */
			assert_int_equal(can_start(&tcp, flags), !(flags & ~0x50U));
			tcp.payload = 0;
			assert_false(can_start(&tcp, flags));
		}
		struct recipe udp = {.version = version, .protocol = 17, .payload = 10};
		assert_true(can_start(&udp, 0));
		udp.payload = 0;
		assert_false(can_start(&udp, 0));
		assert_false(can_start(&(struct recipe){.version = version, .protocol = 1, .payload = 10}, 0));
	}
	assert_false(can_start(&(struct recipe){.version = 4, .protocol = 6, .ip_options = 4, .payload = 10}, 0x10));
	assert_false(can_start(&(struct recipe){.version = 6, .protocol = 6, .extensions = 1, .payload = 10}, 0x10));
	/* A UDP length that contradicts the IP length. */
	packet_build(&piece, &(struct recipe){.version = 4, .protocol = 17, .payload = 10});
	for (unsigned length = 0; length < 30; length++) {
		packet_put16(piece.bytes + piece.l4 + 4, length);
		struct frame frame = frame_of(&piece);
		assert_int_equal(coalesce_can_start(&frame), length == 18);
	}
}

static void test_flows(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		size_t addresses = version == 4 ? 26 : 22, ports = version == 4 ? 34 : 54;
		struct recipe recipe = {.version = version, .protocol = 6, .payload = 100};
		packet_build(&segments[0], &recipe);
		start(&segments[0]);
		/* Anything else may differ; these may not. */
		packet_random(&piece, &recipe);
		struct frame frame = frame_of(&piece);
		assert_true(coalesce_same_flow(&group, &group, &frame));
		assert_false(coalesce_same_flow(&group, &piece, &frame));
		for (size_t at = addresses; at < ports + 4; at++) {
			piece.bytes[at] ^= 1;
			assert_false(coalesce_same_flow(&group, &group, &frame));
			piece.bytes[at] ^= 1;
		}
		recipe.protocol = 17;
		packet_build(&piece, &recipe);
		frame = frame_of(&piece);
		assert_false(coalesce_same_flow(&group, &group, &frame));
		recipe.protocol = 6;
		recipe.version = version == 4 ? 6 : 4;
		packet_build(&piece, &recipe);
		frame = frame_of(&piece);
		assert_false(coalesce_same_flow(&group, &group, &frame));
	}
	packet_build(&piece, &(struct recipe){.version = 4, .protocol = 6, .payload = 100});
	piece.bytes[20] = 0x20; /* a first fragment: more follow, so it has no known flow */
	struct frame frame = frame_of(&piece);
	assert_false(coalesce_same_flow(&group, &group, &frame));
}

/* Frames that do not continue the flow, though their checksums are right */

static void refit(struct test_packet *packet, uint8_t version, uint8_t protocol)
{
	if (version == 4)
		packet_fix_ip4(packet->bytes);
	packet_fix_l4(packet, protocol, false);
}

/* Each header bit that segmentation copies, changed in the second of two segments. */
static void check_copied(uint8_t version, uint8_t protocol, size_t from, size_t to)
{
	for (size_t bit = from * 8; bit < to * 8; bit++) {
		cut_all(version, protocol, 1000, 2000);
		segments[1].bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		refit(&segments[1], version, protocol);
		struct frame frame;
		start(&segments[0]);
		if (frame_parse(&frame, segments[1].bytes, segments[1].length) == DROP_NONE && join(&segments[1]))
			fail_msg("IPv%u, protocol %u: bit %zu of byte %zu is lost", version, protocol, bit % 8,
				 bit / 8);
		assert_int_equal(group.count, 1);
	}
}

static void test_ethernet_differs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		check_copied(i & 1 ? 6 : 4, i & 2 ? 17 : 6, 0, 14);
}

static void test_ip_differs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t protocol = i ? 17 : 6;
		check_copied(4, protocol, 15, 16); /* TOS with ECN */
		check_copied(4, protocol, 18, 24); /* id, fragment, TTL, protocol */
		check_copied(6, protocol, 15, 18); /* class, flow label */
		check_copied(6, protocol, 20, 22); /* next header, hops */
	}
}

/* Only with DF, which makes ids meaningless (RFC 6864, section 4.1), may they stay the same. */
static void test_ids(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		bool df = i & 1;
		uint8_t protocol = i & 2 ? 17 : 6;
		for (unsigned step = 0; step < 4; step++) {
			cut_all(4, protocol, 1000, 3000);
			for (unsigned at = 0; at < 3; at++) {
				segments[at].bytes[20] = df ? 0x40 : 0;
				packet_put16(segments[at].bytes + 18, 0xffff + at * step);
				packet_fix_ip4(segments[at].bytes);
			}
			start(&segments[0]);
			bool fits = step == 1 || (df && !step);
			assert_int_equal(join(&segments[1]), fits);
			assert_int_equal(fits && join(&segments[2]), fits);
		}
	}
}

static void test_tcp_differs(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		size_t tcp = version == 4 ? 34 : 54;
		check_copied(version, 6, tcp + 4, tcp + 13);  /* sequence, acknowledgement, length, reserved bits */
		check_copied(version, 6, tcp + 14, tcp + 16); /* window */
		check_copied(version, 6, tcp + 18, tcp + 20); /* urgent pointer, even without URG */
	}
}

static void test_tcp_flags_differ(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		for (unsigned flags = 0; flags < 256; flags++) {
			cut_all(version, 6, 1000, 2000);
			segments[1].bytes[segments[1].l4 + 13] = (uint8_t)flags;
			refit(&segments[1], version, 6);
			start(&segments[0]);
			/* FIN and PSH come from the last one; the others have ACK alone. */
			assert_int_equal(join(&segments[1]), (flags & ~0x09U) == 0x10);
			cut(&whole, 1000, 1, false, &piece);
			packet_put32(piece.bytes + piece.l4 + 4, packet_get32(piece.bytes + piece.l4 + 4) + 1000);
			if (version == 4)
				packet_put16(piece.bytes + 18, packet_get16(piece.bytes + 18) + 1);
			refit(&piece, version, 6);
			/* A group that has ended takes nothing more. */
			assert_int_equal(join(&piece), flags == 0x10);
		}
	}
}

static void test_options_differ(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		for (size_t at = 0; at < 12; at++) {
			struct recipe recipe = {
				.version = version, .protocol = 6, .tcp_options = 12, .payload = 2000, .partial = true};
			packet_random(&whole, &recipe);
			cut(&whole, 1000, 0, false, &segments[0]);
			cut(&whole, 1000, 1, false, &segments[1]);
			segments[1].bytes[segments[1].l4 + 20 + at] ^= 1;
			refit(&segments[1], version, 6);
			start(&segments[0]);
			assert_false(join(&segments[1]));
		}
	}
}

static void test_udp_lengths(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		cut_all(version, 17, 1000, 2000);
		packet_put16(segments[1].bytes + segments[1].l4 + 4, 1007);
		refit(&segments[1], version, 17);
		start(&segments[0]);
		assert_false(join(&segments[1]));
		cut_all(version, 17, 1000, 1001); /* and an empty one is not a piece */
		segments[1].length = --segments[1].end;
		packet_put16(segments[1].bytes + segments[1].l4 + 4, 8);
		packet_put16(segments[1].bytes + (version == 4 ? 16 : 18), version == 4 ? 28 : 8);
		refit(&segments[1], version, 17);
		start(&segments[0]);
		assert_false(join(&segments[1]));
	}
}

/* A UDP datagram without a checksum stays alone: it must not get one, nor join one that has. */
static void test_udp_without_checksum(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 3; which++) {
		cut_all(4, 17, 1000, 2000);
		if (which != 1)
			packet_put16(segments[0].bytes + 40, 0);
		if (which != 0)
			packet_put16(segments[1].bytes + 40, 0);
		piece = segments[0];
		start(&segments[0]);
		assert_false(join(&segments[1]));
		assert_int_equal(group.count, 1);
		assert_memory_equal(segments[0].bytes, piece.bytes, piece.length);
	}
}

/* Damage: every bit of a frame, in the first, second and third of three */

static void check_damage(uint8_t version, uint8_t protocol, unsigned victim)
{
	cut_all(version, protocol, 40, 120);
	for (size_t bit = 0; bit < segments[victim].length * 8; bit++) {
		uint8_t *byte = &segments[victim].bytes[bit / 8], mask = (uint8_t)(1 << bit % 8);
		struct frame frame;
		*byte ^= mask;
		bool in = frame_parse(&frame, segments[0].bytes, segments[0].length) == DROP_NONE &&
			  coalesce_can_start(&frame);
		if (in)
			coalesce_start(&group, &group, &frame);
		/* After the first refusal the group leaves, so nothing more is asked. */
		for (unsigned i = 1; i < 3 && in; i++) {
			in = frame_parse(&frame, segments[i].bytes, segments[i].length) == DROP_NONE &&
			     coalesce_same_flow(&group, &group, &frame) && coalesce_join(&group, &frame);
			if (in != (i < victim))
				fail_msg("IPv%u, protocol %u: bit %zu of frame %u", version, protocol, bit, victim);
		}
		*byte ^= mask;
	}
}

static void test_damage(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned victim = 0; victim < 3; victim++)
			check_damage(i & 1 ? 6 : 4, i & 2 ? 17 : 6, victim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inverse_tcp),
		cmocka_unit_test(test_inverse_udp),
		cmocka_unit_test(test_inverse_options),
		cmocka_unit_test(test_at_most_64),
		cmocka_unit_test(test_at_most_64k),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_longer),
		cmocka_unit_test(test_starts),
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_ethernet_differs),
		cmocka_unit_test(test_ip_differs),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_tcp_differs),
		cmocka_unit_test(test_tcp_flags_differ),
		cmocka_unit_test(test_options_differ),
		cmocka_unit_test(test_udp_lengths),
		cmocka_unit_test(test_udp_without_checksum),
		cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests_name("coalesce", tests, NULL, NULL);
}
