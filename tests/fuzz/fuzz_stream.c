/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_stream.c - any bytes as an API server's answer to a watch, over HTTP with real sockets, cut at any place
 *
 * libcurl takes the chunks of HTTP apart; ours is what it hands over, in pieces as they come. The first byte says how:
 * odd: the rest is the body, which goes out in chunks; even: the rest is what follows the head, chunks and all. The
 * second byte is the seed of where it is cut, into chunks and into packets. It is sent twice, once whole: what the
 * watch hands on must be the same.
 */
#include "control/kube/kube.h"
#include "control/kube/watch.h"
#include "tests/fuzz/quiet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_LINE 2048
#define PATIENCE_MS 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char list[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 76\r\n\r\n"
			   "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[{\"metadata\":{\"name\":\"first\"}}]}";
static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

/* ---- what the watch hands on ---- */

struct heard {
	unsigned lists, changed, deleted;
	uint64_t hash; /* of the names, in their order */
};

static void hear(struct heard *heard, const json_t *object)
{
	const json_t *name = json_object_get(json_object_get(object, "metadata"), "name");
	assert(json_string_length(name) && !json_object_get(json_object_get(object, "metadata"), "managedFields"));
	for (const char *c = json_string_value(name); *c; c++)
		heard->hash = heard->hash * 31 + (uint8_t)*c;
}

static void hear_list(void *context, json_t *items)
{
	struct heard *heard = context;
	heard->lists++;
	assert(json_array_size(items) == 1);
}

static void hear_changed(void *context, json_t *object)
{
	struct heard *heard = context;
	heard->changed++;
	hear(heard, object);
}

static void hear_deleted(void *context, json_t *object)
{
	struct heard *heard = context;
	heard->deleted++;
	hear(heard, object);
}

/* ---- the API server ---- */

static struct kube *kube;
static char server[64];
static int listener;

static void begin(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t size = sizeof(at);
	curl_global_init(CURL_GLOBAL_DEFAULT); /* once, and not again for each round */
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(!bind(listener, (struct sockaddr *)&at, size) && !listen(listener, 64));
	assert(!getsockname(listener, (struct sockaddr *)&at, &size));
	snprintf(server, sizeof(server), "http://127.0.0.1:%u", ntohs(at.sin_port));
}

static bool turn_until_ready(int fd)
{
	for (uint64_t end = clock_ms() + PATIENCE_MS; clock_ms() < end;) {
		struct curl_waitfd ready = {.fd = fd, .events = CURL_WAIT_POLLIN};
		struct pollfd now = {.fd = fd, .events = POLLIN};
		kube_turn(kube);
		if (poll(&now, 1, 0) == 1)
			return true;
		assert(!kube_wait(kube, &ready, 1, PATIENCE_MS));
	}
	return false;
}

static bool read_request(int fd)
{
	char request[4096];
	size_t got = 0;
	do {
		assert(turn_until_ready(fd));
		ssize_t more = recv(fd, request + got, sizeof(request) - 1 - got, 0);
		if (more <= 0)
			return false;
		got += (size_t)more;
		request[got] = '\0';
	} while (!strstr(request, "\r\n\r\n"));
	return true;
}

/* The connection of the next request. Those that the last round's watch made at its end are passed over. */
static int take_request(void)
{
	const int on = 1;
	for (;;) {
		assert(turn_until_ready(listener));
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		assert(fd >= 0);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (read_request(fd))
			return fd;
		close(fd);
	}
}

/* ---- cutting ---- */

static unsigned next_cut(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	unsigned random = *seed >> 16;
	return random % 5 ? 1 + random % 97 : 1;
}

static void send_cut(int fd, const char *bytes, size_t size, unsigned *seed)
{
	while (size) {
		size_t piece = *seed ? next_cut(seed) : size;
		piece = piece < size ? piece : size;
		if (send(fd, bytes, piece, MSG_NOSIGNAL) != (ssize_t)piece)
			return;
		bytes += piece;
		size -= piece;
		kube_turn(kube);
	}
}

static void send_chunks(int fd, const char *bytes, size_t size, unsigned *seed)
{
	char line[32];
	while (size) {
		size_t piece = *seed ? next_cut(seed) : size;
		piece = piece < size ? piece : size;
		int length = snprintf(line, sizeof(line), "%zx\r\n", piece);
		send_cut(fd, line, (size_t)length, seed);
		send_cut(fd, bytes, piece, seed);
		send_cut(fd, "\r\n", 2, seed);
		bytes += piece;
		size -= piece;
	}
	send_cut(fd, "0\r\n\r\n", 5, seed);
}

/* Turns until the watch is in a stream, or until that has ended. */
static void turn_until_live(const struct watch *watch, bool live)
{
	uint64_t end = clock_ms() + PATIENCE_MS;
	while (watch_live(watch) != live) {
		assert(clock_ms() < end && !kube_wait(kube, NULL, 0, PATIENCE_MS));
		kube_turn(kube);
	}
}

static void serve(const struct watch *watch, const char *bytes, size_t size, bool raw, unsigned seed)
{
	unsigned whole = 0;
	int fd = take_request();
	send_cut(fd, list, sizeof(list) - 1, &whole);
	close(fd);
	fd = take_request();
	send_cut(fd, head, sizeof(head) - 1, &seed);
	turn_until_live(watch, true);
	(raw ? send_cut : send_chunks)(fd, bytes, size, &seed);
	shutdown(fd, SHUT_WR);
	turn_until_live(watch, false);
	close(fd);
}

/* A list, then the stream; a seed of 0: in one piece. */
static struct heard play(const char *bytes, size_t size, bool raw, unsigned seed)
{
	struct heard heard = {0};
	struct watch *watch;
	const struct watch_config config = {.paths = {"/api/v1/pods"},
					    .what = "pods",
					    .max_line = MAX_LINE,
					    .callbacks = {hear_list, hear_changed, hear_deleted},
					    .context = &heard};
	const struct kube_options options = {
		.server = server, .token_file = "", .ca_file = "", .backoff_ms = 1000000, .seed = 1};
	assert(!kube_open(&options, &kube, NULL) && !watch_start(kube, &config, &watch, NULL));
	serve(watch, bytes, size, raw, seed);
	watch_stop(watch);
	kube_close(kube);
	return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!*server)
		begin();
	if (size < 3)
		return 0;
	const char *bytes = (const char *)data + 2;
	bool raw = !(data[0] & 1);
	struct heard whole = play(bytes, size - 2, raw, 0), pieces = play(bytes, size - 2, raw, data[1] + 1U);
	assert(whole.lists == 1 && pieces.lists == 1 && whole.hash == pieces.hash);
	assert(whole.changed == pieces.changed && whole.deleted == pieces.deleted);
	return 0;
}
