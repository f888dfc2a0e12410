/* SPDX-License-Identifier: Apache-2.0 */
/* test_rpc.c - the control socket under clients that are quick, slow, rude, or gone */
#include "control/base/rpc.c"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>

#include <cmocka.h>
#undef fail /* cmocka has a macro of the name of our function */

/* ---- a server with a few methods of its own ---- */

struct fixture {
	struct rpc *rpc;
	char directory[64], path[96];
	unsigned calls;
};

static int serve_call(void *context, struct rpc_client *client, const char *method, json_t *params, json_t **result,
		      struct failure *why)
{
	struct fixture *f = context;

	f->calls++;
	if (!strcmp(method, "echo")) {
		*result = params ? json_incref(params) : json_null();
	} else if (!strcmp(method, "big")) {
		size_t size = (size_t)json_integer_value(json_object_get(params, "size"));
		char *text = malloc(size + 1);
		memset(text, 'x', size);
		text[size] = '\0';
		*result = json_string(text);
		free(text);
	} else if (!strcmp(method, "monitor")) {
		rpc_subscribe(client);
		*result = json_true();
	} else if (!strcmp(method, "event")) {
		rpc_broadcast(f->rpc, params);
		*result = json_true();
	} else if (!strcmp(method, "slow")) {
		for (uint64_t end = clock_us() + 2ul * RPC_TURN_US; clock_us() < end;)
			;
		*result = json_true();
	} else if (!strcmp(method, "hold")) { /* for 1, then for 2 */
		uint64_t held = rpc_held(client);
		*result = json_integer((json_int_t)held);
		if (held < 2)
			rpc_hold(client, held + 1);
	} else if (!strcmp(method, "nothing")) {
		*result = NULL;
	} else {
		fail(why, -1, "k\xc3", "there is no '%s' \xff", method);
		return JSONRPC_UNKNOWN_METHOD;
	}
	return 0;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct failure why = {0};

	strcpy(f->directory, "/dev/shm/podswitch-rpc-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/made/control.sock", f->directory);
	log_set_level(LOG_ERROR);
	assert_int_equal(rpc_open(f->path, serve_call, f, &f->rpc, &why), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char made[96];

	rpc_close(f->rpc);
	assert_int_equal(access(f->path, F_OK), -1);
	snprintf(made, sizeof(made), "%s/made", f->directory);
	assert_int_equal(rmdir(made), 0); /* nothing else was left in it */
	rmdir(f->directory);
	free(f);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool is_ready(const struct fixture *f)
{
	struct pollfd ready = {.fd = rpc_fd(f->rpc), .events = POLLIN};

	return poll(&ready, 1, 0) > 0;
}

static void settle(struct fixture *f)
{
	int turns = 0;

	while (is_ready(f)) {
		rpc_serve(f->rpc);
		assert_true(turns++ < 1000000); /* it must come to rest */
	}
}

static void take(int fd, struct buffer *out, bool *eof)
{
	for (;;) {
		assert_int_equal(buffer_reserve(out, READ_SIZE), 0);
		ssize_t got = recv(fd, out->data + out->end, READ_SIZE - 1, MSG_DONTWAIT);
		if (got <= 0) {
			if (eof && !got)
				*eof = true;
			break;
		}
		out->end += (size_t)got;
	}
	out->data[out->end] = '\0';
}

/* Sends, serves and reads until nothing moves; the answer is to be freed. */
static char *exchange(struct fixture *f, int fd, const char *bytes, size_t length, bool *eof)
{
	struct buffer out = {0};
	size_t sent = 0, before;

	do {
		before = sent + out.end;
		ssize_t n = sent < length ? send(fd, bytes + sent, length - sent, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
		if (n > 0)
			sent += (size_t)n;
		settle(f);
		take(fd, &out, eof);
	} while (sent + out.end != before);
	return out.data;
}

static void expect(struct fixture *f, int fd, const char *request, const char *answer)
{
	char *got = exchange(f, fd, request, strlen(request), NULL);

	assert_string_equal(got, answer);
	free(got);
}

/* The one answer's error code. */
static int code_for(struct fixture *f, int fd, const char *bytes, size_t length)
{
	char *got = exchange(f, fd, bytes, length, NULL);
	json_t *answer = json_loads(got, 0, NULL);
	json_t *error = json_object_get(answer, "error");

	assert_non_null(answer);
	assert_true(json_is_string(json_object_get(error, "message")));
	int code = (int)json_integer_value(json_object_get(error, "code"));
	json_decref(answer);
	free(got);
	return code;
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

#define ECHO "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":{\"a\":[1,2]}}"
#define ECHOED "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":[1,2]}}\n"

/* ---- lines ---- */

static void test_lines(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	expect(f, fd, ECHO "\n", ECHOED);
	expect(f, fd, ECHO "\r\n", ECHOED);
	expect(f, fd, ECHO "\n" ECHO "\n\n \t\r\n\r\n" ECHO "\n", ECHOED ECHOED ECHOED);
	for (const char *c = ECHO; *c; c++) {
		const char one[] = {*c, '\0'};
		expect(f, fd, one, "");
	}
	expect(f, fd, "\n" ECHO, ECHOED);
	expect(f, fd, "\n", ECHOED);
	close(fd);
	settle(f);
	assert_int_equal(rpc_clients(f->rpc), 0);
}

static void test_ids_and_notifications(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	expect(f, fd, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"echo\"}\n",
	       "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":null}\n");
	expect(f, fd, "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"echo\"}\n",
	       "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":null}\n");
	expect(f, fd, "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"echo\"}\n",
	       "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"result\":null}\n");
	expect(f, fd, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}\n{\"jsonrpc\":\"2.0\",\"method\":\"bad\"}\n", "");
	assert_int_equal(f->calls, 5);
	close(fd);
}

static void test_garbage(void **state)
{
	static const char nul[] = "{\"jsonrpc\":\"2.0\",\0\"id\":1,\"method\":\"echo\"}\n";
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	assert_int_equal(code_for(f, fd, "nonsense\n", 9), JSONRPC_PARSE_ERROR);
	assert_int_equal(code_for(f, fd, "\xff\xfe\x80\n", 4), JSONRPC_PARSE_ERROR);
	assert_int_equal(code_for(f, fd, "{\"a\":1\n", 7), JSONRPC_PARSE_ERROR);
	assert_int_equal(code_for(f, fd, ECHO ECHO "\n", 2 * strlen(ECHO) + 1), JSONRPC_PARSE_ERROR);
	assert_int_equal(code_for(f, fd, nul, sizeof(nul) - 1), JSONRPC_PARSE_ERROR);
	assert_int_equal(code_for(f, fd, "\0\n", 2), JSONRPC_PARSE_ERROR);
	const char *twice = "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"echo\"}\n";
	assert_int_equal(code_for(f, fd, twice, strlen(twice)), JSONRPC_PARSE_ERROR);
	const char *escaped = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"e\\u0000\"}\n";
	assert_int_equal(code_for(f, fd, escaped, strlen(escaped)), JSONRPC_PARSE_ERROR);
	expect(f, fd, ECHO "\n", ECHOED);
	assert_int_equal(f->calls, 1);
	close(fd);
}

static void test_shapes(void **state)
{
	static const struct {
		const char *line;
		int code;
	} cases[] = {
		{"42\n", JSONRPC_INVALID_REQUEST},
		{"null\n", JSONRPC_INVALID_REQUEST},
		{"\"x\"\n", JSONRPC_INVALID_REQUEST},
		{"{}\n", JSONRPC_INVALID_REQUEST},
		{"[]\n", JSONRPC_INVALID_REQUEST},
		{"{\"id\":1,\"method\":\"echo\"}\n", JSONRPC_INVALID_REQUEST},
		{"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"echo\"}\n", JSONRPC_INVALID_REQUEST},
		{"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"echo\"}\n", JSONRPC_INVALID_REQUEST},
		{"{\"jsonrpc\":\"2.0\",\"id\":1}\n", JSONRPC_INVALID_REQUEST},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}\n", JSONRPC_INVALID_REQUEST},
		{"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"echo\"}\n", JSONRPC_INVALID_REQUEST},
		{"{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"echo\"}\n", JSONRPC_INVALID_REQUEST},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":3}\n", JSONRPC_INVALID_REQUEST},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":null}\n", JSONRPC_INVALID_REQUEST},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[]}\n", JSONRPC_INVALID_PARAMS},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no\\u0007\"}\n", JSONRPC_UNKNOWN_METHOD},
		{"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}\n", JSONRPC_INTERNAL},
	};
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(code_for(f, fd, cases[i].line, strlen(cases[i].line)), cases[i].code);
	/* What is not UTF-8, or would break the line of whoever prints it, is replaced. */
	expect(f, fd, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"no\\n\"}\n",
	       "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32601,\"message\":\"there is no 'no?' ?\","
	       "\"data\":{\"key\":\"k?\"}}}\n");
	close(fd);
}

/* Into the middle of a text, so without the NUL. */
static void place(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
}

static void test_deep_and_many(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);
	size_t size = 900000;
	char *text = malloc(size + 2);

	memset(text, '[', size);
	text[size] = '\n';
	assert_int_equal(code_for(f, fd, text, size + 1), JSONRPC_INVALID_REQUEST);
	memset(text, '[', 50000);
	text[50000] = '\n';
	assert_int_equal(code_for(f, fd, text, 50001), JSONRPC_PARSE_ERROR);
	for (size_t i = 1; i < size; i += 3)
		place(text + i, "{},");
	text[0] = '[';
	place(text + size - 3, "{}]\n");
	assert_int_equal(code_for(f, fd, text, size + 1), JSONRPC_INVALID_REQUEST);
	/* Commas inside a string are no values. */
	int head = sprintf(text, "{\"jsonrpc\":\"2.0\",\"method\":\"echo\",\"x\":\"\\\"");
	memset(text + head, ',', size - (size_t)head);
	place(text + size - 3, "\"}\n");
	text[size] = '\0';
	expect(f, fd, text, "");
	free(text);
	expect(f, fd, ECHO "\n", ECHOED);
	assert_int_equal(f->calls, 2);
	close(fd);
}

static void test_batches(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	expect(f, fd,
	       "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"},{\"jsonrpc\":\"2.0\",\"method\":\"echo\"},"
	       "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\"}]\n" ECHO "\n",
	       "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null},{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":null}]"
	       "\n" ECHOED);
	expect(f, fd, "[{\"jsonrpc\":\"2.0\",\"method\":\"echo\"}]\n" ECHO "\n", ECHOED);
	char *got = exchange(f, fd, "[1,2]\n", 6, NULL);
	json_t *answers = json_loads(got, 0, NULL);
	assert_int_equal(json_array_size(answers), 2);
	json_decref(answers);
	free(got);
	close(fd);
}

/* ---- requests that cannot be answered yet ---- */

#define HOLD "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"hold\"}"
#define HELD "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":2}"

/* Its own client's requests wait behind it, and nobody else's. */
static void expect_held(struct fixture *f, const char *requests, const char *answers)
{
	int fd = connect_to(f->path), other = connect_to(f->path);

	f->calls = 0;
	expect(f, fd, requests, "");
	assert_int_equal(f->calls, 1);
	expect(f, other, ECHO "\n", ECHOED);
	rpc_resume(f->rpc, 2);
	expect(f, fd, "", "");
	assert_int_equal(f->calls, 2);
	rpc_resume(f->rpc, 1);
	expect(f, fd, "", "");
	assert_int_equal(f->calls, 3);
	assert_int_equal(rpc_holds(f->rpc), 1);
	rpc_resume(f->rpc, 2);
	expect(f, fd, "", answers);
	assert_int_equal(rpc_holds(f->rpc), 0);
	expect(f, fd, ECHO "\n", ECHOED);
	close(fd);
	close(other);
	settle(f);
}

static void test_held(void **state)
{
	struct fixture *f = *state;

	expect_held(f, HOLD "\n" ECHO "\n", HELD "\n" ECHOED);
	expect_held(f, "[" HOLD "," ECHO "]\n", "[" HELD ",{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":[1,2]}}]\n");
	expect_held(f, "{\"jsonrpc\":\"2.0\",\"method\":\"hold\"}\n" ECHO "\n", ECHOED);
}

/* One that has gone is called again all the same, but does not keep the owner's loop busy until then. */
static void test_held_and_gone(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path), half = connect_to(f->path), left = connect_to(f->path);
	bool eof = false;

	expect(f, fd, HOLD, "");
	expect(f, half, HOLD, "");
	expect(f, left, HOLD "\n", "");
	close(fd);
	shutdown(half, SHUT_WR);
	settle(f);
	assert_int_equal(rpc_holds(f->rpc), 3);
	for (uint64_t number = 1; number <= 2; number++) {
		rpc_resume(f->rpc, number);
		settle(f);
	}
	char *got = exchange(f, half, "", 0, &eof);
	assert_string_equal(got, HELD "\n");
	assert_true(eof);
	assert_int_equal(rpc_clients(f->rpc), 1);
	expect(f, left, HOLD "\n", HELD "\n"); /* the next one is left to tear_down() */
	free(got);
	close(half);
	close(left);
}

/* ---- sizes ---- */

static void test_large_lines(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path), other = connect_to(f->path);
	size_t size = RPC_MAX_LINE + 100000;
	char *text = malloc(size);
	bool eof = false;

	/* As large as a line may be. */
	memset(text, ' ', size);
	place(text, ECHO);
	text[RPC_MAX_LINE] = '\n';
	char *got = exchange(f, fd, text, RPC_MAX_LINE + 1, &eof);
	assert_string_equal(got, ECHOED);
	free(got);
	assert_true(f->rpc->held <= (size_t)2 * READ_SIZE); /* given back */

	/* One more. */
	text[RPC_MAX_LINE] = ' ';
	text[RPC_MAX_LINE + 1] = '\n';
	got = exchange(f, fd, text, size, &eof);
	json_t *answer = json_loads(got, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(answer, "error"), "code")),
			 JSONRPC_INVALID_REQUEST);
	json_decref(answer);
	free(got);
	assert_false(eof);
	expect(f, fd, ECHO "\n", ""); /* it is not served any more */
	expect(f, other, ECHO "\n", ECHOED);
	for (int i = 0; i < LEAVING_TICKS; i++)
		rpc_tick(f->rpc);
	free(exchange(f, fd, "", 0, &eof));
	assert_true(eof);
	assert_int_equal(rpc_clients(f->rpc), 1);
	free(text);
	close(fd);
	close(other);
}

static void test_endless_line(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);
	char block[65536];
	size_t most = 0;

	memset(block, '{', sizeof(block));
	for (int i = 0; i < 400; i++) {
		ssize_t ignored = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)ignored;
		settle(f);
		most = f->rpc->held > most ? f->rpc->held : most;
	}
	assert_true(most <= 2 * RPC_MAX_LINE + 2u * READ_SIZE);
	close(fd);
	settle(f);
	assert_int_equal(rpc_clients(f->rpc), 0);
	assert_int_equal(f->rpc->held, 0);
}

/* Together they may not hold more than RPC_MAX_HELD, and the small ones go on. */
static void test_many_unfinished_lines(void **state)
{
	struct fixture *f = *state;
	char *block = malloc(RPC_MAX_LINE);
	int fds[24], small = connect_to(f->path);
	unsigned refused = 0;

	memset(block, ' ', RPC_MAX_LINE);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		fds[i] = connect_to(f->path);
		char *got = exchange(f, fds[i], block, RPC_MAX_LINE - 1, NULL);
		refused += strstr(got, "too many large requests") != NULL;
		free(got);
		assert_true(f->rpc->held <= RPC_MAX_HELD + 2 * RPC_MAX_LINE + 2u * READ_SIZE);
	}
	assert_true(refused > 0);
	expect(f, small, ECHO "\n", ECHOED);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close(fds[i]);
	close(small);
	settle(f);
	assert_int_equal(f->rpc->held, 0);
	free(block);
}

static void send_requests(struct fixture *f, int fd, const char *line, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		for (size_t sent = 0; sent < strlen(line);) {
			ssize_t n = send(fd, line + sent, strlen(line) - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n > 0)
				sent += (size_t)n;
			else
				settle(f);
			if (n <= 0 && buffer_length(&f->rpc->clients->out) > RPC_MAX_OUTPUT)
				return;
		}
	}
}

static void test_client_that_never_reads(void **state)
{
	struct fixture *f = *state;
	const char *line = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":{\"size\":10000}}\n";
	int fd = connect_to(f->path);

	settle(f);
	send_requests(f, fd, line, 100000);
	settle(f);
	struct rpc_client *client = f->rpc->clients;
	assert_true(buffer_length(&client->out) > RPC_MAX_OUTPUT);
	assert_true(buffer_length(&client->out) < RPC_MAX_OUTPUT + 20000);
	assert_true(client->in.size <= (size_t)4 * READ_SIZE);
	assert_false(is_ready(f)); /* it does not spin */
	unsigned before = f->calls;

	int other = connect_to(f->path);
	expect(f, other, ECHO "\n", ECHOED);
	assert_int_equal(f->calls, before + 1);

	/* Once it reads, everything that was taken in is answered. */
	char *got = exchange(f, fd, "", 0, NULL);
	assert_true(f->calls > before + 1);
	assert_int_equal(count_lines(got), f->calls - 1);
	free(got);
	close(fd);
	close(other);
}

static void test_batch_to_one_that_never_reads(void **state)
{
	struct fixture *f = *state;
	struct buffer batch = {0};
	const char *element = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":{\"size\":10000}}";
	int fd = connect_to(f->path);

	for (int i = 0; i < 1000; i++) {
		buffer_append(&batch, i ? "," : "[", 1);
		buffer_append(&batch, element, strlen(element));
	}
	buffer_append(&batch, "]\n", 3);
	assert_true(send(fd, batch.data, batch.end - 1, MSG_DONTWAIT) == (ssize_t)batch.end - 1);
	settle(f);
	assert_true(buffer_length(&f->rpc->clients->out) < RPC_MAX_OUTPUT + 20000);
	assert_true(f->calls < 1000);
	char *got = exchange(f, fd, "", 0, NULL);
	json_t *answers = json_loads(got, 0, NULL);
	assert_int_equal(json_array_size(answers), 1000);
	json_decref(answers);
	free(got);
	buffer_free(&batch);
	close(fd);
}

/* ---- fairness and ends ---- */

/* In one send: the kernel counts small ones far above their size. */
static void send_echoes(int fd, size_t count)
{
	char *text = malloc(count * (strlen(ECHO) + 1) + 1), *end = text;

	for (size_t i = 0; i < count; i++)
		end += sprintf(end, "%s\n", ECHO);
	assert_int_equal(send(fd, text, (size_t)(end - text), MSG_DONTWAIT), end - text);
	free(text);
}

/* How many requests are run until the one that is sent now is answered. */
static unsigned calls_until_answered(struct fixture *f, int fd)
{
	struct buffer out = {0};
	unsigned before = f->calls;

	send_echoes(fd, 1);
	while (!buffer_length(&out)) {
		assert_true(is_ready(f));
		rpc_serve(f->rpc);
		take(fd, &out, NULL);
	}
	assert_string_equal(out.data, ECHOED);
	buffer_free(&out);
	return f->calls - before;
}

/* However many requests others have in stock, who asks one thing is answered within two turns. */
static void test_fairness(void **state)
{
	struct fixture *f = *state;
	int greedy[200], modest = connect_to(f->path);

	settle(f);
	for (int i = 0; i < 200; i++) {
		greedy[i] = connect_to(f->path);
		send_echoes(greedy[i], 300);
	}
	for (unsigned before = 0; f->calls < 2000; before = f->calls) { /* until all are under way */
		rpc_serve(f->rpc);
		assert_true(f->calls - before <= RPC_TURN);
	}
	for (int i = 0; i < 100; i++)
		assert_true(calls_until_answered(f, modest) <= 2 * RPC_TURN);
	settle(f);
	assert_int_equal(f->calls, 200 * 300 + 100);
	for (int i = 0; i < 200; i++) {
		char *got = exchange(f, greedy[i], "", 0, NULL);
		assert_int_equal(count_lines(got), 300);
		free(got);
		close(greedy[i]);
	}
	close(modest);
	settle(f);
	assert_int_equal(f->rpc->held + f->rpc->unread, 0);
}

/* A request may take long, and the owner has other work: then there is one in a turn. */
static void test_long_requests(void **state)
{
	struct fixture *f = *state;
	int fds[3];

	for (int i = 0; i < 3; i++) {
		fds[i] = connect_to(f->path);
		settle(f);
	}
	for (int i = 0; i < 3; i++)
		(void)!send(fds[i], "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"slow\"}\n", 41, MSG_DONTWAIT);
	for (unsigned i = 1; i <= 3; i++) {
		rpc_serve(f->rpc);
		assert_int_equal(f->calls, i);
		assert_int_equal(is_ready(f), i < 3);
	}
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

/* Large answers that nobody reads: the worst are closed, and the others go on. */
static void test_much_that_is_not_read(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"big\",\"params\":{\"size\":3000000}}\n";
	struct fixture *f = *state;
	int fds[40], other = connect_to(f->path);

	for (int i = 0; i < 40; i++) {
		fds[i] = connect_to(f->path);
		assert_int_equal(send(fds[i], line, strlen(line), MSG_DONTWAIT), strlen(line));
		settle(f);
		assert_true(f->rpc->unread <= RPC_MAX_UNREAD);
	}
	assert_int_equal(f->calls, 40);
	assert_in_range(rpc_clients(f->rpc), 10, 39);
	expect(f, other, ECHO "\n", ECHOED);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	settle(f);
	assert_int_equal(rpc_clients(f->rpc), 1);
	assert_int_equal(f->rpc->held + f->rpc->unread, 0);
	assert_true(f->rpc->peak > LARGE);
	rpc_tick(f->rpc);
	assert_int_equal(f->rpc->peak, 0); /* the heap has been given back */
	close(other);
}

/* Hundreds of connections that are kept for later cost next to nothing. */
static void test_idle_clients(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	expect(f, fd, ECHO "\n" ECHO "\n", ECHOED ECHOED);
	assert_null(f->rpc->clients->in.data);
	assert_null(f->rpc->clients->out.data);
	assert_int_equal(f->rpc->held + f->rpc->unread, 0);
	close(fd);
}

static void test_half_close(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);
	bool eof = false;

	send_echoes(fd, 500);
	assert_true(send(fd, ECHO, strlen(ECHO), MSG_DONTWAIT) > 0); /* without a newline */
	shutdown(fd, SHUT_WR);
	char *got = exchange(f, fd, "", 0, &eof);
	assert_int_equal(count_lines(got), 501);
	assert_true(eof);
	assert_int_equal(rpc_clients(f->rpc), 0);
	free(got);
	close(fd);
}

static void test_send_and_leave(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	send_echoes(fd, 100);
	close(fd);
	settle(f);
	assert_int_equal(f->calls, 100);
	assert_int_equal(rpc_clients(f->rpc), 0);
}

static void test_no_descriptors_left(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, none;
	int fd = connect_to(f->path);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rpc_serve(f->rpc);
	/* poll() itself minds the limit. */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(rpc_clients(f->rpc), 0);
	assert_false(is_ready(f)); /* it does not spin */
	rpc_tick(f->rpc);
	expect(f, fd, ECHO "\n", ECHOED);
	close(fd);
}

static void test_many_clients(void **state)
{
	struct fixture *f = *state;
	int fds[300];

	for (int i = 0; i < 300; i++) {
		fds[i] = connect_to(f->path);
		send_echoes(fds[i], 1);
		if (i % 3 == 0)
			close(fds[i]);
		if (i % 100 == 0)
			settle(f);
	}
	settle(f);
	assert_int_equal(f->calls, 300);
	assert_int_equal(rpc_clients(f->rpc), 200);
	for (int i = 0; i < 300; i++) {
		if (i % 3 == 0)
			continue;
		expect(f, fds[i], "", ECHOED);
		close(fds[i]);
	}
	settle(f);
	assert_int_equal(rpc_clients(f->rpc), 0);
}

/* ---- events ---- */

#define MONITOR "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"monitor\"}"
#define MONITORED "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":true}"

static void test_events(void **state)
{
	struct fixture *f = *state;
	int monitor = connect_to(f->path), other = connect_to(f->path);

	expect(f, monitor, MONITOR "\n", MONITORED "\n");
	expect(f, other, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"event\",\"params\":{\"event\":\"x\"}}\n",
	       "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}\n");
	expect(f, monitor, "", "{\"jsonrpc\":\"2.0\",\"method\":\"monitor.event\",\"params\":{\"event\":\"x\"}}\n");
	/* A batch's answer is not torn apart by an event that it causes itself, though it takes several turns. */
	char *batch = malloc(8192), *end = batch;
	end += sprintf(end, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"event\",\"params\":{}}");
	for (int i = 0; i < 3 * RPC_TURN; i++)
		end += sprintf(end, ",%s", MONITOR);
	sprintf(end, "]\n");
	char *got = exchange(f, monitor, batch, strlen(batch), NULL);
	char *second = strchr(got, '\n') + 1;
	assert_string_equal(second, "{\"jsonrpc\":\"2.0\",\"method\":\"monitor.event\",\"params\":{}}\n");
	json_t *answers = json_loads(got, JSON_DISABLE_EOF_CHECK, NULL);
	assert_int_equal(json_array_size(answers), 3 * RPC_TURN + 1);
	json_decref(answers);
	free(got);
	free(batch);
	/* One that only listens stays, until it is gone. */
	shutdown(monitor, SHUT_WR);
	settle(f);
	assert_int_equal(rpc_clients(f->rpc), 2);
	assert_false(is_ready(f));
	close(monitor);
	settle(f);
	assert_int_equal(rpc_clients(f->rpc), 1);
	close(other);
}

static void test_events_to_one_that_never_reads(void **state)
{
	struct fixture *f = *state;
	json_t *params = json_pack("{s:s}", "event", "port.gone");
	int monitor = connect_to(f->path);
	json_int_t seen = 0, missed = 0;

	expect(f, monitor, MONITOR "\n", MONITORED "\n");
	for (int i = 0; i < 50000; i++) {
		rpc_broadcast(f->rpc, params);
		if (i % 100 == 0)
			settle(f);
		assert_true(buffer_length(&f->rpc->clients->events) <= RPC_MAX_EVENTS);
		assert_true(buffer_length(&f->rpc->clients->out) <= RPC_MAX_OUTPUT + RPC_MAX_EVENTS + 200);
	}
	json_decref(params);
	char *got = exchange(f, monitor, "", 0, NULL);
	for (char *line = strtok(got, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *event = json_loads(line, 0, NULL);
		json_t *number = json_object_get(json_object_get(event, "params"), "missed");
		assert_non_null(event);
		missed += json_integer_value(number);
		seen += !number;
		json_decref(event);
	}
	free(got);
	assert_true(missed > 0);
	assert_int_equal(seen + missed, 50000);
	close(monitor);
}

/* ---- the file ---- */

static void test_file(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	struct rpc *second = NULL;
	struct stat status;
	char path[128];

	assert_int_equal(stat(f->path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0600);

	assert_int_equal(rpc_open(f->path, serve_call, f, &second, &why), -EADDRINUSE);
	assert_non_null(strstr(why.text, "another podswitchd answers on"));
	assert_string_equal(why.key, "socket");
	assert_int_equal(access(f->path, F_OK), 0);
	int fd = connect_to(f->path);
	expect(f, fd, ECHO "\n", ECHOED);
	close(fd);

	snprintf(path, sizeof(path), "%s/file", f->directory);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(rpc_open(path, serve_call, f, &second, &why), -EEXIST);
	assert_int_equal(unlink(path), 0);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(rpc_open(path, serve_call, f, &second, &why), -ENAMETOOLONG);
	assert_int_equal(rpc_open("", serve_call, f, &second, &why), -ENAMETOOLONG);
	assert_int_equal(rpc_open("/proc/x/y.sock", serve_call, f, &second, &why), -ENOENT);
	assert_null(second);
}

/* Who can open the file, as its mode was changed, is refused all the same. */
static void test_other_user(void **state)
{
	struct fixture *f = *state;
	char made[96];

	if (geteuid())
		skip();
	snprintf(made, sizeof(made), "%s/made", f->directory);
	assert_int_equal(chmod(f->directory, 0755) || chmod(made, 0755) || chmod(f->path, 0666), 0);
	assert_int_equal(seteuid(65534), 0);
	int fd = connect_to(f->path);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(send(fd, ECHO "\n", strlen(ECHO) + 1, MSG_NOSIGNAL), strlen(ECHO) + 1);
	expect(f, fd, "",
	       "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32004,\"message\":"
	       "\"user 65534 may not use this socket: be root\"}}\n");
	for (int tick = 0; tick < 3; tick++)
		rpc_tick(f->rpc);
	settle(f);
	assert_int_equal(rpc_clients(f->rpc), 0);
	close(fd);
}

static void test_stale_file(void **state)
{
	struct fixture *f = *state;
	struct failure why = {0};
	struct rpc *successor = NULL;

	/* As after SIGKILL: the file is there, nobody listens. */
	close(f->rpc->listener);
	f->rpc->listener = -1;
	assert_int_equal(rpc_open(f->path, serve_call, f, &successor, &why), 0);
	/* The one before removes only its own file. */
	rpc_close(f->rpc);
	f->rpc = successor;
	int fd = connect_to(f->path);
	expect(f, fd, ECHO "\n", ECHOED);
	close(fd);
}

/* One that is alive but too busy to accept is no stale file. */
static void test_busy_file(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct failure why = {0};
	struct rpc *none = NULL;
	int busy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[8];

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/busy", f->directory);
	assert_int_equal(bind(busy, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(busy, 0), 0);
	for (int i = 0; i < 8; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(fds[i], (struct sockaddr *)&address, sizeof(address));
	}
	assert_int_equal(rpc_open(address.sun_path, serve_call, f, &none, &why), -EADDRINUSE);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	close(busy);
	assert_int_equal(unlink(address.sun_path), 0);
}

/* ---- anything ---- */

static void test_random_bytes(void **state)
{
	static const char *const words[] = {ECHO, MONITOR, "\n", "\r\n", "[",   "]",
					    ",",  "{",     "\"", "\\",   "\0x", "1e999"};
	struct fixture *f = *state;
	int fd = connect_to(f->path), other = connect_to(f->path);

	srandom(7);
	for (int i = 0; i < 20000; i++) {
		const char *word = words[(size_t)random() % (sizeof(words) / sizeof(words[0]))];
		ssize_t ignored = send(fd, word, strlen(word) + (random() % 50 == 0), MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)ignored;
		if (i % 10 == 0)
			settle(f);
		if (i % 100 == 0)
			free(exchange(f, fd, "", 0, NULL));
	}
	free(exchange(f, fd, "\n", 1, NULL));
	expect(f, fd, ECHO "\n", ECHOED);
	expect(f, other, ECHO "\n", ECHOED);
	close(fd);
	close(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lines),
		TEST(test_ids_and_notifications),
		TEST(test_garbage),
		TEST(test_shapes),
		TEST(test_deep_and_many),
		TEST(test_batches),
		TEST(test_held),
		TEST(test_held_and_gone),
		TEST(test_large_lines),
		TEST(test_endless_line),
		TEST(test_many_unfinished_lines),
		TEST(test_client_that_never_reads),
		TEST(test_batch_to_one_that_never_reads),
		TEST(test_fairness),
		TEST(test_long_requests),
		TEST(test_much_that_is_not_read),
		TEST(test_idle_clients),
		TEST(test_half_close),
		TEST(test_send_and_leave),
		TEST(test_no_descriptors_left),
		TEST(test_many_clients),
		TEST(test_events),
		TEST(test_events_to_one_that_never_reads),
		TEST(test_file),
		TEST(test_other_user),
		TEST(test_stale_file),
		TEST(test_busy_file),
		TEST(test_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
