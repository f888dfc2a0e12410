/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover_take.c - the new one's side of a takeover
 *
 * All lines are read before anything is made of them, as the old one's control thread waits to be rid of them. What
 * they carry is kept in two objects, by name, and in the order of the lines.
 */
#include "control/base/client.h"
#include "control/base/json.h"
#include "control/base/jsonrpc.h"
#include "control/daemon/handed.h"
#include "control/daemon/takeover.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAKE_TIMEOUT 10000 /* ms */

struct takeover {
	struct fd_stream stream;
	json_t *gateways; /* {NAME: pod_underlay} */
	json_t *learned;  /* [line, ...] */
	struct handed_port_line *ports;
	size_t n_ports, max_ports;
	long long pid;
	char version[32];
	uint64_t paused; /* ms */
};

/* ---- the first words ---- */

/* The answer came, and whatever follows it is in the client's buffer already. */
static struct takeover *takeover_new(struct client *client)
{
	struct takeover *takeover = calloc(1, sizeof(*takeover));
	if (!takeover)
		return NULL;
	takeover->stream = (struct fd_stream){.socket = client->fd, .deadline = clock_ms() + TAKE_TIMEOUT};
	client->fd = -1;
	takeover->gateways = json_object();
	takeover->learned = json_array();
	return takeover;
}

static int takeover_hello(struct takeover *takeover, int *lock, struct failure *why)
{
	json_t *line = NULL;
	int error = fd_stream_send(&takeover->stream, json_pack("{s:b}", "go", 1), NULL, 0, why);
	if (!error)
		error = fd_stream_receive(&takeover->stream, &line, why);
	if (error)
		return error;
	const json_t *hello = json_object_get(line, "hello");
	takeover->pid = json_integer_value(json_object_get(hello, "pid"));
	snprintf(takeover->version, sizeof(takeover->version), "%.31s", json_text(hello, "version"));
	if (json_integer_value(json_object_get(hello, "protocol")) != HANDED_PROTOCOL)
		error = fail(why, -EPROTO, NULL,
			     "the podswitchd that runs (%.31s) hands over in another way; stop it first",
			     takeover->version);
	else if (json_is_true(json_object_get(hello, "locked")))
		error = fd_stream_take(&takeover->stream, lock, 1, why);
	json_decref(line);
	return error;
}

int takeover_begin(const char *socket, struct takeover **out, int *lock, struct failure *why)
{
	struct client client;
	json_t *result = NULL;
	*out = NULL;
	*lock = -1;
	int error = client_connect_to(&client, socket, "podswitchd", TAKE_TIMEOUT, why);
	if (error == -ENOENT || error == -ECONNREFUSED) {
		log_line(LOG_INFO, "nobody answers on %s: there is nothing to take over", socket);
		return 0;
	}
	if (error)
		return error;
	error = client_call(&client, TAKEOVER_METHOD, NULL, &result, why);
	json_decref(result);
	if (error == -EREMOTEIO && client.refused == JSONRPC_UNKNOWN_METHOD) {
		/* It hangs up when it has given up everything but its lock, for which the start waits. */
		error = client_stop_peer(&client, why);
	} else if (!error) {
		*out = takeover_new(&client);
		error = *out ? takeover_hello(*out, lock, why) : fail(why, -ENOMEM, NULL, "out of memory");
	}
	client_disconnect(&client);
	if (error) {
		takeover_end(*out, why ? why->text : "");
		*out = NULL;
	}
	return error;
}

/* ---- all that there is ---- */

static struct handed_port_line *new_port(struct takeover *takeover)
{
	if (takeover->n_ports == takeover->max_ports) {
		size_t max = takeover->max_ports ? takeover->max_ports * 2 : 64;
		struct handed_port_line *ports = realloc(takeover->ports, max * sizeof(*ports));
		if (!ports)
			return NULL;
		takeover->ports = ports;
		takeover->max_ports = max;
	}
	return &takeover->ports[takeover->n_ports];
}

static int take_port_line(struct takeover *takeover, const json_t *line, const struct switch_options *options,
			  struct failure *why)
{
	struct handed_port_line *port = new_port(takeover);
	if (!port)
		return fail(why, -ENOMEM, NULL, "out of memory");
	int error = handed_read_port(line, &takeover->stream, options, port, why);
	takeover->n_ports += !error;
	return error;
}

static int take_host_line(struct takeover *takeover, const json_t *line, struct vswitch *vs,
			  const struct switch_options *options, struct failure *why)
{
	struct underlay *host = NULL;
	int error = handed_read_host(line, &takeover->stream, options, &host, why);
	return error ? error : handover_take_host(vs, host, why);
}

static int take_gateway_line(const struct takeover *takeover, const json_t *line, struct failure *why)
{
	char name[SWITCH_NAME];
	bool pod_underlay;
	int error = handed_read_gateway(line, name, &pod_underlay, why);
	if (!error)
		json_object_set_new(takeover->gateways, name, json_boolean(pod_underlay));
	return error;
}

static int take_line(struct takeover *takeover, const json_t *line, struct vswitch *vs,
		     const struct switch_options *options, struct failure *why)
{
	json_t *value;
	if ((value = json_object_get(line, "host")))
		return take_host_line(takeover, value, vs, options, why);
	if ((value = json_object_get(line, "gateway")))
		return take_gateway_line(takeover, value, why);
	if ((value = json_object_get(line, "port")))
		return take_port_line(takeover, value, options, why);
	if ((value = json_object_get(line, "learned")))
		json_array_append(takeover->learned, value);
	return 0;
}

int takeover_receive(struct takeover *takeover, struct vswitch *vs, const struct switch_options *options,
		     struct failure *why)
{
	for (bool whole = false; !whole;) {
		json_t *line = NULL;
		int error = fd_stream_receive(&takeover->stream, &line, why);
		if (!error)
			error = take_line(takeover, line, vs, options, why);
		whole = json_is_true(json_object_get(line, "whole"));
		json_decref(line);
		if (error)
			return error;
	}
	/* The array does not move any more. */
	for (size_t i = 0; i < takeover->n_ports; i++) {
		takeover->ports[i].port.name = takeover->ports[i].name;
		takeover->ports[i].port.vteps = takeover->ports[i].vteps;
	}
	return 0;
}

bool takeover_has_gateway(const struct takeover *takeover, const char *name, bool *pod_underlay)
{
	const json_t *found = takeover ? json_object_get(takeover->gateways, name) : NULL;
	*pod_underlay = json_is_true(found);
	return found;
}

struct handed_port *takeover_find_port(const struct takeover *takeover, const char *name)
{
	for (size_t i = 0; takeover && i < takeover->n_ports; i++)
		if (!strcmp(takeover->ports[i].name, name) && takeover->ports[i].port.tap >= 0)
			return &takeover->ports[i].port;
	return NULL;
}

void takeover_restored(struct takeover *takeover, struct vswitch *vs)
{
	const json_t *line;
	size_t at;
	if (!takeover)
		return;
	json_array_foreach(takeover->learned, at, line) handed_read_learned(line, vs);
	for (size_t i = 0; i < takeover->n_ports; i++)
		handed_port_close(&takeover->ports[i].port);
}

/* ---- the moment ---- */

/* Reads counters until the line {"WORD": true}. */
static int wait_for(struct takeover *takeover, struct vswitch *vs, const char *word, struct failure *why)
{
	for (bool heard = false; !heard;) {
		json_t *line = NULL;
		int error = fd_stream_receive(&takeover->stream, &line, why);
		if (error)
			return error;
		const json_t *counted = json_object_get(line, "counted");
		if (counted)
			handed_read_counted(counted, vs);
		heard = json_is_true(json_object_get(line, word));
		json_decref(line);
	}
	return 0;
}

int takeover_commit(struct takeover *takeover, struct vswitch *vs, struct failure *why)
{
	uint64_t began = clock_us();
	int error = fd_stream_send(&takeover->stream, json_pack("{s:b}", "commit", 1), NULL, 0, why);
	if (!error)
		error = wait_for(takeover, vs, "yours", why);
	if (!error)
		error = fd_stream_send(&takeover->stream, json_pack("{s:b}", "done", 1), NULL, 0, why);
	if (!error)
		error = wait_for(takeover, vs, "bye", why);
	if (error)
		return error;
	switch_pause(vs, false);
	uint64_t ended = clock_us();
	handover_end(vs);
	log_line(LOG_INFO, "took over from process %lld (version %s), which stopped reading for %.1f ms", takeover->pid,
		 takeover->version, (double)(ended - began) / 1000);
	return 0;
}

void takeover_end(struct takeover *takeover, const char *reason)
{
	if (!takeover)
		return;
	if (reason)
		(void)fd_stream_send(&takeover->stream, json_pack("{s:s}", "failed", reason), NULL, 0, NULL);
	fd_stream_close(&takeover->stream);
	for (size_t i = 0; i < takeover->n_ports; i++)
		handed_port_close(&takeover->ports[i].port);
	free(takeover->ports);
	json_decref(takeover->gateways);
	json_decref(takeover->learned);
	free(takeover);
}
