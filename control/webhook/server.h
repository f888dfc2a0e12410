/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - HTTPS for the API server's reviews, and /healthz, /readyz, /metrics
 *
 * With libmicrohttpd: small, maintained for fifteen years, content with our event loop, and used by the agent already.
 * Everything runs in the caller's thread, inside server_turn(); a slow client delays nobody.
 */
#ifndef PODSWITCH_SERVER_H
#define PODSWITCH_SERVER_H

#include "control/base/http.h"
#include "control/webhook/keypair.h"
#include "tap/base/histogram.h"

#define SERVER_CLIENTS 512         /* connections at once; one more ends the oldest of those that only wait */
#define SERVER_SLOW 10000          /* ms for a connection's first request, a later one, or taking an answer */
#define SERVER_IDLE 150000         /* ms that a connection may be idle; Go closes its own after 90 s */
#define SERVER_SMALL 65536         /* bytes of a body; larger ones share the budget */
#define SERVER_BUDGET (96ul << 20) /* bytes; bodies that find no room wait for it */
#define SERVER_REVIEWS "/wh/mutating/setgateway"

struct server;

struct server_config {
	const char *listen;      /* "ADDRESS:PORT", "[ADDRESS]:PORT" */
	struct keypair *keypair; /* NULL: plain HTTP, behind a proxy */
	unsigned patience;       /* ms that a review may wait for changes of the cluster */
	/*
	 * Answers a review: returns the HTTP status, with the text to send in *answer, which the server frees, or NULL.
	 * 0 when the answer may change: it is called again after the next server_wake(), and a last time with `final`.
	 */
	unsigned (*review)(void *context, const char *body, size_t length, bool final, char **answer);
	void *context;
	struct http_pages pages;
};

/* 0, or -EINVAL ("listen"), -EADDRINUSE and the like. */
int server_open(const struct server_config *config, struct server **out, struct failure *why);

/* Drops requests under way; server_drain() first avoids that. */
void server_close(struct server *server);

/* Poll it for reading, for at most server_timeout() ms; call server_turn() then, and after every sleep. `now` in ms. */
int server_fd(const struct server *server);
int server_timeout(const struct server *server);
void server_turn(struct server *server, uint64_t now);

/* The cluster has changed: the next turn tries the waiting reviews again. */
void server_wake(struct server *server);

/* From now on each answer closes its connection, so that clients go to other replicas. */
void server_drain(struct server *server);

struct server_counters {
	unsigned clients, requests; /* connected; being received, answered or waiting */
	unsigned waiting;           /* of those: suspended */
	uint64_t cut;               /* connections closed for being slow */
	uint64_t idle;              /* for being idle */
	uint64_t crowded;           /* and for making room for newer ones */
	uint64_t refused;           /* answered with 400 and more */
	struct histogram seconds;   /* from a review's last byte to its answer, waiting included */
};
const struct server_counters *server_count(const struct server *server);

#endif
