/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pod_queues.c - which pods get several queues, in what order that is done, and how long they keep them
 *
 * One port with two workers. Each call of others is noted, with a letter; the queues are eventfds, which are "empty"
 * while nothing was written to them.
 */
#include "vswitch/pod_queues.c"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

enum { MUCH = 4000000, QUEUES = 4 };

static struct worker workers[2];
static struct vswitch vs = {.options = {.workers = 2, .tap_queues = QUEUES}, .workers = workers};
static struct port_counters counters[2];
static struct port port;
static uint64_t now;
static char calls[256];
static bool works, inside;
static int open_error, set_error, watch_error, opened, watched_by[2];

static void note(const char *call)
{
	strncat(calls, call, sizeof(calls) - strlen(calls) - 1);
}

/* Since it was asked last. */
#define assert_calls(wanted)                                                                                           \
	do {                                                                                                           \
		assert_string_equal(calls, wanted);                                                                    \
		calls[0] = 0;                                                                                          \
	} while (0)

/* The others: */

bool steering_works(void)
{
	return works;
}

int steering_set(int fd, bool spread)
{
	assert_int_equal(fd, port.tap);
	note(spread ? "S" : "F");
	return spread ? set_error : 0;
}

int link_get_queues(const char *ifname, struct link_queues *out, struct failure *why)
{
	(void)why;
	assert_true(inside);
	assert_string_equal(ifname, "vx0");
	*out = (struct link_queues){.n = 1, .length = 1000};
	return 0;
}

int tap_open_queue(int first, int *fd, struct failure *why)
{
	assert_true(inside);
	assert_int_equal(first, port.tap);
	if (opened == QUEUES - 2 && open_error)
		return (fail)(why, open_error, NULL, "no");
	*fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	opened++;
	note("o");
	return 0;
}

int netns_enter(const struct netns *netns, struct failure *why)
{
	(void)why;
	assert_ptr_equal(netns, &port.netns);
	inside = true;
	return 0;
}

void netns_return(const struct netns *home)
{
	assert_ptr_equal(home, &vs.home);
	inside = false;
}

int worker_watch(struct worker *worker, enum ring_kind kind, int fd, uint64_t tag)
{
	assert_int_equal(kind, RING_TAP);
	assert_int_equal(tag, make_tag(TAG_TAP, port.id));
	assert_true(fcntl(fd, F_GETFD) >= 0);
	watched_by[worker - workers]++;
	note("w");
	return watch_error ? watch_error : fd;
}

void worker_unwatch(struct worker *worker, int handle)
{
	if (handle >= 0)
		watched_by[worker - workers]--;
	note("u");
}

void worker_rest(struct worker *worker, int handle, bool rest)
{
	assert_ptr_equal(worker, port.worker);
	assert_int_equal(handle, port.tap_watch);
	note(rest ? "R" : "r");
}

void worker_finish(struct worker *worker)
{
	(void)worker;
	note("f");
}

/* The pod: */

static void send_bytes(uint64_t bytes)
{
	count(&counters[0].rx_bytes, bytes);
	count(&counters[0].rx_frames, bytes / 1000);
	if (counted(&counters[0].rx_bytes) >= atomic_load(&port.crowded_at))
		atomic_store(&vs.pods_crowded, true); /* as the worker does */
}

static void turn(void)
{
	pod_queues_turn(&vs, now, false);
}

static void be_busy(void)
{
	send_bytes(MUCH);
	turn();
}

static void second(void)
{
	now += 1000;
	pod_queues_turn(&vs, now, true);
}

static int begin(void **state)
{
	(void)state;
	memset(counters, 0, sizeof(counters));
	memset(watched_by, 0, sizeof(watched_by));
	port = (struct port){.id = 5,
			     .tap = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
			     .tap_watch = 3,
			     .worker = workers,
			     .counters = counters,
			     .config.ifname = "vx0"};
	atomic_store(&port.crowded_at, UINT64_MAX);
	vs.first_port = &port;
	vs.options.tap_queues = QUEUES;
	works = true;
	open_error = set_error = watch_error = opened = 0;
	now = 1000000;
	calls[0] = 0;
	second();
	return 0;
}

static int end(void **state)
{
	(void)state;
	pod_queues_close(&vs, &port);
	assert_int_equal(watched_by[0] + watched_by[1], 0);
	close(port.tap);
	return 0;
}

static void a_quiet_pod_keeps_one(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		send_bytes(MUCH / 2);
		turn();
		second();
	}
	assert_null(port.queues);
	assert_calls("");
}

static void a_busy_one_gets_several_at_once(void **state)
{
	(void)state;
	be_busy();
	assert_non_null(port.queues);
	assert_int_equal(port.queues->n, QUEUES - 1);
	/* What was in the first queue is forwarded before another one is read. */
	assert_calls("FoooSfwww");
	assert_int_equal(watched_by[0], 1);
	assert_int_equal(watched_by[1], 2);
	be_busy();
	second();
	assert_calls("");
}

static void it_keeps_them_while_it_is_busy(void **state)
{
	(void)state;
	be_busy();
	for (int i = 0; i < 30; i++) {
		count(&counters[1].rx_bytes, MUCH); /* by any worker */
		second();
	}
	assert_calls("FoooSfwww");
	for (int i = 0; i < IDLE / 1000 + 2; i++)
		second();
	assert_null(port.queues);
	assert_calls("RFffrffuuu");
	/* And gets them again. */
	be_busy();
	assert_calls("FoooSfwww");
}

/* Not for ever: a worker that does not get to it must not stop podswitchd. */
static void it_waits_for_what_is_in_the_first(void **state)
{
	(void)state;
	static const uint64_t frame = 1;
	assert_int_equal(write(port.tap, &frame, sizeof(frame)), sizeof(frame));
	be_busy();
	assert_non_null(port.queues);
	assert_calls("FoooSfwww");
}

static void what_is_refused_is_not_left_behind(void **state)
{
	(void)state;
	open_error = -EMFILE;
	be_busy();
	assert_null(port.queues);
	assert_calls("Foo");
	/* Not again at once. */
	open_error = opened = 0;
	be_busy();
	second();
	be_busy();
	assert_calls("");
	now += TRY_AGAIN;
	second();
	set_error = -EINVAL;
	be_busy();
	assert_calls("FoooS");
	assert_null(port.queues);
}

static void one_that_cannot_be_watched_is_given_back(void **state)
{
	(void)state;
	watch_error = -ENOMEM;
	be_busy();
	assert_null(port.queues);
	assert_calls("FoooSfwwwRFffrffuuu");
	memset(watched_by, 0, sizeof(watched_by));
}

static void where_it_does_not_work_nothing_is_done(void **state)
{
	(void)state;
	works = false;
	second();
	be_busy();
	works = true;
	vs.options.tap_queues = 1;
	second();
	be_busy();
	assert_calls("");
}

static void a_port_that_is_gone_gets_none(void **state)
{
	(void)state;
	int tap = port.tap;
	port.tap = -1;
	be_busy();
	second();
	assert_calls("");
	port.tap = tap;
}

#define QUEUES_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		QUEUES_TEST(a_quiet_pod_keeps_one),
		QUEUES_TEST(a_busy_one_gets_several_at_once),
		QUEUES_TEST(it_keeps_them_while_it_is_busy),
		QUEUES_TEST(it_waits_for_what_is_in_the_first),
		QUEUES_TEST(what_is_refused_is_not_left_behind),
		QUEUES_TEST(one_that_cannot_be_watched_is_given_back),
		QUEUES_TEST(where_it_does_not_work_nothing_is_done),
		QUEUES_TEST(a_port_that_is_gone_gets_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
