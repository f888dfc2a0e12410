/* SPDX-License-Identifier: Apache-2.0 */
/* test_underlay_tap.c - what is written to the underlay TAP arrives as the sockets would have sent it */
#include "vswitch/path/underlay_tap.c"

#include "tests/unit/tunnel.h"

enum { ROUNDS = 1500, SOURCE_PORT = 50001, VXLAN_PORT = 4789 };

static const struct underlay_tap tap = {.fd = -1, .mac = {{0x0a, 1, 2, 3, 4, 5}}};
static const uint8_t addresses4[8] = {192, 0, 2, 1, 198, 51, 100, 2};
static const uint8_t addresses6[32] = {0x20, 1, 0x0d, 0xb8, [15] = 1, [16] = 0x20, 1, 0x0d, 0xb8, [31] = 0xfe};
static struct test_packet packet, wanted, got;
static struct tunnel tunnel;
static uint8_t memory[TUNNEL_VNET + PACKET_ROOM];

static struct underlay_tap_route route_of(bool ip6)
{
	struct underlay_tap_route route;
	struct sockaddr_storage from = {0}, to = {0};
	struct endpoint source = {.address.family = ip6 ? AF_INET6 : AF_INET, .port = 7}, target = source;
	memcpy(source.address.bytes, ip6 ? addresses6 : addresses4, ip6 ? 16 : 4);
	memcpy(target.address.bytes, ip6 ? addresses6 + 16 : addresses4 + 4, ip6 ? 16 : 4);
	target.port = VXLAN_PORT;
	endpoint_to_sockaddr(&source, &from);
	endpoint_to_sockaddr(&target, &to);
	memset(&route, 0xff, sizeof(route));
	underlay_tap_route(&route, &tap, &from, &to);
	return route;
}

/* The write of these headers and of what follows them, as Linux sees it. */
static void write_to_tap(const uint8_t *headers, size_t length, const uint8_t *payload, size_t size)
{
	memcpy(memory, headers, length);
	memcpy(memory + length, payload, size);
	tunnel_open(&tunnel, memory, length + size);
}

static void assert_outer(const struct test_packet *outer, bool ip6, unsigned ecn)
{
	const uint8_t *udp = outer->bytes + outer->l4;
	assert_int_equal(outer->l4, ip6 ? 54 : 34);
	assert_memory_equal(outer->bytes, tap.mac.bytes, 6);
	assert_memory_not_equal(outer->bytes + 6, tap.mac.bytes, 6);
	assert_int_equal(outer->bytes[6] & 1, 0);
	assert_int_equal(tunnel_tos(outer), ecn);
	if (ip6)
		assert_memory_equal(outer->bytes + 22, addresses6, 32);
	else
		assert_memory_equal(outer->bytes + 26, addresses4, 8);
	assert_int_equal(packet_get16(udp), SOURCE_PORT);
	assert_int_equal(packet_get16(udp + 2), VXLAN_PORT);
}

/* Datagrams as they are */

/* `n` of `size` bytes, but for the last. */
static void check_train(bool ip6, unsigned ecn, uint32_t size, unsigned n, uint32_t last)
{
	const struct underlay_tap_route route = route_of(ip6);
	const struct underlay_tap_flow flow = {.source_port = SOURCE_PORT, .ecn = ecn};
	static uint8_t payload[PACKET_ROOM];
	uint32_t total = (n - 1) * size + last;
	uint8_t headers[TUNNEL_VNET + 62];
	memset(headers, 0xff, sizeof(headers));
	random_bytes(payload, total);
	size_t length = underlay_tap_train(&route, &flow, size, total, headers);
	assert_int_equal(length, ip6 ? 24 + 62 : 24 + 42);
	write_to_tap(headers, length, payload, total);
	assert_outer(&tunnel.outer, ip6, ecn);
	assert_false(tunnel.whole);
	assert_int_equal(tunnel.count, n);
	for (unsigned i = 0; i < n; i++) {
		tunnel_datagram(&tunnel, i, &got);
		assert_true(packet_intact(&got));
		assert_outer(&got, ip6, ecn);
		assert_int_equal(got.end - got.l4 - 8, i + 1 < n ? size : last);
		assert_memory_equal(got.bytes + got.l4 + 8, payload + (size_t)i * size, i + 1 < n ? size : last);
	}
}

static void test_trains(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint32_t size = 22 + (uint32_t)below(below(8) ? 1500 : 9000);
		unsigned most = 65000 / size < 64 ? 65000 / size : 64, n = 1 + (unsigned)below(most);
		uint32_t last = below(2) ? size : 22 + (uint32_t)below(size - 21);
		check_train(i & 1, i / 2 % 4, size, n, last);
	}
}

static void test_train_limits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		check_train(i, 0, 22, 1, 22);
		check_train(i, 3, 22, 64, 22);
		check_train(i, 1, 1015, 64, 1);
		/* One byte more than a datagram is a train, one less is not. */
		check_train(i, 2, 1450, 2, 1);
		check_train(i, 2, 1450, 1, 1449);
		/* The largest that an MTU of 65535 allows is not cut. */
		check_train(i, 0, 65000, 1, 65000);
		check_train(i, 0, 32500, 2, 32500);
	}
}

/* Super-frames */

/* What the sockets send as segment `index` behind the VXLAN header. */
static void write_segment(const struct segment_plan *plan, const uint8_t *vxlan, unsigned index)
{
	const uint8_t *payload;
	memcpy(wanted.bytes, vxlan, 8);
	uint32_t length = segment_write(plan, index, wanted.bytes + 8, &payload);
	memcpy(wanted.bytes + 8 + plan->headers, payload, length);
	wanted.length = 8 + plan->headers + length;
}

static struct segment_plan plan_super(struct frame *frame, struct virtio_net_hdr vnet)
{
	struct segment_plan plan;
	bool super;
	assert_int_equal(frame_parse(frame, packet.bytes, packet.length), DROP_NONE);
	assert_int_equal(segment_plan(frame, &vnet, &plan, &super), DROP_NONE);
	assert_true(super);
	return plan;
}

static void check_super(bool ip6, unsigned ecn, const struct segment_plan *plan)
{
	const struct underlay_tap_route route = route_of(ip6);
	const struct underlay_tap_flow flow = {.source_port = SOURCE_PORT, .ecn = ecn};
	static uint8_t payload[8 + PACKET_ROOM];
	uint8_t headers[TUNNEL_VNET + 62];
	memset(headers, 0xff, sizeof(headers));
	random_bytes(payload, 8);
	memcpy(payload + 8, packet.bytes, packet.end);
	assert_true(underlay_tap_fits(&route, plan));
	size_t length = underlay_tap_super(&route, &flow, plan, headers);
	assert_int_equal(length, ip6 ? 24 + 62 : 24 + 42);
	write_to_tap(headers, length, payload, 8 + packet.end);
	assert_outer(&tunnel.outer, ip6, ecn);
	assert_true(tunnel.whole);
	assert_int_equal(tunnel.count, plan->count);
	for (unsigned i = 0; i < plan->count; i++) {
		write_segment(plan, payload, i);
		tunnel_datagram(&tunnel, i, &got);
		assert_true(packet_intact(&got));
		assert_outer(&got, ip6, ecn);
		assert_int_equal(got.end - got.l4 - 8, wanted.length);
		assert_memory_equal(got.bytes + got.l4 + 8, wanted.bytes, wanted.length);
	}
}

static void test_supers(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct recipe recipe = random_recipe(i & 1 ? 6 : 4, i & 2 ? 17 : 6);
		struct frame frame;
		size_t size = recipe.protocol == 6 ? 536 + below(1000) : 1 + below(1472);
		size_t most = size * 128 < 64900 ? size * 128 : 64900;
		recipe.payload = size + 1 + below(below(2) ? most - size : size);
		packet_random(&packet, &recipe);
		if (recipe.protocol == 6) {
			packet.bytes[packet.l4 + 13] = (uint8_t)(rand() | 0x10);
			packet_fix_l4(&packet, 6, true);
		}
		struct segment_plan plan = plan_super(&frame, super_vnet(&packet, size));
		check_super(i & 4, i / 8 % 4, &plan);
	}
}

/* The virtio header alone, in numbers: a TCP super-frame in IPv4, and a UDP one in IPv6 with everything. */
static void test_super_headers(void **state)
{
	(void)state;
	static const uint8_t tcp[TUNNEL_VNET] = {9, 0x21, 104, 0, 0xe8, 3, 84, 0, 16, 0, [20] = 34, 0, 64, 0};
	static const uint8_t udp[TUNNEL_VNET] = {9, 0x45, 148, 0, 0xe8, 3, 140, 0, 6, 0, [20] = 54, 0, 84, 0};
	struct frame frame;
	if (htole16(1) != 1)
		skip();
	packet_random(&packet, &(struct recipe){.version = 4, .protocol = 6, .payload = 1001, .partial = true});
	struct segment_plan plan = plan_super(&frame, super_vnet(&packet, 1000));
	check_super(false, 0, &plan);
	assert_memory_equal(memory, tcp, sizeof(tcp));
	packet_random(
		&packet,
		&(struct recipe){
			.version = 6, .protocol = 17, .extensions = 2, .payload = 1001, .padding = 9, .partial = true});
	plan = plan_super(&frame, super_vnet(&packet, 1000));
	check_super(true, 0, &plan);
	assert_memory_equal(memory, udp, sizeof(udp));
}

/* The ECN flag is only for TCP: in a UDP super-frame it is dropped, whatever the pod says. */
static void test_super_ecn_flag(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct recipe recipe = {
			.version = i & 1 ? 6 : 4, .protocol = i & 2 ? 17 : 6, .payload = 3000, .partial = true};
		struct frame frame;
		packet_random(&packet, &recipe);
		struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
		vnet.gso_type |= i & 4 ? 0x80 : 0;
		struct segment_plan plan = plan_super(&frame, vnet);
		check_super(false, 0, &plan);
		assert_int_equal(tunnel.gso_type & 0x80, i & 2 ? 0 : vnet.gso_type & 0x80);
	}
}

/* To the byte: 65535 of them with the outer Ethernet header. */
static void test_fits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct recipe recipe = {.version = i & 2 ? 6 : 4, .protocol = i & 4 ? 17 : 6, .partial = true};
		const struct underlay_tap_route route = route_of(i & 1);
		size_t end = 65535 - (i & 1 ? 70 : 50);
		size_t headers = 14 + (i & 2 ? 40U : 20U) + (i & 4 ? 8U : 20U);
		struct frame frame;
		recipe.padding = 30; /* does not leave */
		recipe.payload = end - headers;
		packet_random(&packet, &recipe);
		struct segment_plan plan = plan_super(&frame, super_vnet(&packet, 1400));
		check_super(i & 1, 0, &plan);
		assert_int_equal(tunnel.outer.length, 65535);
		recipe.payload++;
		packet_random(&packet, &recipe);
		plan = plan_super(&frame, super_vnet(&packet, 1400));
		assert_false(underlay_tap_fits(&route, &plan));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trains),         cmocka_unit_test(test_train_limits),
		cmocka_unit_test(test_supers),         cmocka_unit_test(test_super_headers),
		cmocka_unit_test(test_super_ecn_flag), cmocka_unit_test(test_fits),
	};
	return cmocka_run_group_tests_name("underlay_tap", tests, NULL, NULL);
}
