/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - HTTP exchanges with one API server, for api.c and watch.c
 *
 * A transfer is one request and its answer. One thread.
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
	unsigned failures; /* tries in a row without an answer */
	bool away;         /* which has been logged */
	uint64_t outages;
};

/* How a transfer has ended. */
struct transfer_end {
	long status;       /* HTTP; 0 when there was no answer */
	int error;         /* negative errno when there was no answer, or only a part; else 0 */
	json_t *answer;    /* the body of a status other than 200, if it was JSON; the owner of the transfer drops it */
	char text[256];    /* one line about what went wrong, or ""; no control characters */
	unsigned retry_ms; /* Retry-After; 0: none */
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
	bool fresh;            /* over a connection of its own, as those that are there may lead nowhere */
};

/* 0 or -EINVAL ("server"), -ENOMEM, and what credentials_open returns. Strings are copied. */
int transport_open(struct transport *transport, const char *server, const char *token_file, const char *ca_file,
		   uint64_t now, struct failure *why);

/* After all transfers have ended or been stopped. */
void transport_close(struct transport *transport);

/* As kube_wait(). */
int transport_wait(struct transport *transport, struct curl_waitfd *extra, unsigned n_extra, int timeout_ms);

/* Moves bytes; calls no `done`. */
void transport_perform(struct transport *transport);

/* Calls the `done` of transfers that have ended; the rest of the answer is in their `in`. */
void transport_finish(struct transport *transport);

/* Starts a transfer whose `done`, `context` and `max` are set. 0, -ENOMEM, or -EIO. Between libcurl's calls only. */
int transfer_start(struct transport *transport, struct transfer *transfer, const struct transfer_request *request,
		   uint64_t now);

/* The HTTP status of a transfer that is under way; 0 while there is none. */
long transfer_status(const struct transfer *transfer);

/* Ends it without calling `done`, and drops what it received. Between libcurl's calls only. */
void transfer_stop(struct transfer *transfer);

/* The same when the server has not even begun to answer, which counts as a failure to reach it. */
void transfer_give_up(struct transfer *transfer, const char *text);

#endif
