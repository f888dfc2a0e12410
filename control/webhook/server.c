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
#include "vswitch/address.h"

#include <microhttpd.h>
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
#define PRIORITIES "SECURE128:%PROFILE_MEDIUM:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3"

struct client {
	struct client *next;
	struct MHD_Connection *connection;
	int fd;
	uint64_t opened, finished; /* ms; the last request's end, 0: there was none */
	uint64_t begun;            /* the present request; 0: none */
	uint64_t suspected;        /* since when there are bytes without a request */
};

struct request {
	struct request *next;
	struct server *server;
	struct MHD_Connection *connection;
	struct client *client;
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
	struct client *clients;
	struct request *suspended;
	struct server_counters counters;
	size_t used; /* of the budget */
	uint64_t now, swept;
	bool draining, woken, freed;
};

/* ---- answers ---- */

/* `text` is the response's to free. */
static enum MHD_Result answer(struct server *server, struct MHD_Connection *connection, unsigned status,
			      const char *type, char *text)
{
	struct MHD_Response *response =
		text ? MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE) : NULL;
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", type);
	if (server->draining)
		MHD_add_response_header(response, "Connection", "close");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD, POST");
	if (status >= 400)
		server->counters.refused++;
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_text(struct server *server, struct MHD_Connection *connection, unsigned status,
				   const char *text)
{
	return answer(server, connection, status, "text/plain; charset=utf-8", strdup(text));
}

static enum MHD_Result answer_ready(struct server *server, struct MHD_Connection *connection)
{
	const char *reason = "";
	char text[300];
	bool ready = server->config.ready(server->config.context, &reason);
	snprintf(text, sizeof(text), "%.290s\n", ready ? "ok" : reason);
	return answer_text(server, connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static enum MHD_Result answer_metrics(struct server *server, struct MHD_Connection *connection)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return MHD_NO;
	server->config.metrics(server->config.context, out);
	if (!fclose(out))
		return answer(server, connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text);
	free(text);
	return MHD_NO;
}

static enum MHD_Result answer_get(struct server *server, struct MHD_Connection *connection, const char *path)
{
	if (!strcmp(path, "/healthz"))
		return answer_text(server, connection, MHD_HTTP_OK, "ok\n");
	if (!strcmp(path, "/wh/health")) /* today's */
		return answer(server, connection, MHD_HTTP_OK, "application/json", strdup("{\"ok\":true}"));
	if (!strcmp(path, "/readyz"))
		return answer_ready(server, connection);
	if (!strcmp(path, "/metrics"))
		return answer_metrics(server, connection);
	if (!strcmp(path, SERVER_REVIEWS))
		return answer_text(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "reviews come by POST\n");
	return answer_text(server, connection, MHD_HTTP_NOT_FOUND,
			   "there is " SERVER_REVIEWS ", /healthz, /readyz and /metrics\n");
}

/* ---- a review's request ---- */

static enum MHD_Result suspend(struct request *request)
{
	struct server *server = request->server;
	MHD_suspend_connection(request->connection);
	request->suspended = true;
	request->next = server->suspended;
	server->suspended = request;
	return MHD_YES;
}

static bool find_room(struct request *request)
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
	return true;
}

/* What there is to say of its head; 0 when all is well. */
static unsigned judge_head(struct request *request)
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
static enum MHD_Result begin(struct request *request, const char *path)
{
	request->refusal = strcmp(path, SERVER_REVIEWS) != 0 ? MHD_HTTP_NOT_FOUND : judge_head(request);
	return request->refusal || find_room(request) ? MHD_YES : suspend(request);
}

static enum MHD_Result refuse(struct request *request, size_t *length)
{
	if (!*length)
		return answer_text(request->server, request->connection, request->refusal,
				   refusal_text(request->refusal));
	*length = 0;
	return MHD_YES;
}

static enum MHD_Result take(struct request *request, const char *bytes, size_t *length)
{
	if (*length > request->length - request->received)
		return MHD_NO; /* libmicrohttpd does not let it come to this */
	memcpy(request->body + request->received, bytes, *length);
	request->received += *length;
	*length = 0;
	return MHD_YES;
}

static double seconds_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static enum MHD_Result finish(struct request *request)
{
	struct server *server = request->server;
	char *text = NULL;
	if (!request->complete) {
		request->complete = seconds_now();
		request->deadline = server->now + server->config.patience;
	}
	request->body[request->received] = '\0';
	unsigned status = server->config.review(server->config.context, request->body, request->received,
						server->now >= request->deadline, &text);
	if (!status)
		return suspend(request);
	histogram_add(&server->counters.seconds, seconds_now() - request->complete);
	if (!text)
		return answer_text(server, request->connection, status, "this cannot be answered now\n");
	return answer(server, request->connection, status,
		      status == MHD_HTTP_OK ? "application/json" : "text/plain; charset=utf-8", text);
}

static enum MHD_Result go_on(struct request *request, const char *bytes, size_t *length)
{
	if (request->refusal)
		return refuse(request, length);
	if (!request->admitted && !find_room(request))
		return suspend(request);
	if (*length)
		return take(request, bytes, length);
	return request->received == request->length ? finish(request) : MHD_YES;
}

/* ---- what libmicrohttpd calls ---- */

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static struct request *request_new(struct server *server, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));
	if (!request)
		return NULL;
	request->server = server;
	request->connection = connection;
	request->client = client_of(connection);
	if (request->client) {
		request->client->begun = server->now;
		request->client->suspected = 0;
	}
	server->counters.requests++;
	return request;
}

static enum MHD_Result serve(void *context, struct MHD_Connection *connection, const char *path, const char *method,
			     const char *version, const char *upload, size_t *upload_size, void **state)
{
	struct server *server = context;
	struct request *request = *state;
	(void)version;
	if (request && strcmp(method, "POST") == 0)
		return go_on(request, upload, upload_size);
	if (!request) {
		*state = request = request_new(server, connection);
		if (!request)
			return MHD_NO;
		/* Of another's body nothing is wanted. */
		return strcmp(method, "POST") ? MHD_YES : begin(request, path);
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return answer_text(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET, HEAD or POST\n");
	return answer_get(server, connection, path);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode how)
{
	struct server *server = context;
	struct request *request = *state;
	(void)connection;
	(void)how;
	if (!request)
		return;
	if (request->client) {
		request->client->begun = 0;
		request->client->finished = server->now;
	}
	server->used -= request->share;
	server->freed = server->freed || request->share;
	server->counters.requests--;
	free(request->body);
	free(request);
	*state = NULL;
}

static void client_open(struct server *server, struct MHD_Connection *connection, void **state)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct client *client = calloc(1, sizeof(*client));
	*state = client;
	if (!client)
		return; /* it is served, and trusted to be quick */
	client->connection = connection;
	client->fd = info->connect_fd;
	client->opened = server->now;
	client->next = server->clients;
	server->clients = client;
	server->counters.clients++;
}

static void client_close(struct server *server, struct client *client)
{
	struct client **at = &server->clients;
	if (!client)
		return;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	server->counters.clients--;
	free(client);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **state,
			  enum MHD_ConnectionNotificationCode code)
{
	struct server *server = context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		client_open(server, connection, state);
	else
		client_close(server, *state);
}

/* ---- opening and closing ---- */

static void socket_address(const struct endpoint *from, struct sockaddr_storage *out)
{
	*out = (struct sockaddr_storage){.ss_family = from->address.family};
	if (from->address.family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
		in6->sin6_port = htons(from->port);
		memcpy(&in6->sin6_addr, from->address.bytes, 16);
		return;
	}
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	in->sin_port = htons(from->port);
	memcpy(&in->sin_addr, from->address.bytes, 4);
}

static struct MHD_Daemon *start(struct server *server, const struct endpoint *at)
{
	struct sockaddr_storage address;
	const struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)keypair_retrieve},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	bool encrypted = server->config.keypair;
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (encrypted ? MHD_USE_TLS : 0);
	socket_address(at, &address);
	flags |= at->address.family == AF_INET6 ? MHD_USE_DUAL_STACK : 0;
	errno = 0;
	return MHD_start_daemon(flags, at->port, NULL, NULL, serve, server, MHD_OPTION_SOCK_ADDR, &address,
				MHD_OPTION_CONNECTION_LIMIT, SERVER_CLIENTS, MHD_OPTION_CONNECTION_TIMEOUT, SERVER_IDLE,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_LISTEN_BACKLOG_SIZE,
				1024u, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
				on_connection, server, MHD_OPTION_ARRAY, encrypted ? tls : &tls[2], MHD_OPTION_END);
}

int server_open(const struct server_config *config, struct server **out, struct failure *why)
{
	struct endpoint endpoint = {0};
	if (endpoint_parse(config->listen, &endpoint) || !endpoint.port)
		return fail(why, -EINVAL, "listen", "listen: '%.64s' is not ADDRESS:PORT, as 0.0.0.0:8443",
			    config->listen);
	struct server *server = calloc(1, sizeof(*server));
	if (!server)
		return fail(why, -ENOMEM, NULL, "out of memory");
	server->config = *config;
	server->daemon = start(server, &endpoint);
	if (!server->daemon) {
		int error = errno ? -errno : -EIO;
		free(server);
		return fail(why, error, "listen", "listen: cannot serve HTTP on %.64s: %s", config->listen,
			    strerror(-error));
	}
	server->fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	*out = server;
	return 0;
}

static void resume(struct server *server, bool all)
{
	for (struct request **at = &server->suspended, *request; (request = *at);) {
		bool due = request->admitted ? server->woken || server->now >= request->deadline : server->freed;
		if (!due && !all) {
			at = &request->next;
			continue;
		}
		*at = request->next;
		request->suspended = false;
		MHD_resume_connection(request->connection);
	}
	server->woken = server->freed = false;
}

void server_close(struct server *server)
{
	if (!server)
		return;
	resume(server, true);
	MHD_stop_daemon(server->daemon);
	free(server);
}

/* ---- the loop ---- */

/* Whether the client has sent anything since its last request, or since it came. */
static bool has_sent(const struct client *client, uint64_t now)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	if (getsockopt(client->fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		return false;
	return now - client->finished > (uint64_t)info.tcpi_last_data_recv + 100;
}

static bool is_slow(struct client *client, uint64_t now)
{
	if (client->begun)
		return now - client->begun > SERVER_SLOW;
	if (!client->finished)
		return now - client->opened > SERVER_SLOW;
	if (!client->suspected && has_sent(client, now))
		client->suspected = now;
	return client->suspected && now - client->suspected > SERVER_SLOW;
}

/* The socket is libmicrohttpd's to close: it sees that there is nothing more to come or go. */
static void sweep(struct server *server)
{
	for (struct client *client = server->clients; client; client = client->next) {
		if (!is_slow(client, server->now))
			continue;
		shutdown(client->fd, SHUT_RDWR);
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
	for (const struct request *request = server->suspended; request; request = request->next) {
		uint64_t left = request->deadline > server->now ? request->deadline - server->now : 0;
		if (request->admitted && left < timeout)
			timeout = left;
	}
	return (int)timeout;
}

void server_turn(struct server *server, uint64_t now)
{
	MHD_UNSIGNED_LONG_LONG timeout = 0;
	server->now = now;
	resume(server, false);
	if (now - server->swept >= SWEEP)
		sweep(server);
	for (int i = 0; i < TURNS && (!i || (MHD_get_timeout(server->daemon, &timeout) == MHD_YES && !timeout)); i++)
		MHD_run(server->daemon);
	server->counters.waiting = 0;
	for (const struct request *request = server->suspended; request; request = request->next)
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
