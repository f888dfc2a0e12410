/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one connection to podswitchd's control socket, or to another program's with the same protocol
 *
 * JSON-RPC 2.0, one JSON text per line each way, one request at a time. Every wait also ends, with -ECANCELED and no
 * text, when the user wants to stop (stop_fd) or when nobody reads our output any more (out_fd).
 */
#ifndef PODSWITCH_CLIENT_H
#define PODSWITCH_CLIENT_H

#include "tap/base/buffer.h"
#include "tap/base/failure.h"

#include <jansson.h>
#include <stddef.h>

#define CLIENT_DEFAULT_SOCKET "/run/podswitch/control.sock"
#define CLIENT_TIMEOUT 30000          /* ms for an answer */
#define CLIENT_MAX_LINE (256UL << 20) /* bytes of an answer; an FDB of a million entries fits */

struct client {
	int fd;
	const char *path;
	const char *peer; /* the program at the other end, for error texts */
	const char *hint; /* what to do when it does not answer, or "" */
	int timeout;      /* ms for an answer; may be changed at any time */
	int refused;      /* the JSON-RPC code of the last -EREMOTEIO */
	int stop_fd;      /* readable: stop; -1: none */
	int out_fd;       /* in error: stop; -1: none */
	long long id;
	struct buffer in; /* received and not consumed yet */
	size_t scanned;   /* the first bytes of `in`, known to hold no newline */
};

/* Connects to podswitchd. `path` must stay valid as long as the client. On error it is as after client_disconnect(). */
int client_connect(struct client *client, const char *path, struct failure *why);

/*
 * The same for the program `peer`, with `timeout` ms for connecting, for sending and for each answer. -ENOENT and
 * -ECONNREFUSED: it is not running.
 */
int client_connect_to(struct client *client, const char *path, const char *peer, int timeout, struct failure *why);

/* Also after connecting failed. */
void client_disconnect(struct client *client);

/*
 * Calls `method` and waits for its answer; *result is a new reference. -EREMOTEIO: the peer refused, with its message
 * in `why` and its code in client->refused. `params` (borrowed) may be NULL.
 */
int client_call(struct client *client, const char *method, json_t *params, json_t **result, struct failure *why);

/*
 * Sends the peer SIGTERM, as it is of a version that cannot hand over, and waits until it hangs up, for
 * client->timeout. It has to share its process ids with us (hostPID). 0, or a negative errno.
 */
int client_stop_peer(const struct client *client, struct failure *why);

/* Waits without limit for the next message that is not an answer. */
int client_next(struct client *client, json_t **message, struct failure *why);

/* Takes the next complete message of any kind, without waiting: 1, 0 when there is none, or a negative errno. */
int client_poll(struct client *client, json_t **message, struct failure *why);

/*
 * Waits for something to arrive, at most that many ms (-1: no limit). 1, 0 when the time is over, -ECANCELED, or
 * another negative errno.
 */
int client_wait(const struct client *client, int milliseconds);

#endif
