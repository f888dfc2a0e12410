/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_clients.h - the connections of an HTTP server, and which of them goes when there are too many
 *
 * Zero-initialise a struct http_clients, set `room`, start a daemon with http_clients_options(), and hand it over with
 * http_clients_start(). The owner tells when a connection's request begins, is complete and is answered;
 * http_clients_run() does the rest. One thread.
 */
#ifndef PODSWITCH_HTTP_CLIENTS_H
#define PODSWITCH_HTTP_CLIENTS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#define HTTP_CLIENTS_OPTIONS 3 /* that http_clients_options() needs */
#define HTTP_CLIENTS_SPARE 64  /* connections that libmicrohttpd may have beyond `room`, until some of them are cut */

enum http_kind {
	HTTP_UNFINISHED, /* we wait for the client: for its first byte, its handshake, its request's head or body */
	HTTP_OURS,       /* the client waits for us: for its answer, or for room for its request's body */
	HTTP_IDLE,       /* everything that came has been answered */
	HTTP_KINDS,
};

struct http_client {
	struct http_client *older, *newer; /* of its kind */
	enum http_kind kind;
	struct MHD_Connection *connection;
	struct http_client *next_shaking, **shaking_at; /* who may be parked; NULL: it is not among them */
	int fd;
	bool shaking;       /* its TLS handshake is not complete */
	bool parked;        /* and it is suspended until something comes for it */
	bool cut;           /* it has been shut down, and is of no kind any more */
	bool pinned;        /* libmicrohttpd does not look at its socket: it cannot be cut, but hurried */
	bool hurried;       /* answer it now, as well as you can: its place is needed. Of no kind until then */
	uint64_t since;     /* ms; when it became of its kind */
	uint64_t allowed;   /* ms beyond the usual time, for what it has sent of its request already */
	uint64_t held;      /* ms; since when it has had a share of what all need; 0: it has none */
	uint64_t finished;  /* ms; the last answer; 0: there was none */
	uint64_t suspected; /* ms; since when an idle one has sent bytes that are no request yet; 0: it has not */
};

struct http_clients {
	struct http_queue {
		struct http_client *oldest, *newest;
		unsigned n;
	} kinds[HTTP_KINDS];
	struct MHD_Daemon *daemon;
	int fd; /* to poll for reading */
	struct http_client *shaking;
	unsigned room;    /* how many may stay */
	unsigned n;       /* of all kinds */
	uint64_t opened;  /* connections ever */
	uint64_t slow;    /* cut for being slow */
	uint64_t idle;    /* cut for being idle */
	uint64_t crowded; /* cut, or hurried, for newer ones */
	uint64_t now;     /* ms; of the present http_clients_run() */
};

/* Fills `out`, which has room for HTTP_CLIENTS_OPTIONS. */
void http_clients_options(struct http_clients *clients, struct MHD_OptionItem *out);

/* Takes the daemon over, also when it fails: 0, or a negative errno. Poll `fd` for reading from then on. */
int http_clients_start(struct http_clients *clients, struct MHD_Daemon *daemon);

/* Stops the daemon, of which the owner has resumed what it had suspended. */
void http_clients_stop(struct http_clients *clients);

/* The client of a connection; NULL when there was no memory for one. The functions below accept NULL. */
struct http_client *http_client_of(struct MHD_Connection *connection);

/* The head of a request is there: its body is waited for. */
void http_client_begin(struct http_clients *clients, struct http_client *client);

/* `bytes` of a body have come: who sends 16 kB/s or more is not slow, however long that takes. */
void http_client_progress(struct http_client *client, size_t bytes);

/* From now on the client waits for us; `pinned`: its connection is suspended. */
void http_client_wait(struct http_clients *clients, struct http_client *client, bool pinned);

/* From now on we wait for the rest of its body again. */
void http_client_go_on(struct http_clients *clients, struct http_client *client);

/* It has a share of something that others may come to wait for, until its request is finished. */
void http_client_hold(struct http_clients *clients, struct http_client *client);

/* Its request has been answered, or has failed. */
void http_client_finish(struct http_clients *clients, struct http_client *client);

/*
 * Runs the daemon until it has nothing more to do, at most `turns` times, and cuts the oldest ones of the kind of which
 * there are most while there are more than `room`. `now` in ms.
 */
void http_clients_run(struct http_clients *clients, unsigned turns, uint64_t now);

/*
 * Cuts who has left a request, or the answer to one, unfinished for `slow` ms, and who has been idle for `idle` ms.
 * Walks all of them. libmicrohttpd's own timeout must be off: it would count the time for which a client waits for us,
 * too.
 */
void http_clients_sweep(struct http_clients *clients, uint64_t slow, uint64_t idle);

/* Others wait for a share: cuts who has one, sends less than 16 kB/s, and has had `slow` ms beside that. */
void http_clients_cut_holders(struct http_clients *clients, uint64_t slow);

#endif
