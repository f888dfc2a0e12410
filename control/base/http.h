/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - what our HTTP servers share: opening, answering, and the pages /healthz, /readyz and /metrics
 *
 * libmicrohttpd without threads of its own: all of it runs in the thread that calls MHD_run().
 */
#ifndef PODSWITCH_HTTP_H
#define PODSWITCH_HTTP_H

#include "tap/base/failure.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>

#define HTTP_TEXT "text/plain; charset=utf-8"

struct http_pages {
	/* Whether all is well; else *reason says what is missing, for people. */
	bool (*ready)(void *context, const char **reason);
	/* Writes metrics in Prometheus' text format. */
	void (*metrics)(void *context, FILE *out);
	void *context;
};

struct http_answer {
	unsigned status;
	const char *type;  /* the Content-Type */
	char *text;        /* to be freed by http_respond(); NULL: there is no memory for it */
	const char *allow; /* for a 405: the Allow header; NULL: none */
	bool close;        /* ask the client to go elsewhere with its next request */
};

/* A short text of type HTTP_TEXT. */
struct http_answer http_text(unsigned status, const char *text);

/* The page at `path`, with status 0 when it is none of the three. */
struct http_answer http_page(const struct http_pages *pages, const char *path);

/* Queues the answer. MHD_NO, which makes libmicrohttpd end the connection, when that is not possible. */
enum MHD_Result http_respond(struct MHD_Connection *connection, const struct http_answer *answer);

/*
 * Opens a server on `listen`, "ADDRESS:PORT" or "[ADDRESS]:PORT"; `example` is one for the text of a refusal.
 * Flags for IPv6 (MHD_USE_IPv6, MHD_USE_DUAL_STACK) are dropped where the address is none.
 * `options` end with MHD_OPTION_END. 0, or -EINVAL ("listen"), -EADDRINUSE and what else bind(2) says.
 */
int http_open(const char *listen, const char *example, unsigned flags, const struct MHD_OptionItem *options,
	      MHD_AccessHandlerCallback handler, void *context, struct MHD_Daemon **out, struct failure *why);

#endif
