/* SPDX-License-Identifier: Apache-2.0 */
/* test_late_close.c - descriptors are closed, soon, by somebody else, and more of them than can wait */
#include "tap/late_close.c"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

/* The other end of a pipe tells when the last descriptor of this one is closed. */
static int open_end(int *other)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*other = ends[0];
	return ends[1];
}

static void assert_closed(int other)
{
	struct pollfd end = {.fd = other};

	assert_int_equal(poll(&end, 1, 60000), 1);
	assert_true(end.revents & POLLHUP);
	close(other);
}

static void test_one(void **state)
{
	int other, end = open_end(&other);

	(void)state;
	late_close(-1);
	late_close(end);
	assert_closed(other);
}

/* While the closers cannot go on, none is closed; what finds no room is closed by its owner. */
static void test_many(void **state)
{
	int other, last, end = open_end(&other);
	struct late_queue *queue = &closer.sockets;

	(void)state;
	pthread_mutex_lock(&closer.lock);
	for (queue->n = 0; queue->n < LATE_CLOSE_MAX; queue->n++)
		queue->fds[(queue->first + queue->n) % LATE_CLOSE_MAX] =
			(struct late_fd){.fd = queue->n ? -1 : fcntl(end, F_DUPFD_CLOEXEC, 0), .wakeup = -1};
	pthread_mutex_unlock(&closer.lock);
	late_close(open_end(&last));
	assert_closed(last);
	late_close(end);
	assert_closed(other);
}

/* What the kernel takes long to close: a pipe of a FUSE file would do; here, closers that wait for each other. */
static void test_taps_first(void **state)
{
	atomic_bool closed = false;
	uint64_t count;
	int other, wakeup = eventfd(0, EFD_CLOEXEC);

	(void)state;
	late_close_tap(open_end(&other), &closed, wakeup);
	assert_closed(other);
	assert_int_equal(read(wakeup, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_true(atomic_load(&closed));
	late_close_told();
	close(wakeup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_one), cmocka_unit_test(test_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
