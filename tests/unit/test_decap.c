/* SPDX-License-Identifier: Apache-2.0 */
/* test_decap.c - VXLAN headers bit by bit, trains and super-frames told apart, and the virtio header for a TAP */
#include "vswitch/path/decap.c"

#include "tests/unit/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* What virtio 1.2 says, section 5.1.6. */
enum { NEEDS_CSUM = 1, GSO_NONE = 0, GSO_TCPV4 = 1, GSO_TCPV6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };

static struct test_packet packet;
static uint8_t buffer[8 + 2 * PACKET_ROOM];

/* Headers */

static enum drop header(const uint8_t *data, size_t length, bool ignore_reserved, uint32_t *vni)
{
	uint8_t *exact = malloc(length ? length : 1);
	assert_non_null(exact);
	memcpy(exact, data, length);
	enum drop reason = decap_header(exact, length, ignore_reserved, vni);
	free(exact);
	return reason;
}

static void test_header(void **state)
{
	(void)state;
	static const uint8_t good[8] = {0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0};
	uint32_t vni = 0xdeadbeef;
	assert_int_equal(header(good, 8, false, &vni), DROP_NONE);
	assert_int_equal(vni, 0x123456);
	assert_int_equal(header((const uint8_t[8]){0x08, 0, 0, 0, 0xff, 0xff, 0xff, 0}, 8, false, &vni), DROP_NONE);
	assert_int_equal(vni, 0xffffff);
	assert_int_equal(header((const uint8_t[8]){0x08}, 8, false, &vni), DROP_NONE);
	assert_int_equal(vni, 0);
}

static void test_short_headers(void **state)
{
	(void)state;
	static const uint8_t good[8] = {0x08};
	uint32_t vni = 77;
	for (size_t length = 0; length < 8; length++) {
		assert_int_equal(header(good, length, false, &vni), DROP_SHORT_HEADER);
		assert_int_equal(header(good, length, true, &vni), DROP_SHORT_HEADER);
	}
	assert_int_equal(vni, 77);
}

/* All 64 bits one by one: the I flag, 24 of the VNI, and 39 reserved ones. */
static void test_header_bits(void **state)
{
	(void)state;
	unsigned reserved = 0;
	for (unsigned bit = 0; bit < 64; bit++) {
		uint8_t bytes[8] = {0x08, 0, 0, 0, 0, 0, 0, 0};
		bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		uint32_t vni = 77;
		enum drop strict = header(bytes, 8, false, &vni);
		if (bit == 4) {
			assert_int_equal(strict, DROP_BAD_FLAGS);
			assert_int_equal(header(bytes, 8, true, &vni), DROP_BAD_FLAGS);
			assert_int_equal(vni, 77);
		} else if (bit >= 32 && bit < 56) {
			assert_int_equal(strict, DROP_NONE);
			assert_int_equal(vni, 1U << (55 - bit));
		} else {
			assert_int_equal(strict, DROP_RESERVED_BITS);
			assert_int_equal(vni, 77);
			assert_int_equal(header(bytes, 8, true, &vni), DROP_NONE);
			assert_int_equal(vni, 0);
			reserved++;
		}
	}
	assert_int_equal(reserved, 39);
}

static void test_all_flags(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 256; flags++) {
		const uint8_t bytes[8] = {(uint8_t)flags, 0, 0, 0, 0, 0, 5, 0};
		uint32_t vni;
		bool valid = flags & 8;
		enum drop strict = !valid ? DROP_BAD_FLAGS : flags == 8 ? DROP_NONE : DROP_RESERVED_BITS;
		assert_int_equal(header(bytes, 8, false, &vni), strict);
		assert_int_equal(header(bytes, 8, true, &vni), valid ? DROP_NONE : DROP_BAD_FLAGS);
	}
}

/* Another podswitchd's probe is not VXLAN, and no error either. */
static void test_header_probe(void **state)
{
	(void)state;
	const uint8_t probe[8] = {0, 'P', 'S', 'W', 0xfe, 0xdc, 0xba, 0x98};
	uint32_t vni = 77;
	for (size_t length = 0; length <= 8; length++) {
		enum drop reason = length < 8 ? DROP_SHORT_HEADER : DROP_PROBE;
		assert_int_equal(header(probe, length, false, &vni), reason);
		assert_int_equal(header(probe, length, true, &vni), reason);
	}
	/* The mark is the first 32 bits; the rest tells probes apart. */
	for (unsigned bit = 0; bit < 64; bit++) {
		uint8_t bytes[8];
		memcpy(bytes, probe, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		enum drop reason = bit == 4 ? DROP_RESERVED_BITS : bit < 32 ? DROP_BAD_FLAGS : DROP_PROBE;
		assert_int_equal(header(bytes, 8, false, &vni), reason);
	}
	assert_int_equal(vni, 77);
}

/* Splitting */

/* A datagram behind `length` bytes of the buffer; returns the new length. */
static size_t append(size_t length, const struct recipe *recipe)
{
	static const uint8_t vxlan[8] = {0x08, 0, 0, 0, 0, 0, 42, 0};
	packet_build(&packet, recipe);
	memcpy(buffer + length, vxlan, 8);
	memcpy(buffer + length + 8, packet.bytes, packet.length);
	return length + 8 + packet.length;
}

static void assert_split(size_t length, uint32_t gro_size, size_t expected)
{
	size_t segment = 0;
	assert_int_equal(decap_split(buffer, length, gro_size, &segment), DROP_NONE);
	assert_int_equal(segment, expected);
}

static void test_split_single(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		for (size_t payload = 0; payload < 2000; payload += 37) {
			size_t length =
				append(0, &(struct recipe){.version = version, .protocol = 6, .payload = payload});
			assert_split(length, 0, length);
			assert_split(length, (uint32_t)length, length);
			assert_split(length, 65535, length);
			length = append(
				0,
				&(struct recipe){.version = version, .protocol = 6, .payload = payload, .padding = 9});
			assert_split(length, 0, length);
			assert_split(length, (uint32_t)length, length);
		}
	}
}

static void test_split_train(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		for (unsigned n = 2; n <= 40; n++) {
			for (size_t last = 0; last <= 1000; last += 100) {
				struct recipe recipe = {.version = version, .protocol = 6, .payload = 1000};
				size_t length = 0;
				for (unsigned i = 0; i < n - 1; i++)
					length = append(length, &recipe);
				size_t segment = length / (n - 1);
				recipe.payload = last;
				length = append(length, &recipe);
				assert_split(length, (uint32_t)segment, segment);
			}
		}
	}
}

/* Short frames, padded to Ethernet's minimum. */
static void test_split_padded_train(void **state)
{
	(void)state;
	size_t length = 0;
	for (unsigned i = 0; i < 5; i++)
		length = append(length, &(struct recipe){.version = 4, .protocol = 17, .payload = 1, .padding = 17});
	assert_int_equal(length, 5 * 68);
	assert_split(length, 68, 68);
}

/* Without IP there is no inner length, so gro_size is believed. */
static void test_split_opaque_train(void **state)
{
	(void)state;
	size_t length = 0;
	for (unsigned i = 0; i < 5; i++) {
		length = append(length, &(struct recipe){.version = 4, .protocol = 17, .payload = 10});
		packet_put16(buffer + length - packet.length + 12, 0x0806);
	}
	assert_split(length, (uint32_t)length / 5, length / 5);
	assert_split(length, 0, length);
	/* Neither in a frame that will be dropped. */
	buffer[8 + 6] |= 1;
	assert_split(length, (uint32_t)length / 5, length / 5);
}

/* A kernel vxlan device on this node: one datagram, for which gro_size is the length of the inner payloads. */
static void test_split_super(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		struct recipe recipe = {.version = version, .protocol = 17, .payload = 48000, .partial = true};
		size_t length = append(0, &recipe);
		assert_split(length, 1200, length);
		assert_split(length, 1, length);
		assert_split(length, 0, length);
		recipe.protocol = 6;
		length = append(0, &recipe);
		assert_split(length, 1400, length);
		assert_split(length, 0, length);
	}
}

static void test_split_contradictions(void **state)
{
	(void)state;
	size_t segment;
	for (uint8_t version = 4; version <= 6; version += 2) {
		/* Longer than a segment and shorter than the datagram: neither a train nor a super-frame. */
		size_t length = append(0, &(struct recipe){.version = version, .protocol = 17, .payload = 1000});
		size_t first = length;
		length = append(length, &(struct recipe){.version = version, .protocol = 17, .payload = 1000});
		assert_int_equal(decap_split(buffer, length, (uint32_t)first - 1, &segment), DROP_BAD_LENGTH);
		assert_int_equal(decap_split(buffer, length, 1, &segment), DROP_BAD_LENGTH);
		assert_int_equal(decap_split(buffer, length, (uint32_t)first, &segment), DROP_NONE);
		assert_int_equal(segment, first);
		/* A super-frame with bytes behind it. */
		length = append(0, &(struct recipe){.version = version, .protocol = 17, .payload = 9000, .padding = 1});
		assert_int_equal(decap_split(buffer, length, 1200, &segment), DROP_BAD_LENGTH);
	}
}

/* What is too short is not looked into, and every segment has at least a byte. */
static void test_split_short(void **state)
{
	(void)state;
	memset(buffer, 0, 64);
	for (size_t length = 1; length < 64; length++) {
		for (uint32_t gro_size = 0; gro_size < 70; gro_size++) {
			uint8_t *exact = malloc(length);
			size_t segment = 0;
			assert_non_null(exact);
			memcpy(exact, buffer, length);
			assert_int_equal(decap_split(exact, length, gro_size, &segment), DROP_NONE);
			assert_true(segment > 0 && segment <= length);
			free(exact);
		}
	}
}

/* Shapes */

struct shape {
	struct virtio_net_hdr vnet;
	uint32_t length;
};

static struct shape shape(const struct recipe *recipe, unsigned mtu, uint32_t inner_gso)
{
	struct shape out;
	struct frame frame;
	memset(&out, 0xff, sizeof(out));
	packet_build(&packet, recipe);
	assert_int_equal(frame_parse(&frame, packet.bytes, packet.length), DROP_NONE);
	out.length = decap_shape(&frame, mtu, inner_gso, &out.vnet);
	return out;
}

static void assert_plain(const struct shape *got)
{
	static const struct virtio_net_hdr nothing;
	assert_memory_equal(&got->vnet, &nothing, sizeof(nothing));
	assert_int_equal(got->length, packet.length);
}

static void assert_partial(const struct shape *got, uint8_t protocol, unsigned gso_type, size_t gso_size,
			   size_t hdr_len)
{
	assert_int_equal(got->vnet.flags, NEEDS_CSUM);
	assert_int_equal(got->vnet.csum_start, packet.l4);
	assert_int_equal(got->vnet.csum_offset, protocol == 6 ? 16 : 6);
	assert_int_equal(got->vnet.gso_type, gso_type);
	assert_int_equal(got->vnet.gso_size, gso_size);
	assert_int_equal(got->vnet.hdr_len, hdr_len);
	assert_int_equal(got->length, packet.end);
}

static void test_shape_complete(void **state)
{
	(void)state;
	static const uint8_t protocols[] = {6, 17, 1, 58};
	for (unsigned i = 0; i < 8; i++) {
		struct recipe recipe = {.version = i & 1 ? 6 : 4, .protocol = protocols[i / 2], .payload = 100};
		struct shape got = shape(&recipe, 1450, 0);
		assert_plain(&got);
		recipe.padding = 11; /* stays */
		got = shape(&recipe, 1450, 0);
		assert_plain(&got);
		recipe.payload = 9000; /* larger than the pod's MTU, and still a complete frame */
		got = shape(&recipe, 1450, 1200);
		assert_plain(&got);
	}
}

static void test_shape_opaque(void **state)
{
	(void)state;
	struct frame frame;
	struct virtio_net_hdr vnet;
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 6, .payload = 3000, .partial = true});
	packet_put16(packet.bytes + 12, 0x0806);
	assert_int_equal(frame_parse(&frame, packet.bytes, packet.length), DROP_NONE);
	struct shape got = {.length = decap_shape(&frame, 1450, 1200, &vnet)};
	got.vnet = vnet;
	assert_plain(&got);
}

static void test_shape_partial(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct recipe recipe = {.version = i & 1 ? 6 : 4, .protocol = i & 2 ? 17 : 6, .partial = true};
		for (recipe.payload = 0; recipe.payload < 300; recipe.payload++) {
			recipe.padding = recipe.payload % 5; /* removed: it would count into the checksum */
			recipe.ip_options = recipe.payload % 4 * 4;
			recipe.extensions = recipe.payload % 3;
			struct shape got = shape(&recipe, 1450, 0);
			assert_partial(&got, recipe.protocol, GSO_NONE, 0, 0);
		}
	}
}

static void test_shape_tcp(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		for (unsigned options = 0; options <= 40; options += 4) {
			struct recipe recipe = {.version = version,
						.protocol = 6,
						.tcp_options = options,
						.ip_options = options % 12,
						.extensions = options / 4 % 3,
						.payload = 60000,
						.padding = 3,
						.partial = true};
			for (unsigned mtu = 576; mtu <= 9000; mtu += 351) {
				struct shape got = shape(&recipe, mtu, 0);
				size_t headers = packet.l4 + 20 + options;
				assert_partial(&got, 6, version == 4 ? GSO_TCPV4 : GSO_TCPV6, mtu - (headers - 14),
					       headers);
			}
		}
	}
}

/* A byte more than the MTU makes the difference. */
static void test_shape_tcp_edge(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		size_t headers = version == 4 ? 40 : 60;
		struct recipe recipe = {.version = version, .protocol = 6, .payload = 1450 - headers, .partial = true};
		struct shape got = shape(&recipe, 1450, 0);
		assert_partial(&got, 6, GSO_NONE, 0, 0);
		recipe.payload++;
		got = shape(&recipe, 1450, 0);
		assert_partial(&got, 6, version == 4 ? GSO_TCPV4 : GSO_TCPV6, 1450 - headers, 14 + headers);
	}
}

static void test_shape_cwr(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 256; flags++) {
		for (uint8_t version = 4; version <= 6; version += 2) {
			struct virtio_net_hdr vnet;
			struct frame frame;
			packet_build(
				&packet,
				&(struct recipe){.version = version, .protocol = 6, .payload = 5000, .partial = true});
			packet.bytes[packet.l4 + 13] = (uint8_t)flags;
			assert_int_equal(frame_parse(&frame, packet.bytes, packet.length), DROP_NONE);
			decap_shape(&frame, 1450, 0, &vnet);
			unsigned type = version == 4 ? GSO_TCPV4 : GSO_TCPV6;
			assert_int_equal(vnet.gso_type, flags & 0x80 ? type | GSO_ECN : type);
		}
	}
}

/* No room for a payload, so not a super-frame: a kernel would refuse a gso_size of 0. */
static void test_shape_tiny_mtu(void **state)
{
	(void)state;
	struct recipe recipe = {.version = 4, .protocol = 6, .tcp_options = 12, .payload = 3000, .partial = true};
	for (unsigned mtu = 0; mtu <= 52; mtu++) {
		struct shape got = shape(&recipe, mtu, 0);
		assert_partial(&got, 6, GSO_NONE, 0, 0);
	}
	struct shape got = shape(&recipe, 53, 0);
	assert_partial(&got, 6, GSO_TCPV4, 1, 66);
	recipe.version = 6;
	got = shape(&recipe, 72, 0);
	assert_partial(&got, 6, GSO_NONE, 0, 0);
	got = shape(&recipe, 73, 0);
	assert_partial(&got, 6, GSO_TCPV6, 1, 86);
}

static void test_shape_udp(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		size_t headers = version == 4 ? 42 : 62;
		struct recipe recipe = {.version = version, .protocol = 17, .payload = 48000, .partial = true};
		struct shape got = shape(&recipe, 1450, 1200);
		assert_partial(&got, 17, GSO_UDP_L4, 1200, headers);
		got = shape(&recipe, 1450, 47999);
		assert_partial(&got, 17, GSO_UDP_L4, 47999, headers);
		/* A single segment is not a super-frame, and without gro_size none is recognised. */
		got = shape(&recipe, 1450, 48000);
		assert_partial(&got, 17, GSO_NONE, 0, 0);
		got = shape(&recipe, 1450, 65535);
		assert_partial(&got, 17, GSO_NONE, 0, 0);
		got = shape(&recipe, 1450, 0);
		assert_partial(&got, 17, GSO_NONE, 0, 0);
		/* gro_size is only about UDP. */
		recipe.protocol = 6;
		recipe.payload = 1000;
		got = shape(&recipe, 1450, 100);
		assert_partial(&got, 6, GSO_NONE, 0, 0);
	}
}

/* A TCP header with a wrong length: the checksum can still be filled in, but it cannot be cut. */
static void test_shape_bad_tcp(void **state)
{
	(void)state;
	struct frame frame;
	struct shape got;
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 6, .payload = 5000, .partial = true});
	for (unsigned words = 0; words < 5; words++) {
		packet.bytes[packet.l4 + 12] = (uint8_t)(words << 4);
		assert_int_equal(frame_parse(&frame, packet.bytes, packet.length), DROP_NONE);
		got.length = decap_shape(&frame, 1450, 0, &got.vnet);
		assert_partial(&got, 6, GSO_NONE, 0, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_short_headers),
		cmocka_unit_test(test_header_bits),
		cmocka_unit_test(test_all_flags),
		cmocka_unit_test(test_header_probe),
		cmocka_unit_test(test_split_single),
		cmocka_unit_test(test_split_train),
		cmocka_unit_test(test_split_padded_train),
		cmocka_unit_test(test_split_opaque_train),
		cmocka_unit_test(test_split_super),
		cmocka_unit_test(test_split_contradictions),
		cmocka_unit_test(test_split_short),
		cmocka_unit_test(test_shape_complete),
		cmocka_unit_test(test_shape_opaque),
		cmocka_unit_test(test_shape_partial),
		cmocka_unit_test(test_shape_tcp),
		cmocka_unit_test(test_shape_tcp_edge),
		cmocka_unit_test(test_shape_cwr),
		cmocka_unit_test(test_shape_tiny_mtu),
		cmocka_unit_test(test_shape_udp),
		cmocka_unit_test(test_shape_bad_tcp),
	};
	return cmocka_run_group_tests_name("decap", tests, NULL, NULL);
}
