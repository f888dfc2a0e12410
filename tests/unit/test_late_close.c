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

/* While the closer cannot go on, none is closed; what finds no room is closed by its owner. */
static void test_many(void **state)
{
	int other, last, end = open_end(&other);

	(void)state;
	pthread_mutex_lock(&closer.lock);
	for (closer.n = 0; closer.n < LATE_CLOSE_MAX; closer.n++)
		closer.fds[closer.n] = closer.n ? -1 : fcntl(end, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&closer.lock);
	late_close(open_end(&last));
	assert_closed(last);
	late_close(end);
	assert_closed(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_one), cmocka_unit_test(test_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
