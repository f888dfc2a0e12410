/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_forward.c - which way a frame goes, without sockets and TAPs: the ring is one that notes what it is given
 *
 *     gateway 1, VNI 42: remotes 192.0.2.1 and .2, pods 1 and 2
 *     gateway 2, VNI 42: remote 192.0.2.3, pod 3
 *     gateway 3, VNI 7: a hub, pod 4
 *
 * Pod N has port N, TAP 100 + N and MAC 02:00:00:00:00:N.
 */
#include "vswitch/path/encap.c"
#include "vswitch/path/forward.c"

#include "tests/unit/fake_ring.h"
#include "tests/unit/tunnel.h"

enum { GATEWAYS = 4, PORTS = 5, REMOTES = 10, FIRST_SOURCE = 200, SOURCES = 4 };

static struct vswitch vs;
static struct worker worker;
static struct gateway gateways[GATEWAYS];
static struct port ports[PORTS], *port_table[PORTS], *attached[GATEWAYS][PORTS];
static struct remote remotes[REMOTES], *remote_table[GATEWAYS][REMOTES];
static struct gateway_counters gateway_counters[GATEWAYS];
static struct port_counters port_counters[PORTS];
static struct underlay host;
static unsigned n_claimed, n_woken;
static struct test_packet packet;
static uint8_t buffer[TAP_VNET_HEADER + 4 * PACKET_ROOM];

/* What the code under test calls */

void mail_wake_control(const struct worker *waker)
{
	(void)waker;
	n_woken++;
}

struct remote *remote_claim(struct vswitch *in, struct gateway *gateway, const struct endpoint *endpoint, bool learned)
{
	unsigned n = atomic_load(&gateway->n_remotes);
	uint16_t id = (uint16_t)(4 + n_claimed++);
	assert_ptr_equal(in, &vs);
	if (n >= GATEWAY_MAX_LEARNED)
		return NULL;
	assert_true(id < REMOTES);
	struct remote *remote = &remotes[id];
	*remote = (struct remote){.endpoint = *endpoint, .id = id, .gateway = gateway->id, .learned = learned};
	remote->to_length = endpoint_to_sockaddr(endpoint, &remote->to);
	gateway->remotes[n] = remote;
	atomic_store(&gateway->n_remotes, n + 1);
	return remote;
}

/* The world */

static struct endpoint endpoint_of(const char *text)
{
	struct endpoint endpoint;
	assert_int_equal(endpoint_parse(text, &endpoint), 0);
	return endpoint;
}

static void pod_mac(uint8_t *out, unsigned pod)
{
	memcpy(out, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)pod}, 6);
}

static void add_gateway(uint16_t id, uint32_t vni, bool is_hub)
{
	struct gateway *gateway = &gateways[id];
	*gateway = (struct gateway){.id = id,
				    .is_hub = is_hub,
				    .config = GATEWAY_CONFIG_DEFAULT,
				    .host = &host,
				    .remotes = remote_table[id],
				    .ports = attached[id],
				    .counters = &gateway_counters[id]};
	gateway->config.vni = vni;
	vs.gateways[id] = gateway;
	if (is_hub)
		demux_add(vs.demux, 4789, NULL, vni, id, 0, NULL);
}

static void add_remote(uint16_t gateway, const char *at)
{
	struct endpoint endpoint = endpoint_of(at);
	struct remote *remote = &remotes[1 + n_claimed];
	*remote = (struct remote){.endpoint = endpoint, .id = (uint16_t)(1 + n_claimed++), .gateway = gateway};
	remote->to_length = endpoint_to_sockaddr(&endpoint, &remote->to);
	unsigned n = atomic_load(&gateways[gateway].n_remotes);
	gateways[gateway].remotes[n] = remote;
	atomic_store(&gateways[gateway].n_remotes, n + 1);
	assert_int_equal(
		demux_add(vs.demux, 4789, &endpoint.address, gateways[gateway].config.vni, gateway, remote->id, NULL),
		0);
}

static void add_port(uint16_t id, uint16_t gateway)
{
	struct port *port = &ports[id];
	*port = (struct port){.id = id,
			      .gateway = &gateways[gateway],
			      .tap = 100 + id,
			      .counters = &port_counters[id],
			      .takes_uso = true};
	pod_mac(port->config.link.mac.bytes, id);
	port->config.link.mtu = 1450;
	port_table[id] = port;
	gateways[gateway].ports[gateways[gateway].n_ports++] = port;
	fdb_set(vs.fdb, gateway, port->config.link.mac.bytes, FDB_LOCAL, (struct fdb_place){true, id});
}

static int build_world(void **state)
{
	(void)state;
	const struct fdb_limits limits = {.ageing = 300, .gateway = 1000, .place = 1000};
	memset(&vs, 0, sizeof(vs));
	memset(&worker, 0, sizeof(worker));
	memset(gateway_counters, 0, sizeof(gateway_counters));
	memset(port_counters, 0, sizeof(port_counters));
	memset(remotes, 0, sizeof(remotes));
	vs.ports = port_table;
	vs.remotes = remotes;
	vs.demux = demux_new(8, vs.secret, sizeof(vs.secret));
	worker.vs = &vs;
	worker.now = 1000;
	host = (struct underlay){.port = 4789, .receivers = 1, .sources = SOURCES};
	for (int i = 0; i < SOURCES; i++) {
		host.family[0].source[i] = FIRST_SOURCE + i;
		host.family[1].source[i] = FIRST_SOURCE + SOURCES + i;
	}
	host.family[0].path = host.family[1].path = -1;
	fake_forget();
	n_claimed = n_woken = 0;
	vs.offloads = (struct switch_offloads){
		.tap_gso = true, .udp_gso = true, .udp_gro = true, .trains = true, .tap_gro = true};
	if (fdb_open(&vs.fdb, &limits, vs.secret, sizeof(vs.secret)))
		return -1;
	add_gateway(1, 42, false);
	add_gateway(2, 42, false);
	add_gateway(3, 7, true);
	add_remote(1, "192.0.2.1:4789");
	add_remote(1, "192.0.2.2:4789");
	add_remote(2, "192.0.2.3:4789");
	for (uint16_t id = 1; id <= 4; id++)
		add_port(id, (uint16_t[]){0, 1, 1, 2, 3}[id]);
	return 0;
}

static int end_world(void **state)
{
	(void)state;
	demux_free(vs.demux);
	fdb_close(vs.fdb);
	return 0;
}

/* A UDP packet between two MACs; those of the far side are 02:00:00:00:00:fX. */
static void frame_between(unsigned from, unsigned to)
{
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 30});
	pod_mac(packet.bytes + 6, from);
	pod_mac(packet.bytes, to);
}

static void broadcast_from(unsigned from)
{
	frame_between(from, 0);
	memset(packet.bytes, 0xff, 6);
}

static void end_round(void)
{
	forward_finish(&worker);
	ring_push(NULL);
	assert_int_equal(worker.n_groups, 0);
}

static void send_super(unsigned pod, const struct virtio_net_hdr *vnet)
{
	memcpy(buffer, vnet, TAP_VNET_HEADER);
	memcpy(buffer + TAP_VNET_HEADER, packet.bytes, packet.length);
	fake_forget();
	forward_from_pod(&worker, &ports[pod], buffer, (uint32_t)(TAP_VNET_HEADER + packet.length));
	end_round();
}

static void send_from(unsigned pod)
{
	static const struct virtio_net_hdr complete;
	send_super(pod, &complete);
}

static size_t datagram_at(size_t at, uint32_t vni)
{
	encap_header(buffer + at, vni);
	memcpy(buffer + at + 8, packet.bytes, packet.length);
	return at + 8 + packet.length;
}

static void receive(const char *from, size_t length, uint32_t gro_size, uint8_t tos)
{
	struct sockaddr_storage sa;
	struct endpoint source = endpoint_of(from);
	struct ring_event event = {.data = buffer, .length = (uint32_t)length, .gro_size = gro_size, .tos = tos};
	event.from_length = endpoint_to_sockaddr(&source, &sa);
	event.from = (struct sockaddr *)&sa;
	fake_forget();
	forward_from_network(&worker, &host, NULL, &event);
	end_round();
}

static void receive_packet(const char *from, uint32_t vni)
{
	receive(from, datagram_at(0, vni), 0, 0);
}

/* Nothing was sent, and one drop was counted since the last call, for this reason and in this counter if any. */
static void assert_dropped(enum drop reason, uint64_t *counter)
{
	assert_int_equal(n_sent, 0);
	for (int i = 0; i < DROP_COUNT; i++) {
		if (worker.drops[i] != (i == (int)reason))
			fail_msg("%s: %lu drops", drop_name((enum drop)i), (unsigned long)worker.drops[i]);
	}
	assert_true(!counter || *counter == 1);
	memset(worker.drops, 0, sizeof(worker.drops));
	if (counter)
		*counter = 0;
}

static void assert_port_dropped(unsigned pod, enum drop reason)
{
	assert_dropped(reason, &port_counters[pod].drops[reason]);
}

static void assert_gateway_dropped(unsigned gateway, enum drop reason)
{
	assert_dropped(reason, &gateway_counters[gateway].drops[reason]);
}

/* Remotes and pods may be served in any order. */
static const struct sent *sent_to(const char *to)
{
	for (unsigned i = 0; i < n_sent; i++)
		if (!sent[i].to_tap && !strcmp(sent[i].to, to))
			return &sent[i];
	fail_msg("nothing was sent to %s", to);
	return NULL;
}

static const struct sent *written_to(unsigned pod)
{
	for (unsigned i = 0; i < n_sent; i++)
		if (sent[i].to_tap && sent[i].fd == 100 + (int)pod)
			return &sent[i];
	fail_msg("nothing was written to pod %u", pod);
	return NULL;
}

static void assert_datagram(const struct sent *one, const char *to, uint32_t vni)
{
	const uint8_t vxlan[8] = {0x08, 0, 0, 0, 0, 0, (uint8_t)vni, 0};
	assert_false(one->to_tap);
	assert_in_range(one->fd, FIRST_SOURCE, FIRST_SOURCE + SOURCES - 1);
	assert_string_equal(one->to, to);
	assert_int_equal(one->length, 8 + packet.length);
	assert_memory_equal(one->bytes, vxlan, 8);
	assert_memory_equal(one->bytes + 8, packet.bytes, packet.length);
}

static void assert_written(const struct sent *one, unsigned pod)
{
	assert_true(one->to_tap);
	assert_int_equal(one->fd, 100 + pod);
	assert_int_equal(one->length, packet.length);
	assert_memory_equal(one->bytes, packet.bytes, packet.length);
}

/* From a pod */

static void test_unknown_unicast(void **state)
{
	(void)state;
	frame_between(1, 0xf1);
	send_from(1);
	assert_int_equal(n_sent, 2);
	assert_datagram(sent_to("192.0.2.1:4789"), "192.0.2.1:4789", 42);
	assert_datagram(sent_to("192.0.2.2:4789"), "192.0.2.2:4789", 42);
	assert_int_equal(sent[0].fd, sent[1].fd);
	assert_int_equal(gateway_counters[1].encap_frames, 1);
	assert_int_equal(gateway_counters[1].encap_bytes, packet.length);
	assert_int_equal(gateway_counters[1].tx_datagrams, 2);
	assert_int_equal(gateway_counters[1].tx_bytes, 2 * (packet.length + 8));
	assert_int_equal(port_counters[1].rx_frames, 1);
	assert_int_equal(port_counters[1].rx_bytes, packet.length);
	/* A MAC that nobody has. */
	memset(packet.bytes, 0, 6);
	send_from(1);
	assert_int_equal(n_sent, 2);
}

static void test_broadcast(void **state)
{
	(void)state;
	broadcast_from(1);
	send_from(1);
	assert_int_equal(n_sent, 2);
	assert_datagram(sent_to("192.0.2.1:4789"), "192.0.2.1:4789", 42);
	assert_datagram(sent_to("192.0.2.2:4789"), "192.0.2.2:4789", 42);
	gateways[1].config.isolate = false;
	send_from(1);
	assert_int_equal(n_sent, 3);
	assert_written(written_to(2), 2);
	broadcast_from(4);
	send_from(4);
	assert_port_dropped(4, DROP_NO_REMOTE);
}

static void test_known_unicast(void **state)
{
	(void)state;
	frame_between(1, 0xf1);
	fdb_set(vs.fdb, 1, packet.bytes, FDB_STATIC, (struct fdb_place){.index = 2});
	send_from(1);
	assert_int_equal(n_sent, 1);
	assert_datagram(&sent[0], "192.0.2.2:4789", 42);
	/* In another gateway it is not known. */
	frame_between(3, 0xf1);
	send_from(3);
	assert_int_equal(n_sent, 1);
	assert_datagram(&sent[0], "192.0.2.3:4789", 42);
}

static void test_pod_to_pod(void **state)
{
	(void)state;
	frame_between(1, 2);
	send_from(1);
	assert_port_dropped(1, DROP_ISOLATED);
	gateways[1].config.isolate = false;
	send_from(1);
	assert_int_equal(n_sent, 1);
	assert_written(&sent[0], 2);
	frame_between(1, 1);
	send_from(1);
	assert_port_dropped(1, DROP_UNKNOWN_DESTINATION);
	/* A pod of another gateway is like any unknown destination. */
	frame_between(1, 3);
	send_from(1);
	assert_int_equal(n_sent, 2);
	assert_false(sent[0].to_tap || sent[1].to_tap);
}

static void test_bad_frames(void **state)
{
	(void)state;
	frame_between(2, 0xf1);
	send_from(1);
	assert_port_dropped(1, DROP_FOREIGN_SOURCE);
	frame_between(1, 0xf1);
	packet.length = 13;
	send_from(1);
	assert_port_dropped(1, DROP_RUNT);
	frame_between(1, 0xf1);
	packet_put16(packet.bytes + 12, 0x8100);
	send_from(1);
	assert_port_dropped(1, DROP_VLAN);
	frame_between(1, 0xf1);
	packet.bytes[6] |= 1;
	send_from(1);
	assert_port_dropped(1, DROP_BAD_SOURCE);
	frame_between(1, 0xf1);
	memcpy(packet.bytes, (uint8_t[]){0x01, 0x80, 0xc2, 0, 0, 0x0e}, 6);
	send_from(1);
	assert_port_dropped(1, DROP_RESERVED_MAC);
	ports[1].gateway = NULL;
	frame_between(1, 0xf1);
	send_from(1);
	assert_port_dropped(1, DROP_DETACHED);
}

static void test_bad_virtio_headers(void **state)
{
	(void)state;
	frame_between(1, 0xf1);
	memcpy(buffer + TAP_VNET_HEADER, packet.bytes, packet.length);
	for (uint32_t length = 0; length < TAP_VNET_HEADER; length++) {
		forward_from_pod(&worker, &ports[1], buffer, length);
		assert_port_dropped(1, DROP_BAD_VNET);
	}
	for (int i = 0; i < 2; i++) {
		memset(buffer, 0, TAP_VNET_HEADER);
		buffer[i] = 1; /* checksum to be filled in; a super-frame */
		forward_from_pod(&worker, &ports[1], buffer, (uint32_t)(TAP_VNET_HEADER + packet.length));
		assert_port_dropped(1, DROP_BAD_VNET);
	}
}

/* From the network */

static void test_to_pod(void **state)
{
	(void)state;
	frame_between(0xf1, 2);
	receive_packet("192.0.2.2:50000", 42);
	assert_int_equal(n_sent, 1);
	assert_written(&sent[0], 2);
	assert_int_equal(gateway_counters[1].rx_datagrams, 1);
	assert_int_equal(gateway_counters[1].rx_bytes, packet.length + 8);
	assert_int_equal(port_counters[2].tx_frames, 1);
	assert_int_equal(port_counters[2].tx_bytes, packet.length);
	/* And back, only to where it came from. */
	frame_between(1, 0xf1);
	send_from(1);
	assert_int_equal(n_sent, 1);
	assert_datagram(&sent[0], "192.0.2.2:4789", 42);
	/* Until it is seen elsewhere. */
	frame_between(0xf1, 2);
	receive_packet("192.0.2.1:50000", 42);
	frame_between(1, 0xf1);
	send_from(1);
	assert_int_equal(n_sent, 1);
	assert_datagram(&sent[0], "192.0.2.1:4789", 42);
}

static void test_without_learning(void **state)
{
	(void)state;
	gateways[1].config.learning = false;
	frame_between(0xf1, 2);
	receive_packet("192.0.2.2:50000", 42);
	assert_int_equal(n_sent, 1);
	frame_between(1, 0xf1);
	send_from(1);
	assert_int_equal(n_sent, 2);
	frame_between(2, 1);
	receive_packet("192.0.2.2:50000", 42);
	assert_gateway_dropped(1, DROP_OWN_SOURCE);
}

static void test_gateways_apart(void **state)
{
	(void)state;
	frame_between(0xf1, 1);
	receive_packet("192.0.2.3:50000", 42);
	assert_gateway_dropped(2, DROP_UNKNOWN_DESTINATION);
	/* Not even when the FDB says so. */
	fdb_set(vs.fdb, 2, packet.bytes, FDB_STATIC, (struct fdb_place){true, 1});
	receive_packet("192.0.2.3:50000", 42);
	assert_gateway_dropped(2, DROP_UNKNOWN_DESTINATION);
	broadcast_from(0xf1);
	receive_packet("192.0.2.3:50000", 42);
	assert_int_equal(n_sent, 1);
	assert_written(&sent[0], 3);
	receive_packet("192.0.2.1:50000", 42);
	assert_int_equal(n_sent, 2);
	assert_written(&sent[0], 1);
	assert_written(&sent[1], 2);
}

static void test_strangers(void **state)
{
	(void)state;
	frame_between(0xf1, 1);
	receive_packet("192.0.2.9:50000", 42);
	assert_dropped(DROP_UNKNOWN_REMOTE, NULL);
	receive_packet("[2001:db8::1]:50000", 42);
	assert_dropped(DROP_UNKNOWN_REMOTE, NULL);
	receive_packet("192.0.2.1:50000", 43);
	assert_dropped(DROP_UNKNOWN_VNI, NULL);
	size_t length = datagram_at(0, 42);
	buffer[0] = 0;
	receive("192.0.2.1:50000", length, 0, 0);
	assert_dropped(DROP_BAD_FLAGS, NULL);
	length = datagram_at(0, 42);
	buffer[7] = 1;
	receive("192.0.2.1:50000", length, 0, 0);
	assert_dropped(DROP_RESERVED_BITS, NULL);
	vs.options.ignore_reserved = true;
	receive("192.0.2.1:50000", length, 0, 0);
	assert_int_equal(n_sent, 1);
	receive("192.0.2.1:50000", 7, 0, 0);
	assert_dropped(DROP_SHORT_HEADER, NULL);
	memcpy(buffer, (uint8_t[]){0, 'P', 'S', 'W', 0, 0, 42, 0}, 8);
	receive("192.0.2.1:50000", length, 0, 0);
	assert_dropped(DROP_PROBE, NULL);
	receive("192.0.2.9:50000", length, 0, 0);
	assert_dropped(DROP_PROBE, NULL);
}

static void test_bad_inner_frames(void **state)
{
	(void)state;
	static const uint8_t lldp[6] = {0x01, 0x80, 0xc2, 0, 0, 0x0e};
	frame_between(1, 2);
	receive_packet("192.0.2.1:50000", 42);
	assert_gateway_dropped(1, DROP_OWN_SOURCE);
	frame_between(0xf1, 2);
	fdb_set(vs.fdb, 1, packet.bytes + 6, FDB_STATIC, (struct fdb_place){.index = 2});
	receive_packet("192.0.2.1:50000", 42);
	assert_gateway_dropped(1, DROP_STATIC_MOVED);
	memcpy(packet.bytes, lldp, 6);
	receive_packet("192.0.2.2:50000", 42);
	assert_gateway_dropped(1, DROP_RESERVED_MAC);
	packet_put16(packet.bytes + 12, 0x8100);
	receive_packet("192.0.2.2:50000", 42);
	assert_gateway_dropped(1, DROP_VLAN);
	packet.length = 13;
	receive_packet("192.0.2.2:50000", 42);
	assert_gateway_dropped(1, DROP_RUNT);
	frame_between(0xf2, 2);
	receive("192.0.2.2:50000", datagram_at(0, 42), 0, 3);
	assert_gateway_dropped(1, DROP_ECN);
}

static void test_ecn_to_pod(void **state)
{
	(void)state;
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .tos = 2});
	pod_mac(packet.bytes + 6, 0xf1);
	pod_mac(packet.bytes, 1);
	receive("192.0.2.1:50000", datagram_at(0, 42), 0, 0xb8 | 3);
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].bytes[15], 3);
	assert_int_equal(packet_sum(0, sent[0].bytes + 14, 20), 0xffff);
}

static void test_trains(void **state)
{
	(void)state;
	size_t length = 0;
	frame_between(0xf1, 1);
	size_t segment = packet.length + 8;
	for (unsigned i = 0; i < 5; i++)
		length = datagram_at(length, i == 3 ? 43 : 42); /* one of them is for an unknown destination */
	receive("192.0.2.1:50000", length, (uint32_t)segment, 0);
	assert_int_equal(n_sent, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_written(&sent[i], 1);
	n_sent = 0;
	assert_dropped(DROP_UNKNOWN_VNI, NULL);
	assert_int_equal(gateway_counters[1].drops[DROP_UNKNOWN_VNI], 0);
	assert_int_equal(gateway_counters[1].rx_datagrams, 4);
	receive("192.0.2.1:50000", length, (uint32_t)segment - 1, 0);
	assert_dropped(DROP_BAD_LENGTH, NULL);
}

static void test_super_frame(void **state)
{
	(void)state;
	packet_build(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = 3600, .partial = true});
	pod_mac(packet.bytes + 6, 0xf1);
	pod_mac(packet.bytes, 1);
	receive("192.0.2.1:50000", datagram_at(0, 42), 1200, 0);
	assert_int_equal(n_sent, 1);
	assert_written(&sent[0], 1);
	assert_int_equal(sent[0].vnet.gso_size, 1200);
}

/* Super-frames of a pod */

static void super_between(unsigned from, unsigned to, uint8_t protocol)
{
	packet_random(&packet, &(struct recipe){.version = 4, .protocol = protocol, .payload = 5000, .partial = true});
	pod_mac(packet.bytes + 6, from);
	pod_mac(packet.bytes, to);
}

/* A train of the packet's five segments, with a VXLAN header each. */
static void assert_train(const struct sent *one, const char *to)
{
	static struct test_packet piece;
	const uint8_t vxlan[8] = {0x08, 0, 0, 0, 0, 0, 42, 0};
	size_t at = 0;
	assert_false(one->to_tap);
	assert_string_equal(one->to, to);
	assert_int_equal(one->count, 5);
	assert_int_equal(one->segment, 8 + packet_headers(&packet) + 1000);
	for (unsigned i = 0; i < 5; i++) {
		cut(&packet, 1000, i, false, &piece);
		assert_memory_equal(one->bytes + at, vxlan, 8);
		assert_memory_equal(one->bytes + at + 8, piece.bytes, piece.length);
		at += 8 + piece.length;
	}
	assert_int_equal(at, one->length);
}

static void test_super_to_remote(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		super_between(3, 0xf1, i ? 17 : 6);
		struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
		send_super(3, &vnet);
		assert_int_equal(n_sent, 1);
		assert_train(&sent[0], "192.0.2.3:4789");
	}
	/* A super-frame counts once when it comes in, and as its segments when they leave. */
	assert_int_equal(port_counters[3].rx_frames, 2);
	assert_int_equal(gateway_counters[2].encap_frames, 2);
	assert_int_equal(gateway_counters[2].tx_datagrams, 10);
}

static void test_super_to_all(void **state)
{
	(void)state;
	gateways[1].config.isolate = false;
	super_between(1, 0, 17);
	memset(packet.bytes, 0xff, 6);
	struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
	send_super(1, &vnet);
	assert_int_equal(n_sent, 3);
	assert_train(sent_to("192.0.2.1:4789"), "192.0.2.1:4789");
	assert_train(sent_to("192.0.2.2:4789"), "192.0.2.2:4789");
	assert_written(written_to(2), 2);
	assert_memory_equal(&written_to(2)->vnet, &vnet, sizeof(vnet));
}

static void test_super_to_pod(void **state)
{
	(void)state;
	gateways[1].config.isolate = false;
	super_between(1, 2, 6);
	struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
	send_super(1, &vnet);
	assert_int_equal(n_sent, 1);
	assert_written(&sent[0], 2);
	assert_memory_equal(&sent[0].vnet, &vnet, sizeof(vnet));
	/* The checksum that was left to us is filled in, so the other pod's kernel has nothing to do. */
	static const struct virtio_net_hdr complete;
	vnet.gso_type = vnet.gso_size = 0;
	send_super(1, &vnet);
	packet_fix_l4(&packet, 6, false);
	assert_int_equal(n_sent, 1);
	assert_written(&sent[0], 2);
	assert_memory_equal(&sent[0].vnet, &complete, sizeof(complete));
}

static void test_super_hostile(void **state)
{
	(void)state;
	super_between(1, 0xf1, 6);
	const struct virtio_net_hdr good = super_vnet(&packet, 1000);
	const struct virtio_net_hdr bad[] = {
		{.flags = 1, .csum_start = 65535, .csum_offset = 16},
		{.flags = 1, .csum_start = good.csum_start, .csum_offset = 65535},
		{.flags = 1, .gso_type = 1, .csum_start = good.csum_start, .csum_offset = 16},
		{.flags = 1, .gso_type = 1, .gso_size = 1, .csum_start = good.csum_start, .csum_offset = 16},
		{.flags = 1, .gso_type = 4, .gso_size = 1000, .csum_start = good.csum_start, .csum_offset = 16},
		{.flags = 1, .gso_type = 5, .gso_size = 1000, .csum_start = good.csum_start, .csum_offset = 6},
		{.flags = 1, .gso_type = 3, .gso_size = 1000, .csum_start = good.csum_start, .csum_offset = 16},
		{.gso_type = 1, .gso_size = 1000},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		send_super(1, &bad[i]);
		assert_port_dropped(1, DROP_BAD_VNET);
	}
}

/* Segments from the network become one */

static void test_segments_to_pod(void **state)
{
	(void)state;
	static struct test_packet whole;
	size_t length = 0;
	super_between(0xf1, 1, 6);
	packet.bytes[packet.l4 + 13] = 0x18;
	packet_fix_l4(&packet, 6, true);
	whole = packet;
	for (unsigned i = 0; i < 5; i++) {
		cut(&whole, 1000, i, false, &packet);
		length = datagram_at(length, 42);
	}
	receive("192.0.2.1:50000", length, 8 + 54 + 1000, 0);
	struct virtio_net_hdr vnet = super_vnet(&whole, 1000);
	packet = whole;
	assert_int_equal(n_sent, 1);
	assert_written(&sent[0], 1);
	assert_memory_equal(&sent[0].vnet, &vnet, sizeof(vnet));
	assert_int_equal(gateway_counters[1].rx_datagrams, 5);
	assert_int_equal(port_counters[1].tx_frames, 1);
	assert_int_equal(port_counters[1].tx_bytes, packet.length);
}

/* Hubs */

static void test_hub_learns(void **state)
{
	(void)state;
	frame_between(0xf1, 4);
	receive_packet("192.0.2.7:50000", 7);
	assert_int_equal(n_sent, 1);
	assert_written(&sent[0], 4);
	assert_int_equal(n_claimed, 4);
	receive_packet("192.0.2.7:50001", 7);
	assert_int_equal(n_claimed, 4);
	frame_between(4, 0xf1);
	send_from(4);
	assert_int_equal(n_sent, 1);
	assert_datagram(&sent[0], "192.0.2.7:4789", 7);
}

static void test_hub_allows(void **state)
{
	(void)state;
	assert_int_equal(prefix_parse("192.0.2.0/29", &gateways[3].config.allow[0]), 0);
	gateways[3].config.n_allow = 1;
	frame_between(0xf1, 4);
	receive_packet("192.0.2.8:50000", 7);
	assert_gateway_dropped(3, DROP_UNKNOWN_REMOTE);
	assert_int_equal(n_claimed, 3);
	struct stray barred;
	assert_true(stray_read(&worker.strays, 0, &barred));
	assert_int_equal(barred.source.bytes[3], 8);
	assert_int_equal(barred.vni, 7);
	receive_packet("192.0.2.7:50000", 7);
	assert_int_equal(n_sent, 1);
}

/* Only what is for one address behind it says that a remote is a client: anybody hears broadcasts. */
static void test_hub_answers(void **state)
{
	(void)state;
	frame_between(0xf1, 4);
	receive_packet("192.0.2.7:50000", 7);
	broadcast_from(4);
	send_from(4);
	assert_int_equal(n_sent, 1);
	frame_between(4, 0xf2); /* an address that is not known goes everywhere, too */
	send_from(4);
	assert_int_equal(n_sent, 1);
	assert_false(atomic_load(&remotes[7].answered));
	frame_between(4, 0xf1);
	send_from(4);
	assert_true(atomic_load(&remotes[7].answered));
	struct fdb_entry entry;
	assert_true(fdb_lookup(vs.fdb, 3, packet.bytes, worker.now, &entry));
	assert_true(entry.answered);
}

/* A hub whose table is full wants room, other gateways do not: their remotes are no strangers. */
static void test_hub_has_many_macs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		for (uint16_t gateway = 1; gateway <= 3; gateway += 2)
			assert_int_equal(fdb_learn(vs.fdb, gateway,
						   (uint8_t[]){6, 0, 0, 0, (uint8_t)(i >> 8), (uint8_t)i},
						   (struct fdb_place){.index = gateway == 1 ? 1 : 6}, worker.now),
					 FDB_NEW);
	frame_between(0xf1, 1);
	receive_packet("192.0.2.1:50000", 42);
	assert_false(atomic_load(&vs.crowded));
	frame_between(0xf1, 4);
	receive_packet("192.0.2.7:50000", 7);
	assert_int_equal(n_sent, 1);
	assert_true(atomic_load(&vs.crowded));
}

/* The control thread is woken before there is no room, and a remote that finds none is dropped by name. */
static void test_hub_is_crowded(void **state)
{
	(void)state;
	static struct remote *crowd[GATEWAY_MAX_LEARNED];
	for (unsigned i = 0; i < GATEWAY_MAX_LEARNED; i++)
		crowd[i] = &remotes[1];
	gateways[3].remotes = crowd;
	atomic_store(&gateways[3].n_remotes, GATEWAY_CROWDED - 2);
	frame_between(0xf1, 4);
	receive_packet("192.0.2.7:50000", 7);
	assert_int_equal(n_woken, 0);
	frame_between(0xf2, 4);
	receive_packet("192.0.2.8:50000", 7);
	assert_int_equal(n_woken, 1);
	assert_true(atomic_load(&vs.crowded));
	receive_packet("192.0.2.8:50000", 7);
	assert_int_equal(n_woken, 1);
	atomic_store(&gateways[3].n_remotes, GATEWAY_MAX_LEARNED);
	frame_between(0xf3, 4);
	receive_packet("192.0.2.9:50000", 7);
	assert_gateway_dropped(3, DROP_TOO_MANY_REMOTES);
	/* Once until it has looked. */
	assert_int_equal(n_woken, 1);
	atomic_store(&vs.crowded, false);
	receive_packet("192.0.2.9:50000", 7);
	assert_gateway_dropped(3, DROP_TOO_MANY_REMOTES);
	assert_int_equal(n_woken, 2);
	/* With learning off nobody is remembered, and nobody is too many. */
	gateways[3].config.learning = false;
	receive_packet("192.0.2.9:50000", 7);
	assert_int_equal(n_sent, 1);
}

static void assert_client_at(const char *to)
{
	frame_between(4, 0xf1);
	send_from(4);
	assert_int_equal(n_sent, 1);
	assert_datagram(&sent[0], to, 7);
	frame_between(0xf1, 4);
}

/* A client's MAC does not move to a stranger while its owner may answer; its frames arrive all the same. */
static void test_hub_holds(void **state)
{
	(void)state;
	frame_between(0xf1, 4);
	receive_packet("192.0.2.7:50000", 7);
	worker.now += 10;
	for (unsigned i = 1; i <= 2; i++) {
		receive_packet("192.0.2.8:50000", 7);
		assert_int_equal(n_sent, 1);
		assert_int_equal(gateway_counters[3].held_moves, i);
		assert_int_equal(atomic_load(&worker.claims_in), 1);
		assert_int_equal(n_woken, 1);
	}
	assert_int_equal(worker.claims[0].gateway, 3);
	assert_memory_equal(worker.claims[0].mac.bytes, packet.bytes + 6, 6);
	assert_true(address_equal(&worker.claims[0].from, &remotes[8].endpoint.address));
	assert_client_at("192.0.2.7:4789");
	/* The owner speaks. The next claim begins anew, but not while the control thread has too many to ask for. */
	receive_packet("192.0.2.7:50000", 7);
	worker.now += FDB_PATIENCE;
	atomic_store(&worker.claims_in, WORKER_CLAIMS);
	receive_packet("192.0.2.8:50000", 7);
	atomic_store(&worker.claims_out, WORKER_CLAIMS);
	receive_packet("192.0.2.8:50000", 7);
	assert_int_equal(atomic_load(&worker.claims_in), WORKER_CLAIMS + 1);
	assert_client_at("192.0.2.7:4789");
	/* It does not. */
	worker.now += FDB_PATIENCE;
	receive_packet("192.0.2.8:50000", 7);
	assert_client_at("192.0.2.8:4789");
	assert_int_equal(gateway_counters[3].held_moves, 4);
}

/* What the kernel refused */

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		int error;
		enum drop reason;
	} cases[] = {{-EMSGSIZE, DROP_TOO_BIG},
		     {-EAGAIN, DROP_SEND_FULL},
		     {-ENOBUFS, DROP_SEND_FULL},
		     {-ENETUNREACH, DROP_SEND_FAILED},
		     {-EPERM, DROP_SEND_FAILED}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		frame_between(3, 0xf1);
		send_from(3);
		assert_int_equal(n_sent, 1);
		forward_refused(&worker, &fake_last, cases[i].error);
		n_sent = 0;
		assert_port_dropped(3, cases[i].reason);
		assert_int_equal(gateway_counters[2].tx_datagrams, 0);
		assert_int_equal(gateway_counters[2].tx_bytes, 0);
	}
	frame_between(0xf1, 3);
	receive_packet("192.0.2.3:50000", 42);
	forward_refused(&worker, &fake_last, -EIO);
	n_sent = 0;
	assert_port_dropped(3, DROP_TAP_DOWN);
	assert_int_equal(port_counters[3].tx_frames, 0);
	assert_int_equal(port_counters[3].tx_bytes, 0);
}

/* A train counts as many drops as it has datagrams. */
static void test_dropped_train(void **state)
{
	(void)state;
	super_between(3, 0xf1, 6);
	struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
	static const int errors[] = {-EAGAIN, -EPERM, -ENETUNREACH};
	static const enum drop reasons[] = {DROP_SEND_FULL, DROP_SEND_FAILED, DROP_SEND_FAILED};
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		memset(worker.drops, 0, sizeof(worker.drops));
		send_super(3, &vnet);
		forward_refused(&worker, &fake_last, errors[i]);
		assert_int_equal(n_sent, 1); /* no other was tried */
		assert_int_equal(worker.drops[reasons[i]], 5);
		assert_int_equal(gateway_counters[2].tx_datagrams, 0);
		assert_int_equal(gateway_counters[2].tx_bytes, 0);
		assert_false(vs.banned);
	}
	assert_int_equal(port_counters[3].drops[DROP_SEND_FULL], 5);
}

/* The train's five datagrams, sent one by one: n_sent is one more, as the train itself was noted. */
static void assert_singly(const struct sent *train)
{
	size_t at = 0;
	for (unsigned i = 1; i < 6; i++) {
		assert_true(sent[i].at_once);
		assert_int_equal(sent[i].fd, train->fd);
		assert_int_equal(sent[i].segment, 0);
		assert_int_equal(sent[i].ecn, train->ecn);
		assert_string_equal(sent[i].to, train->to);
		assert_memory_equal(sent[i].bytes, train->bytes + at, sent[i].length);
		at += sent[i].length;
	}
	assert_int_equal(at, train->length);
}

static struct virtio_net_hdr refuse_super(unsigned pod, int error)
{
	super_between(pod, 0xf1, 6);
	packet.bytes[15] |= 2; /* ECT(0), for a control message of its own */
	packet_fix_ip4(packet.bytes);
	struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
	memcpy(buffer, &vnet, TAP_VNET_HEADER);
	memcpy(buffer + TAP_VNET_HEADER, packet.bytes, packet.length);
	fake_forget();
	forward_from_pod(&worker, &ports[pod], buffer, (uint32_t)(TAP_VNET_HEADER + packet.length));
	forward_finish(&worker);
	/* As in the real ring: refused while its bytes are all there. */
	ring_push_keep = true;
	ring_push(NULL);
	ring_push_keep = false;
	forward_refused(&worker, &fake_last, error);
	return vnet;
}

/* The datagrams pass one by one: it was the train. */
static void test_refused_train(void **state)
{
	(void)state;
	static const int errors[] = {-EIO, -EINVAL, -EOPNOTSUPP, -EMSGSIZE};
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		ban_lift(&remotes[3].train_ban);
		vs.banned = false;
		gateway_counters[2].tx_datagrams = gateway_counters[2].tx_bytes = 0;
		struct virtio_net_hdr vnet = refuse_super(3, errors[i]);
		assert_int_equal(n_sent, 6);
		assert_singly(&sent[0]);
		assert_int_equal(gateway_counters[2].tx_datagrams, 5);
		assert_int_equal(gateway_counters[2].tx_bytes, sent[0].length);
		assert_true(vs.banned);
		/* From then on singly to this remote, and to no other. */
		send_super(3, &vnet);
		assert_int_equal(n_sent, 5);
		fdb_set(vs.fdb, 1, packet.bytes, FDB_STATIC, (struct fdb_place){.index = 1});
		super_between(1, 0xf1, 6);
		send_super(1, &vnet);
		assert_int_equal(n_sent, 1);
		/* A minute later it is tried again, and again after twice as long. */
		worker.now += BAN_LEAST;
		super_between(3, 0xf1, 6);
		send_super(3, &vnet);
		assert_int_equal(n_sent, 1);
		(void)refuse_super(3, errors[i]);
		worker.now += 2 * BAN_LEAST - 1;
		send_super(3, &vnet);
		assert_int_equal(n_sent, 5);
		worker.now += 1;
		send_super(3, &vnet);
		assert_int_equal(n_sent, 1);
	}
	for (int i = 0; i < DROP_COUNT; i++)
		assert_int_equal(worker.drops[i], 0);
}

/* A blackhole route answers EINVAL to all, and a path MTU that shrank may answer it to trains. */
static void test_refused_altogether(void **state)
{
	(void)state;
	static const struct {
		int train, single;
		enum drop reason;
	} cases[] = {{-EINVAL, -EINVAL, DROP_SEND_FAILED},
		     {-EINVAL, -EMSGSIZE, DROP_TOO_BIG},
		     {-EMSGSIZE, -EMSGSIZE, DROP_TOO_BIG},
		     {-EIO, -EPERM, DROP_SEND_FAILED}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_refusal = cases[i].single;
		struct virtio_net_hdr vnet = refuse_super(3, cases[i].train);
		fake_refusal = 0;
		assert_int_equal(n_sent, 1);
		assert_int_equal(worker.drops[cases[i].reason], 5);
		assert_int_equal(gateway_counters[2].tx_datagrams, 0);
		assert_int_equal(gateway_counters[2].tx_bytes, 0);
		assert_false(vs.banned);
		memset(worker.drops, 0, sizeof(worker.drops));
		send_super(3, &vnet);
		assert_int_equal(n_sent, 1);
		gateway_counters[2].tx_datagrams = gateway_counters[2].tx_bytes = 0;
	}
	/* Those that are sent and those that are not add up. */
	fake_refusal = -EAGAIN;
	fake_passes = 2;
	(void)refuse_super(3, -EIO);
	fake_refusal = 0;
	assert_int_equal(n_sent, 3);
	assert_int_equal(worker.drops[DROP_SEND_FULL], 3);
	assert_int_equal(gateway_counters[2].tx_datagrams, 2);
	assert_int_equal(gateway_counters[2].tx_bytes, sent[1].length + sent[2].length);
	assert_true(vs.banned);
}

/* What a pod's own network refuses concerns that pod. */
static void test_refused_in_pod(void **state)
{
	(void)state;
	struct underlay own = host;
	ports[1].underlay = &own;
	fdb_set(vs.fdb, 1, ((uint8_t[]){2, 0, 0, 0, 0, 0xf1}), FDB_STATIC, (struct fdb_place){.index = 1});
	struct virtio_net_hdr vnet = refuse_super(1, -EIO);
	assert_int_equal(n_sent, 6);
	send_super(1, &vnet);
	assert_int_equal(n_sent, 5);
	super_between(2, 0xf1, 6);
	send_super(2, &vnet);
	assert_int_equal(n_sent, 1);
}

/* Reported late, its bytes are gone; a single datagram says nothing about trains. */
static void test_not_judged(void **state)
{
	(void)state;
	super_between(3, 0xf1, 6);
	struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
	send_super(3, &vnet);
	fake_last.frame = NULL;
	forward_refused(&worker, &fake_last, -EIO);
	assert_int_equal(n_sent, 1);
	assert_int_equal(worker.drops[DROP_SEND_FAILED], 5);
	frame_between(3, 0xf1);
	send_from(3);
	forward_refused(&worker, &fake_last, -EIO);
	assert_int_equal(n_sent, 1);
	assert_false(vs.banned);
}

/* By the underlay TAP */

static struct underlay_tap tap = {.fd = 300, .mac = {{2, 0, 0, 0, 0, 0xaa}}};

/* Serves the only remote of gateway 2 by the TAP, over a path of 1500 bytes. */
static struct egress *open_egress(void)
{
	struct sockaddr_storage to = remotes[3].to;
	remotes[3].egress.tap = tap.fd;
	underlay_tap_route(&remotes[3].egress.route, &tap, &to, &to);
	atomic_store(&remotes[3].egress.mtu, 1500);
	return &remotes[3].egress;
}

static void send_by_tap(bool super)
{
	static struct tunnel tunnel;
	super_between(3, 0xf1, 6);
	struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
	if (super) {
		send_super(3, &vnet);
	} else {
		frame_between(3, 0xf1);
		send_from(3);
	}
	assert_int_equal(n_sent, 1);
	assert_true(sent[0].by_tap);
	assert_int_equal(sent[0].fd, tap.fd);
	tunnel_open(&tunnel, sent[0].bytes, sent[0].length);
	assert_int_equal(tunnel.count, super ? 5 : 1);
	assert_memory_equal(tunnel.outer.bytes + 30, ((uint8_t[]){192, 0, 2, 3}), 4);
}

/* A refusal of one frame need not concern the next; an error of the TAP itself concerns all remotes. */
static void test_refused_by_tap(void **state)
{
	(void)state;
	static const int errors[] = {-EINVAL, -EIO,      -EOPNOTSUPP, -EAGAIN, -ENOBUFS,
				     -ENOMEM, -EMSGSIZE, -EBADFD,     -EFAULT, -ENETDOWN};
	for (size_t i = 0; i < 2 * sizeof(errors) / sizeof(errors[0]); i++) {
		struct egress *egress = open_egress();
		int error = errors[i / 2];
		uint64_t n = i & 1 ? 5 : 1;
		enum drop reason = error == -EMSGSIZE                      ? DROP_TOO_BIG
				   : error == -EAGAIN || error == -ENOBUFS ? DROP_SEND_FULL
									   : DROP_SEND_FAILED;
		send_by_tap(i & 1);
		forward_refused(&worker, &fake_last, error);
		assert_int_equal(worker.drops[reason], n);
		assert_int_equal(port_counters[3].drops[reason], n);
		assert_int_equal(gateway_counters[2].tx_datagrams, 0);
		assert_int_equal(gateway_counters[2].tx_bytes, 0);
		assert_int_equal(atomic_load(&egress->mtu), error == -EINVAL ? 1500 : 0);
		/* Trains of the sockets are not turned off because the TAP refuses. */
		assert_false(vs.banned);
		memset(&worker.drops, 0, sizeof(worker.drops));
		memset(port_counters, 0, sizeof(port_counters));
	}
}

/* The sockets serve it from then on, and their refusals do not concern the TAP. */
static void test_back_on_sockets(void **state)
{
	(void)state;
	struct egress *egress = open_egress();
	send_by_tap(true);
	forward_refused(&worker, &fake_last, -EIO);
	super_between(3, 0xf1, 6);
	struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
	send_super(3, &vnet);
	assert_int_equal(n_sent, 1);
	assert_train(&sent[0], "192.0.2.3:4789");
	/* Meanwhile a probe has found that it works again. */
	open_egress();
	forward_refused(&worker, &fake_last, -EIO);
	assert_int_equal(atomic_load(&egress->mtu), 1500);
	assert_true(vs.banned);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, build_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_world(test_unknown_unicast), in_world(test_broadcast),          in_world(test_known_unicast),
		in_world(test_pod_to_pod),      in_world(test_bad_frames),         in_world(test_bad_virtio_headers),
		in_world(test_to_pod),          in_world(test_without_learning),   in_world(test_gateways_apart),
		in_world(test_strangers),       in_world(test_bad_inner_frames),   in_world(test_ecn_to_pod),
		in_world(test_trains),          in_world(test_super_frame),        in_world(test_hub_learns),
		in_world(test_hub_allows),      in_world(test_hub_answers),        in_world(test_hub_is_crowded),
		in_world(test_hub_holds),       in_world(test_hub_has_many_macs),  in_world(test_refusals),
		in_world(test_super_to_remote), in_world(test_super_to_all),       in_world(test_super_to_pod),
		in_world(test_super_hostile),   in_world(test_segments_to_pod),    in_world(test_dropped_train),
		in_world(test_refused_train),   in_world(test_refused_altogether), in_world(test_refused_in_pod),
		in_world(test_not_judged),      in_world(test_refused_by_tap),     in_world(test_back_on_sockets),
	};
	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
