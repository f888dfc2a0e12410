/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - what is asked over HTTP */
#include "control/kube/health.h"
#include "tap/base/address.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 32  /* connections at once; kubelet and Prometheus need one each */
#define TIMEOUT 10  /* seconds for a request */
#define ROUNDS 64   /* in one turn */
#define MEMORY 8192 /* bytes a connection may use for its request's head */

struct health {
	struct health_config config;
	struct MHD_Daemon *server;
	int fd;
};

static enum MHD_Result health_respond(struct MHD_Connection *connection, unsigned status, char *text)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result health_answer_ready(const struct health *health, struct MHD_Connection *connection)
{
	const char *reason = "";
	char text[300];
	bool ready = health->config.ready(health->config.context, &reason);
	snprintf(text, sizeof(text), "%.290s\n", ready ? "ok" : reason);
	return health_respond(connection, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static enum MHD_Result health_answer_metrics(const struct health *health, struct MHD_Connection *connection)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return MHD_NO;
	health->config.metrics(health->config.context, out);
	enum MHD_Result result = fclose(out) ? MHD_NO : health_respond(connection, MHD_HTTP_OK, text);
	free(text);
	return result;
}

static enum MHD_Result health_serve(void *context, struct MHD_Connection *connection, const char *path,
				    const char *method, const char *version, const char *upload, size_t *upload_size,
				    void **state)
{
	static char ok[] = "ok\n", get_only[] = "only GET\n", where[] = "there is /healthz, /readyz and /metrics\n";
	static int begun;
	const struct health *health = context;
	(void)version;
	(void)upload;
	if (!*state) { /* the head has come; the body, of which nothing is wanted, has not */
		*state = &begun;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return health_respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, get_only);
	if (!strcmp(path, "/healthz"))
		return health_respond(connection, MHD_HTTP_OK, ok);
	if (!strcmp(path, "/readyz"))
		return health_answer_ready(health, connection);
	if (!strcmp(path, "/metrics"))
		return health_answer_metrics(health, connection);
	return health_respond(connection, MHD_HTTP_NOT_FOUND, where);
}

static socklen_t socket_address(const struct endpoint *from, struct sockaddr_storage *out)
{
	*out = (struct sockaddr_storage){.ss_family = from->address.family};
	if (from->address.family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
		in6->sin6_port = htons(from->port);
		memcpy(&in6->sin6_addr, from->address.bytes, 16);
		return sizeof(*in6);
	}
	struct sockaddr_in *in = (struct sockaddr_in *)out;
	in->sin_port = htons(from->port);
	memcpy(&in->sin_addr, from->address.bytes, 4);
	return sizeof(*in);
}

int health_open(const struct health_config *config, struct health **out, struct failure *why)
{
	struct endpoint endpoint = {0};
	struct sockaddr_storage address;
	if (endpoint_parse(config->listen, &endpoint) || !endpoint.port)
		return fail(why, -EINVAL, "listen", "listen: '%.64s' is not ADDRESS:PORT, as 127.0.0.1:9470",
			    config->listen);
	socket_address(&endpoint, &address);
	struct health *health = calloc(1, sizeof(*health));
	if (!health)
		return fail(why, -ENOMEM, NULL, "out of memory");
	health->config = *config;
	unsigned flags = MHD_USE_EPOLL | (endpoint.address.family == AF_INET6 ? MHD_USE_IPv6 : 0);
	errno = 0;
	health->server = MHD_start_daemon(flags, endpoint.port, NULL, NULL, health_serve, health, MHD_OPTION_SOCK_ADDR,
					  &address, MHD_OPTION_CONNECTION_LIMIT, CLIENTS, MHD_OPTION_CONNECTION_TIMEOUT,
					  TIMEOUT, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_END);
	if (!health->server) {
		int error = errno ? -errno : -EIO;
		free(health);
		return fail(why, error, "listen", "listen: cannot serve HTTP on %.64s: %s", config->listen,
			    strerror(-error));
	}
	health->fd = MHD_get_daemon_info(health->server, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	*out = health;
	return 0;
}

void health_close(struct health *health)
{
	if (!health)
		return;
	MHD_stop_daemon(health->server);
	free(health);
}

int health_fd(const struct health *health)
{
	return health->fd;
}

/* The descriptor says only once that there is more than one round takes; MHD then asks for no sleep at all. */
void health_turn(struct health *health)
{
	MHD_UNSIGNED_LONG_LONG sleep = 0;
	for (int i = 0; i < ROUNDS && !sleep; i++) {
		MHD_run(health->server);
		if (MHD_get_timeout(health->server, &sleep) != MHD_YES)
			return;
	}
}
