/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - HTTPS for the API server's reviews
 *
 * libmicrohttpd calls serve() for a request when its head is there, then for each piece of its body, then once more;
 * a request that it has suspended it calls again where it stopped. A request is suspended for one of two reasons: there
 * is no room for its body yet, or the answer may be another in a moment. Both lists are small and gone through whole.
 *
 * Who writes slowly keeps nothing but a connection. Idle ones must be kept, as the API server's are reused and a
 * request on one that is just being closed fails; so what is cut off is who has sent something and not made a request
 * of it.
 */
#include "control/webhook/server.h"
#include "control/webhook/review.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#define MEMORY 32768 /* bytes a connection may use for its request's head, and for a piece of the body */
#define SWEEP 1000   /* ms between looks at who is slow */
#define TURNS 32     /* of libmicrohttpd in one of ours */
#define JSON "application/json"
#define PRIORITIES "SECURE128:%PROFILE_MEDIUM:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3"

struct http_client {
	struct http_client *next;
	struct MHD_Connection *connection;
	int fd;
	uint64_t opened, finished; /* ms; the last request's end, 0: there was none */
	uint64_t begun;            /* the present request; 0: none */
	uint64_t suspected;        /* since when there are bytes without a request */
};

struct http_request {
	struct http_request *next;
	struct server *server;
	struct MHD_Connection *connection;
	struct http_client *http_client;
	char *body;
	size_t length, received;
	size_t share;     /* of the budget */
	unsigned refusal; /* status to be answered with at the end, whatever comes; 0: none */
	bool admitted, suspended;
	double complete;   /* seconds of CLOCK_MONOTONIC; 0: not yet */
	uint64_t deadline; /* ms */
};

struct server {
	struct server_config config;
	struct MHD_Daemon *daemon;
	int fd;
	struct http_client *clients;
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
		return http_text(MHD_HTTP_METHOD_NOT_ALLOWED, "reviews come by POST\n");
	return http_text(MHD_HTTP_NOT_FOUND, "there is " SERVER_REVIEWS ", /healthz, /readyz and /metrics\n");
}

/* ---- a review's request ---- */

static enum MHD_Result request_suspend(struct http_request *http_request)
{
	struct server *server = http_request->server;
	MHD_suspend_connection(http_request->connection);
	http_request->suspended = true;
	http_request->next = server->suspended;
	server->suspended = http_request;
	return MHD_YES;
}

static bool request_find_room(struct http_request *http_request)
{
	struct server *server = http_request->server;
	size_t share = http_request->length > SERVER_SMALL ? http_request->length : 0;
	if (share && server->used + share > SERVER_BUDGET)
		return false;
	http_request->body = malloc(http_request->length + 1);
	if (!http_request->body)
		return false;
	http_request->share = share;
	server->used += share;
	http_request->admitted = true;
	return true;
}

/* What there is to say of its head; 0 when all is well. */
static unsigned request_check_head(struct http_request *http_request)
{
	struct MHD_Connection *connection = http_request->connection;
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
	http_request->length = (size_t)bytes;
	return 0;
}

static const char *refusal_text(unsigned status)
{
	switch (status) {
	case MHD_HTTP_NOT_FOUND:
		return "reviews go to " SERVER_REVIEWS "\n";
	case MHD_HTTP_UNSUPPORTED_MEDIA_TYPE:
		return "the content type has to be application/json\n";
	case MHD_HTTP_LENGTH_REQUIRED:
		return "the length has to be said in advance\n";
	case 413:
		return "too long for a review\n";
	default:
		return "this is no request\n";
	}
}

/* What is refused is read to its end, too: a client that still writes would not see the answer. */
static enum MHD_Result request_begin(struct http_request *http_request, const char *path)
{
	http_request->refusal =
		strcmp(path, SERVER_REVIEWS) != 0 ? MHD_HTTP_NOT_FOUND : request_check_head(http_request);
	return http_request->refusal || request_find_room(http_request) ? MHD_YES : request_suspend(http_request);
}

static enum MHD_Result request_refuse(struct http_request *http_request, size_t *length)
{
	if (!*length)
		return server_respond(http_request->server, http_request->connection,
				      http_text(http_request->refusal, refusal_text(http_request->refusal)));
	*length = 0;
	return MHD_YES;
}

static enum MHD_Result request_take(struct http_request *http_request, const char *bytes, size_t *length)
{
	if (*length > http_request->length - http_request->received)
		return MHD_NO; /* libmicrohttpd does not let it come to this */
	memcpy(http_request->body + http_request->received, bytes, *length);
	http_request->received += *length;
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

static enum MHD_Result request_finish(struct http_request *http_request)
{
	struct server *server = http_request->server;
	char *text = NULL;
	if (!http_request->complete) {
		http_request->complete = server_seconds();
		http_request->deadline = server->now + server->config.patience;
	}
	http_request->body[http_request->received] = '\0';
	unsigned status = server->config.review(server->config.context, http_request->body, http_request->received,
						server->now >= http_request->deadline, &text);
	if (!status)
		return request_suspend(http_request);
	histogram_add(&server->counters.seconds, server_seconds() - http_request->complete);
	struct http_answer answer = {.status = status, .type = status == MHD_HTTP_OK ? JSON : HTTP_TEXT, .text = text};
	return server_respond(server, http_request->connection,
			      text ? answer : http_text(status, "this cannot be answered now\n"));
}

static enum MHD_Result request_continue(struct http_request *http_request, const char *bytes, size_t *length)
{
	if (http_request->refusal)
		return request_refuse(http_request, length);
	if (!http_request->admitted && !request_find_room(http_request))
		return request_suspend(http_request);
	if (*length)
		return request_take(http_request, bytes, length);
	return http_request->received == http_request->length ? request_finish(http_request) : MHD_YES;
}

/* ---- what libmicrohttpd calls ---- */

static struct http_client *http_client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static struct http_request *request_new(struct server *server, struct MHD_Connection *connection)
{
	struct http_request *http_request = calloc(1, sizeof(*http_request));
	if (!http_request)
		return NULL;
	http_request->server = server;
	http_request->connection = connection;
	http_request->http_client = http_client_of(connection);
	if (http_request->http_client) {
		http_request->http_client->begun = server->now;
		http_request->http_client->suspected = 0;
	}
	server->counters.requests++;
	return http_request;
}

static enum MHD_Result server_handle(void *context, struct MHD_Connection *connection, const char *path,
				     const char *method, const char *version, const char *upload, size_t *upload_size,
				     void **state)
{
	struct server *server = context;
	struct http_request *http_request = *state;
	(void)version;
	if (http_request && strcmp(method, "POST") == 0)
		return request_continue(http_request, upload, upload_size);
	if (!http_request) {
		*state = http_request = request_new(server, connection);
		if (!http_request)
			return MHD_NO;
		/* Of another's body nothing is wanted. */
		return strcmp(method, "POST") ? MHD_YES : request_begin(http_request, path);
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
	struct http_request *http_request = *state;
	(void)connection;
	(void)how;
	if (!http_request)
		return;
	if (http_request->http_client) {
		http_request->http_client->begun = 0;
		http_request->http_client->finished = server->now;
	}
	server->used -= http_request->share;
	server->freed = server->freed || http_request->share;
	server->counters.requests--;
	free(http_request->body);
	free(http_request);
	*state = NULL;
}

static void http_client_open(struct server *server, struct MHD_Connection *connection, void **state)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct http_client *http_client = calloc(1, sizeof(*http_client));
	*state = http_client;
	if (!http_client)
		return; /* it is served, and trusted to be quick */
	http_client->connection = connection;
	http_client->fd = info->connect_fd;
	http_client->opened = server->now;
	http_client->next = server->clients;
	server->clients = http_client;
	server->counters.clients++;
}

static void http_client_close(struct server *server, struct http_client *http_client)
{
	struct http_client **at = &server->clients;
	if (!http_client)
		return;
	while (*at != http_client)
		at = &(*at)->next;
	*at = http_client->next;
	server->counters.clients--;
	free(http_client);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **state,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *server = context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		http_client_open(server, connection, state);
	else
		http_client_close(server, *state);
}

/* ---- opening and closing ---- */

static int server_start(struct server *server, struct failure *why)
{
	bool encrypted = server->config.keypair;
	const struct MHD_OptionItem options[] = {
		{MHD_OPTION_CONNECTION_LIMIT, SERVER_CLIENTS, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, SERVER_IDLE, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY, NULL},
		{MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
		{encrypted ? MHD_OPTION_HTTPS_CERT_CALLBACK : MHD_OPTION_END, 0, (void *)keypair_retrieve},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	unsigned flags = MHD_USE_DUAL_STACK | MHD_ALLOW_SUSPEND_RESUME | (encrypted ? MHD_USE_TLS : 0);

	return http_open(server->config.listen, "0.0.0.0:8443", flags, options, server_handle, server, &server->daemon,
			 &server->fd, why);
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
	for (struct http_request **at = &server->suspended, *http_request; (http_request = *at);) {
		bool due =
			http_request->admitted ? server->woken || server->now >= http_request->deadline : server->freed;
		if (!due && !all) {
			at = &http_request->next;
			continue;
		}
		*at = http_request->next;
		http_request->suspended = false;
		MHD_resume_connection(http_request->connection);
	}
	server->woken = server->freed = false;
}

void server_close(struct server *server)
{
	if (!server)
		return;
	server_resume(server, true);
	MHD_stop_daemon(server->daemon);
	free(server);
}

/* ---- the loop ---- */

/* Whether the client has sent anything since its last request, or since it came. */
static bool has_sent(const struct http_client *http_client, uint64_t now)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	if (getsockopt(http_client->fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		return false;
	return now - http_client->finished > (uint64_t)info.tcpi_last_data_recv + 100;
}

static bool is_slow(struct http_client *http_client, uint64_t now)
{
	if (http_client->begun)
		return now - http_client->begun > SERVER_SLOW;
	if (!http_client->finished)
		return now - http_client->opened > SERVER_SLOW;
	if (!http_client->suspected && has_sent(http_client, now))
		http_client->suspected = now;
	return http_client->suspected && now - http_client->suspected > SERVER_SLOW;
}

/* The socket is libmicrohttpd's to close: it sees that there is nothing more to come or go. */
static void server_sweep(struct server *server)
{
	for (struct http_client *http_client = server->clients; http_client; http_client = http_client->next) {
		if (!is_slow(http_client, server->now))
			continue;
		shutdown(http_client->fd, SHUT_RDWR);
		server->counters.cut++;
	}
	server->swept = server->now;
}

int server_fd(const struct server *server)
{
	return server->fd;
}

int server_timeout(const struct server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout = SWEEP;
	if (MHD_get_timeout(server->daemon, &timeout) != MHD_YES || timeout > SWEEP)
		timeout = SWEEP;
	for (const struct http_request *http_request = server->suspended; http_request;
	     http_request = http_request->next) {
		uint64_t left = http_request->deadline > server->now ? http_request->deadline - server->now : 0;
		if (http_request->admitted && left < timeout)
			timeout = left;
	}
	return (int)timeout;
}

void server_turn(struct server *server, uint64_t now)
{
	MHD_UNSIGNED_LONG_LONG timeout = 0;
	server->now = now;
	server_resume(server, false);
	if (now - server->swept >= SWEEP)
		server_sweep(server);
	for (int i = 0; i < TURNS && (!i || (MHD_get_timeout(server->daemon, &timeout) == MHD_YES && !timeout)); i++)
		MHD_run(server->daemon);
	server->counters.waiting = 0;
	for (const struct http_request *http_request = server->suspended; http_request;
	     http_request = http_request->next)
		server->counters.waiting++;
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
