/* SPDX-License-Identifier: Apache-2.0 */
/* test_late_close.c - descriptors are closed, soon, by somebody else, and more of them than can wait */
#include "tap/late_close.c"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

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

/* A TCP socket of which close(2) waits until the other end has what was sent, or is closed. */
static int open_slow(int *other)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct linger linger = {.l_onoff = 1, .l_linger = 120};
	socklen_t size = sizeof(address);
	char bytes[65536] = {0};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
	*other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*other >= 0);
	close(listener);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return fd;
}

/* All but one closer busy keep nobody waiting; the TAP goes before a socket that came earlier, and its end is told. */
static void test_slow_ones(void **state)
{
	int others[LATE_CLOSE_THREADS + 1], pipe_end, wakeup = eventfd(0, EFD_CLOEXEC);
	atomic_bool closed = false;
	uint64_t count;

	(void)state;
	for (int i = 0; i < LATE_CLOSE_THREADS - 1; i++)
		late_close(open_slow(&others[i]));
	late_close(open_end(&pipe_end));
	assert_closed(pipe_end);
	for (int i = LATE_CLOSE_THREADS - 1; i <= LATE_CLOSE_THREADS; i++)
		late_close(open_slow(&others[i]));
	late_close_tap(open_end(&pipe_end), &closed, wakeup);
	assert_false(atomic_load(&closed));
	close(others[0]);
	assert_int_equal(read(wakeup, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_true(atomic_load(&closed));
	assert_closed(pipe_end);
	late_close_told();
	close(wakeup);
	for (int i = 1; i <= LATE_CLOSE_THREADS; i++)
		close(others[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_one), cmocka_unit_test(test_many),
					   cmocka_unit_test(test_slow_ones)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
