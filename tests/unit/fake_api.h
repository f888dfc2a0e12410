/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_api.h - an API server whose every byte the test chooses, in the test's own loop
 *
 * It takes connections on a port of 127.0.0.1 and collects requests; the test takes them one by one (fake_asked) and
 * answers with whatever it likes, in pieces of whatever size. Nothing is answered by itself.
 */
#ifndef PODSWITCH_FAKE_API_H
#define PODSWITCH_FAKE_API_H

#include "control/kube/kube.h"
#include "tap/base/log.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/shell.h"

#define FAKE_CONNS 64
#define FAKE_PATIENCE_MS 20000 /* longer than anything should take under a sanitizer on a busy machine */
#define BACKOFF 20u            /* ms; the first of the tests' waits */

struct fake_conn {
	int fd; /* 0: free */
	char in[32768];
	size_t length;
	bool taken;  /* the test has it */
	uint64_t at; /* ms, when the request was complete */
};

struct fake {
	int listener;
	uint16_t port;
	struct kube *kube;
	char folder[32], token_file[64], server[64];
	struct fake_conn conns[FAKE_CONNS];
};

static char fake_log[16384]; /* what log_line has been given, a line each */

void log_line(enum log_level level, const char *format, ...)
{
	size_t used = strlen(fake_log);
	va_list args;

	(void)level;
	va_start(args, format);
	vsnprintf(fake_log + used, sizeof(fake_log) - used - 1, format, args);
	va_end(args);
	strcat(fake_log, "\n");
}

/* How often the log has said this. */
static inline unsigned logged(const char *text)
{
	unsigned n = 0;

	for (const char *at = fake_log; (at = strstr(at, text)); at++)
		n++;
	return n;
}

static inline unsigned logged_lines(void)
{
	return logged("\n");
}

/* ---- opening and closing ---- */

static inline void fake_listen(struct fake *fake)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(fake->port)};
	socklen_t size = sizeof(at);
	int on = 1;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fake->listener > 0);
	setsockopt(fake->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_return_code(bind(fake->listener, (struct sockaddr *)&at, size), errno);
	assert_return_code(listen(fake->listener, FAKE_CONNS), errno);
	assert_return_code(getsockname(fake->listener, (struct sockaddr *)&at, &size), errno);
	fake->port = ntohs(at.sin_port);
}

static inline void fake_hang_up(struct fake_conn *conn)
{
	if (conn->fd)
		close(conn->fd);
	*conn = (struct fake_conn){0};
}

/* Connections are refused until fake_listen; those that are there end. */
static inline void fake_go_away(struct fake *fake)
{
	if (fake->listener)
		close(fake->listener);
	fake->listener = 0;
	for (size_t i = 0; i < FAKE_CONNS; i++)
		fake_hang_up(&fake->conns[i]);
}

static inline int fake_setup(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	struct failure why = {0};

	assert_non_null(fake);
	fake_log[0] = '\0';
	strcpy(fake->folder, "/dev/shm/podswitch-api-XXXXXX");
	assert_non_null(mkdtemp(fake->folder));
	snprintf(fake->token_file, sizeof(fake->token_file), "%s/token", fake->folder);
	write_file(fake->token_file, "first-token\n");
	fake_listen(fake);
	snprintf(fake->server, sizeof(fake->server), "http://127.0.0.1:%u", fake->port);
	struct kube_options options = {
		.server = fake->server,
		.token_file = fake->token_file,
		.ca_file = "",
		.backoff_ms = BACKOFF,
		.backoff_max_ms = 8 * BACKOFF,
		.seed = 1,
	};
	assert_int_equal(kube_open(&options, &fake->kube, &why), 0);
	*state = fake;
	return 0;
}

static inline int fake_teardown(void **state)
{
	struct fake *fake = *state;

	kube_close(fake->kube);
	fake_go_away(fake);
	unlink(fake->token_file);
	rmdir(fake->folder);
	free(fake);
	return 0;
}

/* ---- the loop ---- */

static inline void fake_accept(struct fake *fake)
{
	int fd = fake->listener ? accept4(fake->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) : -1;

	int on = 1;

	if (fd < 0)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (size_t i = 0; i < FAKE_CONNS; i++) {
		if (!fake->conns[i].fd) {
			fake->conns[i].fd = fd;
			return;
		}
	}
	fail_msg("more than %d connections", FAKE_CONNS);
}

static inline bool fake_is_whole(const struct fake_conn *conn)
{
	const char *body = strstr(conn->in, "\r\n\r\n"), *length = strstr(conn->in, "Content-Length: ");

	if (!body)
		return false;
	size_t expected = length && length < body ? strtoul(length + 16, NULL, 10) : 0;
	return strlen(body + 4) >= expected;
}

static inline void fake_read(struct fake_conn *conn)
{
	ssize_t got = recv(conn->fd, conn->in + conn->length, sizeof(conn->in) - conn->length - 1, 0);

	if (got == 0 || (got < 0 && errno != EAGAIN)) {
		fake_hang_up(conn);
		return;
	}
	if (got < 0)
		return;
	conn->length += (size_t)got;
	conn->in[conn->length] = '\0';
	if (!conn->at && fake_is_whole(conn))
		conn->at = clock_ms();
}

static inline void fake_step(struct fake *fake, int timeout_ms)
{
	struct curl_waitfd fds[FAKE_CONNS + 1];
	unsigned n = 0;

	if (fake->listener)
		fds[n++] = (struct curl_waitfd){.fd = fake->listener, .events = CURL_WAIT_POLLIN};
	for (size_t i = 0; i < FAKE_CONNS; i++)
		if (fake->conns[i].fd)
			fds[n++] = (struct curl_waitfd){.fd = fake->conns[i].fd, .events = CURL_WAIT_POLLIN};
	assert_int_equal(kube_wait(fake->kube, fds, n, timeout_ms), 0);
	fake_accept(fake);
	for (size_t i = 0; i < FAKE_CONNS; i++)
		if (fake->conns[i].fd)
			fake_read(&fake->conns[i]);
	kube_turn(fake->kube);
}

#define fake_until(fake, condition)                                                                                    \
	do {                                                                                                           \
		uint64_t end_ = clock_ms() + FAKE_PATIENCE_MS;                                                         \
		while (!(condition)) {                                                                                 \
			if (clock_ms() > end_)                                                                         \
				fail_msg("waited in vain for " #condition);                                            \
			fake_step((fake), 20);                                                                         \
		}                                                                                                      \
	} while (0)

/* A request that is complete and that the test does not have yet, or NULL. */
static inline struct fake_conn *fake_next(struct fake *fake)
{
	struct fake_conn *first = NULL;

	for (size_t i = 0; i < FAKE_CONNS; i++) {
		struct fake_conn *conn = &fake->conns[i];
		if (conn->at && !conn->taken && (!first || conn->at < first->at))
			first = conn;
	}
	return first;
}

/* The next request; its head must contain this. */
static inline struct fake_conn *fake_asked(struct fake *fake, const char *text)
{
	fake_until(fake, fake_next(fake));
	struct fake_conn *conn = fake_next(fake);
	conn->taken = true;
	if (!strstr(conn->in, text))
		fail_msg("asked for\n%sand not %s", conn->in, text);
	return conn;
}

/* ---- answers ---- */

static inline void fake_send(struct fake *fake, const struct fake_conn *conn, const char *bytes, size_t length)
{
	uint64_t end = clock_ms() + FAKE_PATIENCE_MS;

	while (length) {
		ssize_t sent = send(conn->fd, bytes, length, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			return; /* the client has had enough */
		if (sent > 0) {
			bytes += sent;
			length -= (size_t)sent;
		}
		if (length)
			fake_step(fake, 1);
		assert_true(clock_ms() < end);
	}
}

static inline void fake_text(struct fake *fake, const struct fake_conn *conn, const char *text)
{
	fake_send(fake, conn, text, strlen(text));
}

/* The whole answer; the connection may be used again. `headers` are lines, or "". */
static inline void fake_answer(struct fake *fake, struct fake_conn *conn, const char *status, const char *headers,
			       const char *body)
{
	char head[512];

	snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, strlen(body), headers);
	conn->taken = false;
	conn->at = conn->length = 0;
	conn->in[0] = '\0';
	fake_text(fake, conn, head);
	fake_text(fake, conn, body);
}

/* The start of an answer without an end in sight. */
static inline void fake_stream(struct fake *fake, const struct fake_conn *conn)
{
	fake_text(fake, conn,
		  "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
}

/* A chunk of it; an empty one ends it. */
static inline void fake_chunk_of(struct fake *fake, const struct fake_conn *conn, const char *bytes, size_t length)
{
	char head[32];

	snprintf(head, sizeof(head), "%zx\r\n", length);
	fake_text(fake, conn, head);
	fake_send(fake, conn, bytes, length);
	fake_text(fake, conn, "\r\n");
}

static inline void fake_chunk(struct fake *fake, const struct fake_conn *conn, const char *text)
{
	fake_chunk_of(fake, conn, text, strlen(text));
}

/* Ends the stream in order; the connection may be used again. */
static inline void fake_end(struct fake *fake, struct fake_conn *conn)
{
	fake_text(fake, conn, "0\r\n\r\n");
	conn->taken = false;
	conn->at = conn->length = 0;
	conn->in[0] = '\0';
}

#endif
