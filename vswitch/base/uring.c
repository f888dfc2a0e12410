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
#include <sys/syscall.h>
#include <unistd.h>

#define OP_READ_MULTISHOT 49 /* IORING_OP_READ_MULTISHOT in Linux's io_uring.h */

/* Debian 12's liburing declares calls for these, and does not have them. */
static int uring_register(struct io_uring *ring, unsigned what, const void *argument, unsigned n)
{
	return syscall(__NR_io_uring_register, ring->ring_fd, what, argument, n) < 0 ? -errno : 0;
}

/*
 * A kernel refuses the whole list for one operation that it does not know, so the youngest one is at the end and left
 * out there.
 */
static int uring_restrict(struct io_uring *ring)
{
	struct io_uring_restriction rules[] = {
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED,
		 .sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS},
		{.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_PROBE},
		{.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_PBUF_RING},
		{.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_RING_FDS},
		{.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_RING_FDS},
		{.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_SYNC_CANCEL},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_RECVMSG},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_SENDMSG},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = OP_READ_MULTISHOT},
	};
	unsigned n = sizeof(rules) / sizeof(rules[0]);
	return uring_register(ring, IORING_REGISTER_RESTRICTIONS, rules, uring_has_read_multishot(ring) ? n : n - 1);
}

int uring_queue_init(unsigned entries, struct io_uring *ring, struct io_uring_params *params)
{
	params->flags |= IORING_SETUP_R_DISABLED;
	int error = io_uring_queue_init_params(entries, ring, params);
	if (error)
		return error;
	(void)uring_restrict(ring);
	error = uring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (error)
		io_uring_queue_exit(ring);
	return error;
}

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
