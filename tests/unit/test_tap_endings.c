/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tap_endings.c - TAPs that are on their way out of their pods, against the kernel
 *
 * In a network namespace of the test's own, which stands for the pod's and for podswitchd's.
 */
#include "tap/tap_endings.c"

#include "tests/unit/tap_destroy.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#define HERE "/proc/thread-self/ns/net"
#define ALONE 12 /* TAPs deleted one after the other */
#define MANY 120 /* and those that are on their way together */
#define PATIENCE 60000

static struct netns home;
static struct tap_endings *endings;
static unsigned n_gone;
static uint64_t gone_last;

static void note(void *context, uint64_t number)
{
	assert_ptr_equal(context, &home);
	gone_last = number;
	n_gone++;
}

static void turn_until_gone(unsigned n)
{
	struct pollfd ready = {.fd = tap_endings_fd(endings), .events = POLLIN};

	while (n_gone < n) {
		assert_int_equal(poll(&ready, 1, PATIENCE), 1);
		tap_endings_turn(endings, note, &home);
	}
}

static int make_tap(const char *stem, int i)
{
	char name[IFNAMSIZ];
	int fd = -1;

	snprintf(name, sizeof(name), "%s%d", stem, i);
	assert_int_equal(tap_create(name, &fd, NULL), 0);
	return fd;
}

static void run(const char *command)
{
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): the commands are the test's own */
}

static uint64_t end_tap(int tap)
{
	return tap_endings_add(endings, tap, &home, &home);
}

static int set_up(void **state)
{
	(void)state;
	n_gone = 0;
	gone_last = 0;
	return tap_endings_open(&endings, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	tap_endings_close(endings, PATIENCE);
	return 0;
}

/* When it is told, the name is free. Not before, it is found by its namespace and name. */
static void test_name(void **state)
{
	(void)state;
	for (int i = 1; i <= 10; i++) {
		uint64_t number = end_tap(make_tap("vx", 0));
		assert_int_equal(number, i);
		assert_int_equal(tap_endings_pending(endings), 1);
		assert_int_equal(tap_endings_find(endings, HERE, "vx0"), number);
		assert_int_equal(tap_endings_find(endings, HERE, "vx1"), 0);
		assert_int_equal(tap_endings_find(endings, "/proc/1/ns/net", "vx0"), 0);
		turn_until_gone((unsigned)i);
		assert_int_equal(gone_last, number);
		assert_int_equal(tap_endings_pending(endings), 0);
		assert_int_equal(tap_endings_find(endings, HERE, "vx0"), 0);
		assert_int_equal(if_nametoindex("vx0"), 0);
	}
}

/* What the pod has renamed has its new name until it is gone. What it has deleted is not waited for. */
static void test_pods_doing(void **state)
{
	(void)state;
	int tap = make_tap("vx", 0);
	run("ip link set vx0 name mine");
	uint64_t number = end_tap(tap);
	assert_int_equal(tap_endings_find(endings, HERE, "vx0"), 0);
	assert_int_equal(tap_endings_find(endings, HERE, "mine"), number);
	turn_until_gone(1);
	assert_int_equal(if_nametoindex("mine"), 0);

	tap = make_tap("vx", 1);
	run("ip link del vx1");
	assert_int_equal(end_tap(tap), 0);
	assert_int_equal(fcntl(tap, F_GETFD), -1);
	assert_int_equal(end_tap(-1), 0);
	assert_int_equal(tap_endings_pending(endings), 0);
}

/* More events of other links than the socket holds: what is missed is made up for when the TAP is closed. */
static void test_missed(void **state)
{
	(void)state;
	int tap = make_tap("vx", 0), held = fcntl(tap, F_DUPFD_CLOEXEC, 0);
	uint64_t number = end_tap(tap);
	int size = 1;
	assert_int_equal(setsockopt(endings->first->watch, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	run("for i in 1 2 3 4 5 6 7 8 9; do ip link set lo up && ip link set lo down; done");
	close(held);
	turn_until_gone(1);
	assert_int_equal(gone_last, number);
}

static uint64_t delete_alone(void)
{
	int taps[ALONE];
	for (int i = 0; i < ALONE; i++)
		taps[i] = make_tap("alone", i);
	uint64_t began = clock_us();
	for (int i = 0; i < ALONE; i++)
		tap_destroy(taps[i]);
	return (clock_us() - began) / ALONE;
}

/*
 * One after the other, too, they are gone sooner than closed. What the kernel waits for takes no processor, but we need
 * one: on a busy machine, the best of five rounds.
 */
static void test_one_by_one(void **state)
{
	uint64_t alone, told;
	unsigned round = 0;

	(void)state;
	do {
		alone = delete_alone();
		int taps[ALONE];
		for (int i = 0; i < ALONE; i++)
			taps[i] = make_tap("one", i);
		uint64_t began = clock_us();
		for (int i = 0; i < ALONE; i++) {
			(void)end_tap(taps[i]);
			turn_until_gone(round * ALONE + (unsigned)i + 1);
		}
		told = (clock_us() - began) / ALONE;
		print_message("%llu us until closed, %llu until gone\n", (unsigned long long)alone,
			      (unsigned long long)told);
	} while (told * 3 > alone * 2 && ++round < 5);
	assert_true(told * 3 <= alone * 2);
}

/* The kernel's waits overlap: together they are at least twice as fast as one after the other. */
static void test_many(void **state)
{
	static int taps[MANY];
	(void)state;
	uint64_t alone = delete_alone();
	for (int i = 0; i < MANY; i++)
		taps[i] = make_tap("many", i);
	uint64_t began = clock_us();
	for (int i = 0; i < MANY; i++)
		assert_int_equal(end_tap(taps[i]), i + 1);
	uint64_t handed = clock_us() - began;
	turn_until_gone(MANY);
	uint64_t together = (clock_us() - began) / MANY;
	print_message("%llu us each alone, %llu together, of which %llu to hand over\n", (unsigned long long)alone,
		      (unsigned long long)together, (unsigned long long)handed / MANY);
	assert_true(together * 2 < alone || together < 1000);
}

/* It waits for those that are left. */
static void test_close(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		(void)end_tap(make_tap("vx", i));
	tap_endings_close(endings, PATIENCE);
	for (int i = 0; i < 10; i++) {
		char name[IFNAMSIZ];
		snprintf(name, sizeof(name), "vx%d", i);
		assert_int_equal(if_nametoindex(name), 0);
	}
	endings = NULL;
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {WITH(test_name),       WITH(test_pods_doing), WITH(test_missed),
					   WITH(test_one_by_one), WITH(test_many),       WITH(test_close)};

	if (geteuid()) {
		puts("skipped: network namespaces need root");
		return 0;
	}
	if (unshare(CLONE_NEWNET) || netns_open_own(&home, NULL)) {
		perror("a network namespace of our own");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
