/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - ring.h over io_uring
 *
 * In: reads of TAPs and receives of sockets are multishot requests that pick their buffers from two shared groups. A
 * multishot ends when its group is empty (ENOBUFS), and is armed again once the buffers of the round are back. So the
 * size of a group is also the largest burst of one round.
 *
 * Out:
 *
 *    ring_tx(), ring_send(), ring_write()      requests in the submission queue; the bytes stay where they are
 *         |
 *    ring_push(), ring_flush()                 io_uring_enter() submits and executes them
 *         |
 *         +-- taken                            no completion (IOSQE_CQE_SKIP_SUCCESS)
 *         +-- a send was refused               completion is there at once    refused(tx)
 *         +-- a TAP write was refused          completion by task work        refused(tx), tx->frame NULL:
 *         |                                                                   in ring_settle() or ring_wait()
 *         +-- the request was not looked at    ring_refuse_unsubmitted()      refused(tx, -ENOBUFS)
 *         v
 *    ring_flush(): buffers of the events go back, ended multishots are armed again
 *
 * Sends and TAP writes must not wait (MSG_DONTWAIT, RWF_NOWAIT). So they are over when io_uring_enter() returns, and
 * all bytes are ours again. As successes post no completion, a completion of a transmission is a refusal. The refusal
 * of a write is posted by task work (io_rw_done), and with DEFER_TASKRUN task work runs only when the ring is entered
 * for events. The ring_tx of the last push are therefore kept until ring_settle(), which is called before they are used
 * again.
 *
 * user_data is {completion (8 bits), generation (24), slot (32)}. The generation tells a completion of an ended watch
 * from one of its successor in the same slot, and a refusal of the last push from one of an earlier push.
 */
#include "vswitch/base/ring.h"

#include "vswitch/base/uring.h"

#include <netinet/udp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#define SQ_ENTRIES 512
#define CQ_ENTRIES 4096 /* more than all buffers and refusals of a round: an overflow would end the multishots */
#define NAME_SIZE CMSG_ALIGN(sizeof(struct sockaddr_in6)) /* control messages follow, and must be aligned */
#define CONTROL_SIZE (CMSG_SPACE(sizeof(int)) * 3)

enum completion { COMPLETION_IGNORE, COMPLETION_TAP, COMPLETION_UDP, COMPLETION_SIGNAL, COMPLETION_TX };

struct watched {
	int fd;
	uint32_t generation; /* 24 bits */
	uint64_t tag;
	enum ring_kind kind;
	bool active;     /* the slot is in use */
	uint32_t served; /* value of `flushes` in the round in which it last had an event */
	bool unarmed;    /* on the list of those to be armed */
};

/* A buffer group, and which of its buffers the caller holds in this round. */
struct group {
	struct uring_buffers buffers;
	uint16_t held[RING_TAP_BUFFERS + RING_UDP_BUFFERS]; /* room for either kind */
	unsigned n_held;
};

struct ring {
	struct io_uring uring;
	struct ring_options options;
	struct ring_features features;
	struct ring_counters counters;
	struct group groups[2]; /* by ring_kind */
	struct msghdr receive;  /* template of each multishot recvmsg */
	uint64_t signal;        /* eventfds are read to here; nobody looks */
	struct watched *watches;
	uint32_t n_watches;
	uint32_t *unarmed; /* slots to be armed; room for all watches */
	uint32_t n_unarmed;
	struct ring_tx tx[RING_TX];
	struct iovec iov[RING_IOV];
	uint8_t bytes[RING_BYTES];
	unsigned n_tx, n_iov, n_bytes;
	unsigned n_pushed; /* of tx: those of the last push, which may yet be refused */
	uint32_t flushes;  /* 1 and up */
	uint32_t pushes;   /* generation of transmissions: refusals of an earlier push are ignored */
};

static uint64_t user_data(enum completion completion, uint32_t generation, uint32_t slot)
{
	return (uint64_t)completion << 56 | (uint64_t)(generation & 0xffffff) << 32 | slot;
}

static enum completion completion_of(uint64_t data)
{
	return (enum completion)(data >> 56);
}

static uint64_t watch_user_data(const struct ring *ring, uint32_t slot)
{
	const struct watched *watched = &ring->watches[slot];
	static const enum completion completions[] = {
		[RING_TAP] = COMPLETION_TAP, [RING_UDP] = COMPLETION_UDP, [RING_SIGNAL] = COMPLETION_SIGNAL};
	return user_data(completions[watched->kind], watched->generation, slot);
}

/* Opening */

/* kernel.io_uring_disabled: 0, 1 or 2; 0 where the sysctl does not exist. */
static int read_disabled(void)
{
	char text[8] = "0";
	FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '0';
	fclose(file);
	return text[0] - '0';
}

static int ring_explain(int error, struct failure *why)
{
	int disabled = read_disabled();
	if ((error == -EPERM || error == -EACCES) && disabled > 0)
		return fail(why, error, NULL,
			    "io_uring is forbidden: kernel.io_uring_disabled is %d; set it to 0 "
			    "(sysctl -w kernel.io_uring_disabled=0)",
			    disabled);
	if (error == -EPERM || error == -EACCES)
		return fail(why, error, NULL,
			    "io_uring is forbidden here, probably by a seccomp profile; use one that "
			    "allows io_uring_setup, io_uring_enter and io_uring_register, or Unconfined");
	if (error == -ENOSYS)
		return fail(why, error, NULL,
			    "this kernel has no io_uring, or a seccomp profile hides it; podswitchd "
			    "needs Linux 6.0 with CONFIG_IO_URING and a profile that allows io_uring_setup");
	if (error == -EINVAL)
		return fail(why, error, NULL, "this kernel's io_uring is too old; podswitchd needs Linux 6.0 or later");
	if (error == -ENOMEM)
		return fail(why, error, NULL, "no memory for io_uring; raise the memory limit or RLIMIT_MEMLOCK");
	return fail(why, error, NULL, "io_uring cannot be set up: %s", strerror(-error));
}

static int ring_setup(struct ring *ring)
{
	/* SINGLE_ISSUER came with Linux 6.0, as did multishot recvmsg: a kernel that refuses it is too old for us. */
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL |
						  IORING_SETUP_CQSIZE | IORING_SETUP_DEFER_TASKRUN |
						  IORING_SETUP_TASKRUN_FLAG,
					 .cq_entries = CQ_ENTRIES};
	int error = uring_queue_init(SQ_ENTRIES, &ring->uring, &params);
	if (error == -EINVAL) {
		params = (struct io_uring_params){.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL |
							   IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN |
							   IORING_SETUP_TASKRUN_FLAG,
						  .cq_entries = CQ_ENTRIES};
		error = uring_queue_init(SQ_ENTRIES, &ring->uring, &params);
	}
	if (error)
		ring->uring.ring_fd = -1;
	ring->features.defer_taskrun = params.flags & IORING_SETUP_DEFER_TASKRUN;
	return error;
}

int ring_open(struct ring **out, const struct ring_options *options, struct failure *why)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	if (!ring)
		return fail(why, -ENOMEM, NULL, "out of memory");
	ring->options = *options;
	ring->flushes = 1;
	ring->receive = (struct msghdr){.msg_namelen = NAME_SIZE, .msg_controllen = CONTROL_SIZE};
	int error = ring_setup(ring);
	if (!error)
		error = uring_buffers_open(&ring->groups[RING_TAP].buffers, &ring->uring, RING_TAP, RING_TAP_BUFFERS,
					   RING_BUFFER);
	if (!error)
		error = uring_buffers_open(&ring->groups[RING_UDP].buffers, &ring->uring, RING_UDP, RING_UDP_BUFFERS,
					   RING_BUFFER);
	if (error) {
		ring_close(ring);
		return ring_explain(error, why);
	}
	/* Only saves a reference count per call; older kernels do without. */
	(void)io_uring_register_ring_fd(&ring->uring);
	ring->features.read_multishot = uring_has_read_multishot(&ring->uring);
	*out = ring;
	return 0;
}

void ring_close(struct ring *ring)
{
	if (!ring)
		return;
	if (ring->uring.ring_fd >= 0)
		io_uring_queue_exit(&ring->uring);
	uring_buffers_close(&ring->groups[RING_TAP].buffers);
	uring_buffers_close(&ring->groups[RING_UDP].buffers);
	free(ring->watches);
	free(ring->unarmed);
	free(ring);
}

/* Watches */

static struct io_uring_sqe *ring_get_sqe(struct ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	while (!sqe) {
		io_uring_submit(&ring->uring);
		sqe = io_uring_get_sqe(&ring->uring);
	}
	return sqe;
}

static void ring_arm(struct ring *ring, uint32_t slot)
{
	struct watched *watched = &ring->watches[slot];
	struct io_uring_sqe *sqe = ring_get_sqe(ring);
	watched->unarmed = false;
	switch (watched->kind) {
	case RING_TAP:
		if (ring->features.read_multishot) {
			uring_prep_read_multishot(sqe, watched->fd, RING_TAP);
			break;
		}
		io_uring_prep_read(sqe, watched->fd, NULL, RING_BUFFER, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = RING_TAP;
		break;
	case RING_UDP:
		io_uring_prep_recvmsg_multishot(sqe, watched->fd, &ring->receive, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = RING_UDP;
		break;
	case RING_SIGNAL:
		io_uring_prep_read(sqe, watched->fd, &ring->signal, sizeof(ring->signal), 0);
		break;
	}
	io_uring_sqe_set_data64(sqe, watch_user_data(ring, slot));
}

static void ring_arm_later(struct ring *ring, uint32_t slot)
{
	if (ring->watches[slot].unarmed)
		return;
	ring->watches[slot].unarmed = true;
	ring->unarmed[ring->n_unarmed++] = slot;
}

static int grow_watches(struct ring *ring)
{
	uint32_t n = ring->n_watches ? ring->n_watches * 2 : 16;
	struct watched *watches = realloc(ring->watches, n * sizeof(*watches));
	if (watches)
		ring->watches = watches;
	uint32_t *unarmed = realloc(ring->unarmed, n * sizeof(*unarmed));
	if (unarmed)
		ring->unarmed = unarmed;
	if (!watches || !unarmed)
		return -ENOMEM;
	memset(watches + ring->n_watches, 0, (n - ring->n_watches) * sizeof(*watches));
	ring->n_watches = n;
	return 0;
}

/*
 * TAPs know RWF_NOWAIT since Linux 6.4; older kernels refuse every write with it (EOPNOTSUPP). Without the flag writes
 * complete at submission all the same: TAPs are non-blocking and their send buffer has no bound. So we try it with a
 * write that is too short to be a frame: where the flag is known, that is refused with EINVAL.
 *
 * What one ring finds is true for all: a TAP is watched by one ring and written to by any, also by one that watches
 * none.
 */
static atomic_int tap_write_flags = RWF_NOWAIT;

static void probe_nowait(int fd)
{
	char nothing = 0;
	struct iovec iov = {&nothing, sizeof(nothing)};
	if (pwritev2(fd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP)
		atomic_store(&tap_write_flags, 0);
}

int ring_watch(struct ring *ring, enum ring_kind kind, int fd, uint64_t tag)
{
	uint32_t slot = 0;
	while (slot < ring->n_watches && ring->watches[slot].active)
		slot++;
	if (slot == ring->n_watches && grow_watches(ring))
		return -ENOMEM;
	struct watched *watched = &ring->watches[slot];
	*watched = (struct watched){
		.fd = fd, .generation = watched->generation + 1, .tag = tag, .kind = kind, .active = true};
	if (kind == RING_TAP)
		probe_nowait(fd);
	ring_arm(ring, slot);
	io_uring_submit(&ring->uring);
	return (int)slot;
}

void ring_unwatch(struct ring *ring, int handle)
{
	if (handle < 0 || (uint32_t)handle >= ring->n_watches || !ring->watches[handle].active)
		return;
	uint32_t slot = (uint32_t)handle;
	io_uring_submit(&ring->uring);
	struct io_uring_sync_cancel_reg cancel = {.addr = watch_user_data(ring, slot),
						  .timeout = {.tv_sec = -1, .tv_nsec = -1}};
	/* -ENOENT means that it was not armed, which is fine. */
	(void)io_uring_register_sync_cancel(&ring->uring, &cancel);
	ring->watches[slot].active = false;
	for (uint32_t i = 0; i < ring->n_unarmed; i++)
		if (ring->unarmed[i] == slot)
			ring->unarmed[i--] = ring->unarmed[--ring->n_unarmed];
}

/* In */

uint64_t ring_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* With DEFER_TASKRUN, arrivals only raise this flag until the ring is entered. */
static bool has_events(struct ring *ring)
{
	return io_uring_cq_ready(&ring->uring) ||
	       __atomic_load_n(ring->uring.sq.kflags, __ATOMIC_RELAXED) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

bool ring_spin(struct ring *ring, uint64_t nanoseconds)
{
	/* Reads that were armed just now can complete only after they are submitted. */
	if (io_uring_sq_ready(&ring->uring))
		io_uring_submit(&ring->uring);
	uint64_t end = ring_now() + nanoseconds;
	do {
		for (int i = 0; i < 16; i++) {
			if (has_events(ring))
				return true;
			cpu_relax();
		}
	} while (ring_now() < end);
	return false;
}

/*
 * Reports the refusals of the last push that the kernel has posted so far. `late`: the frames may already be
 * overwritten.
 */
static void report_refusals(struct ring *ring, bool late)
{
	struct io_uring_cqe *cqe;
	unsigned at;
	io_uring_for_each_cqe(&ring->uring, at, cqe)
	{
		if (completion_of(cqe->user_data) != COMPLETION_TX)
			continue;
		uint32_t slot = (uint32_t)cqe->user_data;
		/*
		 * After an overflow of the completion queue some come even later, when their ring_tx is another
		 * transmission's.
		 */
		if (cqe->res < 0 && slot < ring->n_pushed &&
		    cqe->user_data == user_data(COMPLETION_TX, ring->pushes - 1, slot)) {
			if (late)
				ring->tx[slot].frame = NULL;
			ring->options.refused(ring->options.context, &ring->tx[slot], cqe->res);
		}
		/* Not taken from the queue, as older completions are in front of it, but marked as done. */
		cqe->user_data = user_data(COMPLETION_IGNORE, 0, 0);
	}
}

void ring_settle(struct ring *ring)
{
	if (ring->n_pushed && __atomic_load_n(ring->uring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) {
		(void)io_uring_get_events(&ring->uring);
		report_refusals(ring, true);
	}
	ring->n_pushed = 0;
}

int ring_wait(struct ring *ring)
{
	int n = io_uring_submit_and_wait(&ring->uring, 1);
	report_refusals(ring, true);
	ring->n_pushed = 0;
	return n < 0 ? n : 0;
}

static struct io_uring_cqe *ring_peek(struct ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned at;
	io_uring_for_each_cqe(&ring->uring, at, cqe) return cqe;
	return NULL;
}

static uint8_t *ring_hold(struct ring *ring, enum ring_kind kind, const struct io_uring_cqe *cqe)
{
	struct group *group = &ring->groups[kind];
	uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	group->held[group->n_held++] = id;
	return uring_buffer(&group->buffers, id);
}

static int cmsg_int(const struct cmsghdr *c)
{
	int value;
	memcpy(&value, CMSG_DATA(c), sizeof(value));
	return value;
}

static void read_control(struct ring_event *event, struct io_uring_recvmsg_out *out, struct msghdr *receive)
{
	struct cmsghdr *c = io_uring_recvmsg_cmsg_firsthdr(out, receive);
	for (; c; c = io_uring_recvmsg_cmsg_nexthdr(out, receive, c)) {
		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && cmsg_int(c) > 0)
			event->gro_size = (uint32_t)cmsg_int(c);
		else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			event->tos = *CMSG_DATA(c); /* IPv4 sends one byte, IPv6 an int */
		else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
			event->tos = (uint8_t)cmsg_int(c);
	}
}

/* Fills in the datagram in `bytes`; false when the kernel's framing makes no sense. */
static bool read_datagram(struct ring *ring, uint8_t *bytes, int length, struct ring_event *event)
{
	struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(bytes, length, &ring->receive);
	if (!out)
		return false;
	event->from = io_uring_recvmsg_name(out);
	event->from_length = out->namelen;
	event->data = io_uring_recvmsg_payload(out, &ring->receive);
	event->length = io_uring_recvmsg_payload_length(out, length, &ring->receive);
	event->truncated = out->flags & MSG_TRUNC;
	read_control(event, out, &ring->receive);
	return true;
}

static bool is_transient(enum ring_kind kind, int error)
{
	/* A socket reports ICMP errors of earlier datagrams. That ends the multishot, but the socket still works. */
	return error == -ENOBUFS || error == -EINTR || error == -EAGAIN ||
	       (kind == RING_UDP && error != -EBADF && error != -ECANCELED);
}

/* Turns a completion of a watch into an event; false when there is nothing for the caller. */
static bool ring_take(struct ring *ring, const struct io_uring_cqe *cqe, enum ring_kind kind, struct ring_event *event)
{
	uint32_t slot = (uint32_t)cqe->user_data;
	struct watched *watched = &ring->watches[slot];
	uint8_t *bytes = cqe->flags & IORING_CQE_F_BUFFER ? ring_hold(ring, kind, cqe) : NULL;
	if (!watched->active || cqe->user_data != watch_user_data(ring, slot))
		return false;
	*event = (struct ring_event){.kind = kind, .tag = watched->tag};
	bool ended = !(cqe->flags & IORING_CQE_F_MORE);
	if (cqe->res < 0 && is_transient(kind, cqe->res)) {
		/* Others read it at any time. */
		__atomic_fetch_add(&ring->counters.starved, cqe->res == -ENOBUFS, __ATOMIC_RELAXED);
		ring_arm_later(ring, slot);
		return false;
	}
	if (cqe->res < 0 || (kind == RING_TAP && !bytes)) {
		/* The slot stays in use until ring_unwatch(), as its owner still has the handle. */
		event->error = cqe->res < 0 ? cqe->res : -EIO;
		return true;
	}
	watched->served = ring->flushes;
	if (ended)
		ring_arm_later(ring, slot);
	if (kind == RING_UDP)
		return bytes && read_datagram(ring, bytes, cqe->res, event);
	event->data = bytes;
	event->length = (uint32_t)cqe->res;
	return true;
}

bool ring_next(struct ring *ring, struct ring_event *event)
{
	struct io_uring_cqe *cqe;
	while ((cqe = ring_peek(ring))) {
		bool taken = false;
		switch (completion_of(cqe->user_data)) {
		case COMPLETION_TAP:
			taken = ring_take(ring, cqe, RING_TAP, event);
			break;
		case COMPLETION_UDP:
			taken = ring_take(ring, cqe, RING_UDP, event);
			break;
		case COMPLETION_SIGNAL:
			taken = ring_take(ring, cqe, RING_SIGNAL, event);
			break;
		case COMPLETION_TX:
		case COMPLETION_IGNORE:
			break;
		}
		io_uring_cqe_seen(&ring->uring, cqe);
		if (taken)
			return true;
	}
	return false;
}

/* Out */

/*
 * Requests that the kernel did not even look at, for lack of memory, must not stay in the submission queue: their bytes
 * are about to be reused.
 */
static void ring_refuse_unsubmitted(struct ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;
	unsigned n = io_uring_sq_ready(&ring->uring), mask = *sq->kring_mask;
	for (unsigned i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = &sq->sqes[(sq->sqe_tail - n + i) & mask];
		if (completion_of(sqe->user_data) != COMPLETION_TX)
			continue;
		ring->options.refused(ring->options.context, &ring->tx[(uint32_t)sqe->user_data], -ENOBUFS);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, user_data(COMPLETION_IGNORE, 0, 0));
	}
}

void ring_push(struct ring *ring)
{
	while (io_uring_sq_ready(&ring->uring) > 0)
		if (io_uring_submit(&ring->uring) < 0)
			break;
	ring_refuse_unsubmitted(ring);
	ring->pushes++;
	ring->n_pushed = ring->n_tx;
	report_refusals(ring, false);
	ring->n_tx = ring->n_iov = ring->n_bytes = 0;
}

static bool ring_has_room(const struct ring *ring, unsigned n_iov, unsigned n_bytes)
{
	return ring->n_tx < RING_TX && RING_IOV - ring->n_iov >= n_iov && RING_BYTES - ring->n_bytes >= n_bytes;
}

struct ring_tx *ring_tx(struct ring *ring, unsigned n_iov, unsigned n_bytes)
{
	if (!ring_has_room(ring, n_iov, n_bytes))
		ring_push(ring);
	if (!ring->n_tx && ring->n_pushed)
		ring_settle(ring);
	struct ring_tx *tx = &ring->tx[ring->n_tx++];
	tx->message = (struct msghdr){.msg_iov = &ring->iov[ring->n_iov]};
	tx->bytes = &ring->bytes[ring->n_bytes];
	ring->n_iov += n_iov;
	ring->n_bytes += n_bytes;
	tx->vnet = (struct virtio_net_hdr){0};
	tx->port = tx->remote = NULL;
	tx->by_tap = false;
	tx->frame = NULL;
	tx->length = 0;
	tx->count = 0;
	tx->total = 0;
	return tx;
}

static void ring_queue(struct ring *ring, struct io_uring_sqe *sqe, const struct ring_tx *tx)
{
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, user_data(COMPLETION_TX, ring->pushes, (uint32_t)(tx - ring->tx)));
}

void ring_send(struct ring *ring, int fd, struct ring_tx *tx)
{
	struct io_uring_sqe *sqe = ring_get_sqe(ring);
	tx->fd = fd;
	io_uring_prep_sendmsg(sqe, fd, &tx->message, MSG_DONTWAIT | MSG_NOSIGNAL);
	ring_queue(ring, sqe, tx);
}

int ring_send_now(int fd, const struct msghdr *message)
{
	return sendmsg(fd, message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void ring_write(struct ring *ring, int fd, struct ring_tx *tx)
{
	struct io_uring_sqe *sqe = ring_get_sqe(ring);
	int flags = atomic_load_explicit(&tap_write_flags, memory_order_relaxed);
	io_uring_prep_writev2(sqe, fd, tx->message.msg_iov, (unsigned)tx->message.msg_iovlen, 0, flags);
	ring_queue(ring, sqe, tx);
}

static void ring_return_buffers(struct group *group)
{
	int mask = io_uring_buf_ring_mask(group->buffers.count);
	for (unsigned i = 0; i < group->n_held; i++)
		io_uring_buf_ring_add(group->buffers.ring, uring_buffer(&group->buffers, group->held[i]),
				      group->buffers.size, group->held[i], mask, (int)i);
	io_uring_buf_ring_advance(group->buffers.ring, (int)group->n_held);
	group->n_held = 0;
}

/*
 * A watch that is armed first may take all the buffers. So those that got nothing in this round come before those that
 * did: one that floods leaves the others their turn.
 */
static void ring_arm_all(struct ring *ring)
{
	for (int served = 0; served <= 1; served++)
		for (uint32_t i = 0; i < ring->n_unarmed; i++)
			if ((ring->watches[ring->unarmed[i]].served == ring->flushes) == served)
				ring_arm(ring, ring->unarmed[i]);
	ring->n_unarmed = 0;
}

void ring_flush(struct ring *ring)
{
	ring_push(ring);
	ring_return_buffers(&ring->groups[RING_TAP]);
	ring_return_buffers(&ring->groups[RING_UDP]);
	ring_arm_all(ring);
	ring->flushes++;
}

const struct ring_features *ring_features(const struct ring *ring)
{
	return &ring->features;
}

const struct ring_counters *ring_counters(const struct ring *ring)
{
	return &ring->counters;
}
