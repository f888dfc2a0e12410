/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_request.c - any bytes to the webhook's HTTP server, cut at any place
 *
 * libmicrohttpd takes HTTP apart; ours is what it hands over, head, pieces of the body and end, and what waits between
 * them. The first byte is the seed of where the rest is cut into packets. It is sent twice, once whole: the answers and
 * the reviews must be the same, and nothing may be held when the client is gone. A review whose body begins with w
 * waits for news before it is answered.
 */
#include "control/webhook/server.c"

#include "tests/fuzz/quiet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS_AT_MOST 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct server *server;
static struct sockaddr_in place = {.sin_family = AF_INET};
static uint64_t now = 1000;

struct seen {
	char answers[65536];
	size_t size;
	unsigned reviews;
	uint64_t hash; /* of the reviews' bodies */
};

static struct seen *seen;

/* ---- the server ---- */

static unsigned review(void *context, const char *body, size_t length, bool final, char **answer)
{
	(void)context;
	assert(!body[length] && length <= REVIEW_MAX);
	if (*body == 'w' && !final)
		return 0;
	seen->reviews++;
	for (size_t i = 0; i < length; i++)
		seen->hash = seen->hash * 31 + (uint8_t)body[i];
	*answer = strdup("{}");
	return *body == '{' ? MHD_HTTP_OK : MHD_HTTP_BAD_REQUEST;
}

static bool ready(void *context, const char **reason)
{
	(void)context;
	*reason = "it is not";
	return false;
}

static void metrics(void *context, FILE *out)
{
	(void)context;
	fputs("a 1\n", out);
}

static void begin(void)
{
	char listen[32];
	socklen_t size = sizeof(place);
	place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* it finds a port that is free */
	assert(!bind(fd, (struct sockaddr *)&place, size) && !getsockname(fd, (struct sockaddr *)&place, &size));
	close(fd);
	snprintf(listen, sizeof(listen), "127.0.0.1:%u", ntohs(place.sin_port));
	const struct server_config config = {
		.listen = listen, .patience = 100, .review = review, .pages = {.ready = ready, .metrics = metrics}};
	assert(!server_open(&config, &server, NULL));
}

/* ---- the client ---- */

static int dial(void)
{
	const int on = 1;
	const struct linger none = {.l_onoff = 1};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(fd >= 0 && !connect(fd, (const struct sockaddr *)&place, sizeof(place)));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	return fd;
}

/* False: the server has ended the connection. */
static bool hear(int fd)
{
	for (;;) {
		size_t room = sizeof(seen->answers) - 1 - seen->size;
		ssize_t got = room ? recv(fd, seen->answers + seen->size, room, MSG_DONTWAIT) : 0;
		if (got <= 0)
			return got < 0 && errno == EAGAIN;
		seen->size += (size_t)got;
	}
}

static void turn(void)
{
	struct pollfd fd = {.fd = server_fd(server), .events = POLLIN};
	int timeout = server_timeout(server);
	poll(&fd, 1, timeout < 1 ? timeout : 1);
	server_turn(server, now++);
}

static void talk(const uint8_t *data, size_t size, unsigned seed)
{
	int fd = dial();
	bool open = true;
	while (size && open) {
		seed = seed ? seed * 1103515245 + 12345 : 0;
		size_t piece = seed ? 1 + (seed >> 16) % 97 : size;
		piece = piece < size ? piece : size;
		ssize_t sent = send(fd, data, piece, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			break;
		data += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
		turn();
		open = hear(fd);
	}
	shutdown(fd, SHUT_WR);
	for (unsigned turns = 0; open && hear(fd); turns++) {
		assert(turns < TURNS_AT_MOST);
		turn();
	}
	close(fd);
}

static void check_nothing_is_held(void)
{
	for (unsigned turns = 0; server_count(server)->clients; turns++) {
		assert(turns < TURNS_AT_MOST);
		turn();
	}
	assert(!server_count(server)->requests && !server_count(server)->waiting);
	assert(!server->used && !server->suspended);
}

/* The date is another one each second. */
static void hide_dates(void)
{
	seen->answers[seen->size] = '\0';
	for (char *at = seen->answers; (at = memmem(at, seen->size - (size_t)(at - seen->answers), "\nDate: ", 7));)
		for (at++; *at && *at != '\r'; at++)
			*at = ' ';
}

static void play(const uint8_t *data, size_t size, unsigned seed, struct seen *out)
{
	memset(out, 0, sizeof(*out));
	seen = out;
	talk(data, size, seed);
	check_nothing_is_held();
	hide_dates();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seen whole, pieces;
	if (!server)
		begin();
	if (size < 2)
		return 0;
	play(data + 1, size - 1, 0, &whole);
	play(data + 1, size - 1, data[0] + 1U, &pieces);
	assert(whole.reviews == pieces.reviews && whole.hash == pieces.hash);
	assert(whole.size == pieces.size && !memcmp(whole.answers, pieces.answers, whole.size));
	return 0;
}
