/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - requests to a Kubernetes API server, which never block
 *
 * One `struct kube` is one API server: its connections, credentials and pending requests. The caller's loop is
 *
 *     kube_wait(kube, fds, n, timeout);   sleeps until there is work, here or on the caller's descriptors
 *     kube_turn(kube);                    does it; all callbacks of requests and watches run inside this call
 *
 * One thread, no blocking calls. (libcurl resolves a server given by name in a thread of its own; inside a cluster it
 * is an address.) All times are milliseconds unless a name says otherwise.
 *
 * The server's certificate is always verified, against `ca_file` and nothing else. Plain http is accepted for loopback
 * addresses only (`kubectl proxy`, tests): anywhere else it would show the token to the network. Proxy variables of the
 * environment are ignored. One line is logged when the server goes away, and one when it is back.
 */
#ifndef PODSWITCH_API_H
#define PODSWITCH_API_H

#include "tap/base/failure.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define KUBE_IN_FLIGHT 32             /* requests of kube_request() under way at once */
#define KUBE_QUEUE 256                /* and waiting; more are refused */
#define KUBE_MAX_ANSWER (8ul << 20)   /* bytes of an answer to kube_request */
#define KUBE_REFRESH_MS 60000         /* token and CA are read again this often, even if they look unchanged */
#define KUBE_CONNECT_TIMEOUT_MS 5000  /* TCP and TLS together */
#define KUBE_REQUEST_TIMEOUT_MS 10000 /* of a request that gives none */

struct kube;

struct kube_options {
	const char *server;     /* "https://10.96.0.1:443", "https://[fd00::1]:6443"; NULL: from the pod's environment,
				   KUBERNETES_SERVICE_HOST and _PORT */
	const char *token_file; /* NULL: the pod's service account's; "": no token */
	const char *ca_file;    /* NULL: the pod's service account's; "": the system's authorities */

	/* For tests; zero means the values of client-go. */
	unsigned backoff_ms;     /* first wait after a failure (800), doubled each time; plus up to as much at random */
	unsigned backoff_max_ms; /* the longest (30000) */
	unsigned backoff_reset_ms; /* a failure this long after the last one counts as the first (120000) */
	uint64_t seed;             /* of all random numbers; 0: from the kernel */
};

/*
 * Reads token and CA; does not contact the server yet. 0, -EINVAL ("server"), -ENOENT and other errnos of reading
 * ("token_file", "ca_file"), or -ENOMEM.
 */
int kube_open(const struct kube_options *options, struct kube **out, struct failure *why);

/*
 * Ends everything: each unfinished request gets its `done` with -ECANCELED. Stop the watches first. Not from a
 * callback. NULL is accepted.
 */
void kube_close(struct kube *kube);

/*
 * Sleeps until kube_turn() has work, one of the caller's descriptors is ready (see its `revents`), or after
 * `timeout_ms`. 0, -EINTR, or -EIO.
 */
int kube_wait(struct kube *kube, struct curl_waitfd *extra, unsigned n_extra, int timeout_ms);

/* Does all that can be done now, without blocking. Not from a callback. */
void kube_turn(struct kube *kube);

/*
 * The end of a request. `status` is the HTTP status, whatever it is (201, 403, 404, ...), or a negative errno when
 * there was no answer: -ECONNREFUSED, -ETIMEDOUT, -EPROTO (TLS), -EMSGSIZE (longer than KUBE_MAX_ANSWER), -ECANCELED,
 * -EIO. `answer` is the body when it was JSON, else NULL; borrowed. `text` says what went wrong (the server's message
 * when it sent a Status), "" when nothing did. More requests may be made from here.
 */
typedef void kube_done(void *context, long status, json_t *answer, const char *text);

struct kube_request {
	const char *method;       /* "GET", "POST", "PUT", "PATCH", "DELETE" */
	const char *path;         /* "/api/v1/namespaces/media/events", with its query, percent-encoded */
	json_t *body;             /* NULL: none; borrowed during the call */
	const char *content_type; /* of the body; NULL: "application/json" */
	kube_done *done;          /* may be NULL */
	void *context;
	unsigned timeout_ms; /* from being sent; 0: KUBE_REQUEST_TIMEOUT_MS */
};

/*
 * Queues a request. A later kube_turn() sends it, and a still later one calls `done`, exactly once. After a 401 it is
 * sent once more if the token file has a newer token; nothing else is repeated. 0, -EBUSY (KUBE_QUEUE are waiting),
 * -EINVAL ("method", "path"), or -ENOMEM; after an error `done` is not called.
 */
int kube_request(struct kube *kube, const struct kube_request *request, struct failure *why);

/* Drops all requests with this context; their `done` is not called. The server may have executed them. */
void kube_cancel(struct kube *kube, const void *context);

/* Whether the last tries to reach the server got an answer; true before the first. */
bool kube_reachable(const struct kube *kube);

struct kube_counters {
	uint64_t requests; /* sent */
	uint64_t failures; /* of those without an answer, or with a status of 400 and more */
	uint64_t refused;  /* by a full queue */
	uint64_t outages;  /* times the server went away */
	unsigned waiting, in_flight;
};
void kube_count(const struct kube *kube, struct kube_counters *out);

#endif
