/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_uring.c - the ring over io_uring
 *
 * In: reads of TAPs and receives of sockets are multishot requests that pick their buffers from two shared groups. A
 * multishot ends when its group is empty (ENOBUFS), and is armed again once the buffers of the round are back. So what
 * the kernel has of a group is also the largest burst of one round.
 *
 * It takes buffers in the order in which it got them. If it had all of them, large frames would go through megabytes of
 * memory, and each copy through a cache that has forgotten it. So it gets those that were used last, and of these as
 * many as a round of frames of the present size fills a cache with: all, when the frames are small.
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
 *         +-- the request was not looked at    uring_refuse_unsubmitted()     refused(tx, -ENOBUFS)
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
#include "vswitch/base/ring_backend.h"
#include "vswitch/base/uring.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define SQ_ENTRIES 512
#define CQ_ENTRIES 4096 /* more than all buffers and refusals of a round: an overflow would end the multishots */

enum completion { COMPLETION_IGNORE, COMPLETION_TAP, COMPLETION_UDP, COMPLETION_SIGNAL, COMPLETION_TX };

#define GROUP_MOST (RING_TAP_BUFFERS > RING_UDP_BUFFERS ? RING_TAP_BUFFERS : RING_UDP_BUFFERS)

/* A buffer group. The caller holds some of its buffers in this round, some are spare, and the kernel has the others. */
struct group {
	struct uring_buffers buffers;
	uint16_t held[GROUP_MOST], spare[GROUP_MOST]; /* the one used last at the end */
	unsigned n_held, n_spare;
	struct ring_load load;
	unsigned starved; /* watches that found none in this round */
};

struct uring_ring {
	struct ring ring;
	struct io_uring uring;
	struct group groups[2]; /* by ring_kind */
	struct msghdr receive;  /* template of each multishot recvmsg */
	uint64_t signal;        /* eventfds are read to here; nobody looks */
	uint32_t *unarmed;      /* slots to be armed; room for `room` of them, as many as there are watches */
	uint32_t n_unarmed, room;
	unsigned n_pushed; /* of tx: those of the last push, which may yet be refused */
	uint32_t flushes;  /* 1 and up */
	uint32_t pushes;   /* generation of transmissions: refusals of an earlier push are ignored */
};

static struct uring_ring *uring_of(struct ring *ring)
{
	return (struct uring_ring *)ring; /* `ring` is its first member */
}

static uint64_t user_data(enum completion completion, uint32_t generation, uint32_t slot)
{
	return (uint64_t)completion << 56 | (uint64_t)(generation & 0xffffff) << 32 | slot;
}

static enum completion completion_of(uint64_t data)
{
	return (enum completion)(data >> 56);
}

static uint64_t watch_user_data(const struct uring_ring *u, uint32_t slot)
{
	const struct watched *watched = &u->ring.watches[slot];
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

static int uring_explain(int error, struct failure *why)
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
			    "this kernel has no io_uring, or a seccomp profile hides it; it needs Linux 6.0 with "
			    "CONFIG_IO_URING, and a profile that allows io_uring_setup");
	if (error == -EINVAL)
		return fail(why, error, NULL, "this kernel's io_uring is too old; it must be Linux 6.0 or later");
	if (error == -ENOMEM)
		return fail(why, error, NULL, "no memory for io_uring; raise the memory limit or RLIMIT_MEMLOCK");
	return fail(why, error, NULL, "io_uring cannot be set up: %s", strerror(-error));
}

static int uring_setup(struct uring_ring *u)
{
	/* SINGLE_ISSUER came with Linux 6.0, as did multishot recvmsg: a kernel that refuses it is too old for us. */
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL |
						  IORING_SETUP_CQSIZE | IORING_SETUP_DEFER_TASKRUN |
						  IORING_SETUP_TASKRUN_FLAG,
					 .cq_entries = CQ_ENTRIES};
	int error = uring_queue_init(SQ_ENTRIES, &u->uring, &params);
	if (error == -EINVAL) {
		params = (struct io_uring_params){.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL |
							   IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN |
							   IORING_SETUP_TASKRUN_FLAG,
						  .cq_entries = CQ_ENTRIES};
		error = uring_queue_init(SQ_ENTRIES, &u->uring, &params);
	}
	if (error)
		u->uring.ring_fd = -1;
	u->ring.features.defer_taskrun = params.flags & IORING_SETUP_DEFER_TASKRUN;
	return error;
}

/* The kernel gets spare buffers, until it has so many. */
static void group_give(struct group *group, unsigned level)
{
	struct uring_buffers *buffers = &group->buffers;
	unsigned has = buffers->count - group->n_spare - group->n_held;
	int mask = io_uring_buf_ring_mask(buffers->count), n = 0;
	for (; has < level; has++) {
		uint16_t id = group->spare[--group->n_spare];
		io_uring_buf_ring_add(buffers->ring, uring_buffer(buffers, id), buffers->size, id, mask, n++);
	}
	io_uring_buf_ring_advance(buffers->ring, n);
}

static int group_open(struct uring_ring *u, enum ring_kind kind, uint16_t count)
{
	struct group *group = &u->groups[kind];
	int error = uring_buffers_open(&group->buffers, &u->uring, (uint16_t)kind, count, RING_BUFFER);
	if (error)
		return error;
	for (uint16_t id = count; id > 0; id--)
		group->spare[group->n_spare++] = id - 1;
	group_give(group, ROUND_LEAST);
	return 0;
}

static int uring_open(struct ring *ring, struct failure *why)
{
	struct uring_ring *u = uring_of(ring);
	u->flushes = 1;
	u->receive = (struct msghdr){.msg_namelen = RING_NAME_SIZE, .msg_controllen = RING_CONTROL_SIZE};
	int error = uring_setup(u);
	if (!error)
		error = group_open(u, RING_TAP, RING_TAP_BUFFERS);
	if (!error)
		error = group_open(u, RING_UDP, RING_UDP_BUFFERS);
	if (error)
		return uring_explain(error, why);
	/* Only saves a reference count per call; older kernels do without. */
	(void)io_uring_register_ring_fd(&u->uring);
	ring->features.read_multishot = uring_has_read_multishot(&u->uring);
	return 0;
}

static void uring_close(struct ring *ring)
{
	struct uring_ring *u = uring_of(ring);
	if (u->uring.ring_fd >= 0)
		io_uring_queue_exit(&u->uring);
	uring_buffers_close(&u->groups[RING_TAP].buffers);
	uring_buffers_close(&u->groups[RING_UDP].buffers);
	free(u->unarmed);
}

/* Watches */

static struct io_uring_sqe *uring_get_sqe(struct uring_ring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->uring);
	while (!sqe) {
		io_uring_submit(&u->uring);
		sqe = io_uring_get_sqe(&u->uring);
	}
	return sqe;
}

static void uring_arm(struct uring_ring *u, uint32_t slot)
{
	struct watched *watched = &u->ring.watches[slot];
	struct io_uring_sqe *sqe = uring_get_sqe(u);
	watched->unarmed = false;
	switch (watched->kind) {
	case RING_TAP:
		if (u->ring.features.read_multishot) {
			uring_prep_read_multishot(sqe, watched->fd, RING_TAP);
			break;
		}
		io_uring_prep_read(sqe, watched->fd, NULL, RING_BUFFER, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = RING_TAP;
		break;
	case RING_UDP:
		io_uring_prep_recvmsg_multishot(sqe, watched->fd, &u->receive, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = RING_UDP;
		break;
	case RING_SIGNAL:
		io_uring_prep_read(sqe, watched->fd, &u->signal, sizeof(u->signal), 0);
		break;
	}
	io_uring_sqe_set_data64(sqe, watch_user_data(u, slot));
}

static void uring_arm_later(struct uring_ring *u, uint32_t slot)
{
	if (u->ring.watches[slot].unarmed)
		return;
	u->ring.watches[slot].unarmed = true;
	u->unarmed[u->n_unarmed++] = slot;
}

/*
 * A watch that is armed first may take all the buffers. So those that got nothing in this round come before those that
 * did: one that floods leaves the others their turn.
 */
static void uring_arm_all(struct uring_ring *u)
{
	uint32_t left = 0;
	for (int served = 0; served <= 1; served++)
		for (uint32_t i = 0; i < u->n_unarmed; i++)
			if (!ring_rests(&u->ring, u->unarmed[i]) &&
			    (u->ring.watches[u->unarmed[i]].served == u->flushes) == served)
				uring_arm(u, u->unarmed[i]);
	for (uint32_t i = 0; i < u->n_unarmed; i++)
		if (ring_rests(&u->ring, u->unarmed[i]))
			u->unarmed[left++] = u->unarmed[i];
	u->n_unarmed = left;
}

/* Room on the list for every watch, so that arming later cannot fail. */
static int grow_unarmed(struct uring_ring *u)
{
	if (u->room >= u->ring.n_watches)
		return 0;
	uint32_t *unarmed = realloc(u->unarmed, u->ring.n_watches * sizeof(*unarmed));
	if (!unarmed)
		return -ENOMEM;
	u->unarmed = unarmed;
	u->room = u->ring.n_watches;
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

static int uring_watch(struct ring *ring, uint32_t slot)
{
	struct uring_ring *u = uring_of(ring);
	int error = grow_unarmed(u);
	if (error)
		return error;
	if (ring->watches[slot].kind == RING_TAP)
		probe_nowait(ring->watches[slot].fd);
	if (ring_rests(ring, slot)) {
		uring_arm_later(u, slot);
		return 0;
	}
	uring_arm(u, slot);
	io_uring_submit(&u->uring);
	return 0;
}

/* -ENOENT means that it was not armed, which is fine. */
static void uring_cancel(struct uring_ring *u, uint32_t slot)
{
	struct io_uring_sync_cancel_reg cancel = {.addr = watch_user_data(u, slot),
						  .timeout = {.tv_sec = -1, .tv_nsec = -1}};
	(void)io_uring_register_sync_cancel(&u->uring, &cancel);
}

/*
 * A watch that is cancelled here reports that, and then waits to be armed. What was armed at the end of the last round
 * is submitted first: the kernel does not find what it does not have yet.
 */
static void uring_pause(struct ring *ring)
{
	struct uring_ring *u = uring_of(ring);
	io_uring_submit(&u->uring);
	for (uint32_t slot = 0; slot < ring->n_watches; slot++)
		if (ring->watches[slot].active && ring_rests(ring, slot))
			uring_cancel(u, slot);
	uring_arm_all(u);
	io_uring_submit(&u->uring);
}

/* In */

static void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* With DEFER_TASKRUN, arrivals only raise this flag until the ring is entered. */
static bool has_events(struct uring_ring *u)
{
	return io_uring_cq_ready(&u->uring) ||
	       __atomic_load_n(u->uring.sq.kflags, __ATOMIC_RELAXED) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

/* No system call is needed, but for reads that were armed just now: they can complete only after they are submitted. */
static bool uring_look(struct ring *ring)
{
	struct uring_ring *u = uring_of(ring);
	if (io_uring_sq_ready(&u->uring))
		io_uring_submit(&u->uring);
	for (int i = 0; i < 16; i++) {
		if (has_events(u))
			return true;
		cpu_relax();
	}
	return false;
}

/*
 * Reports the refusals of the last push that the kernel has posted so far. `late`: the frames may already be
 * overwritten.
 */
static void report_refusals(struct uring_ring *u, bool late)
{
	struct ring *ring = &u->ring;
	struct io_uring_cqe *cqe;
	unsigned at;
	io_uring_for_each_cqe(&u->uring, at, cqe)
	{
		if (completion_of(cqe->user_data) != COMPLETION_TX)
			continue;
		uint32_t slot = (uint32_t)cqe->user_data;
		/*
		 * After an overflow of the completion queue some come even later, when their ring_tx is another
		 * transmission's.
		 */
		if (cqe->res < 0 && slot < u->n_pushed &&
		    cqe->user_data == user_data(COMPLETION_TX, u->pushes - 1, slot)) {
			if (late)
				ring->tx[slot].frame = NULL;
			ring->options.refused(ring->options.context, &ring->tx[slot], cqe->res);
		}
		/* Not taken from the queue, as older completions are in front of it, but marked as done. */
		cqe->user_data = user_data(COMPLETION_IGNORE, 0, 0);
	}
}

static void uring_settle(struct ring *ring)
{
	struct uring_ring *u = uring_of(ring);
	if (u->n_pushed && __atomic_load_n(u->uring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) {
		(void)io_uring_get_events(&u->uring);
		report_refusals(u, true);
	}
	u->n_pushed = 0;
}

/*
 * A cancelled request has its file until its completion is posted. That is done here, so that whoever closes the
 * descriptor next ends the TAP: for the last one, the kernel deletes it in this thread, and 20 ms go by.
 */
static void uring_unwatch(struct ring *ring, uint32_t slot)
{
	struct uring_ring *u = uring_of(ring);
	io_uring_submit(&u->uring);
	uring_cancel(u, slot);
	(void)io_uring_get_events(&u->uring);
	report_refusals(u, true);
	for (uint32_t i = 0; i < u->n_unarmed; i++)
		if (u->unarmed[i] == slot)
			u->unarmed[i--] = u->unarmed[--u->n_unarmed];
}

static int uring_wait(struct ring *ring)
{
	struct uring_ring *u = uring_of(ring);
	int n = io_uring_submit_and_wait(&u->uring, 1);
	report_refusals(u, true);
	u->n_pushed = 0;
	return n < 0 ? n : 0;
}

static struct io_uring_cqe *uring_peek(struct uring_ring *u)
{
	struct io_uring_cqe *cqe;
	unsigned at;
	io_uring_for_each_cqe(&u->uring, at, cqe) return cqe;
	return NULL;
}

static uint8_t *uring_hold(struct uring_ring *u, enum ring_kind kind, const struct io_uring_cqe *cqe)
{
	struct group *group = &u->groups[kind];
	uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
	group->held[group->n_held++] = id;
	ring_load_take(&group->load, cqe->res > 0 ? (uint32_t)cqe->res : 0);
	return uring_buffer(&group->buffers, id);
}

/* Fills in the datagram in `bytes`; false when the kernel's framing makes no sense. */
static bool read_datagram(struct uring_ring *u, uint8_t *bytes, int length, struct ring_event *event)
{
	struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(bytes, length, &u->receive);
	if (!out)
		return false;
	event->from = io_uring_recvmsg_name(out);
	event->from_length = out->namelen;
	event->data = io_uring_recvmsg_payload(out, &u->receive);
	event->length = io_uring_recvmsg_payload_length(out, length, &u->receive);
	event->truncated = out->flags & MSG_TRUNC;
	struct cmsghdr *c = io_uring_recvmsg_cmsg_firsthdr(out, &u->receive);
	for (; c; c = io_uring_recvmsg_cmsg_nexthdr(out, &u->receive, c))
		ring_read_control(event, c);
	return true;
}

/* It is the operator's business only where there was no buffer more to have. */
static void note_starved(struct uring_ring *u, enum ring_kind kind, int error)
{
	struct group *group = &u->groups[kind];
	group->starved += error == -ENOBUFS;
	/* Others read it at any time. */
	__atomic_fetch_add(&u->ring.counters.starved, error == -ENOBUFS && !group->n_spare, __ATOMIC_RELAXED);
}

/* Turns a completion of a watch into an event; false when there is nothing for the caller. */
static bool uring_take(struct uring_ring *u, const struct io_uring_cqe *cqe, enum ring_kind kind,
		       struct ring_event *event)
{
	uint32_t slot = (uint32_t)cqe->user_data;
	struct watched *watched = &u->ring.watches[slot];
	uint8_t *bytes = cqe->flags & IORING_CQE_F_BUFFER ? uring_hold(u, kind, cqe) : NULL;
	if (!watched->active || cqe->user_data != watch_user_data(u, slot))
		return false;
	*event = (struct ring_event){.kind = kind, .tag = watched->tag};
	bool ended = !(cqe->flags & IORING_CQE_F_MORE);
	/* An error that passes ends a multishot all the same. */
	if (cqe->res < 0 && ring_is_transient(kind, cqe->res)) {
		note_starved(u, kind, cqe->res);
		uring_arm_later(u, slot);
		return false;
	}
	if (cqe->res < 0 || (kind == RING_TAP && !bytes)) {
		/* The slot stays in use until ring_unwatch(), as its owner still has the handle. */
		event->error = cqe->res < 0 ? cqe->res : -EIO;
		return true;
	}
	watched->served = u->flushes;
	if (ended)
		uring_arm_later(u, slot);
	if (kind == RING_UDP)
		return bytes && read_datagram(u, bytes, cqe->res, event);
	event->data = bytes;
	event->length = (uint32_t)cqe->res;
	return true;
}

static bool uring_next(struct ring *ring, struct ring_event *event)
{
	struct uring_ring *u = uring_of(ring);
	struct io_uring_cqe *cqe;
	while ((cqe = uring_peek(u))) {
		bool taken = false;
		switch (completion_of(cqe->user_data)) {
		case COMPLETION_TAP:
			taken = uring_take(u, cqe, RING_TAP, event);
			break;
		case COMPLETION_UDP:
			taken = uring_take(u, cqe, RING_UDP, event);
			break;
		case COMPLETION_SIGNAL:
			taken = uring_take(u, cqe, RING_SIGNAL, event);
			break;
		case COMPLETION_TX:
		case COMPLETION_IGNORE:
			break;
		}
		io_uring_cqe_seen(&u->uring, cqe);
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
static void uring_refuse_unsubmitted(struct uring_ring *u)
{
	struct ring *ring = &u->ring;
	struct io_uring_sq *sq = &u->uring.sq;
	unsigned n = io_uring_sq_ready(&u->uring), mask = *sq->kring_mask;
	for (unsigned i = 0; i < n; i++) {
		struct io_uring_sqe *sqe = &sq->sqes[(sq->sqe_tail - n + i) & mask];
		if (completion_of(sqe->user_data) != COMPLETION_TX)
			continue;
		ring->options.refused(ring->options.context, &ring->tx[(uint32_t)sqe->user_data], -ENOBUFS);
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, user_data(COMPLETION_IGNORE, 0, 0));
	}
}

static void uring_push(struct ring *ring)
{
	struct uring_ring *u = uring_of(ring);
	while (io_uring_sq_ready(&u->uring) > 0)
		if (io_uring_submit(&u->uring) < 0)
			break;
	uring_refuse_unsubmitted(u);
	u->pushes++;
	u->n_pushed = ring->n_tx;
	report_refusals(u, false);
}

static void uring_queue(struct uring_ring *u, struct io_uring_sqe *sqe, const struct ring_tx *tx)
{
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, user_data(COMPLETION_TX, u->pushes, (uint32_t)(tx - u->ring.tx)));
}

static void uring_send(struct ring *ring, int fd, struct ring_tx *tx)
{
	struct uring_ring *u = uring_of(ring);
	struct io_uring_sqe *sqe = uring_get_sqe(u);
	io_uring_prep_sendmsg(sqe, fd, &tx->message, MSG_DONTWAIT | MSG_NOSIGNAL);
	uring_queue(u, sqe, tx);
}

static void uring_write(struct ring *ring, int fd, struct ring_tx *tx)
{
	struct uring_ring *u = uring_of(ring);
	struct io_uring_sqe *sqe = uring_get_sqe(u);
	int flags = atomic_load_explicit(&tap_write_flags, memory_order_relaxed);
	io_uring_prep_writev2(sqe, fd, tx->message.msg_iov, (unsigned)tx->message.msg_iovlen, 0, flags);
	uring_queue(u, sqe, tx);
}

/*
 * How many buffers the kernel should have, by what came in the round before. Two for each watch that found none: to arm
 * one again costs as much as a small frame.
 */
static unsigned group_level(struct group *group, enum ring_kind kind)
{
	unsigned level = ring_load_next(&group->load, group->buffers.count, kind == RING_TAP);
	if (level < 2 * group->starved)
		level = 2 * group->starved;
	return level < group->buffers.count ? level : group->buffers.count;
}

static void uring_return_buffers(struct uring_ring *u, enum ring_kind kind)
{
	struct group *group = &u->groups[kind];
	if (!group->n_held)
		return;
	unsigned level = group_level(group, kind);
	while (group->n_held)
		group->spare[group->n_spare++] = group->held[--group->n_held];
	group_give(group, level);
	group->starved = 0;
}

static void uring_flush(struct ring *ring)
{
	struct uring_ring *u = uring_of(ring);
	uring_return_buffers(u, RING_TAP);
	uring_return_buffers(u, RING_UDP);
	uring_arm_all(u);
	u->flushes++;
}

/* Trying it out */

/* A datagram through the ring. A profile may allow to set up a ring and not to enter it. */
static int uring_receive(struct ring *ring, const int ends[2])
{
	struct uring_ring *u = uring_of(ring);
	struct io_uring_cqe *cqe;
	int n = -EINTR, handle = ring_watch(ring, RING_UDP, ends[0], 0);
	if (handle < 0 || send(ends[1], "", 1, MSG_DONTWAIT) < 0)
		return handle < 0 ? handle : -errno;
	while (n == -EINTR)
		n = io_uring_submit_and_wait(&u->uring, 1);
	if (n < 0)
		return n;
	cqe = uring_peek(u);
	return cqe && cqe->res < 0 ? cqe->res : 0;
}

int uring_try(struct failure *why)
{
	const struct ring_options options = {.io = IO_URING};
	struct ring *ring;
	int ends[2];
	int error = ring_open(&ring, &options, why);
	if (error)
		return error;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends)) {
		error = -errno;
	} else {
		error = uring_receive(ring, ends);
		close(ends[0]);
		close(ends[1]);
	}
	ring_close(ring);
	return error ? uring_explain(error, why) : 0;
}

const struct ring_backend uring_backend = {
	.size = sizeof(struct uring_ring),
	.open = uring_open,
	.close = uring_close,
	.watch = uring_watch,
	.unwatch = uring_unwatch,
	.pause = uring_pause,
	.look = uring_look,
	.wait = uring_wait,
	.next = uring_next,
	.send = uring_send,
	.write = uring_write,
	.push = uring_push,
	.flush = uring_flush,
	.settle = uring_settle,
};
