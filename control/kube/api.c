/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.c - requests to a Kubernetes API server, which never block
 *
 *   kube_request() --> waiting (KUBE_QUEUE) --kube_turn--> flying (KUBE_IN_FLIGHT) --> done()
 *                                                             |        ^
 *                                                             `- 401 --'  once, if the token file has a newer token
 *
 * A request leaves its list before its `done` is called, so that the callback may make requests and cancel others.
 * kube_turn() sends what may be sent, moves bytes, runs the tasks (the watches), then ends transfers: callbacks only
 * run in the last two. Back-off is client-go's: 0.8 s doubled up to 30 s, each plus as much again at random, and back
 * to the start after two minutes without a failure.
 *
 * One thread, the caller's. A `struct kube_pending` is in exactly one list, or on its way from one to the next.
 */
#include "control/kube/kube.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"
#define BACKOFF_MS 800
#define BACKOFF_MAX_MS 30000
#define BACKOFF_RESET_MS 120000

struct kube_pending {
	struct kube_pending *next;
	struct kube *kube;
	struct transfer transfer;
	char *method, *path, *body, *content_type;
	kube_done *done;
	void *context;
	unsigned timeout_ms;
	bool repeated; /* after a 401 */
};

/* ---- back-off ---- */

/* splitmix64: any seed will do, and nothing here has to be unpredictable. */
uint64_t kube_random(struct kube *kube, uint64_t bound)
{
	uint64_t x = kube->random += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (x ^ (x >> 31)) % bound;
}

bool kube_backoff_is_over(const struct kube *kube, const struct kube_backoff *backoff, uint64_t now)
{
	return !backoff->ms || now - backoff->last >= kube->backoff_reset_ms;
}

uint64_t kube_back_off(struct kube *kube, struct kube_backoff *backoff, uint64_t now)
{
	if (kube_backoff_is_over(kube, backoff, now))
		backoff->ms = kube->backoff_ms;
	unsigned wait = backoff->ms;
	backoff->ms = wait < kube->backoff_max_ms / 2 ? wait * 2 : kube->backoff_max_ms;
	backoff->last = now;
	return wait + kube_random(kube, wait);
}

/* ---- opening and closing ---- */

/* The URL from the environment that Kubernetes gives to pods, to be freed; NULL with `why` filled. */
static char *in_cluster_server(struct failure *why)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	char *server = NULL;

	if (!host || !*host || !port || !*port) {
		fail(why, -EINVAL, "server",
		     "no API server: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, as they are in a "
		     "pod");
		return NULL;
	}
	if (asprintf(&server, strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port) < 0) {
		fail(why, -ENOMEM, "server", "out of memory");
		return NULL;
	}
	return server;
}

static int open_transport(struct kube *kube, const struct kube_options *options, struct failure *why)
{
	char *server = options->server ? strdup(options->server) : in_cluster_server(why);

	if (!server)
		return options->server ? fail(why, -ENOMEM, "server", "out of memory") : -EINVAL;
	int error = transport_open(&kube->transport, server,
				   options->token_file ? options->token_file : SERVICE_ACCOUNT "token",
				   options->ca_file ? options->ca_file : SERVICE_ACCOUNT "ca.crt", clock_ms(), why);
	free(server);
	return error;
}

int kube_open(const struct kube_options *options, struct kube **out, struct failure *why)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return fail(why, -EIO, NULL, "libcurl does not start");
	struct kube *kube = calloc(1, sizeof(*kube));
	if (!kube) {
		curl_global_cleanup();
		return fail(why, -ENOMEM, NULL, "out of memory");
	}
	int error = open_transport(kube, options, why);
	if (error) {
		free(kube);
		curl_global_cleanup();
		return error;
	}
	kube->backoff_ms = options->backoff_ms ? options->backoff_ms : BACKOFF_MS;
	kube->backoff_max_ms = options->backoff_max_ms ? options->backoff_max_ms : BACKOFF_MAX_MS;
	kube->backoff_reset_ms = options->backoff_reset_ms ? options->backoff_reset_ms : BACKOFF_RESET_MS;
	kube->random = options->seed;
	if (!options->seed && getrandom(&kube->random, sizeof(kube->random), GRND_NONBLOCK) < 0)
		kube->random = clock_ms(); /* differs between nodes that start at the same time, if only a little */
	kube->last_waiting = &kube->waiting;
	*out = kube;
	return 0;
}

/* ---- requests ---- */

static void pending_free(struct kube_pending *pending)
{
	if (!pending)
		return;
	transfer_stop(&pending->transfer);
	free(pending->method);
	free(pending->path);
	free(pending->body);
	free(pending->content_type);
	free(pending);
}

static void push_waiting(struct kube *kube, struct kube_pending *pending)
{
	pending->next = NULL;
	*kube->last_waiting = pending;
	kube->last_waiting = &pending->next;
	kube->counters.waiting++;
}

static struct kube_pending *pop_waiting(struct kube *kube)
{
	struct kube_pending *first = kube->waiting;

	kube->waiting = first->next;
	if (!kube->waiting)
		kube->last_waiting = &kube->waiting;
	kube->counters.waiting--;
	return first;
}

static void remove_flying(struct kube *kube, const struct kube_pending *pending)
{
	for (struct kube_pending **at = &kube->flying; *at; at = &(*at)->next) {
		if (*at != pending)
			continue;
		*at = pending->next;
		kube->counters.in_flight--;
		return;
	}
}

/* The request must be out of its list. */
static void pending_end(struct kube_pending *pending, long status, json_t *answer, const char *text)
{
	if (status < 0 || status >= 400)
		pending->kube->counters.failures++;
	if (pending->done)
		pending->done(pending->context, status, answer, text);
	pending_free(pending);
}

static void send_pending(struct kube *kube, struct kube_pending *pending);

static void pending_answered(struct transfer *transfer, struct transfer_end *end)
{
	struct kube_pending *pending = transfer->context;
	struct kube *kube = pending->kube;

	remove_flying(kube, pending);
	if (!end->error && end->status == 401 && !pending->repeated) {
		pending->repeated = true;
		credentials_refresh(&kube->transport.credentials, clock_ms(), true);
		if (kube->transport.credentials.generation != transfer->generation) {
			json_decref(end->answer);
			send_pending(kube, pending);
			return;
		}
	}
	if (!end->error && !end->answer && buffer_length(&transfer->in))
		end->answer =
			json_loadb(buffer_bytes(&transfer->in), buffer_length(&transfer->in), JSON_ALLOW_NUL, NULL);
	pending_end(pending, end->error ? end->error : end->status, end->answer, end->text);
	json_decref(end->answer);
}

static void send_pending(struct kube *kube, struct kube_pending *pending)
{
	struct transfer_request request = {
		.method = pending->method,
		.path = pending->path,
		.body = pending->body,
		.content_type = pending->content_type,
		.timeout_ms = pending->timeout_ms,
	};

	pending->transfer.done = pending_answered;
	pending->transfer.context = pending;
	pending->transfer.max = KUBE_MAX_ANSWER;
	if (!pending->repeated)
		kube->counters.requests++;
	int error = transfer_start(&kube->transport, &pending->transfer, &request, clock_ms());
	if (error) {
		pending_end(pending, error, NULL, strerror(-error));
		return;
	}
	pending->next = kube->flying;
	kube->flying = pending;
	kube->counters.in_flight++;
}

static bool may_send(const struct kube *kube)
{
	return kube->waiting && kube->counters.in_flight < KUBE_IN_FLIGHT;
}

static int check_request(const struct kube_request *request, struct failure *why)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
	bool known = false;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		known = known || (request->method && !strcmp(request->method, methods[i]));
	if (!known)
		return fail(why, -EINVAL, "method", "method: give GET, POST, PUT, PATCH or DELETE");
	if (!request->path || *request->path != '/')
		return fail(why, -EINVAL, "path", "path: it must start with a slash");
	for (const char *at = request->path; *at; at++)
		if (*at <= ' ' || *at > '~')
			return fail(why, -EINVAL, "path", "path: it must be percent-encoded ASCII");
	return 0;
}

static struct kube_pending *pending_new(struct kube *kube, const struct kube_request *request)
{
	struct kube_pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	pending->kube = kube;
	pending->done = request->done;
	pending->context = request->context;
	pending->timeout_ms = request->timeout_ms ? request->timeout_ms : KUBE_REQUEST_TIMEOUT_MS;
	pending->method = strdup(request->method);
	pending->path = strdup(request->path);
	pending->content_type = strdup(request->content_type ? request->content_type : "application/json");
	if (request->body)
		pending->body = json_dumps(request->body, JSON_COMPACT | JSON_ENCODE_ANY);
	if (pending->method && pending->path && pending->content_type && (pending->body || !request->body))
		return pending;
	pending_free(pending);
	return NULL;
}

int kube_request(struct kube *kube, const struct kube_request *request, struct failure *why)
{
	int error = check_request(request, why);

	if (error)
		return error;
	if (kube->closing)
		return fail(why, -ECANCELED, NULL, "shutting down");
	if (kube->counters.waiting >= KUBE_QUEUE) {
		kube->counters.refused++;
		return fail(why, -EBUSY, NULL, "%u requests to the API server are waiting already", KUBE_QUEUE);
	}
	struct kube_pending *pending = pending_new(kube, request);
	if (!pending)
		return fail(why, -ENOMEM, NULL, "out of memory");
	push_waiting(kube, pending);
	return 0;
}

void kube_cancel(struct kube *kube, const void *context)
{
	struct kube_pending **at = &kube->waiting, *gone;

	while ((gone = *at)) {
		if (gone->context != context) {
			at = &gone->next;
			continue;
		}
		*at = gone->next;
		kube->counters.waiting--;
		pending_free(gone);
	}
	kube->last_waiting = at;
	for (at = &kube->flying; (gone = *at);) {
		if (gone->context != context) {
			at = &gone->next;
			continue;
		}
		*at = gone->next;
		kube->counters.in_flight--;
		pending_free(gone);
	}
}

/* ---- the loop ---- */

void kube_add_task(struct kube *kube, struct kube_task *task)
{
	task->next = kube->tasks;
	kube->tasks = task;
}

void kube_remove_task(struct kube *kube, struct kube_task *task)
{
	if (kube->next_task == task)
		kube->next_task = task->next;
	for (struct kube_task **at = &kube->tasks; *at; at = &(*at)->next) {
		if (*at == task) {
			*at = task->next;
			return;
		}
	}
}

int kube_wait(struct kube *kube, struct curl_waitfd *extra, unsigned n_extra, int timeout_ms)
{
	uint64_t now = clock_ms(), due = may_send(kube) ? now : KUBE_NEVER;

	for (const struct kube_task *task = kube->tasks; task; task = task->next)
		due = task->due < due ? task->due : due;
	uint64_t wait = due > now ? due - now : 0;
	if (timeout_ms < 0 || wait < (uint64_t)timeout_ms)
		timeout_ms = wait < INT32_MAX ? (int)wait : INT32_MAX;
	return transport_wait(&kube->transport, extra, n_extra, timeout_ms);
}

static void run_tasks(struct kube *kube)
{
	for (struct kube_task *task = kube->tasks; task; task = kube->next_task) {
		kube->next_task = task->next;
		task->turn(task, clock_ms());
	}
}

/*
 * Bytes are moved before callbacks run. Transfers that callbacks start make libcurl's next wait return at once; bytes
 * that had arrived before, and were not read, would not.
 */
void kube_turn(struct kube *kube)
{
	for (unsigned n = kube->counters.waiting; n && may_send(kube); n--)
		send_pending(kube, pop_waiting(kube));
	transport_perform(&kube->transport);
	run_tasks(kube);
	transport_finish(&kube->transport);
}

void kube_close(struct kube *kube)
{
	if (!kube)
		return;
	kube->closing = true;
	while (kube->waiting)
		pending_end(pop_waiting(kube), -ECANCELED, NULL, "shutting down");
	while (kube->flying) {
		struct kube_pending *pending = kube->flying;
		remove_flying(kube, pending);
		transfer_stop(&pending->transfer);
		pending_end(pending, -ECANCELED, NULL, "shutting down");
	}
	transport_close(&kube->transport);
	free(kube);
	curl_global_cleanup();
}

bool kube_reachable(const struct kube *kube)
{
	return !kube->transport.away;
}

void kube_count(const struct kube *kube, struct kube_counters *out)
{
	*out = kube->counters;
	out->outages = kube->transport.outages;
}
