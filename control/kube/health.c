/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - the agent over HTTP: /healthz, /readyz and /metrics */
#include "control/kube/health.h"
#include "control/base/http.h"

#include <stdlib.h>
#include <string.h>

#define CLIENTS 32  /* connections at once; kubelet and Prometheus need one each */
#define TIMEOUT 10  /* seconds for a request */
#define ROUNDS 64   /* of libmicrohttpd in one turn */
#define MEMORY 8192 /* bytes per connection for the head of a request */

struct health {
	struct http_pages pages;
	struct MHD_Daemon *server;
	int fd;
};

static enum MHD_Result health_serve(void *context, struct MHD_Connection *connection, const char *path,
				    const char *method, const char *version, const char *upload, size_t *upload_size,
				    void **state)
{
	static int begun;
	const struct health *health = context;
	(void)version;
	(void)upload;
	if (!*state) { /* the first call, with the head alone; the body is read and ignored */
		*state = &begun;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	bool get = !strcmp(method, "GET") || !strcmp(method, "HEAD");
	struct http_answer answer =
		get ? http_page(&health->pages, path) : http_text(MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	if (!answer.status)
		answer = http_text(MHD_HTTP_NOT_FOUND, "there is /healthz, /readyz and /metrics\n");
	return http_respond(connection, &answer);
}

int health_open(const struct health_config *config, struct health **out, struct failure *why)
{
	const struct MHD_OptionItem options[] = {
		{MHD_OPTION_CONNECTION_LIMIT, CLIENTS, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY, NULL},
		{MHD_OPTION_END, 0, NULL},
	};
	struct health *health = calloc(1, sizeof(*health));
	if (!health)
		return fail(why, -ENOMEM, NULL, "out of memory");
	health->pages = (struct http_pages){config->ready, config->metrics, config->context};
	int error = http_open(config->listen, "127.0.0.1:9470", MHD_USE_IPv6, options, health_serve, health,
			      &health->server, &health->fd, why);
	if (error) {
		free(health);
		return error;
	}
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

/* After one round the descriptor may be quiet although there is more to do: MHD_get_timeout() then says 0. */
void health_turn(struct health *health)
{
	MHD_UNSIGNED_LONG_LONG sleep = 0;
	for (int i = 0; i < ROUNDS && !sleep; i++) {
		MHD_run(health->server);
		if (MHD_get_timeout(health->server, &sleep) != MHD_YES)
			return;
	}
}
