/* SPDX-License-Identifier: Apache-2.0 */
/* test_api.c - requests to an API server, where it is, and by what it is trusted and trusts */
#include "control/kube/credentials.c"

#include "control/kube/transport.c"

#include "control/kube/api.c"

#include "tests/unit/fake_api.h"
#include "tests/unit/shell.h"

#include <signal.h>
#include <sys/wait.h>

#define EVENTS "/api/v1/namespaces/media/events"

/* ---- what a request has come to ---- */

struct result {
	struct kube *kube;
	unsigned ends;
	long status;
	char text[256];
	json_t *answer;
	bool again; /* ask once more from the callback */
};

static void on_done(void *context, long status, json_t *answer, const char *text)
{
	struct result *result = context;

	result->ends++;
	result->status = status;
	snprintf(result->text, sizeof(result->text), "%s", text);
	json_decref(result->answer);
	result->answer = json_incref(answer);
	if (!result->again)
		return;
	result->again = false;
	struct kube_request request = {.method = "GET", .path = "/again", .done = on_done, .context = result};
	struct failure why = {0};
	int error = kube_request(result->kube, &request, &why);
	assert_int_equal(error, result->kube->closing ? -ECANCELED : 0);
}

static struct result results[KUBE_QUEUE + KUBE_IN_FLIGHT + 1];

static int setup(void **state)
{
	memset(results, 0, sizeof(results));
	return fake_setup(state);
}

static int teardown(void **state)
{
	int error = fake_teardown(state);

	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		json_decref(results[i].answer);
	return error;
}

static int ask(struct fake *fake, const char *path, struct result *result)
{
	struct kube_request request = {.method = "GET", .path = path, .done = on_done, .context = result};
	struct failure why = {0};

	result->kube = fake->kube;
	return kube_request(fake->kube, &request, &why);
}

static struct kube_counters counters(const struct fake *fake)
{
	struct kube_counters count;

	kube_count(fake->kube, &count);
	return count;
}

/* ---- requests ---- */

static void test_post(void **state)
{
	struct fake *fake = *state;
	json_t *body = json_pack("{s:s}", "reason", "GatewayAttached");
	struct kube_request request = {
		.method = "POST", .path = EVENTS, .body = body, .done = on_done, .context = &results[0]};
	struct failure why = {0};

	assert_int_equal(kube_request(fake->kube, &request, &why), 0);
	json_decref(body);
	struct fake_conn *conn = fake_asked(fake, "POST " EVENTS " HTTP/1.1\r\n");
	assert_non_null(strstr(conn->in, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(conn->in, "Accept: application/json\r\n"));
	assert_non_null(strstr(conn->in, "Authorization: Bearer first-token\r\n"));
	assert_null(strstr(conn->in, "Expect:"));
	assert_non_null(strstr(conn->in, "\r\n\r\n{\"reason\":\"GatewayAttached\"}"));
	fake_answer(fake, conn, "201 Created", "", "{\"kind\":\"Event\"}");
	fake_until(fake, results[0].ends);
	assert_int_equal(results[0].status, 201);
	assert_string_equal(results[0].text, "");
	assert_string_equal(json_string_value(json_object_get(results[0].answer, "kind")), "Event");
	assert_int_equal(counters(fake).requests, 1);
	assert_int_equal(counters(fake).failures, 0);
}

static void test_methods(void **state)
{
	static const char *const methods[] = {"GET", "PUT", "PATCH", "DELETE"};
	struct fake *fake = *state;
	json_t *body = json_object();
	char line[64];

	for (size_t i = 0; i < 4; i++) {
		struct kube_request request = {
			.method = methods[i], .path = "/x", .content_type = "application/merge-patch+json"};
		struct failure why = {0};
		request.body = i == 1 || i == 2 ? body : NULL;
		assert_int_equal(kube_request(fake->kube, &request, &why), 0);
		snprintf(line, sizeof(line), "%s /x HTTP/1.1\r\n", methods[i]);
		struct fake_conn *conn = fake_asked(fake, line);
		assert_int_equal(strstr(conn->in, "Content-Type: application/merge-patch+json\r\n") != NULL,
				 i == 1 || i == 2);
		fake_answer(fake, conn, "200 OK", "", "{}");
	}
	json_decref(body);
	fake_until(fake, !counters(fake).in_flight);
}

static void test_answers(void **state)
{
	static const struct {
		const char *status, *body;
		long number;
		const char *text;
		bool json;
	} cases[] = {
		{"200 OK", "{\"a\":1}", 200, "", true},
		{"200 OK", "", 200, "", false},
		{"200 OK", "<html>", 200, "", false},
		{"404 Not Found", "{\"message\":\"pods \\\"x\\\" not\\nfound\"}", 404, "pods \"x\" not found", true},
		{"404 Not Found", "404 page not found", 404, "HTTP status 404", false},
		{"500 Oops", "{\"message\":7}", 500, "HTTP status 500", true},
		{"302 Found", "", 302, "", false},
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ask(fake, "/x", &results[i]), 0);
		fake_answer(fake, fake_asked(fake, "GET /x "), cases[i].status, "Location: /elsewhere\r\n",
			    cases[i].body);
		fake_until(fake, results[i].ends);
		assert_int_equal(results[i].status, cases[i].number);
		assert_string_equal(results[i].text, cases[i].text);
		assert_int_equal(results[i].answer != NULL, cases[i].json);
	}
	assert_null(fake_next(fake)); /* redirections are not followed */
	assert_int_equal(counters(fake).failures, 3);
	assert_int_equal(logged_lines(), 0);
}

static void test_no_answer(void **state)
{
	struct fake *fake = *state;
	struct kube_request slow = {
		.method = "GET", .path = "/slow", .done = on_done, .context = &results[0], .timeout_ms = 50};
	struct failure why = {0};

	assert_int_equal(kube_request(fake->kube, &slow, &why), 0);
	fake_until(fake, results[0].ends);
	assert_int_equal(results[0].status, -ETIMEDOUT);
	assert_null(results[0].answer);

	assert_int_equal(ask(fake, "/breaks", &results[1]), 0);
	struct fake_conn *conn = fake_asked(fake, "/slow");
	if (!strstr(conn->in, "/breaks"))
		conn = fake_asked(fake, "/breaks");
	fake_text(fake, conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
	fake_step(fake, 0);
	fake_hang_up(conn);
	fake_until(fake, results[1].ends);
	assert_int_equal(results[1].status, -EIO);

	fake_go_away(fake);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(kube_reachable(fake->kube), i < 2);
		assert_int_equal(ask(fake, "/x", &results[2]), 0);
		fake_until(fake, results[2].ends == i + 1);
		assert_int_equal(results[2].status, -ECONNREFUSED);
	}
	assert_int_equal(counters(fake).outages, 1);
	assert_int_equal(counters(fake).failures, 5);
	assert_int_equal(logged("does not answer"), 1);
	assert_int_equal(logged_lines(), 1);
}

static void test_too_long_an_answer(void **state)
{
	struct fake *fake = *state;
	static char spaces[1 << 20];

	memset(spaces, ' ', sizeof(spaces));
	assert_int_equal(ask(fake, "/x", &results[0]), 0);
	struct fake_conn *conn = fake_asked(fake, "/x");
	fake_text(fake, conn, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
	for (int i = 0; i < 9 && conn->fd; i++)
		fake_send(fake, conn, spaces, sizeof(spaces));
	fake_until(fake, results[0].ends);
	assert_int_equal(results[0].status, -EMSGSIZE);
}

static void test_bounds(void **state)
{
	struct fake *fake = *state;
	unsigned most = 0;
	char path[32];

	for (unsigned i = 0; i < KUBE_QUEUE; i++) {
		snprintf(path, sizeof(path), "/%u", i);
		assert_int_equal(ask(fake, path, &results[i]), 0);
	}
	assert_int_equal(ask(fake, "/refused", &results[KUBE_QUEUE]), -EBUSY);
	assert_int_equal(counters(fake).refused, 1);
	for (unsigned i = 0; i < KUBE_QUEUE; i++) {
		fake_until(fake, fake_next(fake));
		assert_true(counters(fake).in_flight <= KUBE_IN_FLIGHT);
		most = counters(fake).in_flight > most ? counters(fake).in_flight : most;
		fake_answer(fake, fake_asked(fake, ""), "200 OK", "", "{}");
		fake_until(fake, counters(fake).in_flight + counters(fake).waiting == KUBE_QUEUE - i - 1);
	}
	assert_int_equal(most, KUBE_IN_FLIGHT);
	for (unsigned i = 0; i < KUBE_QUEUE; i++)
		assert_int_equal(results[i].ends, 1);
	assert_int_equal(results[KUBE_QUEUE].ends, 0);
}

static void test_refused_requests(void **state)
{
	static const struct {
		const char *method, *path, *key;
	} cases[] = {
		{"HEAD", "/x", "method"},     {NULL, "/x", "method"},  {"GET", "x", "path"},
		{"GET", NULL, "path"},        {"GET", "/a b", "path"}, {"GET", "/a\r\nX: y", "path"},
		{"GET", "/\xc3\xa4", "path"},
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kube_request request = {.method = cases[i].method, .path = cases[i].path};
		struct failure why = {0};
		assert_int_equal(kube_request(fake->kube, &request, &why), -EINVAL);
		assert_string_equal(why.key, cases[i].key);
	}
}

static void test_cancel(void **state)
{
	struct fake *fake = *state;

	for (unsigned i = 0; i < KUBE_IN_FLIGHT + 3; i++)
		assert_int_equal(ask(fake, "/x", &results[i]), 0);
	fake_until(fake, counters(fake).in_flight == KUBE_IN_FLIGHT);
	kube_cancel(fake->kube, &results[0]);                  /* in flight */
	kube_cancel(fake->kube, &results[KUBE_IN_FLIGHT + 2]); /* the last that waits */
	assert_int_equal(counters(fake).in_flight, KUBE_IN_FLIGHT - 1);
	assert_int_equal(counters(fake).waiting, 2);
	assert_int_equal(ask(fake, "/last", &results[KUBE_IN_FLIGHT + 3]), 0);
	for (unsigned i = 0; i < KUBE_IN_FLIGHT + 2; i++) {
		struct fake_conn *conn = fake_asked(fake, "");
		fake_answer(fake, conn, "200 OK", "", "{}");
		fake_step(fake, 0);
	}
	fake_until(fake, results[KUBE_IN_FLIGHT + 3].ends);
	fake_until(fake, !counters(fake).in_flight);
	assert_int_equal(results[0].ends, 0);
	assert_int_equal(results[1].ends, 1);
	assert_int_equal(results[KUBE_IN_FLIGHT + 2].ends, 0);
}

static void test_request_from_callback(void **state)
{
	struct fake *fake = *state;

	results[0].again = true;
	assert_int_equal(ask(fake, "/x", &results[0]), 0);
	fake_answer(fake, fake_asked(fake, "GET /x "), "200 OK", "", "{}");
	fake_answer(fake, fake_asked(fake, "GET /again "), "204 No Content", "", "");
	fake_until(fake, results[0].ends == 2);
	assert_int_equal(results[0].status, 204);
}

static void test_close_ends_what_is_under_way(void **state)
{
	struct fake *fake = *state;
	struct kube_options options = {.server = fake->server, .token_file = "", .ca_file = "", .seed = 1};
	struct kube *first = fake->kube;
	struct failure why = {0};

	for (unsigned i = 0; i < KUBE_IN_FLIGHT + 2; i++) {
		results[i].again = true;
		assert_int_equal(ask(fake, "/x", &results[i]), 0);
	}
	fake_asked(fake, "/x");
	assert_int_equal(kube_open(&options, &fake->kube, &why), 0);
	kube_close(first);
	for (unsigned i = 0; i < KUBE_IN_FLIGHT + 2; i++) {
		assert_int_equal(results[i].ends, 1);
		assert_int_equal(results[i].status, -ECANCELED);
	}
	kube_close(NULL);
}

/* ---- tokens ---- */

static void test_token_read_again(void **state)
{
	struct fake *fake = *state;

	/* Changed before it is needed. */
	write_file(fake->token_file, "second-token");
	assert_int_equal(ask(fake, "/x", &results[0]), 0);
	struct fake_conn *conn = fake_asked(fake, "Bearer second-token\r\n");
	/* Changed too late: once more, and not a third time. */
	write_file(fake->token_file, "third-token\r\n");
	fake_answer(fake, conn, "401 Unauthorized", "", "{}");
	conn = fake_asked(fake, "Bearer third-token\r\n");
	assert_int_equal(results[0].ends, 0);
	write_file(fake->token_file, "fourth-token");
	fake_answer(fake, conn, "401 Unauthorized", "", "{}");
	fake_until(fake, results[0].ends);
	assert_int_equal(results[0].status, 401);
	/* Not changed. */
	assert_int_equal(ask(fake, "/x", &results[1]), 0);
	fake_answer(fake, fake_asked(fake, "Bearer fourth-token\r\n"), "401 Unauthorized", "", "{}");
	fake_until(fake, results[1].ends);
	assert_int_equal(results[1].status, 401);
	assert_int_equal(counters(fake).requests, 2);
}

static void test_token_that_cannot_be_read(void **state)
{
	static const char *const bad[] = {"", "\n", "two words", "a\r\nX-Evil: b", "n\xc3\xa4h"};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(fake->token_file, bad[i]);
		assert_int_equal(ask(fake, "/x", &results[0]), 0);
		fake_answer(fake, fake_asked(fake, "Bearer first-token\r\n"), "200 OK", "", "{}");
	}
	unlink(fake->token_file);
	assert_int_equal(ask(fake, "/x", &results[0]), 0);
	fake_answer(fake, fake_asked(fake, "Bearer first-token\r\n"), "200 OK", "", "{}");
	assert_int_equal(logged("what it held before is still used"), 1);
	write_file(fake->token_file, "new");
	assert_int_equal(ask(fake, "/x", &results[0]), 0);
	fake_answer(fake, fake_asked(fake, "Bearer new\r\n"), "200 OK", "", "{}");
	assert_int_equal(logged_lines(), 1);
}

/* A file system whose times are coarse, or one that is mounted over: read anyway, once a minute. */
static void test_token_that_looks_the_same(void **state)
{
	struct fake *fake = *state;
	struct credentials *credentials = &fake->kube->transport.credentials;

	write_file(fake->token_file, "other-token\n");
	assert_return_code(stat(fake->token_file, &credentials->token.seen), errno);
	uint64_t at = credentials->read_at;
	credentials_refresh(credentials, at + KUBE_REFRESH_MS - 1, false);
	assert_string_equal(credentials->token.text, "first-token");
	assert_int_equal(credentials->generation, 0);
	credentials_refresh(credentials, at + KUBE_REFRESH_MS, false);
	assert_string_equal(credentials->token.text, "other-token");
	assert_int_equal(credentials->generation, 1);
}

/* ---- the server's address ---- */

static void test_servers(void **state)
{
	static const struct {
		const char *server;
		int error;
		const char *as;
	} cases[] = {
		{"https://10.96.0.1:443", 0, "https://10.96.0.1:443"},
		{"https://[fd00::1]:6443/", 0, "https://[fd00::1]:6443"},
		{"https://api.example.org/clusters/c1//", 0, "https://api.example.org/clusters/c1"},
		{"http://127.1.2.3:8001", 0, "http://127.1.2.3:8001"},
		{"http://[::1]:8001", 0, "http://[::1]:8001"},
		{"http://localhost:8001", 0, "http://localhost:8001"},
		{"http://10.96.0.1", -EINVAL, NULL},
		{"http://127.0.0.1.example.org", -EINVAL, NULL},
		{"http://localhost.example.org", -EINVAL, NULL},
		{"ftp://10.96.0.1", -EINVAL, NULL},
		{"file:///etc/passwd", -EINVAL, NULL},
		{"10.96.0.1:443", -EINVAL, NULL},
		{"https://user@10.96.0.1", -EINVAL, NULL},
		{"https://10.96.0.1/?x=1", -EINVAL, NULL},
		{"https://10.96.0.1/#x", -EINVAL, NULL},
		{"https://", -EINVAL, NULL},
		{"", -EINVAL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kube_options options = {.server = cases[i].server, .token_file = "", .ca_file = ""};
		struct failure why = {0};
		struct kube *kube = NULL;
		assert_int_equal(kube_open(&options, &kube, &why), cases[i].error);
		if (!cases[i].error)
			assert_string_equal(kube->transport.server, cases[i].as);
		else
			assert_string_equal(why.key, "server");
		kube_close(kube);
	}
}

static void test_in_cluster(void **state)
{
	struct fake *fake = *state;
	struct kube_options options = {.token_file = fake->token_file, .ca_file = fake->token_file};
	struct failure why = {0};
	struct kube *kube = NULL;

	unsetenv("KUBERNETES_SERVICE_HOST");
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(kube_open(&options, &kube, &why), -EINVAL);
	assert_string_equal(why.key, "server");
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	assert_int_equal(kube_open(&options, &kube, &why), 0);
	assert_string_equal(kube->transport.server, "https://10.96.0.1:443");
	kube_close(kube);
	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	assert_int_equal(kube_open(&options, &kube, &why), 0);
	assert_string_equal(kube->transport.server, "https://[fd00::1]:443");
	kube_close(kube);
	options.token_file = NULL;
	assert_int_equal(kube_open(&options, &kube, &why), -ENOENT);
	assert_string_equal(why.key, "token_file");
	assert_non_null(strstr(why.text, "/var/run/secrets/kubernetes.io/serviceaccount/token"));
	options.token_file = "";
	options.ca_file = "/var/run/secrets/none";
	assert_int_equal(kube_open(&options, &kube, &why), -ENOENT);
	assert_string_equal(why.key, "ca_file");
}

/* ---- TLS: openssl's own server, whose answer is a page, over IPv4 with a certificate for 127.0.0.1 ---- */

static const char make_certificates[] =
	"cd $D && for name in good bad; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
	"-subj /CN=$name -addext subjectAltName=IP:127.0.0.1 -days 2 -keyout $name.key -out $name.crt 2>/dev/null || "
	"exit; done";
static const char start_tls[] =
	"cd $D && { exec openssl s_server -accept 127.0.0.1:0 -cert good.crt -key good.key -www >out 2>err </dev/null "
	"& } "
	"&& echo $! >pid && for i in $(seq 200); do grep -q ACCEPT out && exit; sleep 0.1; done; cat err; exit 1";
static const char stop_tls[] = "cd $D && kill $(cat pid) 2>/dev/null; rm -f good.* bad.* ca.crt* out err pid";

static int teardown_tls(void **state)
{
	struct fake *fake = *state;
	int error = shell_status(fake->folder, stop_tls);

	return teardown(state) || error;
}

static unsigned tls_port(const struct fake *fake)
{
	char path[64], line[128] = "";

	snprintf(path, sizeof(path), "%s/out", fake->folder);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (!strstr(line, "ACCEPT") && fgets(line, sizeof(line), file))
		;
	fclose(file);
	assert_non_null(strrchr(line, ':'));
	return (unsigned)strtoul(strrchr(line, ':') + 1, NULL, 10);
}

/* What a request over TLS comes to. */
static long ask_tls(struct fake *fake, const char *host, unsigned port, const char *ca)
{
	char server[64];
	struct kube *plain = fake->kube;
	struct failure why = {0};

	snprintf(server, sizeof(server), "https://%s:%u", host, port);
	struct kube_options options = {.server = server, .token_file = "", .ca_file = ca};
	assert_int_equal(kube_open(&options, &fake->kube, &why), 0);
	results[0].ends = 0;
	assert_int_equal(ask(fake, "/x", &results[0]), 0);
	fake_until(fake, results[0].ends);
	kube_close(fake->kube);
	fake->kube = plain;
	return results[0].status;
}

static void rotated_authorities(struct fake *fake, unsigned port, const char *ca)
{
	char server[64];
	struct failure why = {0};

	kube_close(fake->kube);
	snprintf(server, sizeof(server), "https://127.0.0.1:%u", port);
	struct kube_options options = {.server = server, .token_file = "", .ca_file = ca};
	assert_int_equal(shell_status(fake->folder, "cd $D && cp bad.crt ca.crt"), 0);
	assert_int_equal(kube_open(&options, &fake->kube, &why), 0);
	assert_int_equal(ask(fake, "/x", &results[1]), 0);
	fake_until(fake, results[1].ends);
	assert_int_equal(results[1].status, -EPROTO);
	assert_int_equal(
		shell_status(fake->folder, "cd $D && cat bad.crt good.crt >ca.crt.new && mv ca.crt.new ca.crt"), 0);
	assert_int_equal(ask(fake, "/x", &results[2]), 0);
	fake_until(fake, results[2].ends);
	assert_int_equal(results[2].status, 200);
}

static void test_tls(void **state)
{
	struct fake *fake = *state;
	char good[64], bad[64], ca[64];

	snprintf(good, sizeof(good), "%s/good.crt", fake->folder);
	snprintf(bad, sizeof(bad), "%s/bad.crt", fake->folder);
	snprintf(ca, sizeof(ca), "%s/ca.crt", fake->folder);
	assert_int_equal(shell_status(fake->folder, make_certificates), 0);
	assert_int_equal(shell_status(fake->folder, start_tls), 0);
	unsigned port = tls_port(fake);
	long with_good = ask_tls(fake, "127.0.0.1", port, good);
	long with_bad = ask_tls(fake, "127.0.0.1", port, bad);
	long with_systems = ask_tls(fake, "127.0.0.1", port, "");
	long with_no_certificate = ask_tls(fake, "127.0.0.1", port, fake->token_file);
	long other_name = ask_tls(fake, "localhost", port, good);
	rotated_authorities(fake, port, ca);
	assert_int_equal(with_good, 200);
	assert_int_equal(with_bad, -EPROTO);
	assert_int_equal(with_systems, -EPROTO);
	assert_int_equal(with_no_certificate, -EPROTO);
	assert_int_equal(other_name, -EPROTO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_post),
		TEST(test_methods),
		TEST(test_answers),
		TEST(test_no_answer),
		TEST(test_too_long_an_answer),
		TEST(test_bounds),
		TEST(test_refused_requests),
		TEST(test_cancel),
		TEST(test_request_from_callback),
		TEST(test_close_ends_what_is_under_way),
		TEST(test_token_read_again),
		TEST(test_token_that_cannot_be_read),
		TEST(test_token_that_looks_the_same),
		TEST(test_servers),
		TEST(test_in_cluster),
		cmocka_unit_test_setup_teardown(test_tls, setup, teardown_tls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
