/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - HTTPS for the API server's reviews, and /healthz, /readyz, /metrics
 *
 * libmicrohttpd: small, kept well for fifteen years, an own event loop is not forced upon its users, and the agent has
 * it already. Everything runs in the caller's thread, within server_turn; a client that is slow makes nobody wait.
 */
#ifndef PODSWITCH_SERVER_H
#define PODSWITCH_SERVER_H

#include "control/base/http.h"
#include "control/kube/histogram.h"
#include "control/webhook/keypair.h"

#define SERVER_CLIENTS 512         /* connections at once */
#define SERVER_SLOW 10000          /* ms for a request, from its first byte to the answer's last */
#define SERVER_IDLE 150            /* seconds a connection may wait for a request; Go gives up its own after 90 */
#define SERVER_SMALL 65536         /* bytes of a body; larger ones share: */
#define SERVER_BUDGET (96ul << 20) /* bytes; those that find no room wait for it */
#define SERVER_REVIEWS "/wh/mutating/setgateway"

struct server;

struct server_config {
	const char *listen;      /* "ADDRESS:PORT", "[ADDRESS]:PORT" */
	struct keypair *keypair; /* NULL: HTTP without TLS, for what is behind a proxy */
	unsigned patience;       /* ms that a review may wait for the cluster's news */
	/*
	 * Answers a review: the HTTP status, and *answer (to be freed by the server) unless it is NULL. 0 when a later
	 * look at it may have another outcome: it is asked again after the next server_wake, and at last with `final`.
	 */
	unsigned (*review)(void *context, const char *body, size_t length, bool final, char **server_respond);
	void *context;
	struct http_pages pages;
};

/* 0, or -EINVAL ("listen"), -EADDRINUSE and the like. */
int server_open(const struct server_config *config, struct server **out, struct failure *why);

/* Answers that are under way are lost: see server_drain. */
void server_close(struct server *server);

/* To poll for reading, for at most server_timeout (ms, -1: for ever); then, and after every sleep, server_turn. */
int server_fd(const struct server *server);
int server_timeout(const struct server *server);
void server_turn(struct server *server, uint64_t now);

/* Something is new: the reviews that wait are to be looked at again, in the next turn. */
void server_wake(struct server *server);

/* From now on each answer ends its connection, so that clients turn to others. */
void server_drain(struct server *server);

struct server_counters {
	unsigned clients, requests; /* connected; being received, answered or waiting */
	unsigned waiting;           /* of those, for the cluster's news */
	uint64_t cut;               /* for being slow */
	uint64_t refused;           /* answered with 400 and more */
	struct histogram seconds;   /* from a review's last byte to its answer, what it waited included */
};
const struct server_counters *server_count(const struct server *server);

#endif
