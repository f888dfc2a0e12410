/* SPDX-License-Identifier: Apache-2.0 */
/* test_uring.c - a worker's ring does what workers do, and nothing else */
#include "vswitch/base/uring.c"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int open_ring(void **state)
{
	static struct io_uring ring;
	struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER};
	if (uring_queue_init(8, &ring, &params))
		return -1;
	*state = &ring;
	return 0;
}

static int close_ring(void **state)
{
	io_uring_queue_exit(*state);
	return 0;
}

/* What the kernel says to the one operation that was prepared. */
static int result(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	assert_int_equal(io_uring_submit_and_wait(ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(ring, &cqe), 0);
	int answer = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return answer;
}

static void test_allowed(void **state)
{
	struct io_uring *ring = *state;
	struct uring_buffers buffers;
	uint64_t value;
	int events = eventfd(3, EFD_CLOEXEC | EFD_NONBLOCK);
	io_uring_prep_nop(io_uring_get_sqe(ring));
	assert_int_equal(result(ring), 0);
	io_uring_prep_read(io_uring_get_sqe(ring), events, &value, sizeof(value), 0);
	assert_int_equal(result(ring), sizeof(value));
	assert_int_equal(value, 3);
	assert_int_equal(uring_buffers_open(&buffers, ring, 0, 4, 4096), 0);
	assert_int_equal(io_uring_register_ring_fd(ring), 1);
	close(events);
	io_uring_prep_nop(io_uring_get_sqe(ring));
	assert_int_equal(result(ring), 0);
	uring_buffers_close(&buffers);
}

/* What a seccomp filter would not see. */
static void test_refused(void **state)
{
	struct io_uring *ring = *state;
	int fd = 0;
	io_uring_prep_openat(io_uring_get_sqe(ring), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	assert_int_equal(result(ring), -EACCES);
	io_uring_prep_socket(io_uring_get_sqe(ring), AF_INET, SOCK_STREAM, 0, 0);
	assert_int_equal(result(ring), -EACCES);
	io_uring_prep_unlinkat(io_uring_get_sqe(ring), AT_FDCWD, "/nothing/there", 0);
	assert_int_equal(result(ring), -EACCES);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	io_uring_prep_nop(sqe);
	sqe->flags |= IOSQE_ASYNC;
	assert_int_equal(result(ring), -EACCES);
	assert_int_equal(io_uring_register_files(ring, &fd, 1), -EACCES);
	assert_int_equal(io_uring_register_personality(ring), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_allowed, open_ring, close_ring),
					   cmocka_unit_test_setup_teardown(test_refused, open_ring, close_ring)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
