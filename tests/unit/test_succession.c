/* SPDX-License-Identifier: Apache-2.0 */
#include "control/kube/succession.c"

#include "tests/unit/fake_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#define SERVES "\"result\":{\"hands_over\":true,\"version\":\"9\",\"instance\":\"old\",\"ready\":true,\"reason\":\"\"}"

static char directory[64], path[96];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/dev/shm/podswitch-succession-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/agent.sock", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static void nobody_is_there(void **state)
{
	struct succession succession = {0};
	struct failure why = {0};
	(void)state;

	assert_int_equal(succession_begin(&succession, path, &why), 0);
	assert_false(succession.waits);
	assert_false(succession.connected);
	succession_end(&succession);
}

static void is_waited_for_and_succeeded(void **state)
{
	static const char *const script[] = {SERVES, "\"result\":{}", NULL};
	struct succession succession = {0};
	struct failure why = {0};
	struct fake_peer peer;
	(void)state;

	fake_peer_start(&peer, path, script);
	assert_int_equal(succession_begin(&succession, path, &why), 0);
	assert_true(succession.waits);
	assert_true(succession_claim(&succession, path, 5000));
	assert_false(succession.waits);
	assert_true(succession.connected); /* until it is told that we have appeared */
	succession_end(&succession);
	json_t *requests = fake_peer_stop(&peer);
	assert_int_equal(json_array_size(requests), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(requests, 1), "method")),
			    "agent.hand_over");
	json_decref(requests);
}

static void claims_once_a_second(void **state)
{
	static const char *const script[] = {SERVES, "\"error\":{\"code\":-1,\"message\":\"busy\"}", "\"result\":{}",
					     NULL};
	struct succession succession = {0};
	struct failure why = {0};
	struct fake_peer peer;
	(void)state;

	fake_peer_start(&peer, path, script);
	assert_int_equal(succession_begin(&succession, path, &why), 0);
	assert_false(succession_claim(&succession, path, 5000));
	assert_true(succession.waits);
	assert_false(succession_claim(&succession, path, 5999));
	assert_true(succession_claim(&succession, path, 6000));
	succession_end(&succession);
	json_t *requests = fake_peer_stop(&peer);
	assert_int_equal(json_array_size(requests), 3);
	json_decref(requests);
}

static void it_goes_while_it_is_waited_for(void **state)
{
	static const char *const script[] = {SERVES, NULL};
	struct succession succession = {0};
	struct failure why = {0};
	struct fake_peer peer;
	(void)state;

	fake_peer_start(&peer, path, script);
	assert_int_equal(succession_begin(&succession, path, &why), 0);
	json_decref(fake_peer_stop(&peer));
	assert_true(succession.waits);
	assert_true(succession_claim(&succession, path, 5000));
	assert_false(succession.waits);
	succession_end(&succession);
}

/* In a process of its own, as it is sent SIGTERM: which it obeys, or not. */
static pid_t older_agent(bool obeys)
{
	static const char *const script[] = {"\"result\":{\"synced\":true,\"switch\":true,\"reason\":\"\"}", NULL};
	int up[2];
	char scrap;
	assert_int_equal(pipe(up), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct fake_peer peer;
		signal(SIGTERM, obeys ? SIG_DFL : SIG_IGN);
		fake_peer_start(&peer, path, script);
		(void)!write(up[1], "x", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(up[0], &scrap, 1), 1);
	close(up[0]);
	close(up[1]);
	return pid;
}

static void older_one_is_stopped(void **state)
{
	struct succession succession = {0};
	struct failure why = {0};
	int status;
	(void)state;

	pid_t pid = older_agent(true);
	assert_int_equal(succession_begin(&succession, path, &why), 0);
	assert_false(succession.waits);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	unlink(path);
}

static void older_one_that_stays_is_named(void **state)
{
	struct succession succession = {0};
	struct failure why = {0};
	char name[32];
	(void)state;

	pid_t pid = older_agent(false);
	assert_int_equal(succession_begin(&succession, path, &why), -ETIMEDOUT);
	snprintf(name, sizeof(name), "(process %d)", (int)pid);
	assert_non_null(strstr(why.text, name));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlink(path);
}

static void probe_tells_instances_apart(void **state)
{
	static const char *const ready[] = {SERVES, NULL};
	static const char *const unready[] = {
		"\"result\":{\"instance\":\"old\",\"ready\":false,\"reason\":\"podswitchd does not answer\"}", NULL};
	struct failure why = {0};
	struct fake_peer peer;
	(void)state;

	assert_int_equal(succession_check(path, NULL, &why), -ENOENT);
	fake_peer_start(&peer, path, ready);
	assert_int_equal(succession_check(path, NULL, &why), 0);
	assert_int_equal(succession_check(path, "old", &why), 0);
	assert_int_equal(succession_check(path, "new", &why), -ESRCH);
	assert_string_equal(why.text, "the podswitch-agent that serves is 'old', not 'new'");
	json_decref(fake_peer_stop(&peer));
	fake_peer_start(&peer, path, unready);
	assert_int_equal(succession_check(path, "old", &why), -EAGAIN);
	assert_string_equal(why.text, "podswitchd does not answer");
	json_decref(fake_peer_stop(&peer));
}

static void lets_go_when_the_other_hangs_up(void **state)
{
	int pair[2];
	(void)state;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[1]);
	uint64_t began = clock_ms();
	succession_let_go(pair[0]);
	assert_true(clock_ms() - began < LAST_WAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_there),
		cmocka_unit_test(is_waited_for_and_succeeded),
		cmocka_unit_test(claims_once_a_second),
		cmocka_unit_test(it_goes_while_it_is_waited_for),
		cmocka_unit_test(older_one_is_stopped),
		cmocka_unit_test(older_one_that_stays_is_named),
		cmocka_unit_test(probe_tells_instances_apart),
		cmocka_unit_test(lets_go_when_the_other_hangs_up),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
