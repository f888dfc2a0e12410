/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - HTTP exchanges with one API server, for api.c and watch.c
 *
 * A transfer is one request and its answer. libcurl's callbacks only append to `in` and take note that the server
 * lives: everything else is done between libcurl's calls, as it must not be called from its own callbacks. One thread.
 */
#ifndef PODSWITCH_TRANSPORT_H
#define PODSWITCH_TRANSPORT_H

#include "control/kube/credentials.h"
#include "tap/base/buffer.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct transport {
	CURLM *multi;
	char *server; /* "https://10.96.0.1:443", without a slash at the end */
	struct credentials credentials;
	unsigned failures; /* tries without an answer in a row */
	bool away;         /* and the log knows */
	uint64_t outages;
};

/* How a transfer has ended. */
struct transfer_end {
	long status;       /* HTTP; 0 when there was no answer */
	int error;         /* negative errno when there was none, or it broke off; else 0 */
	json_t *answer;    /* the body of a status other than 200, when it was JSON; the transfer's owner drops it */
	char text[256];    /* one line on what went wrong, "" when nothing did; no control characters */
	unsigned retry_ms; /* the server's wish (Retry-After), 0: none */
};

struct transfer;
typedef void transfer_done(struct transfer *transfer, struct transfer_end *end);

struct transfer {
	/* The owner's. */
	transfer_done *done;
	void *context;
	size_t max; /* bytes that `in` may hold */

	struct buffer in; /* of the answer, not yet consumed; transfer_free drops it */

	/* The transport's. */
	struct transport *transport;
	CURL *easy; /* NULL: not under way */
	struct curl_slist *headers;
	bool overflow;
	unsigned generation; /* of the token that it was sent with */
	char error[CURL_ERROR_SIZE];
};

struct transfer_request {
	const char *method;
	const char *path; /* with its query */
	const char *body; /* NULL: none */
	const char *content_type;
	unsigned timeout_ms;   /* of the whole */
	unsigned idle_seconds; /* without a byte; 0: not watched */
};

/* 0 or -EINVAL ("server"), -ENOMEM, and what credentials_open returns. Strings are copied. */
int transport_open(struct transport *transport, const char *server, const char *token_file, const char *ca_file,
		   uint64_t now, struct failure *why);

/* All transfers have ended or been stopped. */
void transport_close(struct transport *transport);

/* As kube_wait. */
int transport_wait(struct transport *transport, struct curl_waitfd *extra, unsigned n_extra, int timeout_ms);

/* Moves bytes. No callback of ours. */
void transport_perform(struct transport *transport);

/* Calls `done` of the transfers that have ended; what they left in `in` is theirs. */
void transport_finish(struct transport *transport);

/* Starts a transfer whose `done`, `context` and `max` are set. 0, -ENOMEM, or -EIO. Between libcurl's calls only. */
int transfer_start(struct transport *transport, struct transfer *transfer, const struct transfer_request *request,
		   uint64_t now);

/* The HTTP status of a transfer that is under way; 0 while there is none. */
long transfer_status(const struct transfer *transfer);

/* Ends it, `done` is not called; forgets what it has received. Between libcurl's calls only. */
void transfer_stop(struct transfer *transfer);

#endif
