/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fd_stream.h - JSON texts, one a line, with file descriptors beside them, over a UNIX stream socket
 *
 * Descriptors travel with the bytes of their line (SCM_RIGHTS, unix(7)), so that they have arrived when the line has.
 * Which of them belong to a line is what the line says: the receiver takes them in order. One thread at a time.
 */
#ifndef PODSWITCH_FD_STREAM_H
#define PODSWITCH_FD_STREAM_H

#include "tap/base/buffer.h"
#include "tap/base/failure.h"

#include <jansson.h>
#include <stdint.h>

#define FD_STREAM_MAX 128        /* descriptors of one line */
#define FD_STREAM_LINE (1 << 20) /* bytes of one line */

struct fd_stream {
	int socket;
	uint64_t deadline; /* ms of the monotonic clock, for all that follows */
	struct buffer in;
	int fds[FD_STREAM_MAX]; /* received and not taken yet */
	size_t n_fds;
};

/* Sends `line` (a new reference, taken; NULL is -ENOMEM) with descriptors, which stay the caller's. */
int fd_stream_send(struct fd_stream *stream, json_t *line, const int *fds, size_t n, struct failure *why);

/*
 * Waits for the next line; *out is a new reference to an object. -ETIMEDOUT, -EPIPE (the other end has closed), -EPROTO
 * (not what this stream carries), or what the kernel says.
 */
int fd_stream_receive(struct fd_stream *stream, json_t **out, struct failure *why);

/* Takes the next `n` descriptors, which are the caller's then. -EPROTO: fewer have come. */
int fd_stream_take(struct fd_stream *stream, int *out, size_t n, struct failure *why);

/* Closes the socket and all descriptors that were not taken. */
void fd_stream_close(struct fd_stream *stream);

#endif
