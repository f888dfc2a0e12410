/* SPDX-License-Identifier: Apache-2.0 */
/* test_claims.c - whose owners are asked, where and how often, and the line about it */
#include "vswitch/claims.c"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1000, HOME = 7, POD = 8 };

static struct vswitch vs;
static struct worker workers[2];
static struct gateway hubs[3];
static struct gateway_counters counters[3][2];
static struct port port, *ports[] = {&port};
static struct remote remotes[4];
static int where;
static unsigned asked, macs_asked, lines;
static struct mac last_asked;
static uint64_t now_ms;

/* What the code under test calls */

int netns_enter(const struct netns *ns, struct failure *why)
{
	(void)why;
	where = ns->fd;
	return 0;
}

void netns_return(const struct netns *home)
{
	where = home->fd;
}

int link_ask_neighbours(const char *ifname, const struct mac *macs, size_t n, struct failure *why)
{
	(void)why;
	assert_string_equal(ifname, "vxlan0");
	assert_int_equal(where, POD);
	asked++;
	macs_asked += (unsigned)n;
	last_asked = macs[n - 1];
	return (int)n;
}

void log_line(enum log_level level, const char *format, ...)
{
	assert_int_equal(level, LOG_INFO);
	assert_non_null(format);
	lines++;
}

/* The world: hub 1, whose port is `port`, and hub 2, which has none */

static int build_hubs(void **state)
{
	static const uint8_t secret[SECRET_SIZE];
	const struct fdb_limits limits = {.ageing = 300, .gateway = 1000, .place = 1000};
	(void)state;
	memset(&vs, 0, sizeof(vs));
	memset(workers, 0, sizeof(workers));
	memset(counters, 0, sizeof(counters));
	vs.options.workers = 2;
	vs.workers = workers;
	vs.remotes = remotes;
	vs.home.fd = where = HOME;
	for (uint16_t id = 1; id <= 2; id++) {
		hubs[id] = (struct gateway){.id = id, .is_hub = true, .counters = counters[id]};
		vs.gateways[id] = &hubs[id];
		vs.gateway_order[vs.n_gateways++] = id;
	}
	port = (struct port){.tap = 3, .netns.fd = POD, .config.ifname = "vxlan0"};
	hubs[1].ports = ports;
	hubs[1].n_ports = 1;
	asked = macs_asked = lines = 0;
	now_ms = 1000000;
	return fdb_open(&vs.fdb, &limits, secret, sizeof(secret));
}

static int end_hubs(void **state)
{
	(void)state;
	fdb_close(vs.fdb);
	return 0;
}

static struct mac numbered(unsigned n)
{
	return (struct mac){{2, 0, 0, 0, 0, (uint8_t)n}};
}

static void note(unsigned worker, uint16_t gateway, unsigned n)
{
	struct worker *w = &workers[worker];
	unsigned in = atomic_fetch_add(&w->claims_in, 1);
	w->claims[in % WORKER_CLAIMS] = (struct worker_claim){
		.gateway = gateway, .mac = numbered(n), .from = {.family = AF_INET, .bytes = {10, 0, 0, (uint8_t)n}}};
	count(&counters[gateway][worker].held_moves, 1);
}

static void ask_now(void)
{
	now_ms += ASK_PAUSE;
	claims_ask(&vs, NOW, now_ms);
	assert_int_equal(where, HOME);
}

/* Tests */

static void test_asked_together(void **state)
{
	(void)state;
	ask_now();
	assert_int_equal(asked, 0);
	for (unsigned i = 0; i < WORKER_CLAIMS; i++)
		note(0, 1, i);
	note(1, 2, 100);
	ask_now();
	assert_int_equal(asked, 1);
	assert_int_equal(macs_asked, WORKER_CLAIMS);
	note(1, 1, 200);
	ask_now();
	assert_int_equal(asked, 2);
	assert_memory_equal(&last_asked, numbered(200).bytes, 6);
	ask_now();
	assert_int_equal(asked, 2);
}

static void test_rounds_are_apart(void **state)
{
	(void)state;
	note(0, 1, 1);
	ask_now();
	note(0, 1, 2);
	uint64_t again = claims_ask(&vs, NOW, now_ms + ASK_PAUSE - 1);
	assert_int_equal(asked, 1);
	assert_in_range(again, now_ms + ASK_PAUSE, now_ms + 2UL * ASK_PAUSE);
	assert_int_equal(claims_ask(&vs, NOW, again), UINT64_MAX);
	assert_int_equal(asked, 2);
}

static void test_port_that_is_gone(void **state)
{
	(void)state;
	port.tap = -1;
	note(0, 1, 1);
	ask_now();
	assert_int_equal(asked, 0);
}

static void test_a_line_a_minute(void **state)
{
	(void)state;
	remotes[2].endpoint.address = (struct address){.family = AF_INET, .bytes = {192, 0, 2, 1}};
	assert_int_equal(fdb_learn(vs.fdb, 1, numbered(5).bytes, (struct fdb_place){.index = 2}, NOW), FDB_NEW);
	claims_log(&vs, NOW);
	assert_int_equal(lines, 0);
	note(1, 1, 5);
	ask_now();
	assert_true(address_equal(&hubs[1].hub.owner, &remotes[2].endpoint.address));
	claims_log(&vs, NOW);
	claims_log(&vs, NOW + TELL_HELD);
	assert_int_equal(lines, 1);
	note(1, 1, 6);
	ask_now();
	assert_int_equal(hubs[1].hub.owner.family, 0);
	claims_log(&vs, NOW + TELL_HELD - 1);
	assert_int_equal(lines, 1);
	claims_log(&vs, NOW + TELL_HELD);
	assert_int_equal(lines, 2);
}

#define in_hubs(test) cmocka_unit_test_setup_teardown(test, build_hubs, end_hubs)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_hubs(test_asked_together),
		in_hubs(test_rounds_are_apart),
		in_hubs(test_port_that_is_gone),
		in_hubs(test_a_line_a_minute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
