/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - what a worker asks of the kernel: frames and datagrams in, frames and datagrams out
 *
 * The narrow waist between the data plane and the way it does I/O. There are two such ways, io_uring
 * (ring_uring.c) and epoll (ring_epoll.c); nothing else depends on which it is. A worker's round is: ring_wait(),
 * ring_next() until it returns false, ring_flush().
 *
 * In: descriptors are watched. What arrives becomes an event, with its bytes in a buffer that all watches of a kind
 * share, so memory does not grow with their number. The bytes are the caller's, who may change them, until the next
 * ring_flush().
 *
 * Out: the caller takes a struct ring_tx, points it at bytes, and queues it. The next ring_flush() at the latest hands
 * it to the kernel, and returns when the kernel has taken or refused everything; then all ring_tx and all buffers are
 * free again. Nothing waits: what a socket or TAP does not take at once is refused with an errno, and the `refused`
 * call-back is called for each.
 *
 * Threads: only the thread that opened a ring may use it.
 */
#ifndef PODSWITCH_RING_H
#define PODSWITCH_RING_H

#include "tap/base/failure.h"
#include "vswitch/base/switch_config.h"

#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define RING_TX 256          /* transmissions between two pushes */
#define RING_IOV 2048        /* pieces of all transmissions together */
#define RING_BYTES 65536     /* bytes of headers for all of them */
#define RING_BUFFER 66048    /* the largest frame or datagram with everything in front of it, bytes */
#define RING_TAP_BUFFERS 64  /* a power of two: frames that one round can take from all TAPs together */
#define RING_UDP_BUFFERS 128 /* the same for datagrams */
#define RING_SMALL 600       /* bytes of a frame of a conversation; not the odd end of a stream's segment */
#define RING_TX_CONTROL 48   /* two of CMSG_SPACE(sizeof(int)): TOS and segment size */

struct ring;

enum ring_kind {
	RING_TAP,    /* a TAP: events are [virtio_net_hdr][frame] */
	RING_UDP,    /* a socket: events are datagrams with their source, TOS and GRO size */
	RING_SIGNAL, /* an eventfd: events say that it was written to */
};

struct ring_event {
	enum ring_kind kind;
	uint64_t tag;  /* as given to ring_watch() */
	int error;     /* 0, or the negative errno that ended the watch: no more events will come from it */
	uint8_t *data; /* RING_TAP, RING_UDP */
	uint32_t length;
	/* RING_UDP only */
	const struct sockaddr *from;
	socklen_t from_length;
	uint32_t gro_size; /* bytes of each segment that UDP_GRO joined; 0: a single datagram */
	uint8_t tos;       /* TOS or traffic class of the outer header */
	bool truncated;    /* the datagram was larger than RING_BUFFER allows */
};

/* A frame, a datagram, or a train of datagrams on its way out. */
struct ring_tx {
	struct msghdr message; /* RING_UDP: name, iov, control; RING_TAP: iov */
	struct virtio_net_hdr vnet;
	uint8_t *bytes; /* room for the headers of this transmission, as many bytes as were asked for */
	_Alignas(8) uint8_t control[RING_TX_CONTROL];
	int fd; /* of ring_send(): the socket, for the `refused` call-back */
	/* Notes of the caller, for the `refused` call-back. */
	void *port;      /* the port whose counters include it */
	void *remote;    /* the remote it goes to; NULL for a pod's TAP */
	bool by_tap;     /* leaves by the underlay TAP */
	uint8_t *frame;  /* the first inner frame */
	uint32_t length; /* of that frame */
	uint32_t count;  /* datagrams, or frames, in it */
	uint64_t total;  /* bytes of all of them, as counted */
};

struct ring_options {
	enum io_choice io; /* IO_URING or IO_EPOLL, as ring_choose() has said */
	/*
	 * Called for each transmission that the kernel refused; `error` is a negative errno. It must not queue or
	 * flush. Refused sends are reported by ring_flush(). Refused writes may be reported only by the next
	 * ring_settle() or ring_wait(), and then `frame` is NULL because its bytes are gone.
	 */
	void (*refused)(void *context, const struct ring_tx *tx, int error);
	void *context;
};

/* All of them are io_uring's, and false with epoll. */
struct ring_features {
	bool read_multishot; /* Linux 6.7: one request keeps reading a TAP */
	bool defer_taskrun;  /* Linux 6.1: completions are run when the worker asks for them */
};

struct ring_counters {
	uint64_t starved; /* watches that had to wait for the next round because the buffers, or their share, ran out */
};

/* What rings are to be opened with. */
struct ring_choice {
	enum io_choice io; /* IO_URING or IO_EPOLL */
	char why[256];     /* for people, one line: why this one, and of IO_EPOLL what to set to get the other */
};

/*
 * Decides what `asked` means here. io_uring is tried out: a ring is opened, receives a datagram, and is closed. Fails
 * only for IO_URING, where io_uring is forbidden or too old: -EPERM, -ENOSYS, -EINVAL, -ENOMEM. Any thread.
 */
int ring_choose(enum io_choice asked, struct ring_choice *out, struct failure *why);

/* Opens a ring for the calling thread. Errors: as above, and -EMFILE. */
int ring_open(struct ring **out, const struct ring_options *options, struct failure *why);
void ring_close(struct ring *ring);

/* Starts watching `fd`, a non-blocking TAP, a socket or an eventfd. Returns a handle >= 0 for ring_unwatch(), or a
 * negative errno. */
int ring_watch(struct ring *ring, enum ring_kind kind, int fd, uint64_t tag);

/* Ends the watch, also after an error has ended its events. None comes afterwards, and the descriptor may be closed. */
void ring_unwatch(struct ring *ring, int handle);

/*
 * While paused, nothing is read from TAPs and sockets: what arrives waits in their queues. What had been read before
 * still comes as events, in the next two rounds. Signals go on. Watches that begin meanwhile are paused, too.
 */
void ring_pause(struct ring *ring, bool pause);

/* The same for what is watched by this handle, of a TAP or a socket, alone. */
void ring_rest(struct ring *ring, int handle, bool rest);

/* Nanoseconds of the monotonic clock, in which spinning is measured. */
uint64_t ring_now(void);

/*
 * Looks for events for up to `nanoseconds` without sleeping; io_uring needs no system call for that. True when there
 * are some; ring_wait() then returns at once.
 */
bool ring_spin(struct ring *ring, uint64_t nanoseconds);

/* Waits until there is an event. -EINTR may be returned; any other error is fatal. */
int ring_wait(struct ring *ring);

/* Fills *event and returns true; false when everything that had arrived was taken. */
bool ring_next(struct ring *ring, struct ring_event *event);

/*
 * A transmission with room for `n_iov` pieces at message.msg_iov and `n_bytes` bytes of headers; everything else is
 * empty. Never NULL: when there is no room it calls ring_push(), which leaves the bytes of events alone.
 */
struct ring_tx *ring_tx(struct ring *ring, unsigned n_iov, unsigned n_bytes);

/* Queues `tx` for a socket or for a TAP. message.msg_iovlen says how many of its pieces are filled. */
void ring_send(struct ring *ring, int fd, struct ring_tx *tx);
void ring_write(struct ring *ring, int fd, struct ring_tx *tx);

/*
 * Sends `message` at once by a system call of its own, past the queue: the `refused` call-back may do that. 0, or a
 * negative errno. Nothing waits.
 */
int ring_send_now(int fd, const struct msghdr *message);

/* Hands everything queued to the kernel and reports refusals. The bytes of events stay the caller's. */
void ring_push(struct ring *ring);

/* The same, and gives the buffers of events back to the kernel. */
void ring_flush(struct ring *ring);

/* Reports late refusals of what was pushed, while the notes in its ring_tx are still valid. */
void ring_settle(struct ring *ring);

const struct ring_features *ring_features(const struct ring *ring);
const struct ring_counters *ring_counters(const struct ring *ring);

#endif
