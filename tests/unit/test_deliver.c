/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_deliver.c - whatever mixture of frames arrives, a pod gets the same frames, to the byte and in order
 *
 * What is written to a TAP is cut apart again with cut.h and compared with what went in, flow by flow. Flow N is
 * between 10.0.N.1 (fd..N:1) and the pod, whose port is N % 2; every third flow is UDP.
 */
#include "vswitch/path/deliver.c"

#include "tests/unit/cut.h"
#include "tests/unit/fake_ring.h"

enum { ROUNDS = 1500, FLOWS = 12, MOST = 1200, ROOM = 6 << 20, TAP = 100 };

struct flow {
	struct recipe recipe;
	bool df, same_id;
	uint16_t id;
	uint32_t seq;
	size_t size; /* of a full segment */
};

struct seen {
	unsigned flow;
	size_t length;
	uint8_t *bytes;
};

static struct vswitch vs;
static struct worker worker;
static struct port_counters counters[2];
static struct port ports[2];
static struct flow flows[FLOWS];
static struct test_packet packet, whole, piece;
static struct seen given[MOST], arrived[MOST];
static unsigned n_given, n_arrived, n_merged;
static uint8_t memory[ROOM], copies[ROOM], pieces[ROOM];
static size_t used, copied, cut_up;

static void fresh_round(void)
{
	fake_forget();
	n_given = n_arrived = 0;
	used = copied = cut_up = 0;
	memset(counters, 0, sizeof(counters));
}

static int build_world(void **state)
{
	(void)state;
	memset(&worker, 0, sizeof(worker));
	worker.vs = &vs;
	vs.banned = false;
	vs.offloads = (struct switch_offloads){
		.tap_gso = true, .udp_gso = true, .udp_gro = true, .trains = true, .tap_gro = true};
	for (int i = 0; i < 2; i++) {
		ports[i] = (struct port){.tap = TAP + i, .takes_uso = true, .counters = &counters[i]};
		ports[i].config.link.mtu = 1450;
	}
	n_merged = 0;
	fresh_round();
	return 0;
}

void mail_wake_control(const struct worker *waker)
{
	(void)waker;
}

/* Flows */

static void set_flow(uint8_t *frame, unsigned flow)
{
	bool ip4 = frame[14] >> 4 == 4;
	frame[ip4 ? 28 : 36] = (uint8_t)flow;
}

static unsigned flow_of(const uint8_t *frame)
{
	return frame[frame[14] >> 4 == 4 ? 28 : 36];
}

static void open_flow(unsigned n)
{
	struct flow *flow = &flows[n];
	*flow = (struct flow){
		.recipe = {.version = below(2) ? 6 : 4, .protocol = n % 3 ? 6 : 17, .tos = (uint8_t)below(3)},
		.df = below(2),
		.id = (uint16_t)rand(),
		.seq = (uint32_t)rand() * 2};
	if (flow->recipe.protocol == 6)
		flow->recipe.tcp_options = (unsigned)below(3) * 12;
	flow->same_id = flow->df && below(2);
	flow->size = 1 + below(n % 2 ? 1366 : 100);
}

/* The flow's next packet, with `payload` bytes. */
static void build_next(unsigned n, size_t payload)
{
	struct flow *flow = &flows[n];
	struct recipe recipe = flow->recipe;
	recipe.payload = payload;
	packet_build(&packet, &recipe);
	set_flow(packet.bytes, n);
	random_bytes(packet.bytes + packet.l4 + packet_l4_header(&recipe), payload);
	if (recipe.version == 4) {
		packet.bytes[20] = flow->df ? 0x40 : 0;
		packet_put16(packet.bytes + 18, flow->same_id ? flow->id : flow->id++);
	}
	if (recipe.protocol == 6)
		packet_put32(packet.bytes + packet.l4 + 4, flow->seq);
	flow->seq += (uint32_t)payload;
}

static void fix_sums(void)
{
	if (packet.bytes[14] >> 4 == 4)
		packet_fix_ip4(packet.bytes);
	packet_fix_l4(&packet, packet_is_tcp(&packet) ? 6 : 17, false);
}

/* In and out */

static void note_given(unsigned flow, const struct test_packet *one, size_t length)
{
	assert_true(n_given < MOST && copied + length <= ROOM);
	given[n_given++] = (struct seen){flow, length, copies + copied};
	memcpy(copies + copied, one->bytes, length);
	copied += length;
}

/* The packet arrives; it stays where it is until the end of the round. */
static void arrive(unsigned flow, uint32_t inner_gso)
{
	struct frame frame;
	uint8_t *bytes = memory + used;
	assert_true(used + packet.length <= ROOM);
	memcpy(bytes, packet.bytes, packet.length);
	used += packet.length;
	if (frame_parse(&frame, bytes, packet.length) == DROP_NONE)
		deliver_segment(&worker, &ports[flow % 2], &frame, inner_gso);
}

static void give(unsigned flow)
{
	note_given(flow, &packet, packet.length);
	arrive(flow, 0);
}

static void note_arrived(const struct test_packet *one)
{
	assert_true(n_arrived < MOST && cut_up + one->length <= ROOM);
	arrived[n_arrived++] = (struct seen){flow_of(one->bytes), one->length, pieces + cut_up};
	memcpy(pieces + cut_up, one->bytes, one->length);
	cut_up += one->length;
}

/* What the pod's kernel receives. */
static void take_apart(const struct sent *one)
{
	struct frame frame;
	assert_true(one->length <= sizeof(whole.bytes));
	memcpy(whole.bytes, one->bytes, one->length);
	whole.length = whole.end = one->length;
	assert_int_equal(frame_parse(&frame, whole.bytes, whole.length), DROP_NONE);
	whole.l4 = frame.l4;
	if (!(one->vnet.flags & CUT_NEEDS_CSUM)) {
		assert_int_equal(one->vnet.gso_type, 0);
		note_arrived(&whole);
		return;
	}
	bool tcp = packet_is_tcp(&whole);
	packet_fix_l4(&whole, tcp ? 6 : 17, true);
	assert_memory_equal(whole.bytes, one->bytes, one->length);
	if (!one->vnet.gso_type) {
		packet_fix_l4(&whole, tcp ? 6 : 17, false);
		note_arrived(&whole);
		return;
	}
	const struct virtio_net_hdr wanted = super_vnet(&whole, one->vnet.gso_size);
	assert_memory_equal(&one->vnet, &wanted, sizeof(wanted));
	assert_in_range(cut_count(&whole, wanted.gso_size), 2, 128);
	n_merged++;
	for (unsigned i = 0; i < cut_count(&whole, wanted.gso_size); i++) {
		cut(&whole, wanted.gso_size, i, flows[flow_of(whole.bytes)].same_id, &piece);
		note_arrived(&piece);
	}
}

/* Each flow's frames are all there, in their order, to the byte. */
static void compare(unsigned flow)
{
	unsigned at = 0;
	for (unsigned i = 0; i < n_given; i++) {
		if (given[i].flow != flow)
			continue;
		while (at < n_arrived && arrived[at].flow != flow)
			at++;
		assert_true(at < n_arrived);
		assert_int_equal(arrived[at].length, given[i].length);
		assert_memory_equal(arrived[at].bytes, given[i].bytes, given[i].length);
		at++;
	}
}

static void end_round(void)
{
	uint64_t frames = 0, bytes = 0;
	deliver_all_held(&worker);
	ring_push(NULL);
	for (unsigned i = 0; i < n_sent; i++) {
		assert_true(sent[i].to_tap);
		assert_int_equal(sent[i].fd, TAP + flow_of(sent[i].bytes) % 2);
		take_apart(&sent[i]);
		bytes += sent[i].length;
	}
	assert_int_equal(n_arrived, n_given);
	for (unsigned flow = 0; flow < FLOWS; flow++)
		compare(flow);
	for (int i = 0; i < 2; i++) {
		frames += counters[i].tx_frames;
		bytes -= counters[i].tx_bytes;
	}
	assert_int_equal(frames, n_sent);
	assert_int_equal(bytes, 0);
}

/* Of one flow */

static void open_plain(unsigned n, uint8_t version, uint8_t protocol)
{
	flows[n] = (struct flow){.recipe = {.version = version, .protocol = protocol}, .size = 1000};
}

static void test_run(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		build_world(NULL);
		open_plain(1, i & 1 ? 6 : 4, i & 2 ? 17 : 6);
		for (unsigned n = 0; n < 10; n++) {
			build_next(1, n < 9 ? 1000 : 7);
			fix_sums();
			give(1);
		}
		end_round();
		assert_int_equal(n_sent, 1);
		assert_int_equal(n_merged, 1);
	}
}

static void run_of(unsigned n, unsigned flow)
{
	while (n-- > 0) {
		build_next(flow, 1000);
		fix_sums();
		give(flow);
	}
	end_round();
}

static void test_off(void **state)
{
	(void)state;
	vs.offloads.tap_gro = false;
	open_plain(1, 4, 6);
	run_of(10, 1);
	assert_int_equal(n_sent, 10);
}

static void test_without_uso(void **state)
{
	(void)state;
	ports[1].takes_uso = false;
	open_plain(1, 4, 17);
	run_of(10, 1);
	assert_int_equal(n_sent, 10);
	fresh_round();
	open_plain(1, 4, 6);
	run_of(10, 1);
	assert_int_equal(n_sent, 1);
}

/* Frames larger than the pod's MTU were not sent for this pod, so they stay alone. */
static void test_mtu(void **state)
{
	(void)state;
	for (uint8_t version = 4; version <= 6; version += 2) {
		unsigned packet_size = (version == 4 ? 40 : 60) + 1000;
		open_plain(1, version, 6);
		ports[1].config.link.mtu = packet_size;
		run_of(4, 1);
		assert_int_equal(n_sent, 1);
		fresh_round();
		ports[1].config.link.mtu = packet_size - 1;
		run_of(4, 1);
		assert_int_equal(n_sent, 4);
		fresh_round();
	}
}

static void test_down(void **state)
{
	(void)state;
	ports[1].tap = -1;
	open_plain(1, 4, 6);
	for (unsigned i = 0; i < 3; i++) {
		build_next(1, 1000);
		fix_sums();
		arrive(1, 0);
	}
	end_round();
	assert_int_equal(n_sent, 0);
	assert_true(counters[1].drops[DROP_TAP_DOWN] > 0);
}

/* Frames for a group address go to several ports, so nothing may be written to them. */
static void test_group_address(void **state)
{
	(void)state;
	open_plain(1, 4, 17);
	for (unsigned i = 0; i < 4; i++) {
		build_next(1, 1000);
		memset(packet.bytes, 0xff, 6);
		fix_sums();
		give(1);
	}
	end_round();
	assert_int_equal(n_sent, 4);
}

/* Between pods of this node, a frame arrives as it was sent. */
static void test_whole(void **state)
{
	(void)state;
	struct frame frame;
	open_plain(1, 4, 6);
	build_next(1, 40000);
	packet_fix_l4(&packet, 6, true);
	const struct virtio_net_hdr vnet = super_vnet(&packet, 1000);
	assert_int_equal(frame_parse(&frame, packet.bytes, packet.length), DROP_NONE);
	deliver_whole(&worker, &ports[1], &frame, &vnet);
	ring_push(NULL);
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].length, packet.length);
	assert_memory_equal(sent[0].bytes, packet.bytes, packet.length);
	assert_memory_equal(&sent[0].vnet, &vnet, sizeof(vnet));
	deliver_refused(&worker, &fake_last, -EINVAL);
	assert_int_equal(counters[1].tx_frames, 0);
	assert_int_equal(counters[1].tx_bytes, 0);
	assert_int_equal(counters[1].drops[DROP_TAP_FAILED], 1);
}

/* A kernel that refuses what we have joined gets the frames as they come, for a while, at this port alone. */
static void test_refused(void **state)
{
	(void)state;
	worker.now = 1000;
	open_plain(1, 4, 6);
	run_of(10, 1);
	assert_int_equal(n_sent, 1);
	deliver_refused(&worker, &fake_last, -EINVAL);
	assert_int_equal(counters[1].drops[DROP_TAP_FAILED], 10);
	assert_int_equal(counters[1].tx_frames, 0);
	assert_int_equal(counters[1].tx_bytes, 0);
	assert_true(vs.banned);
	fresh_round();
	run_of(10, 1);
	assert_int_equal(n_sent, 10);
	/* A frame that is refused alone changes nothing, nor does an interface that is down. */
	vs.banned = false;
	deliver_refused(&worker, &fake_last, -EINVAL);
	assert_int_equal(counters[1].drops[DROP_TAP_FAILED], 1);
	fresh_round();
	open_plain(2, 4, 6);
	run_of(10, 2);
	assert_int_equal(n_sent, 1);
	deliver_refused(&worker, &fake_last, -EIO);
	assert_int_equal(counters[0].drops[DROP_TAP_DOWN], 10);
	assert_false(vs.banned);
	/* A minute later it is tried again. */
	fresh_round();
	worker.now += BAN_LEAST;
	run_of(10, 1);
	assert_int_equal(n_sent, 1);
	ban_lift(&ports[1].gro_ban);
	fresh_round();
	ports[1].refuses_tso = true;
	run_of(10, 1);
	assert_int_equal(n_sent, 10);
}

/* Random: what may happen to a flow beside its next full segment */

/* Flips a few bits of the IPv4 checksum, or of anything behind the ports; it is still the flow's. */
static void damage(void)
{
	bool ip = packet.bytes[14] >> 4 == 4 && !below(4);
	size_t from = ip ? 24 : packet.l4 + 4, to = ip ? 26 : packet.end;
	for (size_t bits = 1 + below(3); bits > 0; bits--)
		packet.bytes[from + below(to - from)] ^= (uint8_t)(1 << below(8));
}

/* Changes the value of a field that does not change the flow. */
static void vary_ip(uint8_t *ip)
{
	bool ip4 = ip[0] >> 4 == 4;
	switch (below(5)) {
	case 0:
		ip[1] ^= (uint8_t)(ip4 ? 1 + below(3) : (size_t)0x10 << below(2)); /* ECN */
		break;
	case 1:
		ip[ip4 ? 8 : 7]--;
		break;
	case 2:
		ip[ip4 ? 5 : 3] ^= 0x40; /* id, flow label */
		break;
	case 3:
		ip[ip4 ? 6 : 2] ^= 0x40; /* DF, flow label */
		break;
	case 4:
		ip[-3] ^= 1; /* the source MAC */
		break;
	}
}

static void vary_tcp(uint8_t *tcp)
{
	switch (below(6)) {
	case 0:
		tcp[13] ^= (uint8_t)(1 << below(8));
		break;
	case 1:
		tcp[8 + below(4)] ^= 1; /* acknowledgement */
		break;
	case 2:
		tcp[4 + below(4)] ^= 1; /* another place in the stream */
		break;
	case 3:
		tcp[14 + below(2)] ^= 4; /* window */
		break;
	case 4:
		tcp[12] ^= 1; /* reserved */
		break;
	case 5:
		tcp[20] ^= 1; /* options, or payload */
		break;
	}
}

static void send_variant(unsigned n)
{
	build_next(n, 1 + below(flows[n].size));
	uint8_t *l4 = packet.bytes + packet.l4;
	if (below(2))
		vary_ip(packet.bytes + 14);
	else if (packet_is_tcp(&packet))
		vary_tcp(l4);
	else
		packet_put16(l4 + 4, packet_get16(l4 + 4) - 1); /* shorter than IP says */
	fix_sums();
	give(n);
}

static void send_fragment(unsigned n)
{
	if (flows[n].recipe.version == 6)
		return;
	build_next(n, flows[n].size);
	packet_put16(packet.bytes + 20, below(2) ? 0x2000 : 0x0010);
	packet_fix_ip4(packet.bytes);
	give(n);
}

/* From a kernel on this node: a frame with a partial checksum, which the pod's kernel fills in. */
static void send_partial(unsigned n)
{
	bool tcp = flows[n].recipe.protocol == 6;
	build_next(n, flows[n].size);
	fix_sums();
	note_given(n, &packet, packet.length);
	packet_fix_l4(&packet, tcp ? 6 : 17, true);
	arrive(n, 0);
}

/* And a super-frame of it, to be cut where its sender would have cut it. */
static void send_super(unsigned n)
{
	const struct flow *flow = &flows[n];
	bool tcp = flow->recipe.protocol == 6, ip4 = flow->recipe.version == 4;
	size_t size = tcp ? 1450 - (ip4 ? 40 : 60) - flow->recipe.tcp_options : 500;
	if (flow->same_id)
		return;
	build_next(n, size * 2 + 1 + below(3 * size));
	if (ip4)
		packet_fix_ip4(packet.bytes);
	packet_fix_l4(&packet, tcp ? 6 : 17, true);
	whole = packet;
	for (unsigned i = 0; i < cut_count(&whole, size); i++) {
		cut(&whole, size, i, false, &piece);
		note_given(n, &piece, piece.length);
	}
	flows[n].id = (uint16_t)(flows[n].id + cut_count(&whole, size) - 1);
	arrive(n, tcp ? 0 : (uint32_t)size);
}

/* The frames that a gateway on this node has left to a device: each by itself where the TAP knows no such super-frames.
 */
static void test_super_without_uso(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		ports[1].takes_uso = i & 2;
		open_plain(1, i & 1 ? 4 : 6, 17);
		send_super(1);
		end_round();
		assert_int_equal(n_sent, ports[1].takes_uso ? 1 : n_given);
		assert_true(n_given >= 3);
		fresh_round();
	}
	/* Nothing is written where there is no TAP. */
	ports[1].tap = -1;
	ports[1].takes_uso = false;
	send_super(1);
	ring_push(NULL);
	assert_int_equal(n_sent, 0);
	assert_int_equal(counters[1].drops[DROP_TAP_DOWN], 1);
}

static void send_next(unsigned n, size_t payload, uint8_t flags)
{
	build_next(n, payload);
	if (flags && packet_is_tcp(&packet))
		packet.bytes[packet.l4 + 13] |= flags;
	fix_sums();
	give(n);
}

static void send_odd(unsigned n)
{
	bool udp = flows[n].recipe.protocol == 17;
	switch (below(9)) {
	case 0:
		send_next(n, 0, 0); /* an acknowledgement, or an empty datagram */
		break;
	case 1:
		send_next(n, below(flows[n].size), 0); /* short of full */
		break;
	case 2:
		send_next(n, flows[n].size, below(2) ? 0x08 : 0x01); /* PSH, FIN */
		break;
	case 3:
		send_fragment(n);
		break;
	case 4:
		build_next(n, flows[n].size);
		fix_sums();
		damage();
		give(n);
		break;
	case 5:
		build_next(n, flows[n].size);
		fix_sums();
		packet_put16(packet.bytes + packet.l4 + (udp ? 6 : 16), 0); /* UDP: no checksum; TCP: a wrong one */
		give(n);
		break;
	case 6:
		send_partial(n);
		break;
	case 7:
		send_super(n);
		break;
	case 8:
		send_variant(n);
		break;
	}
}

static void test_mixture(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned live = 1 + (unsigned)below(FLOWS), oddities = (unsigned)below(60);
		fresh_round();
		for (unsigned n = 0; n < FLOWS; n++)
			open_flow(n);
		for (size_t frames = 1 + below(200); frames > 0; frames--) {
			unsigned n = (unsigned)below(live);
			if (below(100) < oddities)
				send_odd(n);
			else
				for (size_t run = 1 + below(4); run > 0; run--)
					send_next(n, flows[n].size, 0);
		}
		end_round();
	}
	/* Something was joined at all. */
	assert_true(n_merged > ROUNDS * 4);
}

#define in_world(test) cmocka_unit_test_setup(test, build_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_world(test_run),         in_world(test_off),
		in_world(test_without_uso), in_world(test_mtu),
		in_world(test_down),        in_world(test_group_address),
		in_world(test_whole),       in_world(test_refused),
		in_world(test_mixture),     in_world(test_super_without_uso),
	};
	return cmocka_run_group_tests_name("deliver", tests, NULL, NULL);
}
