/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_segment.c - super-frames are cut as cut.h does it, checksums are filled in, and invalid virtio headers are
 * refused
 */
#include "vswitch/path/segment.c"

#include "tests/unit/cut.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROUNDS = 3000 };

static struct test_packet packet, wanted;

/* A frame of exactly its size, so that a sanitizer sees every byte too many. */
static struct frame exact_frame(void)
{
	struct frame frame;
	uint8_t *bytes = malloc(packet.length);
	assert_non_null(bytes);
	memcpy(bytes, packet.bytes, packet.length);
	assert_int_equal(frame_parse(&frame, bytes, packet.length), DROP_NONE);
	return frame;
}

/* Cutting */

static void check_segment(const struct segment_plan *plan, unsigned index)
{
	const uint8_t *payload;
	uint8_t *head = malloc(plan->headers);
	assert_non_null(head);
	cut(&packet, plan->size, index, false, &wanted);
	assert_int_equal(segment_write(plan, index, head, &payload), wanted.length - plan->headers);
	assert_memory_equal(head, wanted.bytes, plan->headers);
	assert_memory_equal(payload, wanted.bytes + plan->headers, wanted.length - plan->headers);
	assert_true(payload >= plan->frame->data && payload < plan->frame->data + plan->frame->ip_end);
	free(head);
}

static void check_cut(size_t size)
{
	struct frame frame = exact_frame();
	struct virtio_net_hdr vnet = super_vnet(&packet, size);
	struct segment_plan plan;
	bool super = false;
	assert_int_equal(segment_check(&frame, &vnet), DROP_NONE);
	assert_int_equal(segment_plan(&frame, &vnet, &plan, &super), DROP_NONE);
	assert_true(super);
	assert_int_equal(plan.headers, packet_headers(&packet));
	assert_int_equal(plan.size, size);
	assert_int_equal(plan.count, cut_count(&packet, size));
	/* In any order, and repeatedly: after a refused train the frame is cut once more. */
	for (unsigned i = plan.count; i-- > 0;)
		check_segment(&plan, i);
	check_segment(&plan, plan.count / 2);
	assert_memory_equal(frame.data, packet.bytes, packet.length);
	free(frame.data);
}

static void test_tcp(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct recipe recipe = random_recipe(below(2) ? 6 : 4, 6);
		size_t size = 536 + below(1448 - 536 + 1);
		recipe.payload = 1 + below(below(2) ? 65000 : 3 * size);
		packet_random(&packet, &recipe);
		packet.bytes[packet.l4 + 13] = (uint8_t)(rand() | 0x10);
		packet_fix_l4(&packet, 6, true);
		check_cut(size);
	}
}

static void test_udp(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct recipe recipe = random_recipe(below(2) ? 6 : 4, 17);
		size_t size = 1 + below(1472);
		recipe.payload = 1 + below(size * 128 < 65000 ? size * 128 : 65000);
		packet_random(&packet, &recipe);
		check_cut(size);
	}
}

/* Each flag alone, and in which segments it must be. */
static void test_tcp_flags(void **state)
{
	(void)state;
	static const uint8_t where[8] = {4, 7, 7, 4, 7, 7, 7, 1}; /* of three segments, as bits: FIN .. CWR */
	struct recipe recipe = {.version = 4, .protocol = 6, .payload = 3000, .partial = true};
	for (unsigned bit = 0; bit < 8; bit++) {
		packet_random(&packet, &recipe);
		packet.bytes[packet.l4 + 13] = (uint8_t)(1 << bit);
		struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
		struct frame frame = exact_frame();
		struct segment_plan plan;
		bool super;
		assert_int_equal(segment_plan(&frame, &vnet, &plan, &super), DROP_NONE);
		for (unsigned i = 0; i < 3; i++) {
			const uint8_t *payload;
			uint8_t head[54];
			segment_write(&plan, i, head, &payload);
			assert_int_equal(head[47], where[bit] >> i & 1 ? 1 << bit : 0);
		}
		free(frame.data);
	}
}

/* Sequence numbers and ids wrap around. */
static void test_wrap(void **state)
{
	(void)state;
	struct recipe recipe = {.version = 4, .protocol = 6, .payload = 5000, .partial = true};
	packet_random(&packet, &recipe);
	packet_put32(packet.bytes + packet.l4 + 4, 0xffffff00);
	packet_put16(packet.bytes + 18, 0xfffe);
	packet_fix_ip4(packet.bytes);
	packet_fix_l4(&packet, 6, true);
	check_cut(1000);
}

/* A UDP checksum of 0 would mean that there is none: 0xffff stands for it. */
static void test_udp_zero(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		struct recipe recipe = {.version = version, .protocol = 17, .payload = 2000, .partial = true};
		packet_random(&packet, &recipe);
		size_t at = packet.l4 + 8;
		cut(&packet, 1000, 0, false, &wanted);
		/* The word that makes the sum of the first segment 0xffff, and its complement 0. */
		uint32_t sum = packet_get16(packet.bytes + at) + packet_get16(wanted.bytes + packet.l4 + 6);
		packet_put16(packet.bytes + at, sum > 0xffff ? sum - 0xffff : sum);
		cut(&packet, 1000, 0, false, &wanted);
		assert_int_equal(packet_get16(wanted.bytes + packet.l4 + 6), 0xffff);
		check_cut(1000);
	}
}

static void test_limits(void **state)
{
	(void)state;
	/* 128 segments, and the smallest. */
	packet_random(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 128, .partial = true});
	check_cut(1);
	/* One that is not cut at all. */
	check_cut(128);
	check_cut(65535);
	/* As large as IP packets are. */
	packet_random(&packet, &(struct recipe){.version = 4, .protocol = 6, .payload = 65535 - 40, .partial = true});
	check_cut(1448);
	packet_random(&packet, &(struct recipe){.version = 6, .protocol = 6, .payload = 65535 - 20, .partial = true});
	check_cut(1428);
}

/* Checksums left to us */

static void test_fill(void **state)
{
	(void)state;
	static const uint8_t protocols[] = {6, 17};
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct recipe recipe = random_recipe(below(2) ? 6 : 4, protocols[i % 2]);
		recipe.payload = below(1500);
		recipe.padding = 0;
		packet_random(&packet, &recipe);
		struct frame frame = exact_frame();
		struct virtio_net_hdr vnet = {.flags = CUT_NEEDS_CSUM,
					      .csum_start = (uint16_t)packet.l4,
					      .csum_offset = recipe.protocol == 6 ? 16 : 6};
		struct segment_plan plan;
		bool super = true;
		packet_fix_l4(&packet, recipe.protocol, false);
		assert_int_equal(segment_plan(&frame, &vnet, &plan, &super), DROP_NONE);
		assert_false(super);
		assert_memory_equal(frame.data, packet.bytes, packet.length);
		free(frame.data);
	}
}

/* A frame that is said to be complete stays as it is, right or wrong. */
static void test_complete(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct recipe recipe = random_recipe(below(2) ? 6 : 4, below(2) ? 6 : 17);
		struct virtio_net_hdr vnet = {.csum_start = (uint16_t)rand(), .csum_offset = (uint16_t)rand()};
		struct segment_plan plan;
		bool super = true;
		recipe.payload = below(1500);
		packet_random(&packet, &recipe);
		struct frame frame = exact_frame();
		vnet.flags = below(2) ? 2 : 0; /* "checked already" */
		assert_int_equal(segment_plan(&frame, &vnet, &plan, &super), DROP_NONE);
		assert_false(super);
		assert_memory_equal(frame.data, packet.bytes, packet.length);
		free(frame.data);
	}
}

/* Lies */

static void assert_refused(const struct virtio_net_hdr *vnet)
{
	struct frame frame = exact_frame();
	struct segment_plan plan = {.count = 77};
	bool super = true;
	assert_int_equal(segment_check(&frame, vnet), DROP_BAD_VNET);
	assert_int_equal(segment_plan(&frame, vnet, &plan, &super), DROP_BAD_VNET);
	assert_false(super);
	assert_int_equal(plan.count, 77);
	assert_memory_equal(frame.data, packet.bytes, packet.length);
	free(frame.data);
}

static void build_super(uint8_t version, uint8_t protocol)
{
	packet_random(&packet,
		      &(struct recipe){.version = version, .protocol = protocol, .payload = 4000, .partial = true});
}

static void test_checksum_outside(void **state)
{
	(void)state;
	packet_random(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 100});
	struct virtio_net_hdr vnet = {.flags = CUT_NEEDS_CSUM};
	for (size_t start = 0; start <= 65535; start++) {
		vnet.csum_start = (uint16_t)start;
		/* The last offset inside the frame, the next one, and the largest. */
		vnet.csum_offset = (uint16_t)(start + 2 <= packet.length ? packet.length - start - 1 : 0);
		assert_refused(&vnet);
		vnet.csum_offset = 65535;
		assert_refused(&vnet);
		if (start < 14) {
			vnet.csum_offset = 16;
			assert_refused(&vnet);
		}
	}
	vnet.csum_start = 14;
	vnet.csum_offset = (uint16_t)(packet.length - 16);
	struct frame frame = exact_frame();
	struct segment_plan plan;
	bool super;
	assert_int_equal(segment_plan(&frame, &vnet, &plan, &super), DROP_NONE);
	free(frame.data);
}

static void test_bad_supers(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		build_super(i & 1 ? 6 : 4, i & 2 ? 17 : 6);
		const struct virtio_net_hdr good = super_vnet(&packet, 1000);
		struct virtio_net_hdr bad = good;
		check_cut(1000);
		bad.gso_size = 0;
		assert_refused(&bad);
		bad.gso_size = 1; /* 4000 segments */
		assert_refused(&bad);
		bad.gso_size = 31; /* 130 */
		assert_refused(&bad);
		bad = good;
		bad.flags = 0;
		assert_refused(&bad);
		bad.flags = 2;
		assert_refused(&bad);
		bad = good;
		bad.csum_start++;
		assert_refused(&bad);
		bad.csum_start = (uint16_t)(packet.l4 - 1);
		assert_refused(&bad);
		bad.csum_start = 65535;
		assert_refused(&bad);
		bad = good;
		bad.csum_offset ^= 2;
		assert_refused(&bad);
		bad.csum_offset = 65535;
		assert_refused(&bad);
	}
}

static void test_bad_types(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		build_super(i & 1 ? 6 : 4, i & 2 ? 17 : 6);
		struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
		unsigned right = vnet.gso_type;
		for (unsigned type = 1; type < 256; type++) {
			vnet.gso_type = (uint8_t)type;
			if ((type & 0x7f) != right)
				assert_refused(&vnet);
		}
	}
}

/* hdr_len is only a hint. */
static void test_header_length(void **state)
{
	(void)state;
	static const uint16_t lengths[] = {0, 1, 13, 14, 200, 4000, 65535};
	build_super(4, 6);
	struct frame frame = exact_frame();
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
		struct segment_plan plan;
		bool super;
		vnet.hdr_len = lengths[i];
		assert_int_equal(segment_plan(&frame, &vnet, &plan, &super), DROP_NONE);
		assert_int_equal(plan.headers, packet_headers(&packet));
		check_segment(&plan, 2);
	}
	free(frame.data);
}

/* Frames that cannot be cut, whatever their virtio header says. */
static void test_uncuttable(void **state)
{
	(void)state;
	struct recipe recipe = {.version = 4, .protocol = 6, .partial = true};
	packet_random(&packet, &recipe); /* no payload */
	struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
	assert_refused(&vnet);
	build_super(4, 6);
	vnet = super_vnet(&packet, 1000);
	packet.bytes[packet.l4 + 12] = 0x40; /* a TCP header of 16 bytes */
	assert_refused(&vnet);
	build_super(4, 6);
	packet.bytes[20] = 0x20; /* a fragment */
	assert_refused(&vnet);
	build_super(4, 6);
	packet_put16(packet.bytes + 12, 0x0806); /* no IP */
	assert_refused(&vnet);
	build_super(4, 6);
	packet.bytes[23] = 1; /* ICMP */
	assert_refused(&vnet);
	build_super(4, 17);
	vnet = super_vnet(&packet, 1000);
	packet_put16(packet.bytes + 16, 25); /* IP ends inside the UDP header */
	assert_refused(&vnet);
}

static void test_long_headers(void **state)
{
	(void)state;
	/* 14 + 40 + 8 n + 20 + 40: 194 bytes with ten extension headers, but only six are looked into. */
	struct recipe recipe = {.version = 6, .protocol = 6, .tcp_options = 40, .payload = 3000, .partial = true};
	for (recipe.extensions = 0; recipe.extensions <= 6; recipe.extensions++) {
		packet_random(&packet, &recipe);
		check_cut(1000);
	}
	/* One long one: 8 * (1 + 10) bytes behind 54. */
	recipe.extensions = 0;
	for (unsigned units = 0; units <= 255; units++) {
		static uint8_t rest[4000];
		packet_random(&packet, &recipe);
		size_t extension = 8 + units * 8, tail = packet.length - 54;
		memcpy(rest, packet.bytes + 54, tail);
		memset(packet.bytes + 54, 0, extension);
		packet.bytes[20] = 60;
		packet.bytes[54] = 6;
		packet.bytes[55] = (uint8_t)units;
		memcpy(packet.bytes + 54 + extension, rest, tail);
		packet.length = packet.end = packet.end + extension;
		packet.l4 += extension;
		packet_put16(packet.bytes + 18, packet.end - 54);
		struct virtio_net_hdr vnet = {.flags = CUT_NEEDS_CSUM,
					      .gso_type = CUT_TCPV6,
					      .gso_size = 1000,
					      .csum_start = (uint16_t)packet.l4,
					      .csum_offset = 16};
		if (packet.l4 + 60 > 200) {
			assert_refused(&vnet);
			continue;
		}
		struct frame frame = exact_frame();
		assert_int_equal(segment_check(&frame, &vnet), DROP_NONE);
		free(frame.data);
	}
}

/* Random frames are refused or cut, and the sanitizers find nothing. */
static void test_noise(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20 * ROUNDS; i++) {
		struct recipe recipe = random_recipe(below(2) ? 6 : 4, below(2) ? 6 : 17);
		struct virtio_net_hdr vnet;
		struct segment_plan plan;
		bool super;
		recipe.payload = 20 + below(300);
		packet_random(&packet, &recipe);
		vnet = super_vnet(&packet, 1 + below(200));
		for (size_t n = below(4); n-- > 0;)
			((uint8_t *)&vnet)[below(sizeof(vnet))] = (uint8_t)rand();
		for (size_t n = below(3); n-- > 0;)
			packet.bytes[12 + below(packet.length - 12)] = (uint8_t)rand();
		packet.length -= below(packet.length - 60);
		if (packet.bytes[12] == 0x81 || packet.bytes[12] == 0x88 || packet.bytes[12] == 0x91)
			continue; /* not even a frame */
		struct frame frame = exact_frame();
		if (segment_plan(&frame, &vnet, &plan, &super) != DROP_NONE || !super) {
			free(frame.data);
			continue;
		}
		uint32_t all = 0;
		assert_in_range(plan.count, 1, 128);
		for (unsigned at = 0; at < plan.count; at++) {
			const uint8_t *payload;
			uint8_t *head = malloc(plan.headers);
			all += segment_write(&plan, at, head, &payload);
			free(head);
		}
		assert_int_equal(plan.headers + all, frame.ip_end);
		free(frame.data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_udp),
		cmocka_unit_test(test_tcp_flags),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_udp_zero),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_complete),
		cmocka_unit_test(test_checksum_outside),
		cmocka_unit_test(test_bad_supers),
		cmocka_unit_test(test_bad_types),
		cmocka_unit_test(test_header_length),
		cmocka_unit_test(test_uncuttable),
		cmocka_unit_test(test_long_headers),
		cmocka_unit_test(test_noise),
	};
	return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
