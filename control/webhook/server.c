/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - HTTPS for the API server's reviews
 *
 *   head --------------> request_begin()     404, 411, 413, 415: read to the end, then answered
 *                          | no room in the budget for its body: suspended until others free some
 *   pieces of the body -> request_take()
 *   the end ------------> request_finish() --> config.review() --> answered
 *                          ^                     | 0: may change
 *                          `--- server_wake() or its deadline --- suspended
 *
 * libmicrohttpd calls server_handle() when the head of a request is there, then for each piece of its body, then once
 * more at the end; after a suspension it repeats the call at which it stopped. The list of suspended requests is short
 * and always walked as a whole.
 *
 * Memory: bodies over SERVER_SMALL share SERVER_BUDGET; a slow writer costs a connection, and its share of that until
 * it is cut off: after SERVER_SLOW, or, when others wait for a share, after a tenth of that.
 *
 * Slow and too many clients: http_clients.c. A review that waits for news while its place is needed is answered as if
 * its patience were over.
 *
 * Everything runs in the caller's thread, inside server_turn().
 */
#include "control/webhook/server.h"
#include "control/base/http_clients.h"
#include "control/webhook/review.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MEMORY 32768 /* bytes per connection for the head of a request and a piece of its body */
#define SWEEP 1000   /* ms between checks for slow clients */
#define TURNS 32     /* of libmicrohttpd in one of ours */
#define JSON "application/json"
#define PRIORITIES "SECURE128:%PROFILE_MEDIUM:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3"

struct http_request {
	struct http_request *next;
	struct server *server;
	struct MHD_Connection *connection;
	struct http_client *client;
	char *body;
	size_t length, received;
	size_t share;     /* of the budget */
	unsigned refusal; /* the status to answer with when its body has been read; 0: none */
	bool admitted;
	double complete;   /* seconds of CLOCK_MONOTONIC; 0: not yet */
	uint64_t deadline; /* ms */
};

struct server {
	struct server_config config;
	struct http_clients clients;
	struct http_request *suspended;
	struct server_counters counters;
	size_t used; /* of the budget */
	uint64_t now, swept;
	bool draining, woken, freed;
};

/* ---- answers ---- */

static enum MHD_Result server_respond(struct server *server, struct MHD_Connection *connection,
				      struct http_answer answer)
{
	answer.close = server->draining;
	if (answer.status == MHD_HTTP_METHOD_NOT_ALLOWED)
		answer.allow = "GET, HEAD, POST";
	if (answer.text && answer.status >= 400)
		server->counters.refused++;
	return http_respond(connection, &answer);
}

static struct http_answer server_page(const struct server *server, const char *path)
{
	struct http_answer answer = http_page(&server->config.pages, path);
	if (answer.status)
		return answer;
	if (!strcmp(path, "/wh/health")) /* pod-gateway's */
		return (struct http_answer){.status = MHD_HTTP_OK, .type = JSON, .text = strdup("{\"ok\":true}")};
	if (!strcmp(path, SERVER_REVIEWS))
		return http_text(MHD_HTTP_METHOD_NOT_ALLOWED, "send reviews with POST\n");
	return http_text(MHD_HTTP_NOT_FOUND, "there is " SERVER_REVIEWS ", /healthz, /readyz and /metrics\n");
}

/* ---- a review's request ---- */

static enum MHD_Result request_suspend(struct http_request *request)
{
	struct server *server = request->server;
	MHD_suspend_connection(request->connection);
	http_client_wait(&server->clients, request->client, true);
	request->next = server->suspended;
	server->suspended = request;
	return MHD_YES;
}

static bool request_is_hurried(const struct http_request *request)
{
	return request->client && request->client->hurried;
}

static bool request_find_room(struct http_request *request)
{
	struct server *server = request->server;
	size_t share = request->length > SERVER_SMALL ? request->length : 0;
	if (share && server->used + share > SERVER_BUDGET)
		return false;
	request->body = malloc(request->length + 1);
	if (!request->body)
		return false;
	request->share = share;
	server->used += share;
	request->admitted = true;
	http_client_go_on(&server->clients, request->client);
	if (share)
		http_client_hold(&server->clients, request->client);
	return true;
}

/* The status to refuse it with; 0: accepted. */
static unsigned request_check_head(struct http_request *request)
{
	struct MHD_Connection *connection = request->connection;
	const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Type");
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
	char *end;
	if (!type || strncasecmp(type, "application/json", 16) != 0 || (type[16] && !strchr("; \t", type[16])))
		return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
	if (!length)
		return MHD_HTTP_LENGTH_REQUIRED;
	unsigned long long bytes = strtoull(length, &end, 10);
	if (*end || end == length)
		return MHD_HTTP_BAD_REQUEST;
	if (bytes > REVIEW_MAX)
		return 413;
	request->length = (size_t)bytes;
	return 0;
}

static const char *refusal_text(unsigned status)
{
	switch (status) {
	case MHD_HTTP_NOT_FOUND:
		return "send reviews to " SERVER_REVIEWS "\n";
	case MHD_HTTP_UNSUPPORTED_MEDIA_TYPE:
		return "the Content-Type must be application/json\n";
	case MHD_HTTP_LENGTH_REQUIRED:
		return "a Content-Length is needed\n";
	case MHD_HTTP_SERVICE_UNAVAILABLE:
		return "too many large reviews at once; try again\n";
	case 413:
		return "too large for a review\n";
	default:
		return "not a valid request\n";
	}
}

/* A refused request is read to its end: a client that is still writing would not see the answer. */
static enum MHD_Result request_begin(struct http_request *request, const char *path)
{
	request->refusal = strcmp(path, SERVER_REVIEWS) != 0 ? MHD_HTTP_NOT_FOUND : request_check_head(request);
	return request->refusal || request_find_room(request) ? MHD_YES : request_suspend(request);
}

static enum MHD_Result request_refuse(struct http_request *request, size_t *length)
{
	if (!*length)
		return server_respond(request->server, request->connection,
				      http_text(request->refusal, refusal_text(request->refusal)));
	*length = 0;
	return MHD_YES;
}

static enum MHD_Result request_take(struct http_request *request, const char *bytes, size_t *length)
{
	if (*length > request->length - request->received)
		return MHD_NO; /* libmicrohttpd checks the length, so this does not happen */
	memcpy(request->body + request->received, bytes, *length);
	request->received += *length;
	http_client_progress(request->client, *length);
	*length = 0;
	return MHD_YES;
}

/* Finer than clock_ms(): most reviews take less than a millisecond, and would add nothing to the histogram's sum. */
static double server_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static enum MHD_Result request_finish(struct http_request *request)
{
	struct server *server = request->server;
	char *text = NULL;
	http_client_wait(&server->clients, request->client, false);
	if (!request->complete) {
		request->complete = server_seconds();
		request->deadline = server->now + server->config.patience;
	}
	request->body[request->received] = '\0';
	unsigned status = server->config.review(server->config.context, request->body, request->received,
						server->now >= request->deadline || request_is_hurried(request), &text);
	if (!status)
		return request_suspend(request);
	histogram_add(&server->counters.seconds, server_seconds() - request->complete);
	struct http_answer answer = {.status = status, .type = status == MHD_HTTP_OK ? JSON : HTTP_TEXT, .text = text};
	return server_respond(server, request->connection, text ? answer : http_text(status, "cannot answer now\n"));
}

static enum MHD_Result request_continue(struct http_request *request, const char *bytes, size_t *length)
{
	if (request->refusal)
		return request_refuse(request, length);
	if (!request->admitted && !request_find_room(request)) {
		if (!request_is_hurried(request))
			return request_suspend(request);
		request->refusal = MHD_HTTP_SERVICE_UNAVAILABLE;
		return request_refuse(request, length);
	}
	if (*length)
		return request_take(request, bytes, length);
	return request->received == request->length ? request_finish(request) : MHD_YES;
}

/* ---- libmicrohttpd's callbacks ---- */

static struct http_request *request_new(struct server *server, struct MHD_Connection *connection)
{
	struct http_request *request = calloc(1, sizeof(*request));
	if (!request)
		return NULL;
	request->server = server;
	request->connection = connection;
	request->client = http_client_of(connection);
	http_client_begin(&server->clients, request->client);
	server->counters.requests++;
	return request;
}

static enum MHD_Result server_handle(void *context, struct MHD_Connection *connection, const char *path,
				     const char *method, const char *version, const char *upload, size_t *upload_size,
				     void **state)
{
	struct server *server = context;
	struct http_request *request = *state;
	(void)version;
	if (request && strcmp(method, "POST") == 0)
		return request_continue(request, upload, upload_size);
	if (!request) {
		*state = request = request_new(server, connection);
		if (!request)
			return MHD_NO;
		/* Other methods are answered after their body, which is ignored. */
		return strcmp(method, "POST") ? MHD_YES : request_begin(request, path);
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	bool get = !strcmp(method, "GET") || !strcmp(method, "HEAD");
	return server_respond(server, connection,
			      get ? server_page(server, path)
				  : http_text(MHD_HTTP_METHOD_NOT_ALLOWED, "GET, HEAD or POST\n"));
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode how)
{
	struct server *server = context;
	struct http_request *request = *state;
	(void)connection;
	(void)how;
	if (!request)
		return;
	http_client_finish(&server->clients, request->client);
	server->used -= request->share;
	server->freed = server->freed || request->share;
	server->counters.requests--;
	free(request->body);
	free(request);
	*state = NULL;
}

/* ---- opening and closing ---- */

static int server_start(struct server *server, struct failure *why)
{
	bool encrypted = server->config.keypair;
	struct MHD_OptionItem clients[HTTP_CLIENTS_OPTIONS + 1] = {[HTTP_CLIENTS_OPTIONS] = {MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem options[] = {
		{MHD_OPTION_ARRAY, 0, clients},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server},
		{encrypted ? MHD_OPTION_HTTPS_CERT_CALLBACK : MHD_OPTION_END, 0, (void *)keypair_retrieve},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	unsigned flags = MHD_USE_DUAL_STACK | MHD_ALLOW_SUSPEND_RESUME | (encrypted ? MHD_USE_TLS : 0);

	server->clients.room = SERVER_CLIENTS;
	http_clients_options(&server->clients, clients);
	struct MHD_Daemon *daemon = NULL;
	int error =
		http_open(server->config.listen, "0.0.0.0:8443", flags, options, server_handle, server, &daemon, why);
	if (!error && http_clients_start(&server->clients, daemon))
		error = fail(why, -EMFILE, NULL, "listen: out of descriptors");
	return error;
}

int server_open(const struct server_config *config, struct server **out, struct failure *why)
{
	struct server *server = calloc(1, sizeof(*server));
	if (!server)
		return fail(why, -ENOMEM, NULL, "out of memory");
	server->config = *config;
	int error = server_start(server, why);
	if (error) {
		free(server);
		return error;
	}
	*out = server;
	return 0;
}

static void server_resume(struct server *server, bool all)
{
	for (struct http_request **at = &server->suspended, *request; (request = *at);) {
		bool due = request->admitted ? server->woken || server->now >= request->deadline : server->freed;
		if (!due && !all && !request_is_hurried(request)) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		http_client_wait(&server->clients, request->client, false);
		MHD_resume_connection(request->connection);
	}
	server->woken = server->freed = false;
}

void server_close(struct server *server)
{
	if (!server)
		return;
	server_resume(server, true);
	http_clients_stop(&server->clients);
	free(server);
}

/* ---- the loop ---- */

int server_fd(const struct server *server)
{
	return server->clients.fd;
}

int server_timeout(const struct server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout = SWEEP;
	if (MHD_get_timeout(server->clients.daemon, &timeout) != MHD_YES || timeout > SWEEP)
		timeout = SWEEP;
	for (const struct http_request *request = server->suspended; request; request = request->next) {
		uint64_t left = request->deadline > server->now ? request->deadline - server->now : 0;
		if (request_is_hurried(request) || (server->freed && !request->admitted))
			timeout = 0;
		else if (request->admitted && left < timeout)
			timeout = left;
	}
	return (int)timeout;
}

static void server_recount(struct server *server)
{
	struct server_counters *counters = &server->counters;
	counters->clients = server->clients.n;
	counters->cut = server->clients.slow;
	counters->idle = server->clients.idle;
	counters->crowded = server->clients.crowded;
	counters->waiting = 0;
	for (const struct http_request *request = server->suspended; request; request = request->next)
		counters->waiting++;
}

/* Whether one waits until others free some of the budget. */
static bool server_is_full(const struct server *server)
{
	const struct http_request *request = server->suspended;
	while (request && request->admitted)
		request = request->next;
	return request;
}

/* The sweep comes last: what has been sent in time has been read by then. */
void server_turn(struct server *server, uint64_t now)
{
	server->now = server->clients.now = now;
	server_resume(server, false);
	http_clients_run(&server->clients, TURNS, now);
	if (server_is_full(server))
		http_clients_cut_holders(&server->clients, SERVER_SLOW / 10);
	if (now - server->swept >= SWEEP) {
		http_clients_sweep(&server->clients, SERVER_SLOW, SERVER_IDLE);
		server->swept = now;
	}
	server_recount(server);
}

void server_wake(struct server *server)
{
	server->woken = true;
}

void server_drain(struct server *server)
{
	server->draining = true;
}

const struct server_counters *server_count(const struct server *server)
{
	return &server->counters;
}
