/* SPDX-License-Identifier: Apache-2.0 */
/* test_podswitchd.c - a podswitchd that answers, refuses, hangs, goes in the middle of a call, and comes back */
#include "control/kube/podswitchd.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

#include "tests/unit/fake_peer.h"
#include "tests/unit/fake_podswitchd.h"
#include "tests/unit/shell.h"

#define SHORT 200 /* ms */

struct fixture {
	char directory[64], path[96];
	struct podswitchd *daemon;
	struct fake_podswitchd p;
	struct fake_peer peer;
	char heard[512]; /* "EVENT|" of each */
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	log_set_level(LOG_ERROR);
	strcpy(f->directory, "/dev/shm/podswitch-daemon-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/control.sock", f->directory);
	f->daemon = podswitchd_new(f->path);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	podswitchd_free(f->daemon);
	if (f->p.ports)
		fake_podswitchd_close(&f->p);
	assert_int_equal(shell_status(f->directory, "rm -rf $D"), 0);
	free(f);
	return 0;
}

static void hear(void *context, const json_t *event)
{
	struct fixture *f = context;

	strcat(strcat(f->heard, fake_text(event, "event")), "|");
}

/* Until that has been heard; the time is only an end for a test that fails. */
static void hear_until(struct fixture *f, const char *expected)
{
	for (int i = 0; i < 200 && strcmp(f->heard, expected) != 0; i++) {
		struct pollfd fd = {.fd = podswitchd_events_fd(f->daemon), .events = POLLIN};
		poll(&fd, 1, 100);
		podswitchd_take_events(f->daemon, hear, f);
	}
	assert_string_equal(f->heard, expected);
}

static int call(struct fixture *f, int *code, struct failure *why)
{
	return podswitchd_call(f->daemon, "port.show", json_pack("{s:s}", "name", "p"), NULL, code, why);
}

static void answers_and_refusals(void **state)
{
	struct fixture *f = *state;
	json_t *result = NULL;
	struct failure why = {0};
	int code = 7;

	fake_podswitchd_open(&f->p, f->directory);
	assert_false(podswitchd_answers(f->daemon));
	assert_int_equal(podswitchd_call(f->daemon, "port.list", NULL, &result, &code, &why), 0);
	assert_true(json_is_array(result));
	json_decref(result);
	assert_int_equal(code, 0);
	assert_true(podswitchd_answers(f->daemon));
	assert_int_equal(call(f, &code, &why), -EREMOTEIO);
	assert_int_equal(code, JSONRPC_NOT_FOUND);
	assert_string_equal(why.text, "there is none");
	assert_true(podswitchd_answers(f->daemon)); /* a refusal is an answer */
	assert_int_equal(call(f, NULL, NULL), -EREMOTEIO);
	assert_int_equal(podswitchd_epoch(f->daemon), 1);
}

static void nobody_is_there(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	int code = 7;

	assert_int_equal(call(f, &code, &why), -ENOENT);
	assert_int_equal(code, 0);
	assert_non_null(strstr(why.text, "is podswitchd running?"));
	assert_false(podswitchd_answers(f->daemon));
	podswitchd_take_events(f->daemon, hear, f);
	assert_int_equal(podswitchd_events_fd(f->daemon), -1);
	/* It is tried each time, at no cost. */
	fake_podswitchd_open(&f->p, f->directory);
	assert_int_equal(call(f, &code, &why), -EREMOTEIO);
}

static void started_anew(void **state)
{
	struct fixture *f = *state;

	fake_podswitchd_open(&f->p, f->directory);
	assert_int_equal(call(f, NULL, NULL), -EREMOTEIO);
	unsigned epoch = podswitchd_epoch(f->daemon);
	podswitchd_stop(&f->p);
	podswitchd_start(&f->p);
	/* The connection of before is of no use, which the caller does not notice but by the number. */
	assert_int_equal(call(f, NULL, NULL), -EREMOTEIO);
	assert_int_not_equal(podswitchd_epoch(f->daemon), epoch);
	epoch = podswitchd_epoch(f->daemon);
	assert_int_equal(call(f, NULL, NULL), -EREMOTEIO);
	assert_int_equal(podswitchd_epoch(f->daemon), epoch);
}

static void gone_in_the_middle(void **state)
{
	struct fixture *f = *state;
	static const char *const script[] = {"\"result\":{}", "", "\"result\":{}", "", "", "\"result\":{}", NULL};

	fake_peer_start(&f->peer, f->path, script);
	assert_int_equal(call(f, NULL, NULL), 0);
	assert_int_equal(call(f, NULL, NULL), 0); /* on an old connection: once more */
	assert_int_equal(call(f, NULL, NULL), -ECONNRESET);
	assert_false(podswitchd_answers(f->daemon));
	assert_int_equal(call(f, NULL, NULL), 0);
	podswitchd_free(f->daemon);
	f->daemon = podswitchd_new(f->path);
	json_t *requests = fake_peer_stop(&f->peer);
	assert_int_equal(json_array_size(requests), 6);
	json_decref(requests);
}

static void nonsense(void **state)
{
	struct fixture *f = *state;
	static const char *const script[] = {"!HTTP/1.1 400 Bad Request", "!{\"id\":1}", "\"result\":{}", NULL};
	struct failure why = {0};

	fake_peer_start(&f->peer, f->path, script);
	assert_int_equal(call(f, NULL, &why), -EPROTO);
	assert_int_equal(call(f, NULL, &why), -EPROTO);
	assert_int_equal(call(f, NULL, &why), 0);
	podswitchd_disconnect(&f->daemon->calls, &f->daemon->calls_connected);
	json_decref(fake_peer_stop(&f->peer));
}

/* However many pods there are to ask for, a hung podswitchd costs one wait. */
static void hangs(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};

	fake_podswitchd_open(&f->p, f->directory);
	assert_int_equal(call(f, NULL, NULL), -EREMOTEIO);
	podswitchd_take_events(f->daemon, hear, f);
	f->p.hang = true;
	f->daemon->timeout = SHORT;
	f->daemon->rest = 60000;
	podswitchd_disconnect(&f->daemon->calls, &f->daemon->calls_connected);
	uint64_t before = clock_ms();
	for (int i = 0; i < 200; i++) {
		assert_int_equal(call(f, NULL, &why), -ETIMEDOUT);
		assert_non_null(strstr(why.text, "is it stopped or hung?"));
		podswitchd_take_events(f->daemon, hear, f);
	}
	assert_in_range(clock_ms() - before, SHORT, 20 * SHORT);
	assert_false(podswitchd_answers(f->daemon));
	/* An old connection is not tried twice either. */
	f->daemon->silent_until = 0;
	f->p.hang = false;
	podswitchd_kick(&f->p);
	assert_int_equal(call(f, NULL, NULL), -EREMOTEIO);
	f->p.hang = true;
	f->daemon->calls.timeout = SHORT;
	before = clock_ms();
	assert_int_equal(call(f, NULL, NULL), -ETIMEDOUT);
	assert_in_range(clock_ms() - before, SHORT, 2 * SHORT - 1);
	assert_true(f->daemon->silent_until > clock_ms() + 50000);
	f->daemon->silent_until = 0;
	f->p.hang = false;
	podswitchd_kick(&f->p);
	assert_int_equal(call(f, NULL, NULL), -EREMOTEIO);
	assert_true(podswitchd_answers(f->daemon));
}

/* Nor does listening to its news cost more. */
static void hangs_when_asked_for_news(void **state)
{
	struct fixture *f = *state;

	fake_podswitchd_open(&f->p, f->directory);
	f->p.hang = true;
	podswitchd_kick(&f->p);
	f->daemon->timeout = SHORT;
	f->daemon->rest = 60000;
	uint64_t before = clock_ms();
	for (int i = 0; i < 200; i++) {
		podswitchd_take_events(f->daemon, hear, f);
		assert_int_equal(podswitchd_events_fd(f->daemon), -1);
	}
	assert_int_equal(call(f, NULL, NULL), -ETIMEDOUT);
	assert_in_range(clock_ms() - before, SHORT, 20 * SHORT);
	/* And a call that waited in vain is enough for both. */
	f->daemon->silent_until = 0;
	assert_int_equal(call(f, NULL, NULL), -ETIMEDOUT);
	before = clock_ms();
	podswitchd_take_events(f->daemon, hear, f);
	assert_in_range(clock_ms() - before, 0, SHORT - 1);
}

static void news(void **state)
{
	struct fixture *f = *state;

	fake_podswitchd_open(&f->p, f->directory);
	podswitchd_take_events(f->daemon, hear, f);
	assert_true(podswitchd_events_fd(f->daemon) >= 0);
	assert_int_equal(podswitchd_epoch(f->daemon), 0);
	podswitchd_event(&f->p, "port.ready", "p");
	podswitchd_event(&f->p, "port.lost", "p");
	hear_until(f, "port.ready|port.lost|");
	/* After a new start it listens again, and says that much may have happened. */
	podswitchd_stop(&f->p);
	podswitchd_take_events(f->daemon, hear, f);
	assert_int_equal(podswitchd_events_fd(f->daemon), -1);
	podswitchd_take_events(f->daemon, hear, f);
	podswitchd_start(&f->p);
	podswitchd_take_events(f->daemon, hear, f);
	assert_true(podswitchd_events_fd(f->daemon) >= 0);
	assert_int_equal(podswitchd_epoch(f->daemon), 1);
	podswitchd_event(&f->p, "port.gone", "p");
	hear_until(f, "port.ready|port.lost|port.gone|");
}

/* News that stops in the middle of a line is waited for by the loop, not here. */
static void half_a_line(void **state)
{
	struct fixture *f = *state;
	static const char line[] = "{\"method\":\"monitor.event\",\"params\":{\"event\":\"port.ready\"}}\n"
				   "{\"id\":7,\"result\":{}}\n7\n";
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	f->daemon->events = (struct client){.fd = sockets[0], .path = "", .peer = "x", .stop_fd = -1, .out_fd = -1};
	f->daemon->events_connected = true;
	assert_int_equal(write(sockets[1], line, 20), 20);
	for (int i = 0; i < 3; i++)
		podswitchd_take_events(f->daemon, hear, f);
	assert_string_equal(f->heard, "");
	assert_int_equal(write(sockets[1], line + 20, sizeof(line) - 23), sizeof(line) - 23);
	hear_until(f, "port.ready||");
	assert_true(f->daemon->events_connected);
	assert_int_equal(write(sockets[1], "7\n", 2), 2);
	podswitchd_take_events(f->daemon, hear, f);
	assert_false(f->daemon->events_connected);
	close(sockets[1]);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(answers_and_refusals),
		TEST(nobody_is_there),
		TEST(started_anew),
		TEST(gone_in_the_middle),
		TEST(nonsense),
		TEST(hangs),
		TEST(hangs_when_asked_for_news),
		TEST(news),
		TEST(half_a_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
