/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_epoll.c - the ring over epoll and ordinary system calls, where io_uring is forbidden or too old
 *
 * In:
 *
 *    ring_wait()       epoll_wait(): which watches are readable, READY of them at most
 *         |
 *    ring_next() ...   one watch after the other, until it is empty or its share of the buffers is used up:
 *         |               a TAP      read(), once for each frame
 *         |               a socket   recvmmsg(), once for all its datagrams
 *         v
 *    ring_flush()      all buffers are free again
 *
 * The watches that are readable share the buffers of a round evenly, so one that floods leaves the others their turn.
 * epoll is level-triggered: a watch that has more is reported again, after those that wait meanwhile. So nothing is
 * remembered from one round to the next. A watch whose read has failed is taken from epoll, which would report it for
 * ever.
 *
 * Out: ring_send() and ring_write() note what is to be done, and ring_push() does it, in that order. Datagrams that
 * follow each other by one socket are one sendmmsg(). Every refusal is reported at once, with its frame.
 */
#include "vswitch/base/ring_backend.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define READY 64 /* watches of a round; not more than there are buffers of either kind, so that each gets one */
_Static_assert(READY <= RING_TAP_BUFFERS && READY <= RING_UDP_BUFFERS, "a buffer for each watch");

static const unsigned most_buffers[] = {[RING_TAP] = RING_TAP_BUFFERS, [RING_UDP] = RING_UDP_BUFFERS};

struct queued {
	struct ring_tx *tx;
	int fd;
	bool by_socket; /* else it is a write to a TAP */
};

struct epoll_ring {
	struct ring ring;
	int epoll;
	struct epoll_event ready[READY]; /* data: generation (32 bits), slot (32) */
	unsigned n_ready, at;            /* of this round; the one whose turn it is */
	unsigned level[2];               /* by ring_kind: buffers that this round should fill */
	unsigned share[2];               /* the same of one watch */
	struct ring_load load[2];        /* received in this round */
	unsigned taken;                  /* frames that the TAP whose turn it is has given */
	uint8_t *buffers[2];             /* by ring_kind */
	unsigned n_held[2];              /* buffers that are in use in this round, from the front */
	struct mmsghdr datagrams[RING_UDP_BUFFERS];
	struct iovec pieces[RING_UDP_BUFFERS];
	struct sockaddr_storage names[RING_UDP_BUFFERS];
	_Alignas(struct cmsghdr) uint8_t controls[RING_UDP_BUFFERS][RING_CONTROL_SIZE];
	unsigned next_datagram; /* received, and next for the caller, who has all before it */
	struct queued queue[RING_TX];
	unsigned n_queued;
	struct mmsghdr sends[RING_TX];
};

static struct epoll_ring *epoll_of(struct ring *ring)
{
	return (struct epoll_ring *)ring; /* `ring` is its first member */
}

/* Opening */

/* Makes a datagram's header as recvmmsg() wants it: a call overwrites the lengths. */
static void datagram_reset(struct epoll_ring *e, unsigned i)
{
	e->datagrams[i].msg_hdr = (struct msghdr){.msg_name = &e->names[i],
						  .msg_namelen = sizeof(e->names[i]),
						  .msg_iov = &e->pieces[i],
						  .msg_iovlen = 1,
						  .msg_control = e->controls[i],
						  .msg_controllen = sizeof(e->controls[i])};
}

/* Pages cost memory only once they are used. */
static uint8_t *map_buffers(unsigned n)
{
	void *memory = mmap(NULL, (size_t)n * RING_BUFFER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static int epoll_ring_open(struct ring *ring, struct failure *why)
{
	struct epoll_ring *e = epoll_of(ring);
	e->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (e->epoll < 0)
		return fail(why, -errno, NULL, "epoll cannot be set up: %s", strerror(errno));
	e->buffers[RING_TAP] = map_buffers(RING_TAP_BUFFERS);
	e->buffers[RING_UDP] = map_buffers(RING_UDP_BUFFERS);
	e->level[RING_TAP] = RING_TAP_BUFFERS;
	e->level[RING_UDP] = RING_UDP_BUFFERS;
	if (!e->buffers[RING_TAP] || !e->buffers[RING_UDP])
		return fail(why, -ENOMEM, NULL, "out of memory");
	for (unsigned i = 0; i < RING_UDP_BUFFERS; i++) {
		e->pieces[i] = (struct iovec){e->buffers[RING_UDP] + (size_t)i * RING_BUFFER, RING_BUFFER};
		datagram_reset(e, i);
	}
	return 0;
}

static void epoll_ring_close(struct ring *ring)
{
	struct epoll_ring *e = epoll_of(ring);
	if (e->epoll >= 0)
		close(e->epoll);
	if (e->buffers[RING_TAP])
		munmap(e->buffers[RING_TAP], (size_t)RING_TAP_BUFFERS * RING_BUFFER);
	if (e->buffers[RING_UDP])
		munmap(e->buffers[RING_UDP], (size_t)RING_UDP_BUFFERS * RING_BUFFER);
}

/* Watches */

static int epoll_ring_watch(struct ring *ring, uint32_t slot)
{
	struct epoll_ring *e = epoll_of(ring);
	if (ring_rests(ring, slot))
		return 0;
	const struct watched *watched = &ring->watches[slot];
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)watched->generation << 32 | slot};
	return epoll_ctl(e->epoll, EPOLL_CTL_ADD, watched->fd, &event) ? -errno : 0;
}

/* Not there any more after an error. */
static void epoll_ring_unwatch(struct ring *ring, uint32_t slot)
{
	struct epoll_ring *e = epoll_of(ring);
	(void)epoll_ctl(e->epoll, EPOLL_CTL_DEL, ring->watches[slot].fd, NULL);
	/* What was received for it, and not yet taken. */
	if (e->at < e->n_ready && (uint32_t)e->ready[e->at].data.u64 == slot)
		e->next_datagram = e->n_held[RING_UDP];
}

/* What is in `ready` has been dealt with: this comes between two rounds. */
static void epoll_ring_pause(struct ring *ring)
{
	struct epoll_ring *e = epoll_of(ring);
	for (uint32_t slot = 0; slot < ring->n_watches; slot++) {
		if (!ring->watches[slot].active || ring->watches[slot].kind == RING_SIGNAL)
			continue;
		if (ring_rests(ring, slot))
			(void)epoll_ctl(e->epoll, EPOLL_CTL_DEL, ring->watches[slot].fd, NULL);
		else
			(void)epoll_ring_watch(ring, slot);
	}
}

/* The watch that one of those in `ready` is about, or NULL: it has ended meanwhile. */
static struct watched *watch_at(const struct epoll_ring *e, unsigned at)
{
	uint64_t data = e->ready[at].data.u64;
	struct watched *watched = &e->ring.watches[(uint32_t)data];
	return watched->active && watched->generation == (uint32_t)(data >> 32) ? watched : NULL;
}

/* In */

static void share_buffers(struct epoll_ring *e)
{
	unsigned n[2] = {0};
	for (unsigned i = 0; i < e->n_ready; i++) {
		const struct watched *watched = watch_at(e, i);
		if (watched && watched->kind != RING_SIGNAL)
			n[watched->kind]++;
	}
	for (enum ring_kind kind = RING_TAP; kind <= RING_UDP; kind++)
		e->share[kind] = n[kind] >= e->level[kind] ? 1 : e->level[kind] / (n[kind] ? n[kind] : 1);
}

/* Asks epoll for what is readable, unless that is known; waits for it up to `timeout` ms, -1: for ever. */
static int epoll_ask(struct epoll_ring *e, int timeout)
{
	if (e->at < e->n_ready)
		return 0;
	int n = epoll_wait(e->epoll, e->ready, READY, timeout);
	e->at = e->taken = 0;
	e->n_ready = n < 0 ? 0 : (unsigned)n;
	share_buffers(e);
	return n < 0 ? -errno : 0;
}

static bool epoll_ring_look(struct ring *ring)
{
	struct epoll_ring *e = epoll_of(ring);
	return !epoll_ask(e, 0) && e->n_ready > 0;
}

static int epoll_ring_wait(struct ring *ring)
{
	return epoll_ask(epoll_of(ring), -1);
}

static void next_watch(struct epoll_ring *e)
{
	e->at++;
	e->taken = 0;
}

/*
 * The watch whose turn it is has used up its share. It is the operator's business only where that was one of all
 * buffers. Others read the counter at any time.
 */
static void count_starved(struct epoll_ring *e, enum ring_kind kind)
{
	__atomic_fetch_add(&e->ring.counters.starved, e->level[kind] == most_buffers[kind], __ATOMIC_RELAXED);
}

/* After a read has failed: true when the watch has ended, of which *event tells. Its turn is over in any case. */
static bool end_watch(struct epoll_ring *e, const struct watched *watched, int error, struct ring_event *event)
{
	next_watch(e);
	if (ring_is_transient(watched->kind, error))
		return false;
	(void)epoll_ctl(e->epoll, EPOLL_CTL_DEL, watched->fd, NULL);
	event->error = error;
	return true;
}

static bool take_frame(struct epoll_ring *e, const struct watched *watched, struct ring_event *event)
{
	unsigned held = e->n_held[RING_TAP];
	if (e->taken == e->share[RING_TAP] || held == RING_TAP_BUFFERS) {
		count_starved(e, RING_TAP);
		next_watch(e);
		return false;
	}
	uint8_t *buffer = e->buffers[RING_TAP] + (size_t)held * RING_BUFFER;
	ssize_t n = read(watched->fd, buffer, RING_BUFFER);
	if (n < 0)
		return end_watch(e, watched, -errno, event);
	event->data = buffer;
	event->length = (uint32_t)n;
	e->n_held[RING_TAP]++;
	ring_load_take(&e->load[RING_TAP], (uint32_t)n);
	e->taken++;
	return true;
}

static void fill_datagram(const struct epoll_ring *e, unsigned i, struct ring_event *event)
{
	struct msghdr *message = (struct msghdr *)&e->datagrams[i].msg_hdr;
	event->data = message->msg_iov->iov_base;
	event->length = e->datagrams[i].msg_len;
	event->from = message->msg_name;
	event->from_length = message->msg_namelen;
	event->truncated = message->msg_flags & MSG_TRUNC;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		ring_read_control(event, c);
}

/* A socket is asked once in its turn, for its whole share; what came is then handed out one by one. */
static bool take_datagram(struct epoll_ring *e, const struct watched *watched, struct ring_event *event)
{
	unsigned held = e->n_held[RING_UDP];
	if (e->next_datagram < held) {
		fill_datagram(e, e->next_datagram++, event);
		return true;
	}
	if (e->taken) {
		next_watch(e);
		return false;
	}
	unsigned room = RING_UDP_BUFFERS - held, share = e->share[RING_UDP] < room ? e->share[RING_UDP] : room;
	int n = recvmmsg(watched->fd, &e->datagrams[held], share, MSG_DONTWAIT, NULL);
	if (n < 0)
		return end_watch(e, watched, -errno, event);
	e->taken = (unsigned)n;
	for (unsigned i = held; i < held + e->taken; i++)
		ring_load_take(&e->load[RING_UDP], e->datagrams[i].msg_len);
	e->n_held[RING_UDP] += e->taken;
	if (e->taken == share)
		count_starved(e, RING_UDP);
	return false;
}

static bool take_signal(struct epoll_ring *e, const struct watched *watched, struct ring_event *event)
{
	uint64_t signal; /* how often; nobody looks */
	if (read(watched->fd, &signal, sizeof(signal)) < 0)
		return end_watch(e, watched, -errno, event);
	next_watch(e);
	return true;
}

static bool epoll_ring_next(struct ring *ring, struct ring_event *event)
{
	struct epoll_ring *e = epoll_of(ring);
	while (e->at < e->n_ready) {
		const struct watched *watched = watch_at(e, e->at);
		bool taken = false;
		if (!watched) {
			next_watch(e);
			continue;
		}
		*event = (struct ring_event){.kind = watched->kind, .tag = watched->tag};
		switch (watched->kind) {
		case RING_TAP:
			taken = take_frame(e, watched, event);
			break;
		case RING_UDP:
			taken = take_datagram(e, watched, event);
			break;
		case RING_SIGNAL:
			taken = take_signal(e, watched, event);
			break;
		}
		if (taken)
			return true;
	}
	return false;
}

/* Out */

static void epoll_queue(struct ring *ring, int fd, struct ring_tx *tx, bool by_socket)
{
	struct epoll_ring *e = epoll_of(ring);
	e->queue[e->n_queued++] = (struct queued){tx, fd, by_socket};
}

static void epoll_ring_send(struct ring *ring, int fd, struct ring_tx *tx)
{
	epoll_queue(ring, fd, tx, true);
}

static void epoll_ring_write(struct ring *ring, int fd, struct ring_tx *tx)
{
	epoll_queue(ring, fd, tx, false);
}

/* Queued datagrams from `first` on that one socket sends, as many as it takes. Returns how many are dealt with. */
static unsigned send_some(struct epoll_ring *e, unsigned first)
{
	const struct queued *queued = &e->queue[first];
	const struct ring_options *options = &e->ring.options;
	unsigned n = 0;
	for (; first + n < e->n_queued && queued[n].by_socket && queued[n].fd == queued->fd; n++)
		e->sends[n].msg_hdr = queued[n].tx->message;
	/* An error is told only of the first. Those before a refused one leave, and then it is the first itself. */
	int sent = sendmmsg(queued->fd, e->sends, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent > 0)
		return (unsigned)sent;
	options->refused(options->context, queued->tx, sent < 0 ? -errno : -EAGAIN);
	return 1;
}

static void write_one(struct epoll_ring *e, const struct queued *queued)
{
	const struct msghdr *message = &queued->tx->message;
	if (writev(queued->fd, message->msg_iov, (int)message->msg_iovlen) < 0)
		e->ring.options.refused(e->ring.options.context, queued->tx, -errno);
}

static void epoll_ring_push(struct ring *ring)
{
	struct epoll_ring *e = epoll_of(ring);
	for (unsigned i = 0; i < e->n_queued;) {
		if (e->queue[i].by_socket)
			i += send_some(e, i);
		else
			write_one(e, &e->queue[i++]);
	}
	e->n_queued = 0;
}

static void epoll_ring_flush(struct ring *ring)
{
	struct epoll_ring *e = epoll_of(ring);
	for (unsigned i = 0; i < e->n_held[RING_UDP]; i++)
		datagram_reset(e, i);
	for (enum ring_kind kind = RING_TAP; kind <= RING_UDP; kind++) {
		if (e->n_held[kind])
			e->level[kind] = ring_load_next(&e->load[kind], most_buffers[kind], kind == RING_TAP);
		e->n_held[kind] = 0;
	}
	e->next_datagram = 0;
}

/* No refusal is late. */
static void epoll_ring_settle(struct ring *ring)
{
	(void)ring;
}

const struct ring_backend epoll_backend = {
	.size = sizeof(struct epoll_ring),
	.open = epoll_ring_open,
	.close = epoll_ring_close,
	.watch = epoll_ring_watch,
	.unwatch = epoll_ring_unwatch,
	.pause = epoll_ring_pause,
	.look = epoll_ring_look,
	.wait = epoll_ring_wait,
	.next = epoll_ring_next,
	.send = epoll_ring_send,
	.write = epoll_ring_write,
	.push = epoll_ring_push,
	.flush = epoll_ring_flush,
	.settle = epoll_ring_settle,
};
