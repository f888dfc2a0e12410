/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring.c - what liburing 2.3 (Debian 12) does not have yet
 *
 * A ring of buffers is registered with the kernel once. From then on the kernel takes a buffer for each completion, and
 * the thread that owns the ring gives it back with io_uring_buf_ring_add() and _advance(): no system call is needed.
 */
#include "vswitch/base/uring.h"

#include <errno.h>
#include <sys/mman.h>

#define OP_READ_MULTISHOT 49 /* IORING_OP_READ_MULTISHOT in Linux's io_uring.h */

static void *uring_map(size_t length)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

int uring_buffers_open(struct uring_buffers *buffers, struct io_uring *ring, uint16_t group, uint32_t count,
		       uint32_t size)
{
	*buffers = (struct uring_buffers){.count = count, .size = size, .group = group};
	buffers->ring = uring_map(count * sizeof(struct io_uring_buf));
	buffers->memory = uring_map((size_t)count * size);
	if (!buffers->ring || !buffers->memory) {
		uring_buffers_close(buffers);
		return -ENOMEM;
	}
	struct io_uring_buf_reg registration = {
		.ring_addr = (uint64_t)(uintptr_t)buffers->ring, .ring_entries = count, .bgid = group};
	int error = io_uring_register_buf_ring(ring, &registration, 0);
	if (error) {
		uring_buffers_close(buffers);
		return error;
	}
	io_uring_buf_ring_init(buffers->ring);
	for (uint32_t i = 0; i < count; i++)
		io_uring_buf_ring_add(buffers->ring, uring_buffer(buffers, i), size, (uint16_t)i,
				      io_uring_buf_ring_mask(count), (int)i);
	io_uring_buf_ring_advance(buffers->ring, (int)count);
	return 0;
}

void uring_buffers_close(struct uring_buffers *buffers)
{
	if (buffers->ring)
		munmap(buffers->ring, buffers->count * sizeof(struct io_uring_buf));
	if (buffers->memory)
		munmap(buffers->memory, (size_t)buffers->count * buffers->size);
	*buffers = (struct uring_buffers){0};
}

bool uring_has_read_multishot(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool has = probe && io_uring_opcode_supported(probe, OP_READ_MULTISHOT);
	io_uring_free_probe(probe);
	return has;
}

void uring_prep_read_multishot(struct io_uring_sqe *sqe, int fd, uint16_t group)
{
	io_uring_prep_rw(OP_READ_MULTISHOT, sqe, fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = group;
}
