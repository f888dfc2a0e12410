/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ring.c - the ring over each of its backends, against the kernel
 *
 * Everything runs in a network namespace of its own that has no name, so that it goes with the test. What leaves by the
 * ring is received by plain sockets, and what it shall receive is sent by them. Each test is run once for each backend;
 * where io_uring is forbidden only the other one's are.
 */
#include "vswitch/base/ring.c"

#include "tap/tap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/seccomp.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* After our own: cmocka makes a macro of fail(). */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/shell.h"
#include "tests/unit/tap_destroy.h"

enum { SEEN = 4096, TYPE = 0x88b5, WAIT_MS = 10000 }; /* TYPE: an ethertype for experiments */

static struct {
	struct ring *ring;
	enum io_choice io;
	/* Events, and refusals. */
	struct {
		enum ring_kind kind;
		uint64_t tag;
		int error;
		uint32_t length, gro_size;
		uint8_t tos, first, last; /* bytes */
		uint16_t from;            /* port */
		const uint8_t *place;
		unsigned round;
	} seen[SEEN];
	unsigned n_seen, rounds;
	struct {
		void *port;
		int error;
	} refused[SEEN];
	unsigned n_refused;
} t;

static void note_refusal(void *context, const struct ring_tx *tx, int error)
{
	assert_ptr_equal(context, &t);
	assert_true(t.n_refused < SEEN);
	t.refused[t.n_refused].port = tx->port;
	t.refused[t.n_refused++].error = error;
}

static int open_ring(void **state)
{
	const struct ring_options options = {
		.io = *(const enum io_choice *)*state, .refused = note_refusal, .context = &t};
	memset(&t, 0, sizeof(t));
	t.io = options.io;
	return ring_open(&t.ring, &options, NULL);
}

static int close_ring(void **state)
{
	(void)state;
	ring_close(t.ring);
	return 0;
}

static void note_event(const struct ring_event *event)
{
	assert_true(t.n_seen < SEEN);
	t.seen[t.n_seen].kind = event->kind;
	t.seen[t.n_seen].tag = event->tag;
	t.seen[t.n_seen].error = event->error;
	t.seen[t.n_seen].length = event->length;
	t.seen[t.n_seen].gro_size = event->gro_size;
	t.seen[t.n_seen].tos = event->tos;
	t.seen[t.n_seen].round = t.rounds;
	t.seen[t.n_seen].place = event->data;
	if (event->length) {
		t.seen[t.n_seen].first = event->data[0];
		t.seen[t.n_seen].last = event->data[event->length - 1];
	}
	if (event->kind == RING_UDP && !event->error)
		t.seen[t.n_seen].from = ntohs(((const struct sockaddr_in *)event->from)->sin_port);
	t.n_seen++;
}

/* A round, if there is something within `ms`. */
static bool turn(unsigned ms)
{
	struct ring_event event;
	if (!ring_spin(t.ring, (uint64_t)ms * 1000000))
		return false;
	assert_int_equal(ring_wait(t.ring), 0);
	while (ring_next(t.ring, &event))
		note_event(&event);
	ring_flush(t.ring);
	t.rounds++;
	return true;
}

static void turn_until_seen(unsigned n)
{
	uint64_t end = ring_now() + WAIT_MS * 1000000ULL;
	while (t.n_seen < n && ring_now() < end)
		turn(10);
	assert_true(t.n_seen >= n);
}

/* Nothing is there any more, which a watch that was forgotten would belie for ever. */
static void assert_falls_quiet(void)
{
	unsigned n = 0;
	while (turn(50))
		assert_true(n++ < 100);
}

static unsigned seen_of(uint64_t tag)
{
	unsigned n = 0;
	for (unsigned i = 0; i < t.n_seen; i++)
		n += t.seen[i].tag == tag && t.seen[i].kind != RING_SIGNAL;
	return n;
}

/* Sockets */

static struct sockaddr_in loopback(int fd)
{
	struct sockaddr_in own;
	socklen_t size = sizeof(own);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
	return own;
}

static int udp(bool gro)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), room = 4 << 20;
	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0);
	if (gro)
		assert_int_equal(setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)), 0);
	return fd;
}

static void say(int from, int to, uint8_t byte)
{
	struct sockaddr_in there = loopback(to);
	assert_int_equal(sendto(from, &byte, 1, 0, (struct sockaddr *)&there, sizeof(there)), 1);
}

static void queue_datagram(int fd, const struct sockaddr_in *to, void *bytes, size_t length, void *note)
{
	struct ring_tx *tx = ring_tx(t.ring, 1, 0);
	tx->port = note;
	tx->message.msg_name = (void *)to;
	tx->message.msg_namelen = sizeof(*to);
	tx->message.msg_iov[0] = (struct iovec){bytes, length};
	tx->message.msg_iovlen = 1;
	ring_send(t.ring, fd, tx);
}

static void put_control(struct ring_tx *tx, int level, int type, const void *value, size_t size)
{
	struct cmsghdr *c = (struct cmsghdr *)(tx->control + tx->message.msg_controllen);
	*c = (struct cmsghdr){.cmsg_level = level, .cmsg_type = type, .cmsg_len = CMSG_LEN(size)};
	memcpy(CMSG_DATA(c), value, size);
	tx->message.msg_control = tx->control;
	tx->message.msg_controllen += CMSG_SPACE(size);
}

static void queue_train(int fd, const struct sockaddr_in *to, uint8_t *bytes, size_t length, uint16_t segment)
{
	int tos = 0x03;
	struct ring_tx *tx = ring_tx(t.ring, 2, 0);
	tx->message.msg_name = (void *)to;
	tx->message.msg_namelen = sizeof(*to);
	tx->message.msg_iov[0] = (struct iovec){bytes, 2500};
	tx->message.msg_iov[1] = (struct iovec){bytes + 2500, length - 2500};
	tx->message.msg_iovlen = 2;
	put_control(tx, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	put_control(tx, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment));
	ring_send(t.ring, fd, tx);
}

/* After a single datagram, too, whose control messages are shorter. */
static void a_train_arrives_with_its_size_tos_and_source(void **state)
{
	(void)state;
	static uint8_t bytes[10 * 1000];
	int from = udp(false), to = udp(true);
	struct sockaddr_in there = loopback(to);
	memset(bytes, 7, sizeof(bytes));
	assert_true(ring_watch(t.ring, RING_UDP, to, 5) >= 0);
	say(from, to, 1);
	turn_until_seen(1);
	assert_int_equal(t.seen[0].length, 1);
	assert_int_equal(t.seen[0].gro_size, 0);
	assert_int_equal(t.seen[0].tos, 0);
	queue_train(from, &there, bytes, sizeof(bytes), 1000);
	ring_flush(t.ring);
	uint32_t length = 0;
	for (unsigned i = 1; length < sizeof(bytes); length += t.seen[i++].length) {
		turn_until_seen(i + 1);
		assert_int_equal(t.seen[i].kind, RING_UDP);
		assert_int_equal(t.seen[i].tag, 5);
		assert_int_equal(t.seen[i].error, 0);
		assert_int_equal(t.seen[i].tos, 0x03);
		assert_int_equal(t.seen[i].from, ntohs(loopback(from).sin_port));
		assert_int_equal(t.seen[i].last, 7);
		/* Older kernels cut it apart on the loopback. */
		assert_int_equal(t.seen[i].gro_size ? t.seen[i].gro_size : t.seen[i].length, 1000);
	}
	assert_int_equal(length, sizeof(bytes));
	assert_int_equal(t.n_refused, 0);
	close(from);
	close(to);
}

/* More than there are ring_tx, and by two sockets in turn. */
static void what_is_queued_leaves_in_order(void **state)
{
	(void)state;
	static uint8_t bytes[RING_TX * 2];
	int from[2] = {udp(false), udp(false)}, to = udp(false);
	struct sockaddr_in there = loopback(to);
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)i;
		queue_datagram(from[i % 3 == 0], &there, &bytes[i], 1, NULL);
	}
	ring_flush(t.ring);
	for (unsigned i = 0; i < sizeof(bytes); i++) {
		uint8_t byte;
		assert_int_equal(recv(to, &byte, 1, 0), 1);
		assert_int_equal(byte, (uint8_t)i);
	}
	assert_int_equal(t.n_refused, 0);
	close(from[0]);
	close(from[1]);
	close(to);
}

/* The refused ones are named, each with its errno, and the others leave. */
static void a_refusal_keeps_nothing_else_back(void **state)
{
	(void)state;
	static uint8_t big[65535];
	uint8_t byte = 1;
	char notes[5];
	int from = udp(false), to = udp(false);
	struct sockaddr_in there = loopback(to),
			   nowhere = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
	queue_datagram(from, &there, &byte, 1, &notes[0]);
	queue_datagram(from, &there, big, sizeof(big), &notes[1]);
	queue_datagram(from, &there, big, sizeof(big), &notes[2]);
	queue_datagram(from, &there, &byte, 1, &notes[3]);
	queue_datagram(from, &nowhere, &byte, 1, &notes[4]);
	ring_flush(t.ring);
	assert_int_equal(t.n_refused, 3);
	for (unsigned i = 0; i < 2; i++) {
		assert_ptr_equal(t.refused[i].port, &notes[1 + i]);
		assert_int_equal(t.refused[i].error, -EMSGSIZE);
	}
	assert_ptr_equal(t.refused[2].port, &notes[4]);
	assert_true(t.refused[2].error < 0);
	assert_int_equal(recv(to, &byte, 1, 0), 1);
	assert_int_equal(recv(to, &byte, 1, 0), 1);
	assert_int_equal(recv(to, &byte, 1, 0), -1);
	close(from);
	close(to);
}

/* A socket that does not take everything at once, as nobody reads: each datagram is there or was refused. */
static void back_pressure_is_a_refusal(void **state)
{
	(void)state;
	enum { ALL = 64 };
	int ends[2], room = 1;
	uint8_t byte;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	for (unsigned i = 0; i < ALL; i++) {
		struct ring_tx *tx = ring_tx(t.ring, 1, 1);
		*tx->bytes = (uint8_t)i;
		tx->message.msg_iov[0] = (struct iovec){tx->bytes, 1};
		tx->message.msg_iovlen = 1;
		ring_send(t.ring, ends[0], tx);
	}
	ring_flush(t.ring);
	unsigned arrived = 0;
	for (; recv(ends[1], &byte, 1, 0) == 1; arrived++)
		assert_int_equal(byte, arrived);
	assert_true(arrived > 0 && t.n_refused > 0);
	assert_int_equal(arrived + t.n_refused, ALL);
	for (unsigned i = 0; i < t.n_refused; i++)
		assert_int_equal(t.refused[i].error, -EAGAIN);
	close(ends[0]);
	close(ends[1]);
}

/* A socket tells of the ICMP errors of its datagrams by an error of its own, and still works. */
static void an_icmp_error_ends_no_watch(void **state)
{
	(void)state;
	int closed = udp(false), fd = udp(false), peer = udp(false);
	struct sockaddr_in there = loopback(closed), nowhere = {.sin_family = AF_UNSPEC};
	close(closed);
	assert_int_equal(connect(fd, (struct sockaddr *)&there, sizeof(there)), 0);
	assert_true(ring_watch(t.ring, RING_UDP, fd, 1) >= 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	turn(50); /* whether it is told there is each backend's own affair */
	assert_int_equal(connect(fd, (struct sockaddr *)&nowhere, sizeof(struct sockaddr)), 0);
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	own.sin_port = loopback(fd).sin_port;
	if (!own.sin_port)
		assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
	unsigned before = t.n_seen;
	for (unsigned i = 0; i < before; i++)
		assert_int_equal(t.seen[i].error, 0);
	own = loopback(fd);
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(sendto(peer, "y", 1, 0, (struct sockaddr *)&own, sizeof(own)), 1);
	turn_until_seen(before + 1);
	assert_int_equal(t.seen[before].first, 'y');
	close(fd);
	close(peer);
}

static void nothing_comes_after_unwatch(void **state)
{
	(void)state;
	int from = udp(false), to = udp(false), other = udp(false);
	int handle = ring_watch(t.ring, RING_UDP, to, 1);
	assert_true(handle >= 0);
	say(from, to, 1);
	ring_unwatch(t.ring, handle);
	ring_unwatch(t.ring, handle);
	ring_unwatch(t.ring, -1);
	/* Its place in the table is taken by the next. */
	assert_int_equal(ring_watch(t.ring, RING_UDP, other, 2), handle);
	say(from, other, 2);
	turn_until_seen(1);
	assert_falls_quiet();
	assert_int_equal(t.n_seen - seen_of(2), seen_of(1));
	assert_int_equal(seen_of(2), 1);
	assert_int_equal(seen_of(1), 0);
	close(from);
	close(to);
	close(other);
}

static void *write_later(void *argument)
{
	uint64_t one = 1;
	usleep(20000); /* so that the other sleeps already, most of the time */
	assert_int_equal(write(*(int *)argument, &one, sizeof(one)), sizeof(one));
	return NULL;
}

static void an_eventfd_wakes_a_wait_again_and_again(void **state)
{
	(void)state;
	int mail = eventfd(0, EFD_CLOEXEC);
	assert_true(ring_watch(t.ring, RING_SIGNAL, mail, 9) >= 0);
	for (unsigned i = 0; i < 3; i++) {
		pthread_t thread;
		struct ring_event event;
		assert_false(ring_spin(t.ring, 1000000));
		assert_int_equal(pthread_create(&thread, NULL, write_later, &mail), 0);
		bool woken = false;
		while (!woken) {
			assert_int_equal(ring_wait(t.ring), 0);
			while (ring_next(t.ring, &event))
				woken = event.kind == RING_SIGNAL && event.tag == 9 && !event.error;
			ring_flush(t.ring);
		}
		pthread_join(thread, NULL);
	}
	close(mail);
}

/* TAPs */

static void set_up(const char *name, bool up)
{
	struct ifreq request = {.ifr_flags = up ? IFF_UP : 0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

struct tap {
	char name[IFNAMSIZ];
	int fd, pod; /* the TAP, and a packet socket at the pod's end */
};

/* A name is used once: a watched device stays until the kernel has put away the whole ring. */
static struct tap open_tap(void)
{
	static unsigned n;
	struct tap tap = {.fd = -1};
	snprintf(tap.name, sizeof(tap.name), "ring%u", n++);
	assert_int_equal(tap_create(tap.name, &tap.fd, NULL), 0);
	set_up(tap.name, true);
	struct sockaddr_ll here = {
		.sll_family = AF_PACKET, .sll_protocol = htons(TYPE), .sll_ifindex = (int)if_nametoindex(tap.name)};
	tap.pod = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(TYPE));
	assert_int_equal(bind(tap.pod, (struct sockaddr *)&here, sizeof(here)), 0);
	return tap;
}

static void close_tap(struct tap *tap)
{
	tap_destroy(tap->fd);
	close(tap->pod);
}

#define FRAME(byte)                                                                                                    \
	{                                                                                                              \
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, TYPE >> 8, TYPE & 0xff, byte, [59] = byte        \
	}

static void pod_sends(const struct tap *tap, uint8_t byte)
{
	uint8_t frame[60] = FRAME(byte);
	assert_int_equal(send(tap->pod, frame, sizeof(frame), 0), sizeof(frame));
}

static void queue_frame(const struct tap *tap, uint8_t *frame, size_t length, void *note)
{
	struct ring_tx *tx = ring_tx(t.ring, 2, 0);
	tx->port = note;
	tx->message.msg_iov[0] = (struct iovec){&tx->vnet, TAP_VNET_HEADER};
	tx->message.msg_iov[1] = (struct iovec){frame, length};
	tx->message.msg_iovlen = 2;
	ring_write(t.ring, tap->fd, tx);
}

static void frames_go_both_ways(void **state)
{
	(void)state;
	struct tap tap = open_tap();
	uint8_t frame[60] = FRAME(3), got[100];
	assert_true(ring_watch(t.ring, RING_TAP, tap.fd, 4) >= 0);
	for (uint8_t i = 0; i < 3; i++)
		pod_sends(&tap, i);
	turn_until_seen(3);
	for (uint8_t i = 0; i < 3; i++) {
		assert_int_equal(t.seen[i].kind, RING_TAP);
		assert_int_equal(t.seen[i].tag, 4);
		assert_int_equal(t.seen[i].length, TAP_VNET_HEADER + sizeof(frame));
		assert_int_equal(t.seen[i].last, i);
	}
	queue_frame(&tap, frame, sizeof(frame), NULL);
	ring_flush(t.ring);
	assert_int_equal(recv(tap.pod, got, sizeof(got), 0), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
	assert_int_equal(t.n_refused, 0);
	close_tap(&tap);
}

/* Too short a frame (EINVAL), and a TAP that is down (EIO); the frames around them arrive. */
static void a_tap_refuses_by_errno(void **state)
{
	(void)state;
	struct tap tap = open_tap(), down = open_tap();
	uint8_t frame[60] = FRAME(3), got[100];
	char notes[4];
	set_up(down.name, false);
	queue_frame(&tap, frame, sizeof(frame), &notes[0]);
	queue_frame(&tap, frame, 5, &notes[1]);
	queue_frame(&down, frame, sizeof(frame), &notes[2]);
	queue_frame(&tap, frame, sizeof(frame), &notes[3]);
	ring_flush(t.ring);
	ring_settle(t.ring);
	assert_int_equal(t.n_refused, 2);
	/* In either order: late refusals are told by task work, which Linux 6.1 runs from the last one on. */
	unsigned first = t.refused[0].port != &notes[1];
	assert_ptr_equal(t.refused[first].port, &notes[1]);
	assert_int_equal(t.refused[first].error, -EINVAL);
	assert_ptr_equal(t.refused[!first].port, &notes[2]);
	assert_int_equal(t.refused[!first].error, -EIO);
	assert_int_equal(recv(tap.pod, got, sizeof(got), 0), sizeof(frame));
	assert_int_equal(recv(tap.pod, got, sizeof(got), 0), sizeof(frame));
	assert_int_equal(recv(tap.pod, got, sizeof(got), 0), -1);
	close_tap(&tap);
	close_tap(&down);
}

/* As somebody in the pod may, while we hold the descriptor. */
static void delete_interface(const char *name)
{
	assert_int_equal(shell_status(name, "ip link del $D"), 0);
}

/* One event tells it, and then the ring is quiet. */
static void a_tap_that_vanishes_is_told_once(void **state)
{
	(void)state;
	struct tap tap = open_tap(), other = open_tap();
	int handle = ring_watch(t.ring, RING_TAP, tap.fd, 1);
	assert_true(handle >= 0);
	assert_true(ring_watch(t.ring, RING_TAP, other.fd, 2) >= 0);
	delete_interface(tap.name);
	turn_until_seen(1);
	assert_int_equal(t.seen[0].tag, 1);
	assert_true(t.seen[0].error < 0);
	assert_falls_quiet();
	assert_int_equal(t.n_seen, 1);
	pod_sends(&other, 8);
	turn_until_seen(2);
	assert_int_equal(t.seen[1].tag, 2);
	ring_unwatch(t.ring, handle);
	close(tap.fd);
	close(tap.pod);
	close_tap(&other);
}

/* Whoever closes it next is the last who has it: what takes long then, does so there and not in a worker. */
static void an_unwatched_tap_is_let_go(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct tap tap = open_tap();
		int handle = ring_watch(t.ring, RING_TAP, tap.fd, 1);
		assert_true(handle >= 0);
		pod_sends(&tap, 8);
		turn_until_seen((unsigned)i + 1);
		ring_unwatch(t.ring, handle);
		close_tap(&tap);
		assert_int_equal(if_nametoindex(tap.name), 0);
	}
}

/* With io_uring before Linux 6.7 a TAP has one frame a round, so its buffers never run out. */
static bool has_bursts(void)
{
	return t.io == IO_EPOLL || ring_features(t.ring)->read_multishot;
}

/*
 * No round takes more frames than there are buffers, nothing is lost by that, and it is counted. The one frame of the
 * other TAP is not kept waiting until the flood is over.
 */
static void a_flood_leaves_the_others_their_turn(void **state)
{
	(void)state;
	enum { FLOOD = 400 };
	struct tap loud = open_tap(), quiet = open_tap();
	assert_true(ring_watch(t.ring, RING_TAP, loud.fd, 1) >= 0);
	assert_true(ring_watch(t.ring, RING_TAP, quiet.fd, 2) >= 0);
	for (unsigned i = 0; i < FLOOD; i++)
		pod_sends(&loud, (uint8_t)i);
	pod_sends(&quiet, 1);
	turn_until_seen(FLOOD + 1);
	assert_int_equal(seen_of(1), FLOOD);
	unsigned in_round = 0, when = 0;
	for (unsigned i = 0, n = 0; i < t.n_seen; i++) {
		in_round = i && t.seen[i].round == t.seen[i - 1].round ? in_round + 1 : 1;
		assert_true(in_round <= RING_TAP_BUFFERS);
		if (t.seen[i].tag == 2)
			when = t.seen[i].round;
		else
			assert_int_equal(t.seen[i].last, (uint8_t)n++);
	}
	assert_true(when < 3);
	assert_int_equal(ring_counters(t.ring)->starved > 0, has_bursts());
	close_tap(&loud);
	close_tap(&quiet);
}

static unsigned count_places(unsigned from, unsigned to)
{
	unsigned places = 0;
	for (unsigned i = from; i < to; i++) {
		unsigned before = from;
		while (before < i && t.seen[before].place != t.seen[i].place)
			before++;
		places += before == i;
	}
	return places;
}

/* So that the processor's cache keeps them: 20 MB go by the same half of a megabyte. Small ones get all that are there.
 */
static void large_datagrams_stay_in_few_buffers(void **state)
{
	(void)state;
	enum { LARGE = 330, SMALL = 100 };
	static uint8_t bytes[60000];
	int from = udp(false), to = udp(false);
	struct sockaddr_in there = loopback(to);
	assert_true(ring_watch(t.ring, RING_UDP, to, 1) >= 0);
	for (unsigned i = 0; i < LARGE; i++) {
		assert_int_equal(sendto(from, bytes, sizeof(bytes), 0, (struct sockaddr *)&there, sizeof(there)),
				 sizeof(bytes));
		if (i % 3 == 2)
			turn_until_seen(i + 1);
	}
	assert_in_range(count_places(0, LARGE), 1, 9);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < SMALL; i++)
			say(from, to, (uint8_t)i);
		turn_until_seen(LARGE + (round + 1) * SMALL);
	}
	assert_in_range(count_places(LARGE + SMALL, LARGE + 2 * SMALL), SMALL / 2, SMALL);
	assert_int_equal(ring_counters(t.ring)->starved, 0);
	close(from);
	close(to);
}

static void a_flood_of_datagrams_arrives_in_order(void **state)
{
	(void)state;
	enum { FLOOD = 1000 };
	int from = udp(false), to = udp(false);
	assert_true(ring_watch(t.ring, RING_UDP, to, 1) >= 0);
	for (unsigned i = 0; i < FLOOD; i++)
		say(from, to, (uint8_t)i);
	turn_until_seen(FLOOD);
	for (unsigned i = 0; i < FLOOD; i++)
		assert_int_equal(t.seen[i].first, (uint8_t)i);
	assert_true(t.seen[FLOOD - 1].round >= FLOOD / RING_UDP_BUFFERS - 1);
	if (t.io == IO_EPOLL) /* io_uring gives way by itself before the buffers run out */
		assert_true(ring_counters(t.ring)->starved > 0);
	close(from);
	close(to);
}

/* More that are readable than one round looks at; each has its turn before any has a second one. */
static void many_sockets_have_their_turns(void **state)
{
	(void)state;
	enum { MANY = 150 };
	int from = udp(false), to[MANY];
	for (unsigned i = 0; i < MANY; i++) {
		to[i] = udp(false);
		assert_true(ring_watch(t.ring, RING_UDP, to[i], i) >= 0);
	}
	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = 0; i < MANY; i++)
			say(from, to[i], (uint8_t)i);
	turn_until_seen(2 * MANY);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(seen_of(i), 2);
		close(to[i]);
	}
	for (unsigned i = 0; i < t.n_seen; i++)
		assert_int_equal(t.seen[i].first, (uint8_t)t.seen[i].tag);
	close(from);
}

/* The pause comes just after a watch that had ended was armed again, which the kernel may not know yet. */
static void nothing_is_read_in_a_pause(void **state)
{
	(void)state;
	enum { FRAMES = RING_TAP_BUFFERS + 10 };
	struct tap tap = open_tap(), late = open_tap();
	assert_true(ring_watch(t.ring, RING_TAP, tap.fd, 1) >= 0);
	for (unsigned i = 0; i < FRAMES; i++)
		pod_sends(&tap, (uint8_t)i);
	do
		assert_true(turn(WAIT_MS));
	while (has_bursts() && !ring_counters(t.ring)->starved);
	ring_pause(t.ring, true);
	assert_true(ring_watch(t.ring, RING_TAP, late.fd, 2) >= 0);
	assert_falls_quiet();
	unsigned before = t.n_seen;
	pod_sends(&tap, FRAMES);
	pod_sends(&late, 0);
	assert_falls_quiet();
	assert_int_equal(t.n_seen, before);
	ring_pause(t.ring, false);
	turn_until_seen(FRAMES + 2);
	assert_int_equal(seen_of(2), 1);
	for (unsigned i = 0, at = 0; i <= FRAMES; i++, at++) {
		at += t.seen[at].tag == 2;
		assert_int_equal(t.seen[at].last, (uint8_t)i);
	}
	close_tap(&tap);
	close_tap(&late);
}

/* What it had been given before it rests still comes, then nothing, then the rest in its order. */
static void one_watch_rests_alone(void **state)
{
	(void)state;
	enum { FRAMES = RING_TAP_BUFFERS + 10 };
	struct tap tap = open_tap(), other = open_tap();
	int handle = ring_watch(t.ring, RING_TAP, tap.fd, 1);
	assert_true(handle >= 0);
	assert_true(ring_watch(t.ring, RING_TAP, other.fd, 2) >= 0);
	for (unsigned i = 0; i < FRAMES; i++)
		pod_sends(&tap, (uint8_t)i);
	assert_true(turn(WAIT_MS));
	ring_rest(t.ring, handle, true);
	assert_falls_quiet();
	unsigned before = seen_of(1);
	pod_sends(&tap, FRAMES);
	pod_sends(&other, 0);
	turn_until_seen(before + 1);
	assert_falls_quiet();
	assert_int_equal(seen_of(1), before);
	assert_int_equal(seen_of(2), 1);
	ring_rest(t.ring, handle, false);
	turn_until_seen(FRAMES + 2);
	for (unsigned i = 0, at = 0; i <= FRAMES; i++, at++) {
		at += t.seen[at].tag == 2;
		assert_int_equal(t.seen[at].last, (uint8_t)i);
	}
	/* It may end while it rests. */
	ring_rest(t.ring, handle, true);
	ring_unwatch(t.ring, handle);
	assert_falls_quiet();
	close_tap(&tap);
	close_tap(&other);
}

/* The level of the next round, after one of so many frames. */
static unsigned level_after(struct ring_load *load, unsigned small, unsigned large, bool hurry)
{
	for (unsigned i = 0; i < small; i++)
		ring_load_take(load, 76);
	for (unsigned i = 0; i < large; i++)
		ring_load_take(load, 65000);
	return ring_load_next(load, RING_TAP_BUFFERS, hurry);
}

static void small_frames_beside_large_ones_make_rounds_short(void **state)
{
	(void)state;
	struct ring_load load = {0};
	assert_int_equal(level_after(&load, 5, 0, true), RING_TAP_BUFFERS);
	assert_int_equal(level_after(&load, 0, 8, true), ROUND_LEAST);
	assert_int_equal(level_after(&load, 0, 8, true), ROUND_LEAST);
	assert_in_range(level_after(&load, 1, 8, true), 2, 3);
	/* And for a while, as an answer takes some rounds. */
	for (unsigned round = 0; round < 60; round++)
		assert_in_range(level_after(&load, 0, 2, true), 2, 3);
	for (unsigned round = 0; round < 5; round++)
		(void)level_after(&load, 0, 2, true);
	assert_int_equal(level_after(&load, 0, 2, true), ROUND_LEAST);
	assert_true(level_after(&load, 1, 8, false) >= ROUND_LEAST);
}

/* ---- which backend ---- */

/* From now on this process gets `error` from that system call, as under a container's seccomp profile. */
static void forbid(int call, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(100);
}

/* Where the machine forbids it, too, that is what is named. */
static bool names(const char *text, const char *named)
{
	return strstr(text, named) || strstr(text, "kernel.io_uring_disabled");
}

/* In a child, which ends with the number of the first thing that is wrong. */
static int choose_without(int call, int error, const char *named)
{
	struct ring_choice choice = {0};
	struct failure lack = {0};
	forbid(call, error);
	if (ring_choose(IO_URING, &choice, &lack) != -error || choice.io != IO_AUTO)
		return 1;
	if (strcmp(lack.key, "io") != 0 || !names(lack.text, named) || !strstr(lack.text, ", or take --io auto"))
		return 2;
	if (ring_choose(IO_AUTO, &choice, &lack) || choice.io != IO_EPOLL)
		return 3;
	if (!names(choice.why, named))
		return 4;
	return 0;
}

static void without_io_uring_the_choice_is_epoll(void **state)
{
	(void)state;
	static const struct {
		int call, error;
		const char *named;
	} cases[] = {
		{SYS_io_uring_setup, EPERM, "seccomp"},
		{SYS_io_uring_setup, EACCES, "seccomp"},
		{SYS_io_uring_setup, ENOSYS, "CONFIG_IO_URING"},
		{SYS_io_uring_setup, EINVAL, "Linux 6.0"},
		{SYS_io_uring_setup, ENOMEM, "RLIMIT_MEMLOCK"},
		{SYS_io_uring_enter, EPERM, "io_uring_enter"},
		{SYS_io_uring_register, EPERM, "io_uring_register"},
		{SYS_io_uring_setup, EMFILE, "Too many open files"},
	};
	struct ring_choice here;
	bool works = !ring_choose(IO_URING, &here, NULL);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int status;
		if (!works && cases[i].call != SYS_io_uring_setup)
			continue; /* it would not come to that */
		pid_t child = fork();
		if (!child)
			_exit(choose_without(cases[i].call, cases[i].error, cases[i].named));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

static void the_choice_says_why(void **state)
{
	(void)state;
	struct ring_choice choice;
	assert_int_equal(ring_choose(IO_EPOLL, &choice, NULL), 0);
	assert_int_equal(choice.io, IO_EPOLL);
	assert_string_equal(choice.why, "as --io says");
	assert_int_equal(ring_choose(IO_AUTO, &choice, NULL), 0);
	bool works = !strcmp(choice.why, "io_uring works here");
	assert_int_equal(choice.io, works ? IO_URING : IO_EPOLL);
	assert_int_equal(!ring_choose(IO_URING, &choice, NULL), works);
	assert_true(!works || choice.io == IO_URING);
}

/* ---- each test with each backend ---- */

static enum io_choice both[] = {IO_EPOLL, IO_URING};

#define RING_TEST(function, i)                                                                                         \
	{                                                                                                              \
#function, function, open_ring, close_ring, &both[i]                                                   \
	}
#define RING_TESTS(i)                                                                                                  \
	{                                                                                                              \
		RING_TEST(a_train_arrives_with_its_size_tos_and_source, i),                                            \
			RING_TEST(what_is_queued_leaves_in_order, i), RING_TEST(a_refusal_keeps_nothing_else_back, i), \
			RING_TEST(back_pressure_is_a_refusal, i), RING_TEST(an_icmp_error_ends_no_watch, i),           \
			RING_TEST(nothing_comes_after_unwatch, i),                                                     \
			RING_TEST(an_eventfd_wakes_a_wait_again_and_again, i), RING_TEST(frames_go_both_ways, i),      \
			RING_TEST(a_tap_refuses_by_errno, i), RING_TEST(a_tap_that_vanishes_is_told_once, i),          \
			RING_TEST(an_unwatched_tap_is_let_go, i), RING_TEST(a_flood_leaves_the_others_their_turn, i),  \
			RING_TEST(large_datagrams_stay_in_few_buffers, i),                                             \
			RING_TEST(a_flood_of_datagrams_arrives_in_order, i),                                           \
			RING_TEST(many_sockets_have_their_turns, i), RING_TEST(nothing_is_read_in_a_pause, i),         \
			RING_TEST(one_watch_rests_alone, i),                                                           \
	}

static int enter_namespace(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET))
		return -1;
	set_up("lo", true);
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) { /* its interfaces send router solicitations by themselves */
		(void)!write(fd, "1", 1);
		close(fd);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest with_epoll[] = RING_TESTS(0), with_uring[] = RING_TESTS(1);
	const struct CMUnitTest choosing[] = {
		cmocka_unit_test(the_choice_says_why),
		cmocka_unit_test(without_io_uring_the_choice_is_epoll),
		cmocka_unit_test(small_frames_beside_large_ones_make_rounds_short),
	};
	struct ring_choice choice;
	int failed = cmocka_run_group_tests_name("epoll", with_epoll, enter_namespace, NULL);
	failed += cmocka_run_group_tests_name("the choice", choosing, NULL, NULL);
	if (!ring_choose(IO_URING, &choice, NULL))
		failed += cmocka_run_group_tests_name("io_uring", with_uring, enter_namespace, NULL);
	return failed;
}
