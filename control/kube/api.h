/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - talking to a Kubernetes API server over HTTP, without ever waiting for it
 *
 * One `struct kube` is one API server: the connections to it, the credentials, and what is under way. The caller's loop
 * is
 *
 *     kube_wait(kube, fds, n, timeout);   sleeps until something may be done, here or on the caller's descriptors
 *     kube_turn(kube);                    does it: every callback of requests and watches runs inside this call
 *
 * One thread, no blocking calls. (A server given by name makes libcurl resolve it in a thread of its own; inside a
 * cluster it is an address.) All times are milliseconds unless a name says otherwise.
 *
 * The server's certificate is always verified, against `ca_file` and nothing else. Plain http is accepted for loopback
 * addresses alone, as `kubectl proxy` and tests use it, since everything else would show the token to the network.
 * Proxies of the environment are not used. The log has one line when the server goes away and one when it is back.
 */
#ifndef PODSWITCH_API_H
#define PODSWITCH_API_H

#include "tap/base/failure.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define KUBE_IN_FLIGHT 32             /* requests of kube_request that are sent at once */
#define KUBE_QUEUE 256                /* and that wait their turn; more are refused */
#define KUBE_MAX_ANSWER (8ul << 20)   /* bytes of an answer to kube_request */
#define KUBE_REFRESH_MS 60000         /* token and CA are read again this often, even when they look unchanged */
#define KUBE_CONNECT_TIMEOUT_MS 5000  /* TCP and TLS together */
#define KUBE_REQUEST_TIMEOUT_MS 10000 /* of a request that names none */

struct kube;

struct kube_options {
	const char *server;     /* "https://10.96.0.1:443", "https://[fd00::1]:6443"; NULL: as a pod is told,
				   KUBERNETES_SERVICE_HOST and _PORT */
	const char *token_file; /* NULL: the pod's service account's; "": no token */
	const char *ca_file;    /* NULL: the pod's service account's; "": the system's authorities */

	/* Zero: as client-go does it. For tests. */
	unsigned backoff_ms; /* first wait after a failure (800); doubled each time, up to as much again at random */
	unsigned backoff_max_ms;   /* the doubling's end (30000) */
	unsigned backoff_reset_ms; /* a failure this long after the last one counts as the first (120000) */
	uint64_t seed;             /* of everything random; 0: the kernel's */
};

/*
 * Reads token and CA; does not talk to the server yet. 0, or -EINVAL ("server"), -ENOENT and other errnos of reading
 * ("token_file", "ca_file"), -ENOMEM.
 */
int kube_open(const struct kube_options *options, struct kube **out, struct failure *why);

/*
 * Ends everything: the `done` of each unfinished request is called with -ECANCELED. Watches are to be stopped before.
 * Never from a callback. NULL is accepted.
 */
void kube_close(struct kube *kube);

/*
 * Sleeps until kube_turn has work, one of the caller's descriptors is ready (see its `revents`), or `timeout_ms` are
 * over. 0, or -EINTR, -EIO.
 */
int kube_wait(struct kube *kube, struct curl_waitfd *extra, unsigned n_extra, int timeout_ms);

/* Does what can be done now. Never from a callback. */
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
	kube_done *done;          /* NULL: nobody cares */
	void *context;
	unsigned timeout_ms; /* from being sent; 0: KUBE_REQUEST_TIMEOUT_MS */
};

/*
 * Queues a request; it is sent by a later kube_turn, and `done` called exactly once by a still later one. A 401 is
 * repeated once with the token read anew; nothing else is repeated. 0, or -EBUSY (KUBE_QUEUE are waiting), -EINVAL
 * ("method", "path"), -ENOMEM; then `done` is not called.
 */
int kube_request(struct kube *kube, const struct kube_request *request, struct failure *why);

/* Drops the requests that have this context; their `done` is not called. The server may have carried them out. */
void kube_cancel(struct kube *kube, const void *context);

/* Whether the last attempts to reach the server got an answer; true before the first. */
bool kube_reachable(const struct kube *kube);

struct kube_counters {
	uint64_t requests; /* sent by kube_request */
	uint64_t failures; /* of those without an answer, or with a status of 400 and more */
	uint64_t refused;  /* by a full queue */
	uint64_t outages;  /* times the server went away */
	unsigned waiting, in_flight;
};
void kube_count(const struct kube *kube, struct kube_counters *out);

#endif
