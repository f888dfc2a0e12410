/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one connection to podswitchd's control socket, or to another program's that speaks as it does
 *
 * JSON-RPC 2.0, one JSON text a line each way. One request is under way at a time. Every wait also ends when the user
 * wants to stop (stop_fd) or nobody reads our output any more (out_fd): with -ECANCELED and no text.
 */
#ifndef PODSWITCH_CLIENT_H
#define PODSWITCH_CLIENT_H

#include "tap/base/failure.h"

#include <jansson.h>
#include <stddef.h>

#define CLIENT_DEFAULT_SOCKET "/run/podswitch/control.sock"
#define CLIENT_TIMEOUT 30000          /* milliseconds for an answer */
#define CLIENT_MAX_LINE (256UL << 20) /* bytes of an answer; a table of a million entries fits */

struct client {
	int fd;
	const char *path;
	const char *peer; /* the program that is to answer, for the texts */
	const char *hint; /* what to do when nobody does, or "" */
	int timeout;      /* milliseconds for an answer; may be changed at any time */
	int refused;      /* the JSON-RPC code of the last -EREMOTEIO */
	int stop_fd;      /* readable: stop; -1: none */
	int out_fd;       /* in error: stop; -1: none */
	long long id;
	char *buffer;
	size_t start;   /* of the first byte not consumed */
	size_t scanned; /* up to here there is no newline */
	size_t used;
	size_t size;
};

/* `path` must stay valid while the client is used. On error the client is as after client_disconnect. */
int client_connect(struct client *client, const char *path, struct failure *why);

/*
 * The same for the socket of `peer`, with `timeout` milliseconds for the connection, for sending and for each answer.
 * -ENOENT and -ECONNREFUSED: nobody is there.
 */
int client_connect_to(struct client *client, const char *path, const char *peer, int timeout, struct failure *why);

/* Accepts one whose connecting failed. */
void client_disconnect(struct client *client);

/*
 * Calls `method` and waits for its answer; *result is the caller's. -EREMOTEIO when the peer refuses: `why` is then
 * its message, and client->refused its code. `params` may be NULL.
 */
int client_call(struct client *client, const char *method, json_t *params, json_t **result, struct failure *why);

/* Waits, for ever, for the next message that is not an answer. */
int client_next(struct client *client, json_t **message, struct failure *why);

/* The next message of any kind that is here as a whole, without waiting: 1, 0 when there is none, or a negative errno.
 */
int client_poll(struct client *client, json_t **message, struct failure *why);

/*
 * Waits until something arrives, or the time (milliseconds, -1: for ever) is over. 1, 0, -ECANCELED, or a negative
 * errno.
 */
int client_wait(const struct client *client, int milliseconds);

#endif
