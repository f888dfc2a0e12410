/* SPDX-License-Identifier: Apache-2.0 */
/* test_encap.c - the VXLAN header that is sent, to which remote, by which way, and with which outer ECN */
#include "vswitch/path/encap.c"

#include "tests/unit/fake_ring.h"
#include "tests/unit/tunnel.h"

enum { TAP = 300, SOURCES = 4, FIRST_FD = 10, FIRST_PORT = 50000 };

static struct vswitch vs;
static struct worker worker;
static struct gateway_counters counters;
static struct underlay host;
static struct underlay_tap tap = {.fd = TAP, .mac = {{2, 0, 0, 0, 0, 0xaa}}};
static struct gateway gateway;
static struct port port;
static struct remote remote;
static struct test_packet packet;
static struct tunnel tunnel;
static uint8_t buffer[TAP_VNET_HEADER + PACKET_ROOM];

static int build_world(void **state)
{
	(void)state;
	memset(&worker, 0, sizeof(worker));
	memset(&counters, 0, sizeof(counters));
	host = (struct underlay){.port = 4789, .receivers = 1, .sources = SOURCES};
	for (int i = 0; i < SOURCES; i++) {
		host.family[0].source[i] = host.family[1].source[i] = FIRST_FD + i;
		host.family[0].source_port[i] = host.family[1].source_port[i] = (uint16_t)(FIRST_PORT + i);
	}
	gateway = (struct gateway){.config.vni = 42, .host = &host, .counters = &counters};
	port = (struct port){.gateway = &gateway};
	remote = (struct remote){0};
	vs.offloads.udp_gso = vs.offloads.trains = true;
	worker.vs = &vs;
	return 0;
}

static void test_header(void **state)
{
	(void)state;
	static const struct {
		uint32_t vni;
		uint8_t bytes[8];
	} cases[] = {
		{0, {0x08, 0, 0, 0, 0, 0, 0, 0}},
		{42, {0x08, 0, 0, 0, 0, 0, 42, 0}},
		{0x123456, {0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0}},
		{0xffffff, {0x08, 0, 0, 0, 0xff, 0xff, 0xff, 0}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* Nothing of the virtio header may remain, and the bytes around it must not change. */
		uint8_t around[10];
		memset(around, 0xff, sizeof(around));
		encap_header(around + 1, cases[i].vni);
		assert_memory_equal(around + 1, cases[i].bytes, 8);
		assert_int_equal(around[0], 0xff);
		assert_int_equal(around[9], 0xff);
	}
}

/* A pod's frame behind the virtio header that the VXLAN header takes the place of. */
static void test_send(void **state)
{
	(void)state;
	struct frame frame;
	host.sources = 1;
	host.family[0].source[0] = 7;
	host.family[1].source[0] = 8;
	gateway.config.vni = 0x010203;
	for (unsigned i = 0; i < 8; i++) {
		struct endpoint to;
		assert_int_equal(endpoint_parse(i & 1 ? "[2001:db8::1]:4789" : "192.0.2.1:4789", &to), 0);
		remote.to_length = endpoint_to_sockaddr(&to, &remote.to);
		packet_build(&packet,
			     &(struct recipe){.version = i & 2 ? 6 : 4, .protocol = 17, .tos = (uint8_t)(i / 2)});
		memset(buffer, 0xff, TAP_VNET_HEADER);
		memcpy(buffer + TAP_VNET_HEADER, packet.bytes, packet.length);
		frame_parse(&frame, buffer + TAP_VNET_HEADER, packet.length);
		fake_forget();
		encap_send(&worker, &port, &remote, &frame, NULL);
		train_close_all(&worker);
		ring_push(NULL);
		assert_int_equal(n_sent, 1);
		assert_int_equal(sent[0].fd, i & 1 ? 8 : 7);
		assert_int_equal(sent[0].ecn, i / 2 == 3 ? 2 : i / 2);
		assert_int_equal(sent[0].length, 8 + packet.length);
		assert_memory_equal(sent[0].bytes, ((uint8_t[]){8, 0, 0, 0, 1, 2, 3, 0}), 8);
		assert_memory_equal(sent[0].bytes + 8, packet.bytes, packet.length);
	}
}

/* By which way */

/* A remote that is served by the underlay TAP, over a path of `mtu` bytes. */
static void build_remote(bool ip6, unsigned mtu)
{
	struct endpoint to;
	assert_int_equal(endpoint_parse(ip6 ? "[2001:db8::1]:4789" : "192.0.2.1:4789", &to), 0);
	memset(&remote, 0, sizeof(remote));
	remote.to_length = endpoint_to_sockaddr(&to, &remote.to);
	underlay_tap_route(&remote.egress.route, &tap, &remote.to, &remote.to);
	remote.egress.tap = TAP;
	atomic_store(&remote.egress.mtu, mtu);
}

/* Sends the packet, as a super-frame of `size` bytes a segment unless that is 0. What was sent is in sent[0]. */
static const struct sent *leave(size_t size)
{
	struct frame frame;
	struct segment_plan plan;
	bool super = false;
	memcpy(buffer + TAP_VNET_HEADER, packet.bytes, packet.length);
	assert_int_equal(frame_parse(&frame, buffer + TAP_VNET_HEADER, packet.length), DROP_NONE);
	if (size) {
		struct virtio_net_hdr vnet = super_vnet(&packet, size);
		assert_int_equal(segment_plan(&frame, &vnet, &plan, &super), DROP_NONE);
	}
	fake_forget();
	encap_send(&worker, &port, &remote, &frame, super ? &plan : NULL);
	train_close_all(&worker);
	ring_push(NULL);
	if (!n_sent)
		return NULL;
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].by_tap, sent[0].fd == TAP);
	return &sent[0];
}

/* A datagram of outer IP, UDP, VXLAN and frame, to the byte. */
static void test_frame_by_tap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		bool ip6 = i & 1;
		packet_random(&packet, &(struct recipe){.version = i & 2 ? 6 : 4,
							.protocol = i & 4 ? 17 : 6,
							.payload = below(1400),
							.padding = below(2) ? 0 : 7}); /* it leaves with the frame */
		unsigned needed = (unsigned)(packet.length + 8 + 8 + (ip6 ? 40 : 20));
		build_remote(ip6, needed);
		assert_true(leave(0)->by_tap);
		tunnel_open(&tunnel, sent[0].bytes, sent[0].length);
		assert_int_equal(tunnel.outer.length, 14 + needed);
		assert_memory_equal(tunnel.outer.bytes + tunnel.outer.l4 + 8, ((uint8_t[]){8, 0, 0, 0, 0, 0, 42, 0}),
				    8);
		assert_memory_equal(tunnel.outer.bytes + tunnel.outer.l4 + 16, packet.bytes, packet.length);
		build_remote(ip6, needed - 1);
		assert_false(leave(0)->by_tap);
		build_remote(ip6, 0);
		assert_false(leave(0)->by_tap);
	}
}

/* For a super-frame the segments have to fit, not the whole. */
static void test_super_by_tap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		bool ip6 = i & 1;
		size_t size = 500 + below(900);
		packet_random(&packet, &(struct recipe){.version = i & 2 ? 6 : 4,
							.protocol = i & 4 ? 17 : 6,
							.extensions = (unsigned)below(3),
							.tcp_options = (unsigned)below(11) * 4,
							.payload = size + 1 + below(20000),
							.partial = true});
		unsigned needed = (unsigned)(packet_headers(&packet) + size + 8 + 8 + (ip6 ? 40 : 20));
		build_remote(ip6, needed);
		assert_true(leave(size)->by_tap);
		tunnel_open(&tunnel, sent[0].bytes, sent[0].length);
		assert_true(tunnel.whole);
		build_remote(ip6, needed - 1);
		assert_false(leave(size)->by_tap);
	}
}

/* A datagram that does not fit the path, by a byte: the pod is told how large its packets may be. */
static void expect_too_big(size_t size, unsigned drops, atomic_uint *room, unsigned needed)
{
	atomic_store(room, needed);
	assert_non_null(leave(size));
	assert_int_equal(worker.drops[DROP_TOO_BIG] + worker.n_replies, 0);
	atomic_store(room, needed - 1);
	assert_null(leave(size));
	assert_int_equal(worker.drops[DROP_TOO_BIG], drops);
	assert_int_equal(worker.n_replies, 1);
	/* RFC 1191, section 4: the MTU of the next hop, after the Ethernet and IP headers, at offset 6 of ICMP. */
	assert_int_equal(packet_get16(worker.replies[0].frame + 14 + 20 + 6), needed - 1 - 8 - 14);
	assert_ptr_equal(worker.replies[0].port, &port);
	worker.drops[DROP_TOO_BIG] = worker.n_replies = 0;
}

static void test_too_big(void **state)
{
	(void)state;
	struct underlay own = host;
	struct port_counters port_counters = {0};
	port.counters = &port_counters;
	for (unsigned i = 0; i < 4; i++) {
		port.underlay = i & 2 ? &own : NULL;
		build_remote(i & 1, 0);
		atomic_uint *room = port.underlay ? &port.room : &remote.room;
		packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 1200});
		expect_too_big(0, 1, room, 8 + (unsigned)packet.length);
		packet_build(&packet, &(struct recipe){.version = 4, .protocol = 6, .payload = 3000, .partial = true});
		expect_too_big(1000, 3, room, 8 + (unsigned)packet_headers(&packet) + 1000);
		atomic_store(room, 0);
		assert_non_null(leave(1000));
	}
}

/* The node's TAP is in the node's namespace, so a pod underlay does not use it; but what it sends much of is noted. */
static void test_own_underlay(void **state)
{
	(void)state;
	struct underlay own = host;
	own.family[0].source[0] = own.family[1].source[0] = 99;
	own.sources = 1;
	port.underlay = &own;
	for (unsigned i = 0; i < 4; i++) {
		packet_random(&packet, &(struct recipe){.version = 4, .protocol = 6, .payload = 3000, .partial = true});
		build_remote(i & 1, 65535);
		remote.id = (uint16_t)(7 + i);
		assert_int_equal(leave(i & 2 ? 1000 : 0)->fd, 99);
	}
	assert_int_equal(atomic_load(&port.supers), 2);
	assert_int_equal(atomic_load(&port.super_to), 10);
}

/* Its own TAP takes what is for the remote that it is for, as long as this is the one that it was. */
static void test_own_tap(void **state)
{
	(void)state;
	struct underlay own = host;
	struct pod_egress by = {.remote = &remote, .egress.tap = TAP};
	port.underlay = &own;
	port.pod_egress = &by;
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 6, .payload = 3000, .partial = true});
	build_remote(false, 65535);
	underlay_tap_route(&by.egress.route, &tap, &remote.to, &remote.to);
	assert_false(leave(1000)->by_tap); /* not probed yet */
	atomic_store(&by.egress.mtu, 1500);
	assert_true(leave(1000)->by_tap);
	assert_int_equal(sent[0].fd, TAP);
	by.turn++;
	assert_false(leave(1000)->by_tap);
	by.turn--;
	by.remote = &remote + 1;
	assert_false(leave(1000)->by_tap);
}

/* A flow has one source port either way: routers choose the path by it, so the order depends on it. */
static void test_source_port(void **state)
{
	(void)state;
	unsigned seen = 0;
	for (unsigned i = 0; i < 100; i++) {
		packet_build(&packet,
			     &(struct recipe){.version = 4, .protocol = 17, .tos = (uint8_t)(i % 4), .payload = 9});
		packet_put16(packet.bytes + packet.l4, 1024 + i);
		build_remote(i & 1, 0);
		unsigned fd = (unsigned)leave(0)->fd, ecn = sent[0].ecn;
		build_remote(i & 1, 1500);
		assert_true(leave(0)->by_tap);
		tunnel_open(&tunnel, sent[0].bytes, sent[0].length);
		assert_int_equal(packet_get16(tunnel.outer.bytes + tunnel.outer.l4), FIRST_PORT + fd - FIRST_FD);
		assert_int_equal(tunnel_tos(&tunnel.outer), ecn);
		seen |= 1U << (fd - FIRST_FD);
	}
	assert_int_equal(seen, 15);
}

#define in_world(test) cmocka_unit_test_setup(test, build_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header), in_world(test_send),        in_world(test_frame_by_tap),
		in_world(test_super_by_tap),   in_world(test_too_big),     in_world(test_own_underlay),
		in_world(test_own_tap),        in_world(test_source_port),
	};
	return cmocka_run_group_tests_name("encap", tests, NULL, NULL);
}
