/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - what a worker asks of the kernel: frames and datagrams in, frames and datagrams out
 *
 * The narrow waist between the data plane and the way it does I/O. This implementation is io_uring (ring.c); nothing
 * outside knows. A round of a worker is: ring_wait(), ring_next() until it says no, ring_flush().
 *
 * In:  descriptors are watched; what arrives is an event whose bytes lie in a buffer that all watches of a kind share,
 * so memory does not grow with their number. The bytes are the caller's (to change, too) until the next ring_flush().
 * Out: the caller takes a struct ring_tx, points it at bytes, and queues it. It is handed to the kernel by the next
 *      ring_flush() at the latest, which returns when the kernel has taken or refused all of them; then every tx and
 * every buffer is free again. Nothing waits: what a socket or a TAP does not take at once is refused with an errno, and
 *      the `refused` call-back says so for each.
 *
 * Threads: a ring belongs to the thread that opened it.
 */
#ifndef PODSWITCH_RING_H
#define PODSWITCH_RING_H

#include "vswitch/failure.h"

#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define RING_TX 256             /* transmissions between two flushes; the ring flushes by itself beyond */
#define RING_BUFFER 66048       /* the largest frame or datagram with all that comes before it, bytes */
#define RING_TAP_BUFFERS 32     /* a power of two: how many frames one turn can take from all TAPs together */
#define RING_UDP_BUFFERS 32     /* the same for datagrams */
#define RING_TX_NAME_CONTROL 24 /* CMSG_SPACE(sizeof(int)) */

struct ring;

enum ring_kind {
	RING_TAP,    /* a TAP: events are [virtio_net_hdr][frame] */
	RING_UDP,    /* a socket: events are datagrams with their source, TOS and GRO size */
	RING_SIGNAL, /* an eventfd: events say that it was written to */
};

struct ring_event {
	enum ring_kind kind;
	uint64_t tag;  /* as given to ring_watch() */
	int error;     /* 0, or the negative errno that ended the watch: there will be no more events from it */
	uint8_t *data; /* RING_TAP, RING_UDP */
	uint32_t length;
	/* RING_UDP only */
	const struct sockaddr *from;
	socklen_t from_length;
	uint32_t gro_size; /* bytes of each of the segments that the kernel put together, 0: one datagram */
	uint8_t tos;       /* of the outer header */
	bool truncated;    /* the datagram was larger than RING_BUFFER allows */
};

/* One frame or datagram on its way out. */
struct ring_tx {
	struct msghdr message; /* RING_UDP: name, iov, control; RING_TAP: iov */
	struct iovec iov[2];
	struct virtio_net_hdr vnet;
	_Alignas(8) uint8_t control[RING_TX_NAME_CONTROL];
	/* The caller's notes, for the `refused` call-back. */
	void *port;      /* whose counters it is */
	void *remote;    /* where it was going, NULL for a TAP */
	uint8_t *frame;  /* the inner frame */
	uint32_t length; /* of the frame */
};

struct ring_options {
	bool no_read_multishot; /* as if the kernel did not have it */
	/* Called by ring_flush() for what the kernel refused; `error` is a negative errno. Must not queue or flush. */
	void (*refused)(void *context, const struct ring_tx *tx, int error);
	void *context;
};

struct ring_features {
	bool read_multishot; /* Linux 6.7: one request keeps reading a TAP */
	bool defer_taskrun;  /* Linux 6.1: completions are run when the worker asks for them */
};

struct ring_counters {
	uint64_t starved; /* watches that ended for want of buffers and were armed again */
};

/*
 * Opens a ring for the calling thread. Where io_uring is forbidden or too old, `why` says in one line what forbids it
 * and what to set: -EPERM, -ENOSYS, -EINVAL.
 */
int ring_open(struct ring **out, const struct ring_options *options, struct failure *why);
void ring_close(struct ring *ring);

/* Starts events of `fd`. Returns a handle >= 0 for ring_unwatch(), or a negative errno. */
int ring_watch(struct ring *ring, enum ring_kind kind, int fd, uint64_t tag);

/* Ends them, also after an error has: no event of this watch comes after it. The descriptor may then be closed. */
void ring_unwatch(struct ring *ring, int handle);

/* Waits until there is an event. -EINTR may be returned; any other error is fatal. */
int ring_wait(struct ring *ring);

/* Fills *event and returns true, or returns false when all that had arrived is taken. */
bool ring_next(struct ring *ring, struct ring_event *event);

/* A zeroed-enough tx: message, iov and control are empty. Never NULL; may flush. */
struct ring_tx *ring_tx(struct ring *ring);

/* Queues `tx` for a socket, or for a TAP, with `n_iov` of its iov filled. */
void ring_send(struct ring *ring, int fd, struct ring_tx *tx);
void ring_write(struct ring *ring, int fd, struct ring_tx *tx);

/* Hands everything queued to the kernel, reports what it refused, and gives the buffers back. */
void ring_flush(struct ring *ring);

const struct ring_features *ring_features(const struct ring *ring);
const struct ring_counters *ring_counters(const struct ring *ring);

#endif
