/* SPDX-License-Identifier: Apache-2.0 */
/* test_standby.c - whoever waits for a podswitchd's end, and who is waited for */
#include "control/daemon/standby.c"

#include "tests/unit/fake_peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define REQUEST_1 "!{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"waiting\":true}}\n"
#define UNKNOWN "\"error\":{\"code\":-32601,\"message\":\"there is no such method\"}"

static char directory[64], path[96];
static int stop[2]; /* the second end makes the first one readable */

static int set_up(void **state)
{
	(void)state;
	log_set_level(LOG_ERROR);
	strcpy(directory, "/dev/shm/podswitch-standby-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/control.sock", directory);
	return pipe(stop);
}

static int tear_down(void **state)
{
	(void)state;
	close(stop[0]);
	close(stop[1]);
	return rmdir(directory);
}

/* What waiting ends with, and how often the one that serves was asked. */
static int wait_for(const char *const *script, size_t asked, struct failure *why)
{
	struct fake_peer peer;
	fake_peer_start(&peer, path, script);
	int error = standby_wait(path, "new", stop[0], why);
	json_t *requests = fake_peer_stop(&peer);
	assert_int_equal(json_array_size(requests), asked);
	const json_t *params = json_object_get(json_array_get(requests, 0), "params");
	assert_string_equal(json_text(params, "instance"), "new");
	json_decref(requests);
	return error;
}

static void test_nobody_is_there(void **state)
{
	struct failure why = {0};
	(void)state;
	assert_int_equal(standby_wait(path, "new", stop[0], &why), 0);
}

static void test_is_called(void **state)
{
	static const char *const script[] = {REQUEST_1 "{\"jsonrpc\":\"2.0\",\"method\":\"takeover.now\"}", NULL};
	struct failure why = {0};
	(void)state;
	assert_int_equal(wait_for(script, 1, &why), 0);
}

static void test_older_version_is_taken_over_from_at_once(void **state)
{
	static const char *const script[] = {UNKNOWN, NULL};
	struct failure why = {0};
	(void)state;
	assert_int_equal(wait_for(script, 1, &why), 0);
}

static void test_refusal_is_passed_on(void **state)
{
	static const char *const script[] = {"\"error\":{\"code\":-4,\"message\":\"'other' waits already\"}", NULL};
	struct failure why = {0};
	(void)state;
	assert_int_equal(wait_for(script, 1, &why), -EREMOTEIO);
	assert_non_null(strstr(why.text, "'other' waits already"));
}

/* Whatever else arrives is no call; whoever has hung up may have been replaced by another. */
static void test_asks_again_after_a_hang_up(void **state)
{
	static const char *const script[] = {REQUEST_1 "{\"jsonrpc\":\"2.0\",\"method\":\"monitor.event\"}",
					     REQUEST_1 "{\"jsonrpc\":\"2.0\",\"method\":\"takeover.now\"}", NULL};
	struct failure why = {0};
	(void)state;
	assert_int_equal(wait_for(script, 2, &why), 0);
}

static void test_asks_again_when_nobody_has_answered(void **state)
{
	static const char *const script[] = {"", REQUEST_1 "{\"jsonrpc\":\"2.0\",\"method\":\"takeover.now\"}", NULL};
	struct failure why = {0};
	(void)state;
	assert_int_equal(wait_for(script, 2, &why), 0);
}

static void test_stops_while_it_waits(void **state)
{
	static const char *const script[] = {"\"result\":{\"waiting\":true}", NULL};
	struct failure why = {0};
	struct fake_peer peer;
	(void)state;
	assert_int_equal(write(stop[1], "x", 1), 1);
	fake_peer_start(&peer, path, script);
	assert_int_equal(standby_wait(path, "new", stop[0], &why), -ECANCELED);
	json_decref(fake_peer_stop(&peer)); /* it may not have come to read the request */
}

static void test_one_that_waits_is_called_once(void **state)
{
	struct standby standby = STANDBY_NONE;
	char heard[256];
	int ends[2];
	(void)state;
	assert_false(standby_call(&standby));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_false(standby_keep(&standby, ends[0])); /* it has not asked: it takes over at once */
	standby.asked = true;
	strcpy(standby.instance, "new");
	assert_false(standby_is(&standby, "new")); /* not yet */
	assert_true(standby_keep(&standby, ends[0]));
	assert_false(standby.asked);
	assert_true(standby_is(&standby, "new"));
	assert_false(standby_is(&standby, "old"));
	assert_true(standby_call(&standby));
	ssize_t got = read(ends[1], heard, sizeof(heard) - 1);
	assert_true(got > 0);
	heard[got] = '\0';
	assert_non_null(strstr(heard, "\"takeover.now\"}\n"));
	assert_true(standby_call(&standby));
	assert_int_equal(recv(ends[1], heard, sizeof(heard), MSG_DONTWAIT), -1);
	standby_close(&standby);
	standby_close(&standby);
	assert_false(standby_is(&standby, "new"));
	close(ends[1]);
}

static void test_one_that_has_gone_is_not_called(void **state)
{
	struct standby standby = STANDBY_NONE;
	int ends[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	standby.asked = true;
	assert_true(standby_keep(&standby, ends[0]));
	close(ends[1]);
	assert_false(standby_call(&standby));
	assert_int_equal(standby.connection, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nobody_is_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_is_called, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_older_version_is_taken_over_from_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusal_is_passed_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asks_again_after_a_hang_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_asks_again_when_nobody_has_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stops_while_it_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_waits_is_called_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_has_gone_is_not_called, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("standby", tests, NULL, NULL);
}
