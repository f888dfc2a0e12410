/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_train.c - what leaves together is what was given, in the order it was given, cut where the kernel cuts
 *
 * A way is a remote, a port and a socket. Way N has remote N % 3, port N / 3 % 2 and socket 200 + N / 6, whose UDP port
 * is 50000 + N / 6. Datagrams leave by those sockets or by the underlay TAP, depending on `by_tap` when they are added.
 */
#include "vswitch/path/train.c"

#include "tests/unit/fake_ring.h"
#include "tests/unit/tunnel.h"

enum { ROUNDS = 300, WAYS = 12, REMOTES = 3, GIVEN = 2000, ROOM = 6 << 20, TAP = 300 };

struct datagram {
	unsigned way, ecn;
	size_t length;
	const uint8_t *bytes;
};

static struct vswitch vs;
static struct worker worker;
static struct gateway_counters counters;
static struct gateway gateway = {.counters = &counters};
static struct port ports[2] = {{.gateway = &gateway}, {.gateway = &gateway}};
static struct remote remotes[REMOTES];
static struct underlay_tap tap = {.fd = TAP, .mac = {{2, 0, 0, 0, 0, 0xaa}}};
static bool by_tap;
static struct test_packet packet, piece;
static struct tunnel tunnel;
static struct datagram given[GIVEN], arrived[GIVEN];
static unsigned n_given, n_arrived;
static uint8_t memory[ROOM], copies[ROOM], landed[ROOM];
static size_t used, copied, landed_used;

static int build_world(void **state)
{
	(void)state;
	memset(&worker, 0, sizeof(worker));
	memset(&counters, 0, sizeof(counters));
	worker.vs = &vs;
	vs.offloads = (struct switch_offloads){
		.tap_gso = true, .udp_gso = true, .udp_gro = true, .trains = true, .tap_gro = true};
	for (unsigned i = 0; i < REMOTES; i++) {
		struct endpoint to = {.address = {.family = i & 1 ? AF_INET6 : AF_INET}, .port = (uint16_t)(5000 + i)};
		to.address.bytes[3] = 1;
		remotes[i].to_length = endpoint_to_sockaddr(&to, &remotes[i].to);
		underlay_tap_route(&remotes[i].egress.route, &tap, &remotes[i].to, &remotes[i].to);
		remotes[i].egress.tap = TAP;
	}
	fake_forget();
	n_given = n_arrived = 0;
	used = copied = landed_used = 0;
	by_tap = false;
	return 0;
}

static int build_tap_world(void **state)
{
	build_world(state);
	by_tap = true;
	return 0;
}

static struct train_flow way_of(unsigned way, unsigned ecn)
{
	return (struct train_flow){.port = &ports[way / 3 % 2],
				   .remote = &remotes[way % 3],
				   .fd = 200 + (int)(way / 6),
				   .source_port = (uint16_t)(50000 + way / 6),
				   .ecn = ecn,
				   .egress = by_tap ? &remotes[way % 3].egress : NULL};
}

/* Remembers what the far end should receive. */
static void expect(unsigned way, unsigned ecn, const uint8_t *vxlan, const struct test_packet *frame)
{
	assert_true(n_given < GIVEN && copied + 8 + frame->length <= ROOM);
	given[n_given++] =
		(struct datagram){.way = way, .ecn = ecn, .length = 8 + frame->length, .bytes = copies + copied};
	memcpy(copies + copied, vxlan, 8);
	memcpy(copies + copied + 8, frame->bytes, frame->length);
	copied += 8 + frame->length;
}

/* The packet behind room for a VXLAN header, where it stays until the end of the round. */
static struct frame place(void)
{
	struct frame frame;
	assert_true(used + 8 + packet.length <= ROOM);
	random_bytes(memory + used, 8);
	memcpy(memory + used + 8, packet.bytes, packet.length);
	assert_int_equal(frame_parse(&frame, memory + used + 8, packet.length), DROP_NONE);
	used += 8 + packet.length;
	return frame;
}

static void add(unsigned way, unsigned ecn, size_t payload)
{
	packet_random(&packet, &(struct recipe){.version = 4, .protocol = 17, .payload = payload});
	struct frame frame = place();
	struct train_flow where = way_of(way, ecn);
	expect(way, ecn, frame.data - 8, &packet);
	train_add(&worker, &where, frame.data - 8, &frame);
}

static void add_super(unsigned way, unsigned ecn, uint8_t version, uint8_t protocol, size_t size, size_t payload)
{
	const struct recipe recipe = {.version = version,
				      .protocol = protocol,
				      .payload = payload,
				      .padding = below(3) ? 0 : 5, /* belongs to nothing and must not leave */
				      .partial = true};
	packet_random(&packet, &recipe);
	struct frame frame = place();
	struct virtio_net_hdr vnet = super_vnet(&packet, size);
	struct train_flow where = way_of(way, ecn);
	struct segment_plan plan;
	bool super;
	assert_int_equal(segment_plan(&frame, &vnet, &plan, &super), DROP_NONE);
	for (unsigned i = 0; i < plan.count; i++) {
		cut(&packet, size, i, false, &piece);
		expect(way, ecn, frame.data - 8, &piece);
	}
	train_add_super(&worker, &where, frame.data - 8, &plan);
}

/* Which way a transmission went, by its UDP ports. */
static unsigned way_taken(const struct sent *one, unsigned target, unsigned source)
{
	unsigned way = target - 5000U + 3 * (one->port == &ports[1]) + 6 * (source - 50000U);
	assert_in_range(way, 0, WAYS - 1);
	assert_true(one->port == &ports[0] || one->port == &ports[1]);
	return way;
}

static void note_arrival(unsigned way, unsigned ecn, const uint8_t *bytes, size_t length)
{
	assert_true(n_arrived < GIVEN);
	arrived[n_arrived++] = (struct datagram){way, ecn, length, bytes};
}

/* As in the kernel: 64 datagrams of one size except the last, in what fits one UDP packet. */
static unsigned arrive_by_socket(const struct sent *one)
{
	struct endpoint to;
	assert_int_equal(endpoint_parse(one->to, &to), 0);
	unsigned way = way_taken(one, to.port, 50000U + (unsigned)(one->fd - 200)), n = 0;
	size_t size = one->segment ? one->segment : one->length;
	if (one->segment)
		assert_true(one->segment < one->length && one->length <= (way % 3 == 1 ? 65535 - 48 : 65535 - 28));
	for (size_t at = 0; at < one->length; at += size, n++)
		note_arrival(way, one->ecn, one->bytes + at, one->length - at < size ? one->length - at : size);
	return n;
}

/* The kernel is told where to cut only for a train. */
static unsigned arrive_by_tap(struct sent *one)
{
	size_t total = 0;
	assert_int_equal(one->fd, TAP);
	tunnel_open(&tunnel, one->bytes, one->length);
	one->segment = tunnel.gso_size;
	for (unsigned i = 0; i < tunnel.count; i++) {
		tunnel_datagram(&tunnel, i, &piece);
		const uint8_t *udp = piece.bytes + piece.l4;
		unsigned way = way_taken(one, packet_get16(udp + 2), packet_get16(udp));
		size_t length = piece.end - piece.l4 - 8;
		assert_int_equal(piece.l4, way % 3 == 1 ? 54 : 34);
		assert_true(landed_used + length <= ROOM);
		memcpy(landed + landed_used, udp + 8, length);
		note_arrival(way, tunnel_tos(&piece), landed + landed_used, length);
		landed_used += length;
		total += length;
	}
	assert_int_equal(one->total, total);
	return tunnel.count;
}

static void arrive(struct sent *one)
{
	assert_false(one->to_tap);
	unsigned n = one->by_tap ? arrive_by_tap(one) : arrive_by_socket(one);
	assert_int_equal(n, one->count);
	assert_in_range(n, 1, 128);
}

/* Nothing is missing, nothing is added, and on each way everything arrives in order. */
static void end_round(void)
{
	uint64_t total = 0;
	train_close_all(&worker);
	ring_push(NULL);
	for (unsigned i = 0; i < n_sent; i++)
		arrive(&sent[i]);
	assert_int_equal(n_arrived, n_given);
	for (unsigned way = 0; way < WAYS; way++) {
		unsigned at = 0;
		for (unsigned i = 0; i < n_given; i++) {
			if (given[i].way != way)
				continue;
			while (at < n_arrived && arrived[at].way != way)
				at++;
			assert_true(at < n_arrived);
			assert_int_equal(arrived[at].ecn, given[i].ecn);
			assert_int_equal(arrived[at].length, given[i].length);
			assert_memory_equal(arrived[at].bytes, given[i].bytes, given[i].length);
			total += given[i].length;
			at++;
		}
	}
	assert_int_equal(counters.tx_datagrams, n_given);
	assert_int_equal(counters.tx_bytes, total);
}

/* What the kernel is told */

static void test_control(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		bool ip6 = i & 1, train = i & 2;
		unsigned ecn = i / 4;
		struct ring_tx tx = {.count = train ? 2 : 1};
		struct train_flow way = way_of(ip6, ecn);
		struct sent one = {0};
		set_control(&tx, &way, 1234);
		assert_true(tx.message.msg_controllen <= sizeof(tx.control));
		assert_int_equal(!tx.message.msg_control, !ecn && !train);
		tx.message.msg_name = &remotes[ip6].to;
		fake_control(&one, &tx.message);
		assert_int_equal(one.ecn, ecn);
		assert_int_equal(one.segment, train ? 1234 : 0);
	}
}

/* Trains of small frames */

static void test_one_train(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 64; i++)
		add(0, 0, 100);
	assert_int_equal(n_fake_queue, 0);
	add(0, 0, 100);
	assert_int_equal(n_fake_queue, 1);
	end_round();
	assert_int_equal(n_sent, 2);
	assert_int_equal(sent[0].count, 64);
	assert_int_equal(sent[0].segment, 150);
	assert_int_equal(sent[1].segment, 0);
}

/* A shorter one is the last, and leaves at once. */
static void test_shorter(void **state)
{
	(void)state;
	add(0, 0, 100);
	add(0, 0, 100);
	add(0, 0, 99);
	assert_int_equal(n_fake_queue, 1);
	add(0, 0, 99);
	end_round();
	assert_int_equal(n_sent, 2);
	assert_int_equal(sent[0].count, 3);
}

static void test_longer(void **state)
{
	(void)state;
	add(0, 0, 100);
	add(0, 0, 101);
	end_round();
	assert_int_equal(n_sent, 2);
	assert_int_equal(sent[0].count, 1);
}

static void test_ecn_apart(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 16; i++)
		add(0, i % 4, 100);
	end_round();
	assert_int_equal(n_sent, 16);
}

static void test_bytes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 60; i++)
		add(1, 0, 1400);
	end_round();
	assert_int_equal(n_sent, 2);
}

/* More ways than trains: one has to make room, and its order is kept. */
static void test_crowd(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40 * WAYS; i++)
		add(i % WAYS, 0, 100);
	end_round();
}

static void test_off(void **state)
{
	(void)state;
	bool tapped = by_tap;
	for (unsigned i = 0; i < 4; i++) {
		build_world(NULL);
		by_tap = tapped;
		vs.offloads.udp_gso = i & 1;
		vs.offloads.trains = i & 2;
		for (unsigned n = 0; n < 10; n++)
			add(0, 0, 100);
		end_round();
		assert_int_equal(n_sent, i == 3 ? 1 : 10);
	}
}

/* Super-frames */

static void test_super(void **state)
{
	(void)state;
	add_super(0, 2, 4, 6, 1398, 1398 * 40 + 7);
	end_round();
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].count, 41);
	assert_int_equal(sent[0].segment, 8 + 54 + 1398);
}

/* With a VXLAN header each, they are longer than the super-frame was. */
static void test_super_too_large(void **state)
{
	(void)state;
	add_super(0, 0, 6, 6, 536, 65000);
	add_super(1, 0, 4, 17, 1400, 65000);
	end_round();
	assert_int_equal(n_sent, 4);
}

static void test_super_small_pieces(void **state)
{
	(void)state;
	add_super(0, 0, 4, 17, 1, 128);
	add_super(1, 0, 6, 17, 500, 64000);
	add_super(2, 0, 4, 17, 64000, 65000);
	end_round();
}

static void test_super_behind_frames(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		add(0, 0, 1000);
	add_super(0, 0, 4, 17, 1000, 5000);
	add(0, 0, 1000);
	add_super(0, 0, 4, 6, 1000, 999);
	add(0, 0, 1000);
	end_round();
}

static void test_super_alone(void **state)
{
	(void)state;
	vs.offloads.udp_gso = false;
	add_super(0, 1, 4, 6, 1000, 40000);
	end_round();
	assert_int_equal(n_sent, 40);
	for (unsigned i = 0; i < n_sent; i++)
		assert_int_equal(sent[i].segment, 0);
}

/* Super-frames by the underlay TAP */

static void test_whole(void **state)
{
	(void)state;
	add_super(0, 2, 4, 6, 1398, 1398 * 40 + 7);
	add_super(1, 1, 6, 17, 500, 64000);
	add_super(2, 0, 4, 17, 1, 128);
	/* It does not depend on what the sockets can do. */
	vs.offloads.udp_gso = vs.offloads.trains = false;
	add_super(0, 3, 6, 6, 1000, 1001);
	end_round();
	assert_int_equal(n_sent, 4);
	assert_int_equal(sent[0].count, 41);
	assert_int_equal(sent[0].segment, 1398);
	assert_int_equal(sent[1].count, 128);
}

/* The largest that one write takes, and one byte more: that leaves as trains of its segments. */
static void test_whole_bound(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 2; way++) {
		size_t payload = 65535 - (way == 1 ? 70 : 50) - 54;
		build_tap_world(NULL);
		add_super(way, 1, 4, 6, 1398, payload);
		end_round();
		assert_int_equal(n_sent, 1);
		assert_int_equal(sent[0].segment, 1398);
		build_tap_world(NULL);
		add_super(way, 1, 4, 6, 1398, payload + 1);
		end_round();
		assert_int_equal(n_sent, 2);
		assert_int_equal(sent[0].segment, 8 + 54 + 1398);
		build_tap_world(NULL);
		vs.offloads.udp_gso = false;
		add_super(way, 1, 4, 6, 1398, payload + 1);
		end_round();
		assert_int_equal(n_sent, 47);
	}
}

/* A single segment is not a super-frame for Linux, whatever it is called. */
static void test_one_segment(void **state)
{
	(void)state;
	static const size_t sizes[] = {1000, 1001, 65535};
	for (unsigned i = 0; i < 12; i++)
		add_super(i % 3, i % 4, i & 1 ? 6 : 4, i & 2 ? 17 : 6, sizes[i % 3], 1000);
	end_round();
	assert_int_equal(n_sent, 12);
	for (unsigned i = 0; i < n_sent; i++)
		assert_int_equal(sent[i].segment, 0);
}

/* When a way changes, what was added before leaves first. */
static void test_changed_way(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		by_tap = i / 3 & 1;
		if (i % 3 == 2)
			add_super(0, 0, 4, 6, 1000, 5000);
		else
			add(0, 0, 1000);
	}
	end_round();
	assert_int_equal(n_sent, 8);
	build_world(NULL);
	for (unsigned i = 0; i < 12; i++) {
		by_tap = i & 1;
		add(0, 0, 1000);
	}
	end_round();
	assert_int_equal(n_sent, 12);
	for (unsigned i = 0; i < n_sent; i++)
		assert_int_equal(sent[i].by_tap, i & 1);
}

/* Everything at random */

static void add_something(void)
{
	unsigned way = (unsigned)below(WAYS), ecn = below(4) ? 0 : (unsigned)below(4);
	static const size_t usual[] = {18, 100, 1000, 1400};
	if (!below(20))
		add_super(way, ecn, below(2) ? 6 : 4, below(2) ? 6 : 17, 300 + below(1200), 1 + below(30000));
	else
		for (size_t n = 1 + below(8), payload = usual[below(4)]; n > 0; n--)
			add(way, ecn, below(8) ? payload : below(1472));
}

static void test_noise(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		build_world(NULL);
		vs.offloads.udp_gso = below(8);
		vs.offloads.trains = below(8);
		/* By the sockets, by the TAP, or by both in turn. */
		by_tap = i & 1;
		for (size_t n = 1 + below(100); n > 0; n--) {
			add_something();
			if (i % 3 == 2 && !below(4))
				by_tap = !by_tap;
		}
		end_round();
	}
}

#define in_world(test) cmocka_unit_test_setup(test, build_world)
#define by_tap(test)                                                                                                   \
	{                                                                                                              \
#test " by the TAP", test, build_tap_world, NULL, NULL                                                 \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_world(test_control),
		in_world(test_one_train),
		in_world(test_shorter),
		in_world(test_longer),
		in_world(test_ecn_apart),
		in_world(test_bytes),
		in_world(test_crowd),
		in_world(test_off),
		in_world(test_super),
		in_world(test_super_too_large),
		in_world(test_super_small_pieces),
		in_world(test_super_behind_frames),
		in_world(test_super_alone),
		by_tap(test_one_train),
		by_tap(test_shorter),
		by_tap(test_longer),
		by_tap(test_ecn_apart),
		by_tap(test_bytes),
		by_tap(test_crowd),
		by_tap(test_off),
		by_tap(test_super_small_pieces),
		by_tap(test_super_behind_frames),
		by_tap(test_whole),
		by_tap(test_whole_bound),
		by_tap(test_one_segment),
		in_world(test_changed_way),
		in_world(test_noise),
	};
	return cmocka_run_group_tests_name("train", tests, NULL, NULL);
}
