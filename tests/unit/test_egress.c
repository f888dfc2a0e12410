/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_egress.c - when a remote is served by the underlay TAP, and when not
 *
 * The kernel is a table: the path of each remote, and what happens to its probes. Remote N has the address 192.0.2.N
 * and gateway 1, except the last, which has gateway 2. A call of tick() is a second, but for what says how many
 * milliseconds it is.
 */
#define underlay_tap_open fake_tap_open /* of the kernel below */
#include "vswitch/path/egress.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { REMOTES = 150, GATEWAYS = 3, SOURCE_PORT = 50001 };

static struct vswitch vs;
static struct underlay host;
static struct gateway gateways[GATEWAYS];
static struct remote remotes[REMOTES], *remote_table[REMOTES];
static uint64_t now;
static unsigned n_parked;
static bool parked;

/* The kernel: */
static struct {
	int mtu;        /* of the path, or a negative errno */
	uint8_t source; /* the node's address, 198.51.100.this */
	int error;      /* of a probe */
	unsigned probed;
} paths[REMOTES];
static int run_error;
static unsigned n_runs, n_warnings;
static bool changes; /* something on the node has changed */
static int offload;  /* of every device */
static unsigned n_taps;
static bool tap_is_refused;

static unsigned index_of(const struct sockaddr_storage *to)
{
	unsigned i = ntohl(((const struct sockaddr_in *)to)->sin_addr.s_addr) & 0xff;
	assert_in_range(i, 0, REMOTES - 1);
	return i;
}

int underlay_path(const struct underlay *underlay, const struct sockaddr_storage *to, struct sockaddr_storage *from)
{
	unsigned i = index_of(to);
	assert_ptr_equal(underlay, &host);
	if (paths[i].mtu > 0) {
		const struct endpoint source = {{.bytes = {198, 51, 100, paths[i].source}, .family = AF_INET}, 1};
		endpoint_to_sockaddr(&source, from);
	}
	return paths[i].mtu;
}

static unsigned came_through[REMOTES]; /* probes that passed since the remote is known */

uint16_t underlay_source_port(const struct underlay *underlay, sa_family_t family, uint64_t hash)
{
	assert_ptr_equal(underlay, &host);
	assert_int_equal(family, AF_INET);
	return (uint16_t)(SOURCE_PORT + hash % 16);
}

void log_line(enum log_level level, const char *format, ...)
{
	(void)format;
	n_warnings += level == LOG_WARNING;
}

void change_watch_open(struct change_watch *watch)
{
	watch->routes = watch->filters = -1;
}

void change_watch_close(struct change_watch *watch)
{
	(void)watch;
}

bool change_watch_seen(struct change_watch *watch)
{
	bool seen = changes;
	(void)watch;
	changes = false;
	return seen;
}

int underlay_tap_open(struct underlay_tap **out, struct failure *why)
{
	(void)why;
	if (tap_is_refused)
		return -EINVAL;
	*out = calloc(1, sizeof(**out));
	assert_non_null(*out);
	(*out)->fd = -1;
	n_taps++;
	return 0;
}

int tunnel_offload(const struct sockaddr_storage *to)
{
	(void)index_of(to);
	return offload;
}

/* A remote is probed with the route that it would be served by. */
int probe_run(const struct underlay_tap *tap, struct probe_target *targets, size_t n, struct failure *why)
{
	assert_ptr_equal(tap, vs.outlet.tap);
	assert_in_range(n, 1, 64);
	n_runs++;
	if (run_error) {
		why->text[0] = 0;
		return run_error;
	}
	for (size_t t = 0; t < n; t++) {
		unsigned i = targets[t].route->outer[14 + 19];
		assert_ptr_equal(targets[t].route, &remotes[i].egress.route);
		assert_int_equal(targets[t].route->outer[14 + 15], paths[i].source);
		/* After a passed probe the next one is a new flow; a lost one is repeated. */
		assert_int_equal(targets[t].source_port, SOURCE_PORT + came_through[i] % 16);
		came_through[i] += !paths[i].error;
		targets[t].error = paths[i].error;
		paths[i].probed++;
	}
	return 0;
}

void workers_park(struct vswitch *in)
{
	assert_ptr_equal(in, &vs);
	assert_false(parked);
	parked = true;
	n_parked++;
}

void workers_resume(struct vswitch *in)
{
	(void)in;
	assert_true(parked);
	parked = false;
}

/* The world */

static void add_gateway(uint16_t id)
{
	gateways[id] = (struct gateway){.id = id, .host = &host, .remotes = &remote_table[id == 1 ? 0 : REMOTES - 1]};
	vs.gateways[id] = &gateways[id];
	vs.gateway_order[vs.n_gateways++] = id;
}

static void add_remote(unsigned i, uint16_t gateway)
{
	remotes[i].endpoint = (struct endpoint){{.bytes = {192, 0, 2, (uint8_t)i}, .family = AF_INET}, 4789};
	remotes[i].to_length = endpoint_to_sockaddr(&remotes[i].endpoint, &remotes[i].to);
	remotes[i].gateway = gateway;
	memset(&remotes[i].egress, 0xff, sizeof(remotes[i].egress));
	egress_reset(&remotes[i].egress);
	remote_table[i] = &remotes[i];
	paths[i].mtu = 1500;
	paths[i].source = 1;
}

/* One remote of gateway 1, and one of gateway 2. */
static int build_world(void **state)
{
	(void)state;
	memset(&vs, 0, sizeof(vs));
	memset(remotes, 0, sizeof(remotes));
	memset(paths, 0, sizeof(paths));
	memset(came_through, 0, sizeof(came_through));
	vs.offloads.underlay_tap = true;
	vs.options.underlay_tap = UNDERLAY_TAP_ON;
	underlay_tap_open(&vs.outlet.tap, NULL);
	n_taps = 0;
	add_gateway(1);
	add_gateway(2);
	for (unsigned i = 0; i < REMOTES; i++)
		add_remote(i, i + 1 < REMOTES ? 1 : 2);
	atomic_store(&gateways[1].n_remotes, 1);
	atomic_store(&gateways[2].n_remotes, 1);
	now = 1000000;
	changes = false;
	offload = 1;
	n_parked = n_runs = n_warnings = 0;
	run_error = 0;
	return 0;
}

static int end_world(void **state)
{
	(void)state;
	egress_close(&vs);
	return 0;
}

static uint64_t tick_after(uint64_t milliseconds)
{
	now += milliseconds;
	uint64_t due = egress_turn(&vs, now);
	assert_false(parked);
	assert_true(due > now);
	return due;
}

static void tick(void)
{
	tick_after(1000);
}

static unsigned mtu_of(unsigned i)
{
	return atomic_load(&remotes[i].egress.mtu);
}

/* How often remote 0 was probed since the last time. */
static unsigned probes(void)
{
	unsigned n = paths[0].probed;
	paths[0].probed = 0;
	return n;
}

/* For workers */

static void test_by_tap(void **state)
{
	(void)state;
	struct egress egress = {.route.l4 = 34};
	for (unsigned i = 0; i < 2; i++, egress.route.l4 = 54) {
		uint32_t outer = i ? 48 : 28;
		atomic_store(&egress.mtu, 0);
		assert_false(egress_by_tap(&egress, 0));
		for (unsigned mtu = 1280; mtu <= 9000; mtu += 193) {
			atomic_store(&egress.mtu, mtu);
			assert_true(egress_by_tap(&egress, mtu - outer));
			assert_false(egress_by_tap(&egress, mtu - outer + 1));
			assert_false(egress_by_tap(&egress, 70000));
		}
		egress_refused(&egress);
		assert_int_equal(atomic_load(&egress.mtu), 0);
		assert_false(egress_by_tap(&egress, 100));
	}
}

/* Probing */

static void test_success(void **state)
{
	(void)state;
	assert_int_equal(mtu_of(0), 0);
	tick();
	assert_int_equal(mtu_of(0), 1500);
	assert_int_equal(mtu_of(REMOTES - 1), 1500);
	assert_int_equal(probes(), 1);
	/* Again after five seconds; changes of the path MTU are followed at once. */
	for (unsigned second = 1; second <= 20; second++) {
		paths[0].mtu = 1300 + (int)second;
		tick();
		assert_int_equal(mtu_of(0), 1300 + second);
		assert_int_equal(probes(), second % 5 == 0);
	}
	assert_int_equal(n_parked, 0);
	/* No remote is probed without need. */
	assert_int_equal(n_runs, 5);
}

static void test_never(void **state)
{
	(void)state;
	paths[0].error = -ENETUNREACH;
	/* Three times, then 1, 2, 4, 8 and 16 seconds after each other, then every thirty seconds. */
	static const unsigned wanted[] = {0, 1, 2, 3, 5, 9, 17, 33, 63, 93, UINT32_MAX};
	for (unsigned second = 0, next = 0; second < 100; second++) {
		tick();
		assert_int_equal(mtu_of(0), 0);
		assert_int_equal(probes(), second == wanted[next]);
		next += second == wanted[next];
	}
	/* Said once. */
	assert_int_equal(n_warnings, 1);
	assert_int_equal(mtu_of(REMOTES - 1), 1500);
	paths[0].error = 0;
	for (unsigned second = 0; second < 30 && !mtu_of(0); second++)
		tick();
	assert_int_equal(mtu_of(0), 1500);
}

/* Two lost probes do not matter, three do. */
static void test_lost(void **state)
{
	(void)state;
	static const int errors[] = {-ENETUNREACH, -EIO};
	for (unsigned i = 0; i < 2; i++) {
		tick();
		now += 10000;
		probes();
		paths[0].error = errors[i];
		for (unsigned second = 0; second < 2; second++) {
			tick();
			assert_int_equal(mtu_of(0), 1500);
		}
		paths[0].error = 0;
		tick();
		assert_int_equal(probes(), 3);
		now += 10000;
		paths[0].error = errors[i];
		for (unsigned second = 0; second < 3; second++) {
			assert_int_equal(mtu_of(0), 1500);
			tick();
		}
		assert_int_equal(mtu_of(0), 0);
		assert_int_equal(n_warnings, i + 1);
		assert_int_equal(probes(), 3);
		tick_after(500);
		assert_int_equal(probes(), 0);
		paths[0].error = 0;
		tick();
		assert_int_equal(mtu_of(0), 1500);
	}
	/* The other remotes are not affected. */
	assert_int_equal(mtu_of(REMOTES - 1), 1500);
}

/* A worker sets it back to the sockets: it is probed in the next second. */
static void test_withdrawn(void **state)
{
	(void)state;
	tick();
	probes();
	egress_refused(&remotes[0].egress);
	tick();
	assert_int_equal(probes(), 1);
	assert_int_equal(mtu_of(0), 1500);
	/* But not again and again if that probe is lost as well. */
	egress_refused(&remotes[0].egress);
	paths[0].error = -EIO;
	for (unsigned second = 0; second < 20; second++)
		tick();
	assert_int_equal(probes(), 3 + 4);
	assert_int_equal(mtu_of(0), 0);
}

/* A rule stops it: known within half a second, and so is the rule's end within two. */
static void test_change(void **state)
{
	(void)state;
	tick();
	uint64_t due = tick_after(1000);
	assert_int_equal(due, now + 1000); /* nothing but a look at the paths */
	probes();
	changes = true;
	tick_after(100);
	assert_int_equal(probes(), 1);
	paths[0].error = -ENETUNREACH;
	changes = true;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(mtu_of(0), 1500);
		tick_after(100);
	}
	assert_int_equal(mtu_of(0), 0);
	assert_int_equal(probes(), 3);
	for (unsigned i = 0; i < 120; i++) /* by now it would be asked every thirty seconds */
		tick();
	paths[0].error = 0;
	changes = true;
	tick_after(100);
	assert_int_equal(mtu_of(0), 0);
	tick();
	assert_int_equal(mtu_of(0), 1500);
}

/* Where routes come and go all the time, neither is looked at all the time. */
static void test_many_changes(void **state)
{
	(void)state;
	paths[0].error = -ENETUNREACH;
	for (unsigned i = 0; i < 100; i++)
		tick();
	probes();
	paths[REMOTES - 1].probed = 0;
	for (unsigned i = 0; i < 1000; i++) {
		changes = true;
		tick_after(10);
	}
	assert_in_range(probes(), 8, 11); /* in ten seconds */
	assert_in_range(paths[REMOTES - 1].probed, 90, 101);
	assert_int_equal(mtu_of(REMOTES - 1), 1500);
}

/* With `auto` only where it gains something; a device may change that (ethtool -K). */
static void test_auto(void **state)
{
	(void)state;
	vs.options.underlay_tap = UNDERLAY_TAP_AUTO;
	offload = 0;
	for (unsigned second = 0; second < 40; second++)
		tick();
	assert_int_equal(probes(), 0);
	assert_int_equal(mtu_of(0), 0);
	assert_int_equal(n_warnings, 0);
	offload = 1;
	changes = true;
	tick();
	tick();
	assert_int_equal(mtu_of(0), 1500);
	offload = 0;
	changes = true;
	tick();
	assert_int_equal(mtu_of(0), 0);
	assert_null(vs.outlet.tap);
	offload = -ENETUNREACH;
	for (unsigned second = 0; second < 40; second++)
		tick();
	assert_int_equal(mtu_of(0), 0);
	/* With `on` the user has the word. */
	vs.options.underlay_tap = UNDERLAY_TAP_ON;
	for (unsigned second = 0; second < 40; second++)
		tick();
	assert_int_equal(mtu_of(0), 1500);
}

/* Whether the kernel has such TAPs is known from the start, also with `auto`, which has none yet. */
static void test_open(void **state)
{
	(void)state;
	const struct {
		enum underlay_tap_choice option;
		bool refused, on, tap;
	} cases[] = {
		{UNDERLAY_TAP_AUTO, false, true, false}, {UNDERLAY_TAP_AUTO, true, false, false},
		{UNDERLAY_TAP_ON, false, true, true},    {UNDERLAY_TAP_ON, true, false, false},
		{UNDERLAY_TAP_OFF, false, false, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		egress_close(&vs);
		vs.options.underlay_tap = cases[i].option;
		tap_is_refused = cases[i].refused;
		egress_open(&vs);
		assert_int_equal(vs.offloads.underlay_tap, cases[i].on);
		assert_int_equal(vs.outlet.tap != NULL, cases[i].tap);
	}
	tap_is_refused = false;
}

/* With `auto` there is a TAP while a remote could use it, and not longer. */
static void test_tap_comes_and_goes(void **state)
{
	(void)state;
	vs.options.underlay_tap = UNDERLAY_TAP_AUTO;
	for (unsigned i = 0; i < 3; i++) {
		tick();
		assert_int_equal(mtu_of(0), 1500);
		for (unsigned second = 0; second < 40; second++)
			tick();
		assert_int_equal(n_taps, i);
		n_parked = 0;
		/* One gateway is not all: */
		atomic_store(&gateways[2].n_remotes, 0);
		tick();
		assert_non_null(vs.outlet.tap);
		if (i == 0)
			atomic_store(&gateways[1].n_remotes, 0);
		else if (i == 1)
			gateways[1].pod_underlay = true;
		else
			remotes[0].local_hub = 2;
		tick();
		assert_null(vs.outlet.tap);
		assert_in_range(n_parked, 1, 2);
		assert_true(vs.offloads.underlay_tap);
		atomic_store(&gateways[1].n_remotes, 1);
		atomic_store(&gateways[2].n_remotes, 1);
		gateways[1].pod_underlay = false;
		remotes[0].local_hub = 0;
	}
	/* With `on` it stays. */
	tick();
	vs.options.underlay_tap = UNDERLAY_TAP_ON;
	vs.n_gateways = 0;
	tick();
	assert_non_null(vs.outlet.tap);
}

/* Paths */

/*
 * The route has another source address: no frame may take it before a probe has passed, and no worker may be reading
 * it.
 */
static void test_moved(void **state)
{
	(void)state;
	tick();
	probes();
	paths[0].source = 2;
	tick();
	assert_int_equal(probes(), 1);
	assert_int_equal(n_parked, 1);
	assert_int_equal(mtu_of(0), 1500);
	paths[0].source = 3;
	paths[0].error = -ENETUNREACH;
	tick();
	assert_int_equal(probes(), 1);
	assert_int_equal(n_parked, 2);
	assert_int_equal(mtu_of(0), 0);
	assert_int_equal(mtu_of(REMOTES - 1), 1500);
}

/* One worker has just set it back, another may still be writing by the old route. */
static void test_moved_and_withdrawn(void **state)
{
	(void)state;
	tick();
	egress_refused(&remotes[0].egress);
	paths[0].source = 2;
	tick();
	assert_int_equal(n_parked, 1);
	assert_int_equal(mtu_of(0), 1500);
}

static void test_no_route(void **state)
{
	(void)state;
	paths[0].mtu = -ENETUNREACH;
	for (unsigned second = 0; second < 3; second++)
		tick();
	assert_int_equal(probes(), 0);
	assert_int_equal(mtu_of(0), 0);
	paths[0].mtu = 1500;
	tick();
	assert_int_equal(mtu_of(0), 1500);
	assert_int_equal(probes(), 1);
	/* The route goes away and comes back. */
	paths[0].mtu = -EHOSTUNREACH;
	for (unsigned second = 0; second < 10; second++)
		tick();
	assert_int_equal(mtu_of(0), 0);
	assert_int_equal(probes(), 0);
	/* Once, not every second without a route. */
	assert_int_equal(n_parked, 1);
	paths[0].mtu = 1400;
	tick();
	assert_int_equal(mtu_of(0), 1400);
	assert_int_equal(probes(), 1);
}

/* Remotes that are reached without the network, or from a pod's namespace. */
static void test_not_eligible(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		tick();
		assert_int_equal(mtu_of(0), 1500);
		probes();
		gateways[1].pod_underlay = i == 0;
		gateways[1].host = i == 1 ? NULL : &host;
		remotes[0].local_hub = i == 2 ? 2 : 0;
		for (unsigned second = 0; second < 10; second++)
			tick();
		assert_int_equal(mtu_of(0), 0);
		assert_int_equal(probes(), 0);
		assert_int_equal(mtu_of(REMOTES - 1), 1500);
		gateways[1].pod_underlay = false;
		gateways[1].host = &host;
		remotes[0].local_hub = 0;
	}
}

/* The end of it */

static void assert_given_up(void)
{
	assert_null(vs.outlet.tap);
	assert_false(vs.offloads.underlay_tap);
	assert_int_equal(n_warnings, 1);
	assert_int_equal(n_parked, 1);
	assert_int_equal(mtu_of(0), 0);
	assert_int_equal(mtu_of(REMOTES - 1), 0);
	n_runs = 0;
	for (unsigned second = 0; second < 40; second++)
		tick();
	assert_int_equal(n_runs, 0);
}

static void test_no_packet_socket(void **state)
{
	(void)state;
	tick();
	now += 10000;
	run_error = -EPERM;
	tick();
	assert_given_up();
}

static void test_device_removed(void **state)
{
	(void)state;
	tick();
	now += 10000;
	paths[REMOTES - 1].error = -EBADFD;
	tick();
	assert_given_up();
}

static void test_nothing_there(void **state)
{
	(void)state;
	vs.n_gateways = 0;
	tick();
	assert_int_equal(n_runs, 0);
}

/* More remotes than one run probes: all of them are probed, and stay. */
static void test_crowd(void **state)
{
	(void)state;
	atomic_store(&gateways[1].n_remotes, REMOTES - 1);
	for (unsigned second = 0; second < 4; second++)
		tick();
	for (unsigned i = 0; i < REMOTES; i++)
		assert_int_equal(mtu_of(i), 1500);
	for (unsigned second = 0; second < 60; second++)
		tick();
	for (unsigned i = 0; i < REMOTES; i++)
		assert_in_range(paths[i].probed, 12, 13);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, build_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_tap),
		in_world(test_success),
		in_world(test_never),
		in_world(test_lost),
		in_world(test_withdrawn),
		in_world(test_change),
		in_world(test_many_changes),
		in_world(test_auto),
		in_world(test_open),
		in_world(test_tap_comes_and_goes),
		in_world(test_moved),
		in_world(test_moved_and_withdrawn),
		in_world(test_no_route),
		in_world(test_not_eligible),
		in_world(test_no_packet_socket),
		in_world(test_device_removed),
		in_world(test_nothing_there),
		in_world(test_crowd),
	};
	return cmocka_run_group_tests_name("egress", tests, NULL, NULL);
}
