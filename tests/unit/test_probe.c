/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_probe.c - what a probe is, and how it is recognised when it leaves
 *
 * Runs without a packet socket, which needs root: the filter is caught on its way to the kernel and executed here, and
 * probes go through socket pairs.
 */
#include <sys/socket.h>
#include <unistd.h>

static int note_filter(int fd, int level, int option, const void *value, socklen_t size);

#define setsockopt note_filter
#include "vswitch/path/probe.c"
#undef setsockopt

#include "tests/unit/tunnel.h"

enum { SOURCE_PORT = 50001, TARGETS = 6 };

static struct sock_filter program[64];
static unsigned program_length;
static struct underlay_tap tap = {.mac = {{2, 0, 0, 0, 0, 0xaa}}};
static int far_end;
static struct underlay_tap_route routes[TARGETS];
static struct probe_target targets[TARGETS];
static struct test_packet packet;
static struct tunnel tunnel;
static uint8_t written[4096];

static int note_filter(int fd, int level, int option, const void *value, socklen_t size)
{
	struct sock_fprog given;
	(void)fd;
	assert_int_equal(level, SOL_SOCKET);
	assert_int_equal(option, SO_ATTACH_FILTER);
	assert_int_equal(size, sizeof(given));
	memcpy(&given, value, sizeof(given));
	assert_in_range(given.len, 1, sizeof(program) / sizeof(program[0]));
	memcpy(program, given.filter, given.len * sizeof(program[0]));
	program_length = given.len;
	return 0;
}

/* Targets are of both families in turn. */
static int build_world(void **state)
{
	(void)state;
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -1;
	tap.fd = pair[0];
	far_end = pair[1];
	for (unsigned i = 0; i < TARGETS; i++) {
		struct sockaddr_storage from, to;
		struct endpoint source = {.address = {.bytes = {10, 0, 0, 1}, .family = i & 1 ? AF_INET6 : AF_INET}};
		struct endpoint target = {.address = source.address, .port = 4789};
		target.address.bytes[3] = (uint8_t)(100 + i);
		endpoint_to_sockaddr(&source, &from);
		endpoint_to_sockaddr(&target, &to);
		underlay_tap_route(&routes[i], &tap, &from, &to);
		targets[i] = (struct probe_target){&routes[i], (uint16_t)(SOURCE_PORT + i), -ENETUNREACH};
	}
	return 0;
}

static int end_world(void **state)
{
	(void)state;
	close(tap.fd);
	close(far_end);
	return 0;
}

/* Probe `id` for target `i`: as it was written in `tunnel`, and the first datagram of it in `packet`. */
static void make_probe(unsigned i, uint32_t id)
{
	assert_int_equal(write_probe(&tap, &targets[i], id), 0);
	ssize_t length = read(far_end, written, sizeof(written));
	assert_true(length > 0 && length < (ssize_t)sizeof(written));
	tunnel_open(&tunnel, written, (size_t)length);
	tunnel_datagram(&tunnel, 0, &packet);
}

/* What is written */

/* It looks like what it stands for: a TCP super-frame in a tunnel, cut in two, that no receiver accepts. */
static void test_written(void **state)
{
	(void)state;
	for (unsigned i = 0; i < TARGETS; i++) {
		const uint8_t *vxlan, *ip;
		uint32_t id = 0xfffffffe + i;
		make_probe(i, id);
		assert_true(tunnel.whole);
		assert_int_equal(tunnel.count, 2);
		assert_int_equal(packet_get16(packet.bytes + packet.l4), SOURCE_PORT + i);
		assert_int_equal(packet_get16(packet.bytes + packet.l4 + 2), 4789);
		vxlan = packet.bytes + packet.l4 + 8;
		assert_memory_equal(vxlan, ((uint8_t[]){0, 'P', 'S', 'W'}), 4);
		assert_int_equal(packet_get32(vxlan + 4), id);
		assert_int_equal(vxlan[0] & 8, 0);
		assert_true(probe_is(vxlan, packet.end - packet.l4 - 8));
		ip = tunnel.inner.bytes + 14;
		assert_int_equal(packet_sum(0, ip, 20), 0xffff);
		assert_int_equal(packet_get16(ip + 2), tunnel.inner.end - 14);
		assert_int_equal(ip[8], 1); /* a receiver that does accept it forwards it nowhere */
		assert_memory_equal(ip + 12, ((uint8_t[]){192, 0, 2, 1, 192, 0, 2, 2}), 8);
		assert_int_equal(tunnel.inner.bytes[0] & 1, 0);
		assert_int_equal(tunnel.inner.bytes[6] & 1, 0);
	}
}

static void test_write_refused(void **state)
{
	(void)state;
	struct underlay_tap gone = {.fd = -1};
	assert_int_equal(write_probe(&gone, &targets[0], 1), -EBADF);
}

static void test_inner_is_planned(void **state)
{
	(void)state;
	uint8_t bytes[INNER];
	struct frame frame;
	struct segment_plan plan = {.count = 77};
	make_inner(bytes, &frame, &plan);
	assert_ptr_equal(plan.frame, &frame);
	assert_int_equal(frame.version, 4);
	assert_int_equal(frame.ip_end, sizeof(bytes));
	assert_int_equal(frame.l4, 34);
	assert_int_equal(plan.headers, 54);
	assert_int_equal(plan.size, 64);
	assert_int_equal(plan.count, 2);
}

/* What is seen */

/* Classic BPF as Linux runs it: a load behind the end ends it with 0. */
static uint32_t run_filter(uint32_t type, const uint8_t *bytes, size_t length)
{
	uint32_t a = 0;
	for (unsigned pc = 0; pc < program_length; pc++) {
		const struct sock_filter *at = &program[pc];
		switch (at->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (at->k != (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE) && (uint64_t)at->k + 4 > length)
				return 0;
			a = at->k == (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE) ? type : packet_get32(bytes + at->k);
			break;
		case BPF_LD | BPF_B | BPF_ABS:
			if (at->k >= length)
				return 0;
			a = bytes[at->k];
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= at->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == at->k ? at->jt : at->jf;
			break;
		case BPF_RET | BPF_K:
			return at->k;
		default:
			fail_msg("instruction %x", at->code);
		}
	}
	fail_msg("ran out of the filter");
	return 0;
}

static void test_filter(void **state)
{
	(void)state;
	assert_int_equal(attach_filter(-1), 0);
	for (unsigned i = 0; i < 2; i++) {
		make_probe(i, 0xdeadbeef);
		uint8_t *ip = packet.bytes + 14;
		size_t length = packet.end - 14, mark = i ? 40 + 8 : 20 + 8;
		/*
		 * Matches leaving packets that probe_take() reads; nothing that arrives, is for others, or loops
		 * inside.
		 */
		for (uint32_t type = 0; type < 8; type++)
			assert_int_equal(run_filter(type, ip, length) >= mark + 8, type == 4);
		/* A device that cuts it sees it as the whole super-frame. */
		assert_true(run_filter(4, tunnel.outer.bytes + 14, tunnel.outer.end - 14) >= mark + 8);
		for (size_t cut_at = 0; cut_at < length; cut_at++)
			assert_int_equal(!run_filter(4, ip, cut_at), cut_at < mark + 4);
		for (unsigned bit = 0; bit < 32; bit++) {
			ip[mark + bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(run_filter(4, ip, length), 0);
			ip[mark + bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (unsigned protocol = 0; protocol < 256; protocol++) {
			ip[i ? 6 : 9] = (uint8_t)protocol;
			assert_int_equal(!run_filter(4, ip, length), protocol != 17);
		}
	}
}

/* Handles the bytes in `packet`, from the IP header on, as the packet socket returns them. */
static bool take_packet(size_t length, uint32_t first)
{
	assert_int_equal(write(tap.fd, packet.bytes + 14, length), (ssize_t)length);
	bool taken = probe_take(far_end, targets, TARGETS, first);
	uint8_t rest;
	assert_int_equal(recv(far_end, &rest, 1, 0), -1); /* it was one */
	return taken;
}

static void assert_left(int which)
{
	for (int i = 0; i < TARGETS; i++) {
		assert_int_equal(targets[i].error, i == which ? 0 : -ENETUNREACH);
		targets[i].error = -ENETUNREACH;
	}
}

static void test_take(void **state)
{
	(void)state;
	static const uint32_t firsts[] = {0, 1000, 0xfffffffd}; /* the last goes round */
	assert_false(probe_take(far_end, targets, TARGETS, 0));
	for (unsigned f = 0; f < 3; f++) {
		for (unsigned i = 0; i < TARGETS; i++) {
			make_probe(i, firsts[f] + i);
			assert_int_equal(probe_count_lost(targets, TARGETS), TARGETS);
			assert_true(take_packet(packet.end - 14, firsts[f]));
			assert_int_equal(probe_count_lost(targets, TARGETS), TARGETS - 1);
			assert_left((int)i);
			/* Only as many bytes as the filter lets through. */
			assert_true(take_packet(packet.l4 - 14 + 16, firsts[f]));
			assert_left((int)i);
			/* Ids of other runs, before and after. */
			assert_true(take_packet(packet.end - 14, firsts[f] + i + 1));
			assert_left(-1);
			assert_true(take_packet(packet.end - 14, firsts[f] + i - TARGETS));
			assert_left(-1);
		}
	}
}

static void test_take_short(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		make_probe(i, i);
		for (size_t length = 1; length < packet.l4 - 14 + 16; length++) {
			/* Bytes that the previous one left in the buffer must not complete it. */
			assert_true(take_packet(packet.end - 14, 0));
			assert_left((int)i);
			assert_true(take_packet(length, 0));
			assert_left(-1);
		}
	}
}

/* Rewritten by NAT: an answer would not be recognised. */
static void test_rewritten(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		size_t addresses = i ? 8 : 12, udp = i ? 40 : 20;
		make_probe(i, i);
		uint8_t *ip = packet.bytes + 14;
		for (size_t at = 0; at < udp + 4; at++) {
			/* The node sets hop limit, TOS, lengths and checksum. */
			bool matters = at == 0 || at >= addresses;
			ip[at] ^= 0x05;
			assert_int_equal(is_as_written(&targets[i], ip), !matters);
			ip[at] ^= 0x05;
		}
		assert_true(is_as_written(&targets[i], ip));
		assert_false(is_as_written(&targets[i + 2], ip));
		/* The other family, with other offsets. */
		assert_false(is_as_written(&targets[1 - i], ip));
	}
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, build_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_world(test_written),   in_world(test_write_refused), in_world(test_inner_is_planned),
		in_world(test_filter),    in_world(test_take),          in_world(test_take_short),
		in_world(test_rewritten),
	};
	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
