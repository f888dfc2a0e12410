/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pod_egress.c - which pods get an underlay TAP in their own namespace, and how long they keep it
 *
 * One port at a gateway with two remotes. What egress.c does with the way is counted only; a call of tick() is a
 * second.
 */
#include "vswitch/pod_egress.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { MUCH = 1000 };

static struct vswitch vs;
static struct port port, other;
static struct gateway gateway;
static struct underlay own_sockets;
static struct remote remotes[2], *remote_table[2] = {&remotes[0], &remotes[1]};
static struct underlay_tap tap;
static uint64_t now;
static bool parked, inside;
static unsigned opened, closed, considered, probed, warnings, turned_off;

/* The kernel: */
static int open_error, enter_error, probe_error, offload;
static bool due_for_probe, changes;
static unsigned looked;

int tunnel_offload(const struct sockaddr_storage *to)
{
	assert_non_null(to);
	assert_false(inside); /* the node's device */
	return offload;
}

int underlay_tap_open(struct underlay_tap **out, struct failure *why)
{
	assert_true(inside);
	if (open_error)
		return (fail)(why, open_error, NULL, "no TAP");
	opened++;
	*out = &tap;
	return 0;
}

void underlay_tap_close(struct underlay_tap *which)
{
	assert_false(which && port.pod_egress && port.pod_egress->outlet.tap == which); /* workers could use it */
	closed += which != NULL;
}

void change_watch_open(struct change_watch *watch)
{
	assert_true(inside);
	*watch = (struct change_watch)CHANGE_WATCH_NONE;
}

void change_watch_close(struct change_watch *watch)
{
	*watch = (struct change_watch)CHANGE_WATCH_NONE;
}

bool change_watch_seen(struct change_watch *watch)
{
	(void)watch;
	looked++;
	return changes;
}

int netns_enter(const struct netns *netns, struct failure *why)
{
	assert_ptr_equal(netns, &port.netns);
	assert_false(inside);
	if (enter_error)
		return (fail)(why, enter_error, NULL, "no namespace");
	inside = true;
	return 0;
}

void netns_return(const struct netns *home)
{
	(void)home;
	inside = false;
}

void workers_park(struct vswitch *of)
{
	(void)of;
	assert_false(parked || inside);
	parked = true;
}

void workers_resume(struct vswitch *of)
{
	(void)of;
	parked = false;
}

void egress_reset(struct egress *egress)
{
	*egress = (struct egress){0};
}

enum log_level egress_level(const struct vswitch *of)
{
	assert_ptr_equal(of, &vs);
	return LOG_WARNING;
}

void egress_turn_off(struct vswitch *of, const char *why)
{
	(void)why;
	of->offloads.underlay_tap = false;
	turned_off++;
}

void egress_consider(struct vswitch *of, const struct egress_way *way, uint64_t at, struct egress_round *due)
{
	assert_ptr_equal(of, &vs);
	assert_true(inside);
	assert_int_equal(at, now);
	assert_ptr_equal(way->underlay, &own_sockets);
	assert_ptr_equal(way->remote, port.pod_egress->remote);
	assert_ptr_equal(way->egress, &port.pod_egress->egress);
	assert_string_equal(way->port, "p");
	assert_int_equal(way->outlet->changed, changes);
	considered++;
	due->n = due_for_probe;
}

int egress_probe(struct outlet *outlet, struct egress_round *due, uint64_t at, struct failure *why)
{
	assert_true(inside);
	assert_ptr_equal(outlet, &port.pod_egress->outlet);
	assert_int_equal(due->n, 1);
	assert_int_equal(at, now);
	probed++;
	return probe_error ? (fail)(why, probe_error, NULL, "its device was removed") : 0;
}

uint64_t egress_next(const struct egress *egress, uint64_t at)
{
	assert_non_null(egress);
	return at + EGRESS_LOOK_EVERY;
}

void log_line(enum log_level level, const char *format, ...)
{
	(void)format;
	warnings += level == LOG_WARNING;
}

static int build_world(void **state)
{
	(void)state;
	vs = (struct vswitch){.offloads.underlay_tap = true, .options.underlay_tap = UNDERLAY_TAP_AUTO};
	gateway = (struct gateway){.remotes = remote_table, .pod_underlay = true};
	atomic_store(&gateway.n_remotes, 2);
	for (uint16_t i = 0; i < 2; i++)
		remotes[i] = (struct remote){.id = (uint16_t)(5 + i), .to_length = 16, .turn = 9};
	port = (struct port){.config.name = "p", .gateway = &gateway, .underlay = &own_sockets, .tap = 4};
	other = (struct port){.config.name = "o", .gateway = &gateway, .tap = 5};
	vs.first_port = &other;
	other.next = &port;
	port.super_to = 5;
	offload = 1;
	due_for_probe = true;
	open_error = enter_error = probe_error = 0;
	opened = closed = considered = probed = warnings = turned_off = 0;
	changes = false;
	looked = 0;
	now = vs.pods_counted = 1000000;
	return 0;
}

static int end_world(void **state)
{
	(void)state;
	pod_egress_free(&port);
	return opened != closed;
}

/* A second in which the pod has sent so many super-frames. */
static void tick(uint64_t supers)
{
	now += 1000;
	port.supers += supers;
	uint64_t due = pod_egress_turn(&vs, now);
	assert_false(parked || inside);
	assert_int_equal(due, port.pod_egress ? now + 500 : UINT64_MAX);
}

static void test_busy(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++)
		tick(BUSY - 1);
	assert_int_equal(opened, 0);
	tick(BUSY);
	assert_int_equal(opened, 1);
	assert_ptr_equal(port.pod_egress->remote, &remotes[0]);
	assert_int_equal(port.pod_egress->turn, 9);
	assert_int_equal(probed, 1);
	for (unsigned i = 0; i < 200; i++) {
		tick(MUCH);
		tick(0); /* with pauses */
	}
	assert_int_equal(opened, 1);
	assert_int_equal(considered, 401);
	assert_null(other.pod_egress);
}

/* What it sends between two looks is counted by the time that they are apart. */
static void test_rate(void **state)
{
	(void)state;
	now += 9000;
	tick(10 * BUSY - 1);
	assert_int_equal(opened, 0);
	for (unsigned i = 0; i < 9; i++) {
		now += 100;
		port.supers += BUSY;
		pod_egress_turn(&vs, now);
	}
	assert_int_equal(opened, 0);
}

/* Looks are apart, however often something changes, or others need the control thread. */
static void test_looks(void **state)
{
	(void)state;
	tick(MUCH);
	changes = true;
	looked = considered = 0;
	for (unsigned i = 0; i < 10000; i++) {
		now++;
		pod_egress_turn(&vs, now);
	}
	assert_int_equal(looked, 20);
	assert_int_equal(considered, 20);
}

static void test_idle(void **state)
{
	(void)state;
	tick(MUCH);
	for (unsigned i = 0; i < IDLE / 1000; i++)
		tick(BUSY - 1);
	assert_non_null(port.pod_egress);
	tick(0);
	assert_null(port.pod_egress);
	assert_int_equal(closed, 1);
	/* Busy again, it gets another at once. */
	tick(MUCH);
	assert_int_equal(opened, 2);
}

/* There is no TAP where the sockets are as good, or all there is. */
static void test_none(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		gateway.is_hub = i == 0;
		port.underlay = i == 1 ? NULL : &own_sockets;
		remotes[0].local_hub = i == 2 ? 3 : 0;
		port.super_to = i == 3 ? 77 : 5;
		port.gateway = i == 4 ? NULL : &gateway;
		offload = i == 5 ? 0 : 1;
		for (unsigned second = 0; second < 100; second++)
			tick(MUCH);
		assert_int_equal(opened + warnings, 0);
	}
	vs.options.underlay_tap = UNDERLAY_TAP_ON; /* the user has the word */
	for (unsigned second = 0; second < 61; second++)
		tick(MUCH);
	assert_int_equal(opened, 1);
}

/* The remote goes, becomes another one, or the pod is busy with the other one. */
static void test_outdated(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		build_world(NULL);
		tick(MUCH);
		assert_int_equal(opened, 1);
		if (i == 0)
			atomic_store(&gateway.n_remotes, 0);
		else if (i == 1)
			remotes[0].turn++;
		else
			port.super_to = 6;
		tick(0);
		assert_null(port.pod_egress);
		assert_int_equal(closed, 1);
	}
	for (unsigned second = 0; second < 61; second++)
		tick(MUCH);
	assert_ptr_equal(port.pod_egress->remote, &remotes[1]);
}

static void test_failures(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		build_world(NULL);
		open_error = i ? 0 : -EMFILE;
		enter_error = i ? -ENOENT : 0;
		for (unsigned second = 0; second < 180; second++)
			tick(MUCH);
		assert_int_equal(warnings, 3); /* once a minute */
		assert_int_equal(turned_off, 0);
	}
	build_world(NULL);
	tick(MUCH);
	probe_error = -EBADFD;
	tick(MUCH);
	assert_int_equal(warnings, 1);
	assert_null(port.pod_egress);
	probe_error = 0;
	for (unsigned second = 0; second < 61; second++)
		tick(MUCH);
	assert_non_null(port.pod_egress);
}

/* A kernel that cannot do it is asked once. */
static void test_old_kernel(void **state)
{
	(void)state;
	open_error = -ENOTSUP;
	for (unsigned second = 0; second < 180; second++)
		tick(MUCH);
	assert_int_equal(turned_off, 1);
	assert_int_equal(warnings, 0);
}

static void test_turned_off(void **state)
{
	(void)state;
	tick(MUCH);
	vs.offloads.underlay_tap = false;
	tick(MUCH);
	assert_null(port.pod_egress);
	assert_int_equal(closed, 1);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, build_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_world(test_busy),     in_world(test_rate),       in_world(test_looks),
		in_world(test_idle),     in_world(test_none),       in_world(test_outdated),
		in_world(test_failures), in_world(test_old_kernel), in_world(test_turned_off),
	};
	return cmocka_run_group_tests_name("pod_egress", tests, NULL, NULL);
}
