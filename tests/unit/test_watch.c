/* SPDX-License-Identifier: Apache-2.0 */
/* test_watch.c - what a watch asks an API server for, and what it makes of the answers, good and bad */
#include "control/kube/watch.h"

#undef WATCH_OPTIONAL_MS
#define WATCH_OPTIONAL_MS 1000
#undef WATCH_GRACE_SECONDS
#define WATCH_GRACE_SECONDS 1

#include "control/kube/watch.c"

#include "tests/unit/fake_api.h"

#define PODS "/api/v1/pods"
#define SLICES "/apis/discovery.k8s.io/v1/endpointslices"
#define SLICES_BETA "/apis/discovery.k8s.io/v1beta1/endpointslices"

/* ---- a store that notes what it is told: "=a,b" a list, "+a" a change, "-a" a deletion ---- */

struct store {
	char told[8192];
	struct watch *stop, *stop_too; /* by the next callback */
	json_t *last;
};

static void note(struct store *store, const char *mark, const json_t *object)
{
	strncat(store->told, mark, 2);
	strncat(store->told, json_string_value(json_object_get(json_object_get(object, "metadata"), "name")), 100);
	assert_null(json_object_get(json_object_get(object, "metadata"), "managedFields"));
}

static void stop_wanted(struct store *store)
{
	watch_stop(store->stop);
	watch_stop(store->stop_too);
	store->stop = store->stop_too = NULL;
}

static void on_replace(void *context, json_t *items)
{
	struct store *store = context;
	json_t *item;
	size_t i;

	strcat(store->told, "=");
	json_array_foreach(items, i, item)
	{
		note(store, i ? "," : "", item);
	}
	stop_wanted(store);
}

static void on_changed(void *context, json_t *object)
{
	struct store *store = context;

	note(store, "+", object);
	json_decref(store->last);
	store->last = json_incref(object);
	stop_wanted(store);
}

static void on_deleted(void *context, json_t *object)
{
	note(context, "-", object);
	stop_wanted(context);
}

static struct store store;
static struct watch *watch;

static struct watch_config config_of(const char *path, const char *second)
{
	return (struct watch_config){
		.paths = {path, second},
		.what = "things",
		.callbacks = {.replace = on_replace, .changed = on_changed, .deleted = on_deleted},
		.context = &store,
	};
}

static void start(struct fake *fake, const struct watch_config *config)
{
	struct failure why = {0};

	assert_int_equal(watch_start(fake->kube, config, &watch, &why), 0);
}

static void start_pods(struct fake *fake)
{
	struct watch_config config = config_of(PODS, NULL);

	start(fake, &config);
}

static int setup(void **state)
{
	store = (struct store){0};
	watch = NULL;
	return fake_setup(state);
}

static int teardown(void **state)
{
	watch_stop(watch);
	json_decref(store.last);
	return fake_teardown(state);
}

#define ITEM(name, version) "{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"}}"
#define LIST(version, items)                                                                                           \
	"{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define PAGE(version, next, items)                                                                                     \
	"{\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" next "\"},\"items\":[" items "]}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" ITEM(name, version) "}\n"
#define BOOKMARK(version)                                                                                              \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Pod\",\"metadata\":{\"resourceVersion\":\"" version "\"}}}\n"
#define STATUS(code, message)                                                                                          \
	"{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"" message "\",\"code\":" #code "}"
#define ERROR(code, message) "{\"type\":\"ERROR\",\"object\":" STATUS(code, message) "}\n"

static void told(struct fake *fake, const char *what)
{
	fake_until(fake, strlen(store.told) >= strlen(what));
	assert_string_equal(store.told, what);
}

static void answer_list(struct fake *fake, const char *asked, const char *list)
{
	fake_answer(fake, fake_asked(fake, asked), "200 OK", "", list);
}

static struct fake_conn *open_stream(struct fake *fake, const char *asked)
{
	struct fake_conn *conn = fake_asked(fake, asked);

	assert_non_null(strstr(conn->in, "watch=1"));
	fake_stream(fake, conn);
	return conn;
}

/* As far as a stream that begins at 100 behind a list of "a". */
static struct fake_conn *begin(struct fake *fake)
{
	start_pods(fake);
	answer_list(fake, "GET " PODS "?resourceVersion=0&limit=500 ", LIST("100", ITEM("a", "7")));
	return open_stream(fake, "&resourceVersion=100 ");
}

/* The stream after it is asked for from this version, at once or not. */
static void resumes_from(struct fake *fake, const char *version)
{
	char text[64];

	snprintf(text, sizeof(text), "&resourceVersion=%s ", version);
	assert_non_null(strstr(fake_asked(fake, text)->in, "watch=1"));
}

static struct watch_counters counters(void)
{
	struct watch_counters count;

	watch_count(watch, &count);
	return count;
}

/* From here on a back-off would take longer than the test has patience: what comes comes without one. */
static void never_back_off(struct fake *fake)
{
	fake->kube->backoff_ms = fake->kube->backoff_max_ms = 10 * FAKE_PATIENCE_MS;
}

/* ---- all is well ---- */

static void test_lists_then_follows(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(PODS, NULL);
	unsigned seconds = 0;

	config.field_selector = "spec.nodeName=n1&x";
	config.label_selector = "a in (b, c)";
	start(fake, &config);
	struct fake_conn *conn =
		fake_asked(fake, "GET " PODS "?resourceVersion=0&limit=500"
				 "&fieldSelector=spec.nodeName%3Dn1%26x&labelSelector=a%20in%20%28b%2C%20c%29 ");
	assert_non_null(strstr(conn->in, "Authorization: Bearer first-token\r\n"));
	assert_false(watch_synced(watch));
	fake_answer(fake, conn, "200 OK", "", LIST("100", ITEM("a", "7") "," ITEM("b", "9000")));
	conn = open_stream(fake, "GET " PODS "?watch=1&allowWatchBookmarks=true&timeoutSeconds=");
	assert_true(watch_synced(watch));
	assert_non_null(strstr(conn->in, "&resourceVersion=100&fieldSelector=spec.nodeName%3Dn1%26x&labelSelector="));
	sscanf(strstr(conn->in, "timeoutSeconds="), "timeoutSeconds=%u", &seconds); // NOLINT(cert-err34-c)
	assert_in_range(seconds, WATCH_MIN_SECONDS, WATCH_MAX_SECONDS);
	fake_chunk(fake, conn,
		   EVENT("ADDED", "c", "101") EVENT("MODIFIED", "a", "102") "\n" EVENT("DELETED", "b", "103"));
	told(fake, "=a,b+c+a-b");
	assert_true(watch_live(watch));
	assert_int_equal(counters().lists, 1);
	assert_int_equal(counters().events, 3);
	assert_int_equal(counters().objects, 2);
	assert_true(counters().last_news_ms > 0);
	assert_int_equal(logged_lines(), 0);
}

static void test_bookmark_moves_only_the_version(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	fake_chunk(fake, conn, EVENT("ADDED", "b", "101") BOOKMARK("500"));
	fake_until(fake, counters().bookmarks == 1);
	fake_end(fake, conn);
	resumes_from(fake, "500");
	assert_string_equal(store.told, "=a+b");
	assert_int_equal(counters().restarts, 1);
}

static void test_managed_fields_and_nul(void **state)
{
	struct fake *fake = *state;

	start_pods(fake);
	answer_list(fake, PODS, LIST("1", "{\"metadata\":{\"name\":\"a\",\"managedFields\":[{\"f:x\":{}}]}}"));
	fake_chunk(fake, open_stream(fake, "=1 "),
		   "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"b\",\"resourceVersion\":\"2\","
		   "\"managedFields\":[1],"
		   "\"annotations\":{\"x\":\"one\\u0000two\"}},\"spec\":{\"n\":1}}}\n");
	told(fake, "=a+b"); /* the store looks for managedFields */
	assert_non_null(json_object_get(store.last, "spec"));
	json_t *text = json_object_get(json_object_get(json_object_get(store.last, "metadata"), "annotations"), "x");
	assert_int_equal(json_string_length(text), 7);
}

static void test_every_split(void **state)
{
	static const char all[] = EVENT("ADDED", "b", "101") BOOKMARK("102") EVENT("DELETED", "a", "103");
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	for (size_t i = 0; i < sizeof(all) - 1; i++) {
		fake_chunk_of(fake, conn, all + i, 1);
		fake_step(fake, 0);
	}
	told(fake, "=a+b-a");
	for (size_t i = 1; i < sizeof(all) - 1; i++) {
		store.told[0] = '\0';
		fake_chunk_of(fake, conn, all, i);
		fake_step(fake, 0);
		fake_step(fake, 0);
		fake_chunk_of(fake, conn, all + i, sizeof(all) - 1 - i);
		told(fake, "+b-a");
	}
	assert_int_equal(counters().errors, 0);
}

static void test_many_events_at_once(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);
	enum { MANY = 20000 };
	struct buffer all = {0};

	for (int i = 0; i < MANY; i++)
		assert_int_equal(buffer_append(&all, BOOKMARK("101"), strlen(BOOKMARK("101"))), 0);
	assert_int_equal(buffer_append(&all, EVENT("ADDED", "z", "102"), strlen(EVENT("ADDED", "z", "102"))), 0);
	fake_chunk_of(fake, conn, buffer_bytes(&all), buffer_length(&all));
	buffer_free(&all);
	told(fake, "=a+z");
	assert_int_equal(counters().bookmarks, MANY);
	assert_int_equal(counters().errors, 0);
}

static void test_pages_are_one_list(void **state)
{
	struct fake *fake = *state;

	start_pods(fake);
	answer_list(fake, "?resourceVersion=0&limit=500 ", PAGE("100", "t/1+&=", ITEM("a", "1")));
	answer_list(fake, "?continue=t%2F1%2B%26%3D&limit=500 ", PAGE("200", "2", ITEM("b", "1")));
	struct fake_conn *conn = fake_asked(fake, "?continue=2&limit=500 ");
	assert_string_equal(store.told, "");
	assert_false(watch_synced(watch));
	fake_answer(fake, conn, "200 OK", "", LIST("300", ITEM("c", "1")));
	resumes_from(fake, "100");
	told(fake, "=a,b,c");
}

static void test_seed(void **state)
{
	struct fake *fake = *state;
	uint64_t first[8];

	fake->kube->random = 7;
	for (int i = 0; i < 8; i++)
		first[i] = kube_random(fake->kube, 1000);
	fake->kube->random = 7;
	for (int i = 0; i < 8; i++)
		assert_int_equal(kube_random(fake->kube, 1000), first[i]);
	fake->kube->random = 8;
	assert_int_not_equal(kube_random(fake->kube, 1000), first[0]);
}

/* ---- the history expires ---- */

static void test_expired_in_the_stream(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	never_back_off(fake);
	fake_chunk(fake, conn, EVENT("ADDED", "b", "101") ERROR(410, "too old resource version"));
	/* Not older than what is known, and without a limit, or it would mean exactly this version. */
	answer_list(fake, "GET " PODS "?resourceVersion=101 ", LIST("200", ITEM("b", "101")));
	conn = open_stream(fake, "&resourceVersion=200 ");
	told(fake, "=a+b=b");
	fake->kube->backoff_ms = BACKOFF;
	uint64_t expired = clock_ms();
	fake_chunk(fake, conn, ERROR(410, "again"));
	conn = fake_asked(fake, "GET " PODS "?limit=500 ");
	assert_true(conn->at - expired >= BACKOFF);
	fake_answer(fake, conn, "200 OK", "", LIST("300", ""));
	resumes_from(fake, "300");
	told(fake, "=a+b=b=");
	assert_int_equal(logged_lines(), 0);
}

static void test_expired_as_status(void **state)
{
	struct fake *fake = *state;

	start_pods(fake);
	answer_list(fake, PODS, LIST("100", ITEM("a", "1")));
	fake_answer(fake, fake_asked(fake, "&resourceVersion=100 "), "410 Gone", "", STATUS(410, "gone"));
	fake_answer(fake, fake_asked(fake, "?resourceVersion=100 "), "410 Gone", "", STATUS(410, "gone"));
	answer_list(fake, PODS "?limit=500 ", LIST("200", ITEM("b", "1")));
	resumes_from(fake, "200");
	told(fake, "=a=b");
}

static void test_expired_between_pages(void **state)
{
	struct fake *fake = *state;

	start_pods(fake);
	answer_list(fake, "?resourceVersion=0&limit=500 ", PAGE("100", "1", ITEM("a", "1")));
	fake_answer(fake, fake_asked(fake, "?continue=1&"), "410 Gone", "",
		    STATUS(410, "the continue token is too old"));
	answer_list(fake, "?resourceVersion=0&limit=500 ", PAGE("200", "2", ITEM("b", "1")));
	answer_list(fake, "?continue=2&", LIST("200", ITEM("c", "1")));
	resumes_from(fake, "200");
	told(fake, "=b,c");
}

static void test_version_too_large(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	fake_chunk(fake, conn, ERROR(410, "expired"));
	fake_answer(fake, fake_asked(fake, "?resourceVersion=100 "), "504 Gateway Timeout", "",
		    "{\"code\":504,\"reason\":\"Timeout\",\"message\":\"Timeout: Too large resource version: 100, "
		    "current: 5\","
		    "\"details\":{\"causes\":[{\"reason\":\"ResourceVersionTooLarge\"}]}}");
	answer_list(fake, PODS "?limit=500 ", LIST("5", ITEM("a", "1")));
	resumes_from(fake, "5");
	told(fake, "=a=a");
}

/* ---- streams that end ---- */

static void test_half_a_line(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	fake_chunk(fake, conn,
		   EVENT("ADDED", "b", "101") "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"c\",");
	told(fake, "=a+b");
	fake_hang_up(conn);
	resumes_from(fake, "101");
	assert_string_equal(store.told, "=a+b");
}

/* The same with an end in good order, the line whole but for its newline. */
static void test_line_without_an_end(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);
	char line[] = EVENT("ADDED", "c", "102");

	fake_chunk(fake, conn, EVENT("ADDED", "b", "101"));
	fake_chunk_of(fake, conn, line, strlen(line) - 1);
	fake_end(fake, conn);
	conn = open_stream(fake, "&resourceVersion=101 ");
	fake_chunk(fake, conn, line);
	told(fake, "=a+b+c");
}

static void test_short_streams_back_off(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);
	uint64_t ended = 0;

	for (unsigned i = 0; i < 4; i++) {
		fake_end(fake, conn);
		ended = clock_ms();
		conn = open_stream(fake, "&resourceVersion=100 ");
		assert_true(clock_ms() - ended >= (BACKOFF << i));
	}
	assert_int_equal(logged("ends the stream at once"), 1);
	assert_int_equal(logged_lines(), 1);
	/* This one lasts. */
	fake_until(fake, logged("following things again"));
	assert_true(clock_ms() - ended >= SHORT_STREAM_MS);
	assert_int_equal(logged_lines(), 2);
}

static void test_short_streams_with_events(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);
	uint64_t ended = 0;

	never_back_off(fake);
	for (unsigned i = 1; i <= MAX_SHORT_STREAMS; i++) {
		fake_chunk(fake, conn, BOOKMARK("100"));
		fake_until(fake, counters().bookmarks == i);
		if (i == MAX_SHORT_STREAMS)
			fake->kube->backoff_ms = BACKOFF;
		ended = clock_ms();
		fake_end(fake, conn);
		conn = open_stream(fake, "&resourceVersion=100 ");
	}
	assert_true(conn->at - ended >= BACKOFF);
}

static void test_silent_stream_is_given_up(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(PODS, NULL);

	config.stream_seconds = 1;
	start(fake, &config);
	answer_list(fake, PODS, LIST("100", ""));
	open_stream(fake, "&timeoutSeconds=1&resourceVersion=100 ");
	uint64_t began = clock_ms();
	resumes_from(fake, "100");
	assert_in_range(clock_ms() - began, 1900, 10000);
	assert_int_equal(counters().lists, 1);
}

/* As behind a proxy whose backend has died: the connection is there, and nothing comes. */
static void test_unheard_of_stream_is_made_anew(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(PODS, NULL);

	config.idle_ms = 1500; /* longer than SHORT_STREAM_MS */
	start(fake, &config);
	answer_list(fake, PODS, LIST("100", ""));
	struct fake_conn *conn = open_stream(fake, "&resourceVersion=100 ");
	fake_chunk(fake, conn, BOOKMARK("104"));
	uint64_t began = clock_ms();
	conn = open_stream(fake, "&resourceVersion=104 ");
	assert_in_range(clock_ms() - began, 1400, 1000000);
	fake_chunk(fake, conn, EVENT("ADDED", "a", "105"));
	told(fake, "=+a");
	assert_int_equal(counters().lists, 1);
	assert_int_equal(counters().silent, 1);
	assert_int_equal(counters().errors, 0);
	assert_int_equal(logged_lines(), logged("not even a bookmark"));
}

/* Bookmarks are enough: a quiet collection keeps its stream. */
static void test_bookmarks_keep_a_stream(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(PODS, NULL);

	config.idle_ms = FAKE_PATIENCE_MS;
	start(fake, &config);
	answer_list(fake, PODS, LIST("100", ""));
	struct fake_conn *conn = open_stream(fake, "&resourceVersion=100 ");
	fake_until(fake, watch->lasting);
	for (unsigned i = 1; i <= 3; i++) {
		watch->heard -= UINT64_C(2) * FAKE_PATIENCE_MS; /* time passes, and just before it is noticed: */
		fake_chunk(fake, conn, BOOKMARK("104"));
		fake_until(fake, counters().bookmarks == i);
		watch->task.due = 0;
		fake_until(fake, watch->task.due);
	}
	assert_int_equal(counters().silent, 0);
	watch->heard -= UINT64_C(2) * FAKE_PATIENCE_MS;
	watch->task.due = 0;
	resumes_from(fake, "104");
	assert_int_equal(counters().silent, 1);
}

/* The new stream is not even accepted: another connection, and no list. */
static void test_stream_that_is_not_accepted(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(PODS, NULL);

	config.accept_ms = 300;
	start(fake, &config);
	answer_list(fake, PODS, LIST("100", ""));
	assert_non_null(fake_asked(fake, "&resourceVersion=100 "));
	fake_until(fake, watch->unheard);
	assert_false(watch_live(watch));
	assert_int_equal(fake->kube->transport.failures, 1);
	watch->accept_ms = 10 * FAKE_PATIENCE_MS; /* however busy the machine is */
	open_stream(fake, "&resourceVersion=100 ");
	fake_until(fake, watch_live(watch));
	assert_false(watch->unheard);
	assert_int_equal(counters().errors, 1);
	assert_int_equal(counters().lists, 1);
}

/* A refusal that arrives in pieces is waited for: asleep, and for as long as a stream may take. */
static void test_refusal_in_pieces(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(PODS, NULL);

	config.accept_ms = FAKE_PATIENCE_MS;
	start(fake, &config);
	answer_list(fake, PODS, LIST("100", ""));
	struct fake_conn *conn = fake_asked(fake, "&resourceVersion=100 ");
	fake_text(fake, conn, "HTTP/1.1 500 Not today\r\nContent-Length: 100\r\n\r\n{");
	fake_until(fake, transfer_status(&watch->transfer) == 500 && watch->task.due == KUBE_NEVER);
	assert_false(watch->unheard);
}

/* ---- answers that refuse ---- */

static void test_busy_server(void **state)
{
	struct fake *fake = *state;

	start_pods(fake);
	answer_list(fake, PODS, LIST("100", ""));
	for (int i = 0; i < 2; i++) {
		struct fake_conn *conn = fake_asked(fake, "&resourceVersion=100 ");
		uint64_t refused = clock_ms();
		fake_answer(fake, conn, i ? "503 Busy" : "429 Too Many Requests", "Retry-After: 1\r\n",
			    STATUS(429, "busy"));
		fake_until(fake, fake_next(fake));
		assert_true(fake_next(fake)->at - refused >= 1000);
	}
	resumes_from(fake, "100");
	assert_int_equal(counters().lists, 1);
	assert_int_equal(logged_lines(), 0);
}

static void test_busy_server_without_a_wish(void **state)
{
	struct fake *fake = *state;

	start_pods(fake);
	for (unsigned i = 0; i < 4; i++) {
		struct fake_conn *conn = fake_asked(fake, PODS "?resourceVersion=0&limit=500 ");
		uint64_t refused = clock_ms();
		fake_answer(fake, conn, "429 Too Many Requests", "", "not JSON");
		fake_until(fake, fake_next(fake));
		assert_true(fake_next(fake)->at - refused >= (BACKOFF << i));
	}
	assert_int_equal(logged("the API server is busy and asks us to come back later"), 1);
	assert_int_equal(logged_lines(), 1);
}

static void test_failing_server(void **state)
{
	struct fake *fake = *state;
	uint64_t before = 0;

	start_pods(fake);
	answer_list(fake, PODS, LIST("100", ITEM("a", "1")));
	for (unsigned i = 0; i < MAX_STREAM_FAILURES; i++) {
		struct fake_conn *conn = fake_asked(fake, "&resourceVersion=100 ");
		if (i)
			assert_true(conn->at - before >= (BACKOFF << (i - 1)));
		before = clock_ms();
		fake_answer(fake, conn, "500 Oops", "", STATUS(500, "etcd\\nis away"));
	}
	assert_int_equal(logged("cannot follow things: the API server answers 500 (etcd is away)\n"), 1);
	assert_int_equal(logged_lines(), 1);
	answer_list(fake, "?resourceVersion=100 ", LIST("200", ITEM("b", "1")));
	struct fake_conn *conn = open_stream(fake, "=200 ");
	told(fake, "=a=b");
	fake_chunk(fake, conn, EVENT("ADDED", "c", "201"));
	fake_until(fake, logged("following things again") == 1);
	told(fake, "=a=b+c");
	assert_int_equal(logged_lines(), 2);
}

static void test_error_event_of_another_kind(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);
	uint64_t began = clock_ms();

	fake_chunk(fake, conn, EVENT("ADDED", "b", "101") ERROR(500, "no idea"));
	resumes_from(fake, "101");
	assert_true(clock_ms() - began >= BACKOFF);
	told(fake, "=a+b");
}

static void test_new_token_after_unauthorized(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	fake_chunk(fake, conn, EVENT("ADDED", "b", "101"));
	told(fake, "=a+b");
	fake_end(fake, conn);
	conn = fake_asked(fake, "&resourceVersion=101 ");
	write_file(fake->token_file, "second-token\n");
	never_back_off(fake);
	fake_answer(fake, conn, "401 Unauthorized", "", STATUS(401, "Unauthorized"));
	conn = fake_asked(fake, "&resourceVersion=101 ");
	assert_non_null(strstr(conn->in, "Authorization: Bearer second-token\r\n"));
	assert_int_equal(logged_lines(), 0);
}

static void test_refused_token(void **state)
{
	struct fake *fake = *state;

	start_pods(fake);
	for (unsigned i = 0; i < 3; i++) {
		struct fake_conn *conn = fake_asked(fake, PODS);
		uint64_t refused = clock_ms();
		fake_answer(fake, conn, "401 Unauthorized", "", STATUS(401, "Unauthorized"));
		fake_until(fake, fake_next(fake));
		assert_true(fake_next(fake)->at - refused >= (BACKOFF << i));
	}
	assert_int_equal(logged("cannot follow things: the API server refuses the token (Unauthorized)"), 1);
	assert_int_equal(logged_lines(), 1);
}

static void test_forbidden(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(SLICES, SLICES_BETA);

	start(fake, &config);
	for (unsigned i = 0; i < 2; i++) {
		struct fake_conn *conn = fake_asked(fake, SLICES "?resourceVersion=0");
		uint64_t refused = clock_ms();
		fake_answer(fake, conn, "403 Forbidden", "", STATUS(403, "no"));
		fake_until(fake, fake_next(fake));
		assert_true(fake_next(fake)->at - refused >= (BACKOFF << i));
	}
	assert_int_equal(logged("verb list, resource endpointslices, API group \"discovery.k8s.io\""), 1);
	assert_int_equal(logged_lines(), 1);
	watch_stop(watch);

	config = config_of(PODS, NULL);
	start(fake, &config);
	/* The watch that was stopped has asked once more. */
	fake_asked(fake, SLICES);
	answer_list(fake, PODS, LIST("1", ""));
	fake_answer(fake, fake_asked(fake, "watch=1"), "403 Forbidden", "", STATUS(403, "no"));
	fake_until(fake, logged("verb watch, resource pods, API group \"\"") == 1);
	resumes_from(fake, "1");
}

static void test_second_path(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(SLICES, SLICES_BETA);

	start(fake, &config);
	fake_answer(fake, fake_asked(fake, SLICES "?"), "404 Not Found", "", "404 page not found\n");
	answer_list(fake, SLICES_BETA "?resourceVersion=0&limit=500 ", LIST("1", ITEM("s", "1")));
	struct fake_conn *conn = fake_asked(fake, SLICES_BETA "?watch=1");
	told(fake, "=s");
	assert_int_equal(logged_lines(), 0);
	/* The server is upgraded: what it served is gone. */
	fake_answer(fake, conn, "404 Not Found", "", "404 page not found\n");
	answer_list(fake, SLICES "?", LIST("2", ITEM("t", "2")));
	fake_asked(fake, SLICES "?watch=1");
	told(fake, "=s=t");
}

static void test_no_path(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(SLICES, SLICES_BETA);

	start(fake, &config);
	for (unsigned i = 0; i < 3; i++) {
		fake_answer(fake, fake_asked(fake, SLICES "?"), "404 Not Found", "", "");
		struct fake_conn *conn = fake_asked(fake, SLICES_BETA "?");
		uint64_t refused = clock_ms();
		fake_answer(fake, conn, "404 Not Found", "", "");
		fake_until(fake, fake_next(fake));
		assert_true(fake_next(fake)->at - refused >= (BACKOFF << i));
	}
	assert_int_equal(logged("has no such resource"), 1);
	assert_int_equal(logged_lines(), 1);
}

/* What not every server has, or shows, is no trouble: nothing is logged, and it is asked for again after a good while.
 */
static void test_optional(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(SLICES, SLICES_BETA);

	config.optional = true;
	start(fake, &config);
	assert_false(watch_answered(watch));
	fake_answer(fake, fake_asked(fake, SLICES "?"), "404 Not Found", "", "404 page not found\n");
	struct fake_conn *conn = fake_asked(fake, SLICES_BETA "?");
	assert_false(watch_answered(watch));
	uint64_t refused = clock_ms();
	fake_answer(fake, conn, "404 Not Found", "", "404 page not found\n");
	conn = fake_asked(fake, SLICES "?");
	assert_true(watch_answered(watch));
	assert_false(watch_synced(watch));
	assert_true(clock_ms() - refused >= WATCH_OPTIONAL_MS);
	refused = clock_ms();
	fake_answer(fake, conn, "403 Forbidden", "", STATUS(403, "no"));
	/* It is there now, and we may. */
	answer_list(fake, SLICES "?", LIST("1", ITEM("s", "1")));
	assert_true(clock_ms() - refused >= WATCH_OPTIONAL_MS);
	fake_asked(fake, SLICES "?watch=1");
	told(fake, "=s");
	assert_int_equal(logged("things are not followed"), 2);
	assert_int_equal(logged("cannot follow"), 0);
}

/* ---- the server away ---- */

static void test_server_away_and_back(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	fake_chunk(fake, conn, EVENT("ADDED", "b", "101"));
	told(fake, "=a+b");
	fake_go_away(fake);
	assert_true(kube_reachable(fake->kube));
	uint64_t errors = counters().errors, gone = clock_ms();
	fake_until(fake, counters().errors >= errors + 5);
	assert_true(clock_ms() - gone >= 15ul * BACKOFF); /* 1 + 2 + 4 + 8 */
	assert_false(kube_reachable(fake->kube));
	assert_false(watch_live(watch));
	assert_true(watch_synced(watch));
	assert_int_equal(logged("does not answer"), 1);
	assert_int_equal(logged_lines(), 1);
	fake_listen(fake);
	conn = open_stream(fake, "&resourceVersion=101 ");
	fake_chunk(fake, conn, EVENT("ADDED", "c", "102"));
	told(fake, "=a+b+c");
	assert_true(kube_reachable(fake->kube));
	assert_int_equal(logged("answers again"), 1);
	assert_int_equal(logged_lines(), 2);
	assert_int_equal(counters().lists, 1);
}

static void test_server_away_at_first(void **state)
{
	struct fake *fake = *state;

	fake_go_away(fake);
	start_pods(fake);
	fake_until(fake, counters().errors >= 3);
	assert_false(watch_synced(watch));
	fake_listen(fake);
	answer_list(fake, "?resourceVersion=0&limit=500 ", LIST("1", ""));
	told(fake, "=");
	assert_int_equal(logged_lines(), 2);
}

/* A list that breaks off, at any place and between any pages, removes nothing. */
static void test_list_breaks_off(void **state)
{
	static const char *const heads[] = {"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n",
					    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n"};
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	fake_chunk(fake, conn, ERROR(410, "expired"));
	for (size_t i = 0; i < 2; i++) {
		conn = fake_asked(fake, "?resourceVersion=100 ");
		fake_text(fake, conn, heads[i]);
		fake_text(fake, conn, LIST("200", ITEM("b", "1")));
		fake_step(fake, 0);
		fake_hang_up(conn);
	}
	answer_list(fake, "?resourceVersion=100 ", PAGE("200", "2", ITEM("b", "1")));
	/* Something has to come, or libcurl thinks the connection was an old one and asks again by itself. */
	conn = fake_asked(fake, "?continue=2");
	fake_text(fake, conn, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{");
	fake_step(fake, 0);
	fake_hang_up(conn);
	conn = fake_asked(fake, "?resourceVersion=100 ");
	assert_string_equal(store.told, "=a");
	fake_answer(fake, conn, "200 OK", "", LIST("200", ITEM("c", "1")));
	told(fake, "=a=c");
}

/* ---- nonsense ---- */

static void test_nonsense_in_the_stream(void **state)
{
	static const char *const lines[] = {
		"no JSON\n",
		"[]\n",
		"{}\n",
		"{\"type\":\"ADDED\"}\n",
		"{\"type\":\"ADDED\",\"object\":[]}\n",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"x\"}}}\n",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\"}}}\n",
		"{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"\",\"resourceVersion\":\"5\"}}}\n",
		"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"x\",\"resourceVersion\":7}}}\n",
		"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{}}}\n",
		"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"1\\u00002\"}}}\n",
		"{\"type\":1,\"object\":{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"5\"}}}\n",
		"<html>\n",
	};
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	fake->kube->backoff_max_ms = BACKOFF;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		uint64_t before = clock_ms();
		store.told[0] = '\0';
		/* What comes behind nonsense is not believed either. */
		fake_chunk(fake, conn, lines[i]);
		fake_chunk(fake, conn, EVENT("ADDED", "never", "999"));
		conn = fake_asked(fake, "?resourceVersion=100 ");
		assert_true(conn->at - before >= BACKOFF);
		assert_string_equal(store.told, "");
		fake_answer(fake, conn, "200 OK", "", LIST("100", ITEM("a", "1")));
		conn = open_stream(fake, "&resourceVersion=100 ");
	}
	assert_int_equal(logged("cannot follow things: an event is not what an API server sends"), 1);
	assert_int_equal(logged_lines(), 1);
}

static void test_unknown_event_is_skipped(void **state)
{
	struct fake *fake = *state;
	struct fake_conn *conn = begin(fake);

	fake_chunk(fake, conn, "{\"type\":\"PROGRESS\",\"object\":{}}\n" EVENT("ADDED", "b", "101"));
	told(fake, "=a+b");
	assert_int_equal(counters().errors, 0);
}

static void test_nonsense_as_a_list(void **state)
{
	static const char *const lists[] = {
		"",
		"<html>Welcome to this hotel</html>",
		"[]",
		"{}",
		LIST("", ITEM("x", "1")),
		"{\"metadata\":{\"resourceVersion\":\"1\"}}",
		"{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":{}}",
		LIST("1", "1"),
		LIST("1", "{\"metadata\":{}}"),
		LIST("1", "{\"metadata\":{\"name\":3}}"),
		"{\"metadata\":{\"resourceVersion\":1},\"items\":[]}",
		"{\"metadata\":{\"resourceVersion\":\"1\",\"continue\":7},\"items\":[]}",
		LIST("1", ITEM("x", "1")) "x",
	};
	struct fake *fake = *state;

	fake->kube->backoff_max_ms = BACKOFF;
	start_pods(fake);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		answer_list(fake, "?resourceVersion=0&limit=500 ", lists[i]);
	struct fake_conn *conn = fake_asked(fake, "?resourceVersion=0&limit=500 ");
	assert_string_equal(store.told, "");
	assert_false(watch_synced(watch));
	assert_int_equal(counters().errors, sizeof(lists) / sizeof(lists[0]));
	assert_int_equal(logged("cannot follow things: the list is not what an API server sends"), 1);
	assert_int_equal(logged_lines(), 1);
	fake_answer(fake, conn, "200 OK", "", "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":null}");
	told(fake, "=");
}

static void test_huge_line(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(PODS, NULL);
	const char *event = EVENT("ADDED", "a", "101");
	char line[1002];

	config.max_line = 1000;
	start(fake, &config);
	answer_list(fake, PODS, LIST("100", ""));
	struct fake_conn *conn = open_stream(fake, "=100 ");
	/* Just short enough, then a byte too much. */
	snprintf(line, sizeof(line), "%-1000.*s", (int)strlen(event) - 1, event);
	fake_chunk_of(fake, conn, line, 1000);
	fake_chunk(fake, conn, "\n");
	told(fake, "=+a");
	strcat(line, " ");
	fake_chunk(fake, conn, line);
	answer_list(fake, "?resourceVersion=101 ", LIST("200", ITEM("b", "1")));
	told(fake, "=+a=b");
	assert_int_equal(logged("cannot follow things: an event is too large"), 1);
}

static void test_too_many_objects(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of(PODS, NULL);

	config.max_objects = 2;
	start(fake, &config);
	answer_list(fake, PODS, PAGE("1", "1", ITEM("a", "1") "," ITEM("b", "1")));
	answer_list(fake, "?continue=1", LIST("1", ITEM("c", "1")));
	fake_until(fake, logged("the list is too large"));
	answer_list(fake, PODS "?resourceVersion=0", LIST("2", ITEM("b", "1") "," ITEM("c", "1")));
	told(fake, "=b,c");
}

static void test_endless_pages(void **state)
{
	struct fake *fake = *state;

	start_pods(fake);
	for (unsigned i = 0; i <= MAX_PAGES; i++)
		answer_list(fake, i ? "?continue=1" : "?resourceVersion=0", PAGE("1", "1", ""));
	fake_until(fake, logged("the list is not"));
	fake_asked(fake, "?resourceVersion=0");
	assert_string_equal(store.told, "");
}

/* A list from the cache comes whole, however large; then etcd is asked, in pages. */
static void test_huge_list(void **state)
{
	struct fake *fake = *state;
	char head[96];
	static char spaces[1 << 20];

	memset(spaces, ' ', sizeof(spaces));
	start_pods(fake);
	struct fake_conn *conn = fake_asked(fake, "?resourceVersion=0&limit=500 ");
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %lu\r\n\r\n",
		 WATCH_MAX_PAGE + 2 * sizeof(spaces));
	fake_text(fake, conn, head);
	for (size_t sent = 0; sent <= WATCH_MAX_PAGE && conn->fd; sent += sizeof(spaces))
		fake_send(fake, conn, spaces, sizeof(spaces));
	fake_until(fake, fake_next(fake));
	answer_list(fake, PODS "?limit=500 ", LIST("1", ""));
	told(fake, "=");
	assert_int_equal(logged("the list is too large; trying in pages"), 1);
}

/* ---- stopping ---- */

static void test_stop_from_callbacks(void **state)
{
	struct fake *fake = *state;
	struct watch_config config = config_of("/other", NULL);
	struct watch *other;
	struct failure why = {0};

	/* From replace, itself and another that streams. */
	struct fake_conn *conn = begin(fake);
	assert_int_equal(watch_start(fake->kube, &config, &other, &why), 0);
	store.stop = other;
	store.stop_too = watch;
	answer_list(fake, "/other?", LIST("1", ITEM("o", "1")));
	told(fake, "=a=o");
	/* From an event, the one whose turn would be next: the older. */
	fake_hang_up(conn);
	store.told[0] = '\0';
	begin(fake);
	assert_int_equal(watch_start(fake->kube, &config, &other, &why), 0);
	answer_list(fake, "/other?", LIST("1", ""));
	conn = open_stream(fake, "/other?watch=1");
	store.stop = watch;
	fake_chunk(fake, conn, EVENT("ADDED", "p", "2"));
	told(fake, "=a=+p");
	watch_stop(other);
	/* From an event, with another behind it. */
	store.told[0] = '\0';
	conn = begin(fake);
	store.stop = watch;
	fake_chunk(fake, conn, EVENT("DELETED", "a", "101") EVENT("ADDED", "never", "102"));
	told(fake, "=a-a");
	watch = NULL;
	fake_step(fake, 0);
	assert_string_equal(store.told, "=a-a");
	assert_null(fake->kube->tasks);
}

static void test_bad_paths(void **state)
{
	static const char *const paths[] = {NULL, "", "pods", "/pods/", "/pods?x=1", "/po ds", "/pods#"};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct watch_config config = config_of(paths[i], NULL);
		struct failure why = {0};
		assert_int_equal(watch_start(fake->kube, &config, &watch, &why), -EINVAL);
		assert_string_equal(why.key, "paths");
	}
	assert_null(watch);
}

/* ---- the back-off ---- */

static void test_back_off(void **state)
{
	struct fake *fake = *state;
	struct kube *kube = fake->kube;
	struct kube_backoff backoff = {0};
	uint64_t now = 1000000, least = UINT64_MAX, most = 0;

	kube->backoff_ms = 800;
	kube->backoff_max_ms = 30000;
	for (unsigned i = 0, wait = 800; i < 12; i++, wait = wait * 2 < 30000 ? wait * 2 : 30000) {
		uint64_t ms = kube_back_off(kube, &backoff, now);
		assert_in_range(ms, wait, 2 * wait);
		now += ms;
	}
	for (unsigned i = 0; i < 200; i++) {
		uint64_t ms = kube_back_off(kube, &backoff, now);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	assert_in_range(least, 30000, 32000); /* the random part is random */
	assert_in_range(most, 58000, 60000);
	assert_in_range(kube_back_off(kube, &backoff, now + 119999), 30000, 60000);
	assert_in_range(kube_back_off(kube, &backoff, now + 119999 + 120000), 800, 1600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lists_then_follows),
		TEST(test_bookmark_moves_only_the_version),
		TEST(test_managed_fields_and_nul),
		TEST(test_every_split),
		TEST(test_many_events_at_once),
		TEST(test_pages_are_one_list),
		TEST(test_seed),
		TEST(test_expired_in_the_stream),
		TEST(test_expired_as_status),
		TEST(test_expired_between_pages),
		TEST(test_version_too_large),
		TEST(test_half_a_line),
		TEST(test_line_without_an_end),
		TEST(test_short_streams_back_off),
		TEST(test_short_streams_with_events),
		TEST(test_silent_stream_is_given_up),
		TEST(test_unheard_of_stream_is_made_anew),
		TEST(test_bookmarks_keep_a_stream),
		TEST(test_stream_that_is_not_accepted),
		TEST(test_refusal_in_pieces),
		TEST(test_busy_server),
		TEST(test_busy_server_without_a_wish),
		TEST(test_failing_server),
		TEST(test_error_event_of_another_kind),
		TEST(test_new_token_after_unauthorized),
		TEST(test_refused_token),
		TEST(test_forbidden),
		TEST(test_second_path),
		TEST(test_no_path),
		TEST(test_optional),
		TEST(test_server_away_and_back),
		TEST(test_server_away_at_first),
		TEST(test_list_breaks_off),
		TEST(test_nonsense_in_the_stream),
		TEST(test_unknown_event_is_skipped),
		TEST(test_nonsense_as_a_list),
		TEST(test_huge_line),
		TEST(test_too_many_objects),
		TEST(test_endless_pages),
		TEST(test_huge_list),
		TEST(test_stop_from_callbacks),
		TEST(test_bad_paths),
		TEST(test_back_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
