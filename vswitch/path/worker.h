/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - one thread, one ring
 *
 * A worker takes what its ring has, forwards it (forward.h), flushes, and waits. Only the thread that opened a ring may
 * use it, so the control thread asks a worker by mail: a call that runs on the worker's thread between two rounds.
 * Parking all workers (parking.h) is such a call, and how the control thread gets to change shared state.
 */
#ifndef PODSWITCH_WORKER_H
#define PODSWITCH_WORKER_H

#include "vswitch/base/ring.h"
#include "vswitch/base/switch_config.h"
#include "vswitch/path/coalesce.h"
#include "vswitch/path/train.h"

#include <pthread.h>
#include <stdatomic.h>

#define WORKER_REPLIES 16      /* ICMP errors to pods between two flushes */
#define WORKER_REPLY_SIZE 1300 /* an ICMPv6 error fits IPv6's least MTU (RFC 4443, section 2.4) */
#define WORKER_IDLE_SPINS 8
#define WORKER_GROUPS 8   /* flows that are coalesced */
#define WORKER_LEARNED 64 /* learned MACs that wait */

struct vswitch;
struct port;
struct remote;

/* The upper half of an event's tag: what the descriptor belongs to. The lower half is the id of that object. */
enum tag_kind { TAG_TAP, TAG_HOST, TAG_POD, TAG_MAIL };

static inline uint64_t make_tag(enum tag_kind kind, uint32_t id)
{
	return (uint64_t)kind << 32 | id;
}

struct worker_learned {
	uint16_t gateway;
	bool moved;
	struct mac mac;
};

/* The ICMP error for a frame that was too big for the path, kept until it can be queued. */
struct worker_reply {
	struct port *port;
	uint32_t length;
	uint8_t frame[WORKER_REPLY_SIZE];
};

struct worker {
	struct vswitch *vs;
	unsigned index;
	pthread_t thread;
	bool started;
	struct ring *ring;
	uint32_t now;        /* seconds, of this round */
	unsigned idle_spins; /* spins in a row that found nothing */
	uint64_t rounds, events;
	uint64_t drops[DROP_COUNT];
	struct trains trains;
	struct coalesce_group groups[WORKER_GROUPS];
	unsigned n_groups;
	struct worker_reply replies[WORKER_REPLIES];
	unsigned n_replies;
	/*
	 * MACs learned, for the monitor: the worker writes at `learned_in`, the control thread reads at `learned_out`.
	 */
	struct worker_learned learned[WORKER_LEARNED];
	atomic_uint learned_in, learned_out;
	atomic_bool listening;
	/* Mail: one call of the control thread at a time. */
	int mail; /* eventfd */
	pthread_mutex_t mailbox;
	pthread_cond_t answered;
	void (*call)(struct worker *worker, void *argument);
	void *argument;
	atomic_bool has_mail;
	bool stopping;
	struct failure failure; /* why the thread could not start */
	int start_result;       /* 1 until it is known */
};

/* Starts the thread and waits until its ring is open. */
int worker_start(struct worker *worker, struct vswitch *vs, unsigned index, struct failure *why);
void worker_stop(struct worker *worker);

/* Runs `call` on the worker's thread between two rounds and waits until it has returned. Control thread. */
void worker_run(struct worker *worker, void (*call)(struct worker *worker, void *argument), void *argument);

/* The same without waiting for the end. Waits for an earlier call to end first. */
void worker_post(struct worker *worker, void (*call)(struct worker *worker, void *argument), void *argument);

/* Makes the control thread call switch_tick() soon. Repeated calls cost nothing until it has. From a worker. */
void worker_wake_control(const struct worker *worker);

/* Starts or ends watching a descriptor on the worker's ring, as ring_watch() and ring_unwatch(). Control thread. */
int worker_watch(struct worker *worker, enum ring_kind kind, int fd, uint64_t tag);
void worker_unwatch(struct worker *worker, int handle);

/* A counter has one writer, its worker. The control thread may read it at any time. */
static inline void count(uint64_t *counter, uint64_t by)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + by, __ATOMIC_RELAXED);
}

static inline void uncount(uint64_t *counter, uint64_t by)
{
	count(counter, (uint64_t)0 - by);
}

static inline uint64_t counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
