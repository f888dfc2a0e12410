/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring.h - what liburing 2.3 (Debian 12) does not have yet
 *
 * Support by the kernel is probed for before anything of this is used.
 */
#ifndef PODSWITCH_URING_H
#define PODSWITCH_URING_H

#include <liburing.h>
#include <stdbool.h>

/*
 * As io_uring_queue_init_params(), for the calling thread. The ring takes the operations that a worker has a use for,
 * and no others: what a ring does is not seen by a seccomp filter. Where a kernel cannot be told so, it takes all.
 */
int uring_queue_init(unsigned entries, struct io_uring *ring, struct io_uring_params *params);

/* A ring of buffers in our own memory, for buffer group `group`. liburing 2.4 has io_uring_setup_buf_ring(). */
struct uring_buffers {
	struct io_uring_buf_ring *ring;
	uint8_t *memory; /* count * size */
	uint32_t count;  /* a power of two */
	uint32_t size;   /* bytes of one buffer */
	uint16_t group;
};

/* 0 or a negative errno. The kernel has none of the buffers yet. */
int uring_buffers_open(struct uring_buffers *buffers, struct io_uring *ring, uint16_t group, uint32_t count,
		       uint32_t size);
void uring_buffers_close(struct uring_buffers *buffers);

static inline uint8_t *uring_buffer(const struct uring_buffers *buffers, uint32_t id)
{
	return buffers->memory + (size_t)id * buffers->size;
}

/* IORING_OP_READ_MULTISHOT is Linux 6.7 and liburing 2.6. */
bool uring_has_read_multishot(struct io_uring *ring);
void uring_prep_read_multishot(struct io_uring_sqe *sqe, int fd, uint16_t group);

#endif
