/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - one connection to a control socket: podswitchd's, or the agent's
 *
 * Blocking, with deadlines. Notifications that arrive while client_call() waits for its answer are dropped: a client
 * that wants events (client_next, client_poll) has no requests under way.
 *
 * After an error other than -EREMOTEIO the connection may be out of step (an answer may still come) and has to be
 * closed. One thread for each client.
 */
#include "control/base/client.h"
#include "control/base/json.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_AT_LEAST 65536 /* bytes of room for a read */
#define WHICH_SOCKET " give its socket with -s or PODSWITCH_SOCKET"

static int explain_connect(const struct client *client, int error, struct failure *why)
{
	const char *path = client->path, *peer = client->peer;

	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return fail(why, -error, NULL, "no socket %.120s: is %s running?%s", path, peer, client->hint);
	case ECONNREFUSED:
		return fail(why, -error, NULL, "nobody answers on %.120s: is %s running?%s", path, peer, client->hint);
	case EACCES:
	case EPERM:
		return fail(why, -error, NULL, "no permission to use %.120s: run this as root, or as %s's user", path,
			    peer);
	case EAGAIN:
		return fail(why, -error, NULL, "%s on %.120s accepts no connection: is it stopped or hung?", peer,
			    path);
	default:
		return fail(why, -error, NULL, "cannot connect to %.120s: %s", path, strerror(error));
	}
}

static int client_dial(struct client *client, struct failure *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(client->path);
	if (!length || length >= sizeof(address.sun_path))
		return fail(why, -EINVAL, "socket", "the socket's path has %zu bytes; 1 to %zu are possible", length,
			    sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, client->path, length);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(why, -errno, NULL, "cannot make a socket: %s", strerror(errno));
	/* Bounds send(), and connect() while the backlog of a hung peer is full. */
	struct timeval patience = {.tv_sec = client->timeout / 1000, .tv_usec = client->timeout % 1000 * 1000L};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		int error = errno;
		close(fd);
		return explain_connect(client, error, why);
	}
	client->fd = fd;
	return 0;
}

int client_connect(struct client *client, const char *path, struct failure *why)
{
	*client = (struct client){.fd = -1, .path = path, .timeout = CLIENT_TIMEOUT, .stop_fd = -1, .out_fd = -1};
	client->peer = "podswitchd";
	client->hint = WHICH_SOCKET;
	return client_dial(client, why);
}

int client_connect_to(struct client *client, const char *path, const char *peer, int timeout, struct failure *why)
{
	*client = (struct client){.fd = -1, .path = path, .timeout = timeout, .stop_fd = -1, .out_fd = -1};
	client->peer = peer;
	client->hint = "";
	return client_dial(client, why);
}

void client_disconnect(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	buffer_free(&client->in);
	client->scanned = 0;
}

int client_wait(const struct client *client, int milliseconds)
{
	if (buffer_length(&client->in) && memchr(buffer_bytes(&client->in), '\n', buffer_length(&client->in)))
		return 1;
	struct pollfd fds[] = {
		{.fd = client->fd, .events = POLLIN},
		{.fd = client->stop_fd, .events = POLLIN},
		{.fd = client->out_fd, .events = 0},
	};
	int ready = poll(fds, 3, milliseconds);
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents || fds[2].revents)
		return -ECANCELED;
	return fds[0].revents != 0;
}

static int explain_lost(const struct client *client, int error, struct failure *why)
{
	if (!error || error == EPIPE || error == ECONNRESET)
		return fail(why, -ECONNRESET, NULL, "%s on %.120s closed the connection", client->peer, client->path);
	if (error == EAGAIN || error == ETIMEDOUT)
		return fail(why, -ETIMEDOUT, NULL, "%s on %.120s does not answer: is it stopped or hung?", client->peer,
			    client->path);
	return fail(why, -error, NULL, "the connection to %.120s failed: %s", client->path, strerror(error));
}

/* Reads once; blocks when nothing is there. */
static int client_fill(struct client *client, struct failure *why)
{
	struct buffer *in = &client->in;
	if (buffer_length(in) >= CLIENT_MAX_LINE)
		return fail(why, -EMSGSIZE, NULL, "%s's answer is longer than %lu MB", client->peer,
			    CLIENT_MAX_LINE >> 20);
	if (buffer_reserve(in, READ_AT_LEAST))
		return fail(why, -ENOMEM, NULL, "out of memory for %s's answer", client->peer);
	ssize_t got = recv(client->fd, in->data + in->end, in->size - in->end, 0);
	if (got > 0) {
		in->end += (size_t)got;
		return 0;
	}
	if (got < 0 && errno == EINTR)
		return 0;
	return explain_lost(client, got < 0 ? errno : 0, why);
}

/* Takes a whole line out of the buffer: 1, 0 when there is none, or -EPROTO. */
static int client_take_line(struct client *client, json_t **message, struct failure *why)
{
	const char *line = buffer_bytes(&client->in);
	size_t held = buffer_length(&client->in);
	const char *end = held > client->scanned ? memchr(line + client->scanned, '\n', held - client->scanned) : NULL;
	client->scanned = end ? 0 : held;
	if (!end)
		return 0;
	json_t *parsed = json_loadb(line, (size_t)(end - line), 0, NULL);
	buffer_consume(&client->in, (size_t)(end + 1 - line));
	if (!json_is_object(parsed)) {
		json_decref(parsed);
		return fail(why, -EPROTO, NULL, "%.120s does not speak JSON-RPC: is it %s's socket?", client->path,
			    client->peer);
	}
	*message = parsed;
	return 1;
}

/* The next message, within `timeout` milliseconds (-1: no limit). */
static int client_receive(struct client *client, int timeout, json_t **message, struct failure *why)
{
	uint64_t began = clock_ms();
	for (;;) {
		int error = client_take_line(client, message, why);
		if (error)
			return error < 0 ? error : 0;
		uint64_t gone = clock_ms() - began;
		if (timeout >= 0 && gone >= (uint64_t)timeout)
			return explain_lost(client, ETIMEDOUT, why);
		int ready = client_wait(client, timeout < 0 ? -1 : timeout - (int)gone);
		if (ready < 0)
			return fail(why, ready, NULL, "%s", strerror(-ready));
		if (ready)
			error = client_fill(client, why);
		if (error)
			return error;
	}
}

static int send_line(const struct client *client, const char *line, size_t length, struct failure *why)
{
	while (length) {
		ssize_t sent = send(client->fd, line, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return explain_lost(client, errno, why);
		line += sent;
		length -= (size_t)sent;
	}
	return 0;
}

static int client_send_request(struct client *client, const char *method, json_t *params, struct failure *why)
{
	json_t *document =
		json_pack("{s:s, s:I, s:s}", "jsonrpc", "2.0", "id", (json_int_t)++client->id, "method", method);
	if (document && params)
		json_object_set(document, "params", params);
	char *text = json_dumps(document, JSON_COMPACT);
	json_decref(document);
	if (!text)
		return fail(why, -ENOMEM, NULL, "out of memory for the request");
	size_t length = strlen(text);
	text[length] = '\n'; /* over the NUL, so that one send takes the whole line */
	int error = send_line(client, text, length + 1, why);
	free(text);
	return error;
}

/* The message of the error, with the key it is about in front when the message does not name that. */
static int explain_refusal(struct client *client, const json_t *error, struct failure *why)
{
	const char *text = json_text(error, "message"), *key = json_text(json_object_get(error, "data"), "key");
	client->refused = (int)json_integer_value(json_object_get(error, "code"));
	if (!*text)
		return fail(why, -EREMOTEIO, key, "%s refused without a reason", client->peer);
	if (*key && !strstr(text, key))
		return fail(why, -EREMOTEIO, key, "%s: %s", key, text);
	return fail(why, -EREMOTEIO, key, "%s", text);
}

static int client_take_answer(struct client *client, json_t *message, json_t **result, struct failure *why)
{
	const json_t *error = json_object_get(message, "error");
	if (error && !json_is_null(error))
		return explain_refusal(client, error, why);
	json_t *value = json_object_get(message, "result");
	if (!value)
		return fail(why, -EPROTO, NULL, "%s's answer has neither a result nor an error", client->peer);
	*result = json_incref(value);
	return 0;
}

int client_call(struct client *client, const char *method, json_t *params, json_t **result, struct failure *why)
{
	int error = client_send_request(client, method, params, why);
	while (!error) {
		json_t *message = NULL;
		error = client_receive(client, client->timeout, &message, why);
		if (error)
			break;
		const json_t *id = json_object_get(message, "id");
		/* A null id answers a request that could not be parsed; only ours is under way. */
		bool ours = json_is_null(id) || json_integer_value(id) == client->id;
		if (ours)
			error = client_take_answer(client, message, result, why);
		json_decref(message);
		if (ours)
			break;
	}
	return error;
}

int client_poll(struct client *client, json_t **message, struct failure *why)
{
	for (;;) {
		int got = client_take_line(client, message, why);
		if (got)
			return got;
		got = client_wait(client, 0);
		if (got <= 0)
			return got;
		got = client_fill(client, why);
		if (got)
			return got;
	}
}

int client_next(struct client *client, json_t **message, struct failure *why)
{
	for (;;) {
		json_t *got = NULL;
		int error = client_receive(client, -1, &got, why);
		if (error)
			return error;
		if (!json_object_get(got, "id")) {
			*message = got;
			return 0;
		}
		json_decref(got);
	}
}

int client_stop_peer(const struct client *client, struct failure *why)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	char rest[256];
	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.pid <= 0)
		return fail(why, -ESRCH, NULL,
			    "the %s that runs cannot hand over, nor be stopped from here (hostPID); stop it first",
			    client->peer);
	log_line(LOG_INFO, "the %s that runs (process %d) is of a version that cannot hand over: it is stopped",
		 client->peer, (int)peer.pid);
	if (kill(peer.pid, SIGTERM))
		return fail(why, -errno, NULL, "cannot stop process %d: %s", (int)peer.pid, strerror(errno));
	while (client_wait(client, client->timeout) > 0)
		if (recv(client->fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			return 0;
	return fail(why, -ETIMEDOUT, NULL, "the %s that runs (process %d) does not stop", client->peer, (int)peer.pid);
}
