/* SPDX-License-Identifier: Apache-2.0 */
/* test_hub.c - which remotes a hub that has too many forgets, and how often it makes the workers wait for it */
#include "vswitch/hub.c"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { NOW = 1000, ROOM = 300, LIMIT = 400 };

static struct vswitch vs;
static struct gateway gateway;
static struct gateway_counters counters[1];
static struct remote remotes[ROOM], *table[GATEWAY_MAX_LEARNED];
static unsigned parks, lines;
static uint64_t now_ms;

/* What the code under test calls */

void workers_park(struct vswitch *in)
{
	assert_ptr_equal(in, &vs);
	parks++;
}

void workers_resume(struct vswitch *in)
{
	assert_ptr_equal(in, &vs);
}

void log_line(enum log_level level, const char *format, ...)
{
	assert_int_equal(level, LOG_WARNING);
	assert_non_null(format);
	lines++;
}

/* The world */

static int build_hub(void **state)
{
	static const uint8_t secret[SECRET_SIZE];
	const struct fdb_limits limits = {.ageing = 300, .gateway = LIMIT, .place = LIMIT};
	(void)state;
	memset(&vs, 0, sizeof(vs));
	memset(remotes, 0, sizeof(remotes));
	memset(counters, 0, sizeof(counters));
	gateway = (struct gateway){.id = 1, .is_hub = true, .remotes = table, .counters = counters};
	vs.options.workers = 1;
	vs.options.fdb_gateway_limit = LIMIT;
	vs.remotes = remotes;
	vs.gateways[1] = &gateway;
	vs.gateway_order[0] = 1;
	vs.n_gateways = 1;
	vs.next_turn = UINT32_MAX - 100; /* it wraps among them */
	parks = lines = 0;
	now_ms = 1000000;
	return fdb_open(&vs.fdb, &limits, secret, sizeof(secret));
}

static int end_hub(void **state)
{
	(void)state;
	fdb_close(vs.fdb);
	return 0;
}

/* A remote that was claimed at `since` and heard then. */
static struct remote *add(bool answered, uint32_t since)
{
	struct remote *remote = &remotes[vs.next_remote];
	*remote = (struct remote){.id = vs.next_remote++,
				  .gateway = 1,
				  .to_length = 1,
				  .learned = true,
				  .answered = answered,
				  .turn = vs.next_turn++,
				  .since = since,
				  .seen = since};
	remote->endpoint.address =
		(struct address){.family = AF_INET, .bytes = {10, 0, (uint8_t)(remote->id >> 8), (uint8_t)remote->id}};
	table[atomic_load(&gateway.n_remotes)] = remote;
	atomic_fetch_add(&gateway.n_remotes, 1);
	return remote;
}

static void add_many(unsigned n, bool answered, uint32_t since)
{
	while (n--)
		add(answered, since);
}

static void make_room_now(void)
{
	now_ms += PASS_PAUSE;
	atomic_store(&vs.crowded, true);
	hub_make_room(&vs, NOW, now_ms);
}

static bool is_kept(const struct remote *remote)
{
	for (unsigned i = 0; i < atomic_load(&gateway.n_remotes); i++)
		if (table[i] == remote)
			return remote->to_length != 0;
	assert_int_equal(remote->to_length, 0);
	return false;
}

static void assert_kept(unsigned first, unsigned behind_last, bool kept)
{
	for (unsigned i = first; i < behind_last; i++)
		if (is_kept(&remotes[i]) != kept)
			fail_msg("remote %u is %s", i, kept ? "forgotten" : "kept");
}

/* Tests */

static void test_unanswered_go_first(void **state)
{
	(void)state;
	add_many(20, true, NOW - 200);
	add_many(GATEWAY_CROWDED - 20, false, NOW);
	make_room_now();
	assert_int_equal(atomic_load(&gateway.n_remotes), ROOMY);
	assert_kept(0, 20, true);
	assert_kept(20, 20 + GATEWAY_CROWDED - ROOMY, false);
	assert_kept(20 + GATEWAY_CROWDED - ROOMY, GATEWAY_CROWDED, true);
	assert_int_equal(gateway.hub.evicted, GATEWAY_CROWDED - ROOMY);
	assert_int_equal(parks, 1);
}

static void test_fresh_ones_are_kept(void **state)
{
	(void)state;
	add_many(GATEWAY_CROWDED - 2, true, NOW - 200);
	struct remote *late = add(false, NOW - FRESH_SECONDS), *fresh = add(false, NOW);
	make_room_now();
	assert_false(is_kept(late));
	assert_true(is_kept(fresh));
	make_room_now();
	assert_int_equal(gateway.hub.evicted, 1);
	assert_int_equal(parks, 1);
}

static void test_silent_ones_when_full(void **state)
{
	(void)state;
	struct remote *fixed = add(true, NOW - 250);
	fixed->learned = false;
	struct remote *oldest = add(true, NOW - 200), *silent = add(true, NOW - SILENT);
	add_many(GATEWAY_MAX_LEARNED - 4, true, NOW - SILENT + 1);
	make_room_now();
	assert_true(is_kept(oldest));
	add(true, NOW);
	make_room_now();
	assert_false(is_kept(oldest));
	assert_false(is_kept(silent));
	assert_true(is_kept(fixed));
	assert_int_equal(gateway.hub.evicted, 2);
	/* All others speak: nobody is forgotten, and nobody waits. */
	add_many(2, true, NOW);
	parks = 0;
	make_room_now();
	assert_int_equal(atomic_load(&gateway.n_remotes), GATEWAY_MAX_LEARNED);
	assert_int_equal(parks, 0);
}

static void test_table_entries_go_too(void **state)
{
	(void)state;
	struct fdb_entry entry;
	add_many(GATEWAY_CROWDED, false, NOW);
	for (uint8_t i = 0; i < 200; i++)
		assert_int_equal(
			fdb_learn(vs.fdb, 1, (uint8_t[]){2, 0, 0, 0, 0, i}, (struct fdb_place){.index = i}, NOW),
			FDB_NEW);
	make_room_now();
	for (uint8_t i = 0; i < 200; i++)
		assert_int_equal(fdb_lookup(vs.fdb, 1, (uint8_t[]){2, 0, 0, 0, 0, i}, NOW, &entry),
				 i >= GATEWAY_CROWDED - ROOMY);
}

static void test_passes_are_apart(void **state)
{
	(void)state;
	add_many(GATEWAY_CROWDED, false, NOW);
	make_room_now();
	add_many(GATEWAY_CROWDED - ROOMY, false, NOW);
	now_ms += PASS_PAUSE - 1;
	atomic_store(&vs.crowded, true);
	uint64_t again = hub_make_room(&vs, NOW, now_ms);
	assert_int_equal(parks, 1);
	assert_true(atomic_load(&vs.crowded));
	assert_in_range(again, now_ms + 1, now_ms + PASS_PAUSE);
	now_ms = again;
	assert_int_equal(hub_make_room(&vs, NOW, now_ms), UINT64_MAX);
	assert_int_equal(parks, 2);
	assert_false(atomic_load(&vs.crowded));
}

static void test_a_line_a_minute(void **state)
{
	(void)state;
	hub_log(&vs, NOW);
	assert_int_equal(lines, 0);
	counters[0].drops[DROP_TOO_MANY_REMOTES] = 5;
	hub_log(&vs, NOW);
	hub_log(&vs, NOW + TELL_PAUSE);
	assert_int_equal(lines, 1);
	gateway.hub.evicted++;
	hub_log(&vs, NOW + TELL_PAUSE - 1);
	assert_int_equal(lines, 1);
	hub_log(&vs, NOW + TELL_PAUSE);
	assert_int_equal(lines, 2);
}

static const uint8_t *numbered_mac(unsigned n)
{
	static uint8_t mac[6] = {2};
	mac[4] = (uint8_t)(n >> 8);
	mac[5] = (uint8_t)n;
	return mac;
}

/* As many as there may be: the first 10 were answered, the next `old` were last heard a second ago. */
static void fill_table(unsigned old)
{
	for (unsigned i = 0; i < LIMIT; i++)
		assert_int_equal(fdb_learn(vs.fdb, 1, numbered_mac(i), (struct fdb_place){.index = 1},
					   i < 10 + old ? NOW - 1 : NOW),
				 FDB_NEW);
	for (unsigned i = 0; i < 10; i++)
		fdb_answer(vs.fdb, 1, numbered_mac(i));
	assert_int_equal(fdb_set(vs.fdb, 1, numbered_mac(1000), FDB_STATIC, (struct fdb_place){.index = 1}), 0);
	assert_int_equal(fdb_learn(vs.fdb, 2, numbered_mac(0), (struct fdb_place){.index = 2}, NOW - 1), FDB_NEW);
}

static unsigned count_known(unsigned first, unsigned behind_last)
{
	struct fdb_entry entry;
	unsigned known = 0;
	for (unsigned i = first; i < behind_last; i++)
		known += fdb_lookup(vs.fdb, 1, numbered_mac(i), NOW, &entry);
	return known;
}

static void test_unanswered_macs_go(void **state)
{
	(void)state;
	struct fdb_entry entry;
	fill_table(100);
	make_room_now();
	assert_int_equal(gateway.hub.evicted_macs, 100);
	assert_int_equal(count_known(0, 10), 10);
	assert_int_equal(count_known(10, 110), 0);
	assert_int_equal(count_known(110, LIMIT), LIMIT - 110);
	assert_int_equal(count_known(1000, 1001), 1);
	assert_true(fdb_lookup(vs.fdb, 2, numbered_mac(0), NOW, &entry));
	assert_int_equal(parks, 0);
	hub_log(&vs, NOW);
	hub_log(&vs, NOW + TELL_PAUSE);
	assert_int_equal(lines, 1);
	/* There is room now. */
	make_room_now();
	assert_int_equal(gateway.hub.evicted_macs, 100);
}

static void test_recent_macs_go_when_others_are_few(void **state)
{
	(void)state;
	fill_table(10);
	make_room_now();
	assert_int_equal(gateway.hub.evicted_macs, LIMIT - 10);
	assert_int_equal(count_known(0, 10), 10);
	/* The next pass waits. */
	for (unsigned i = 10; i < LIMIT; i++)
		assert_int_equal(fdb_learn(vs.fdb, 1, numbered_mac(i), (struct fdb_place){.index = 1}, NOW), FDB_NEW);
	make_room_now();
	assert_int_equal(gateway.hub.evicted_macs, LIMIT - 10);
	assert_true(atomic_load(&vs.crowded));
	now_ms += CLEAR_PAUSE;
	make_room_now();
	assert_int_equal(gateway.hub.evicted_macs, 2 * (LIMIT - 10));
}

static void test_barred(void **state)
{
	(void)state;
	struct worker worker = {0};
	struct stray stray = {
		.vni = 42, .port = 8473, .seen = NOW, .source = {.family = AF_INET, .bytes = {10, 1, 2, 3}}};
	vs.workers = &worker;
	gateway.config.vni = 42;
	gateway.config.port = 8473;
	gateway.config.n_allow = 1;
	assert_int_equal(prefix_parse("10.0.0.0/8", &gateway.config.allow[0]), 0);
	counters[0].drops[DROP_UNKNOWN_REMOTE] = 3;
	/* Whoever is allowed, or sends elsewhere, is not meant. */
	stray_note(&worker.strays, &stray);
	stray.source.bytes[0] = 11;
	stray.vni = 43;
	stray_note(&worker.strays, &stray);
	hub_log(&vs, NOW);
	assert_int_equal(lines, 0);
	stray.vni = 42;
	stray_note(&worker.strays, &stray);
	hub_log(&vs, NOW);
	hub_log(&vs, NOW + TELL_PAUSE);
	assert_int_equal(lines, 1);
	counters[0].drops[DROP_UNKNOWN_REMOTE]++;
	hub_log(&vs, NOW + TELL_PAUSE - 1);
	assert_int_equal(lines, 1);
	hub_log(&vs, NOW + TELL_PAUSE);
	assert_int_equal(lines, 2);
}

#define in_hub(test) cmocka_unit_test_setup_teardown(test, build_hub, end_hub)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_hub(test_unanswered_go_first),
		in_hub(test_fresh_ones_are_kept),
		in_hub(test_silent_ones_when_full),
		in_hub(test_table_entries_go_too),
		in_hub(test_passes_are_apart),
		in_hub(test_a_line_a_minute),
		in_hub(test_barred),
		in_hub(test_unanswered_macs_go),
		in_hub(test_recent_macs_go_when_others_are_few),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
