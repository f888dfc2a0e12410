/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - the agent over HTTP: /healthz, /readyz and /metrics */
#include "control/kube/health.h"
#include "control/base/http.h"
#include "control/base/http_clients.h"

#include <stdlib.h>
#include <string.h>

#define CLIENTS 128 /* connections at once; one more ends the oldest of those that only wait */
#define IDLE 10000  /* ms that a connection may be idle after an answer */
#define SLOW 10000  /* ms for a request, and for taking its answer */
#define SWEEP 1000  /* ms between checks for slow clients */
#define ROUNDS 64   /* of libmicrohttpd in one turn */
#define MEMORY 8192 /* bytes per connection for the head of a request */

struct health {
	struct http_pages pages;
	struct http_clients clients;
	uint64_t swept; /* ms */
};

static enum MHD_Result health_serve(void *context, struct MHD_Connection *connection, const char *path,
				    const char *method, const char *version, const char *upload, size_t *upload_size,
				    void **state)
{
	struct health *health = context;
	struct http_client *client = http_client_of(connection);
	static int begun;
	(void)version;
	(void)upload;
	if (!*state) { /* the first call, with the head alone; the body is read and ignored */
		*state = &begun;
		http_client_begin(&health->clients, client);
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	http_client_wait(&health->clients, client, false);
	bool get = !strcmp(method, "GET") || !strcmp(method, "HEAD");
	struct http_answer answer =
		get ? http_page(&health->pages, path) : http_text(MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	if (!answer.status)
		answer = http_text(MHD_HTTP_NOT_FOUND, "there is /healthz, /readyz and /metrics\n");
	return http_respond(connection, &answer);
}

static void health_completed(void *context, struct MHD_Connection *connection, void **state,
			     enum MHD_RequestTerminationCode how)
{
	struct health *health = context;
	(void)how;
	if (*state)
		http_client_finish(&health->clients, http_client_of(connection));
}

int health_open(const struct health_config *config, struct health **out, struct failure *why)
{
	struct health *health = calloc(1, sizeof(*health));
	if (!health)
		return fail(why, -ENOMEM, NULL, "out of memory");
	struct MHD_OptionItem clients[HTTP_CLIENTS_OPTIONS + 1] = {[HTTP_CLIENTS_OPTIONS] = {MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem options[] = {
		{MHD_OPTION_ARRAY, 0, clients},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)health_completed, health},
		{MHD_OPTION_END, 0, NULL},
	};
	health->clients.room = CLIENTS;
	http_clients_options(&health->clients, clients);
	health->pages = (struct http_pages){config->ready, config->metrics, config->context};
	struct MHD_Daemon *daemon = NULL;
	int error =
		http_open(config->listen, "127.0.0.1:9470", MHD_USE_IPv6, options, health_serve, health, &daemon, why);
	if (!error && http_clients_start(&health->clients, daemon))
		error = fail(why, -EMFILE, NULL, "listen: out of descriptors");
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
	http_clients_stop(&health->clients);
	free(health);
}

int health_fd(const struct health *health)
{
	return health->clients.fd;
}

void health_turn(struct health *health, uint64_t now)
{
	http_clients_run(&health->clients, ROUNDS, now);
	if (now - health->swept < SWEEP)
		return;
	http_clients_sweep(&health->clients, SLOW, IDLE);
	health->swept = now;
}

void health_count(const struct health *health, struct health_counters *out)
{
	*out = (struct health_counters){health->clients.n, health->clients.slow, health->clients.idle,
					health->clients.crowded};
}
