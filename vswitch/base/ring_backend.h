/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_backend.h - what a way to do I/O has to offer for ring.h to stand on it
 *
 * ring.c keeps what all ways share: the table of watches, and the memory of what is on its way out. A backend moves
 * the bytes. Its own state follows a struct ring in memory, as the rest of a larger struct.
 *
 * Threads: all of it is for the thread that owns the ring.
 */
#ifndef PODSWITCH_RING_BACKEND_H
#define PODSWITCH_RING_BACKEND_H

#include "vswitch/base/ring.h"

#include <stddef.h>

#define ROUND_LEAST 8                                   /* buffers of a round, however large the frames */
#define RING_NAME_SIZE 32                               /* a sockaddr_in6, and control messages may follow it aligned */
#define RING_CONTROL_SIZE (CMSG_SPACE(sizeof(int)) * 3) /* TOS and GRO size, and one to spare */

/* A descriptor that is watched. Its place in the table is the handle of ring_unwatch(). */
struct watched {
	int fd;
	uint32_t generation; /* 24 bits: tells a late event of an ended watch from one of its successor in this place */
	uint64_t tag;
	enum ring_kind kind;
	bool active;     /* the place is in use */
	bool resting;    /* ring_rest() */
	uint32_t served; /* io_uring: value of `flushes` in the round in which it last had an event */
	bool unarmed;    /* io_uring: on the list of those to be armed */
};

struct ring_backend {
	size_t size; /* bytes of its struct, which begins with a struct ring */
	/* The struct is zeroed but for `backend` and `options`. Also after an error, `close` follows. */
	int (*open)(struct ring *ring, struct failure *why);
	void (*close)(struct ring *ring);
	/* Begins and ends to watch what is in that place of the table. 0 or a negative errno. */
	int (*watch)(struct ring *ring, uint32_t slot);
	void (*unwatch)(struct ring *ring, uint32_t slot);
	/* What ring_rests() says of some watches has changed. `paused` holds for what is watched later, too. */
	void (*pause)(struct ring *ring);
	/* A short look for events that does not sleep. */
	bool (*look)(struct ring *ring);
	/* As the functions of ring.h; of `push` and `flush` only what is the kernel's part. */
	int (*wait)(struct ring *ring);
	bool (*next)(struct ring *ring, struct ring_event *event);
	void (*send)(struct ring *ring, int fd, struct ring_tx *tx);
	void (*write)(struct ring *ring, int fd, struct ring_tx *tx);
	void (*push)(struct ring *ring);
	void (*flush)(struct ring *ring); /* comes after `push` */
	void (*settle)(struct ring *ring);
};

struct ring {
	const struct ring_backend *backend;
	struct ring_options options;
	struct ring_features features;
	struct ring_counters counters;
	struct watched *watches;
	uint32_t n_watches;
	bool paused;
	struct ring_tx tx[RING_TX];
	struct iovec iov[RING_IOV];
	uint8_t bytes[RING_BYTES];
	unsigned n_tx, n_iov, n_bytes;
};

extern const struct ring_backend uring_backend, epoll_backend;

/* Whether io_uring works here: 0, or a negative errno and what to set. */
int uring_try(struct failure *why);

/* Whether this watch waits for the end of a pause or its rest. */
static inline bool ring_rests(const struct ring *ring, uint32_t slot)
{
	const struct watched *watched = &ring->watches[slot];
	return (ring->paused || watched->resting) && watched->kind != RING_SIGNAL;
}

/* What a round has taken of one kind. */
struct ring_load {
	unsigned n;
	uint64_t bytes;
	bool small, large; /* there was such a frame */
	unsigned mixed;    /* rounds that are to be short yet */
};

void ring_load_take(struct ring_load *load, uint32_t length);

/*
 * Ends the round, and says how many buffers the next one may fill: of large frames no more than a processor's cache
 * keeps until they are written, of small ones `most`. With `hurry`, while there are both, so few that a small one does
 * not wait for long behind large ones that were read with it.
 */
unsigned ring_load_next(struct ring_load *load, unsigned most, bool hurry);

/* One control message of a received datagram, into the event. */
void ring_read_control(struct ring_event *event, const struct cmsghdr *c);

/* Whether a watch goes on after this error, a negative errno, of a read or receive. */
bool ring_is_transient(enum ring_kind kind, int error);

#endif
