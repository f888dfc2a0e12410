/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_podswitchd.h - a podswitchd of JSON objects: the real control socket, gateways and ports that are only records
 *
 * It runs in a thread of its own, as its clients wait for its answers. It keeps what it was told (`log`), counts what
 * that changed, and says of each port's client what the test has decided for the port's gateway.
 */
#ifndef PODSWITCH_FAKE_PODSWITCHD_H
#define PODSWITCH_FAKE_PODSWITCHD_H

#include "control/base/rpc.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct fake_podswitchd {
	char path[96];
	struct rpc *rpc;
	pthread_t thread;
	pthread_mutex_t lock; /* held while it serves: what is below may be read and changed by who holds it */
	int kick;
	atomic_bool stop;
	json_t *gateways, *ports; /* name -> parameters */
	json_t *clients;          /* gateway -> state of the clients there; others are ready */
	json_t *paths;            /* gateway -> state of the client there that asks behind it; others as `clients` */
	json_t *lone;             /* port -> state of its client, whatever its gateway's is */
	json_t *states;           /* port -> its state; others are up */
	json_t *log;              /* "METHOD NAME" */
	unsigned changes;         /* of what is in force */
	const char *refuse;       /* a method that is refused */
	const char *leased;       /* what ports get by DHCP; NULL: 172.16.0.57/24 */
	atomic_bool hang;         /* answers nothing */
};

static inline const char *fake_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* What the port's client says: its state, and what it lacks. "busy": it waits for a lease, and ARP is answered. */
static inline json_t *fake_client(const struct fake_podswitchd *p, const json_t *port)
{
	const char *gateway = fake_text(port, "gateway"), *target = fake_text(port, "probe_target");
	const char *lone = json_string_value(json_object_get(p->lone, fake_text(port, "name")));
	const char *client = json_string_value(json_object_get(p->clients, gateway));
	const char *path = json_string_value(json_object_get(p->paths, gateway));
	const char *lacks = "router";

	client = !strcmp(gateway, "none") ? "lost" : lone ? lone : client ? client : "ready";
	if (!strcmp(client, "ready") && path && *target && strcmp(target, "none") != 0) {
		client = path;
		lacks = "path";
	}
	bool busy = !strcmp(client, "busy");
	json_t *object = json_pack("{s:s, s:s}", "state", busy ? "waiting" : client, "router", "172.16.0.1");
	if (busy)
		json_object_set_new(object, "answered", json_integer(1));
	if (!strcmp(client, "lost") || !strcmp(client, "probing"))
		json_object_set_new(object, "lacks", json_string(lacks));
	return object;
}

static inline json_t *fake_config(const json_t *port)
{
	const char *target = fake_text(port, "probe_target");
	json_t *config = json_object();

	if (*target && strcmp(target, "none") != 0)
		json_object_set_new(config, "probe_target", json_string(target));
	if (json_integer_value(json_object_get(port, "probe_interval")))
		json_object_set(config, "probe_interval", json_object_get(port, "probe_interval"));
	return config;
}

static inline json_t *fake_status(const struct fake_podswitchd *p, const json_t *port)
{
	const char *state = json_string_value(json_object_get(p->states, fake_text(port, "name")));
	bool dhcp = json_is_true(json_object_get(port, "dhcp"));
	bool none = !strcmp(fake_text(port, "gateway"), "none");

	state = state ? state : none ? "detached" : "up";
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:[s], s:s, s:o, s:o}", "name", fake_text(port, "name"),
			 "gateway", fake_text(port, "gateway"), "netns", fake_text(port, "netns"), "ifname",
			 fake_text(port, "ifname"), "mac", fake_text(port, "mac"), "mtu", 1400, "addresses",
			 dhcp ? p->leased ? p->leased : "172.16.0.57/24" : fake_text(port, "address"), "state", state,
			 "client", fake_client(p, port), "config", fake_config(port));
}

static inline int fake_refuse(int code, const char *text, struct failure *why)
{
	(fail)(why, -1, NULL, "%s", text);
	return code;
}

static inline int fake_remove(struct fake_podswitchd *p, bool is_port, const char *name, json_t **result,
			      struct failure *why)
{
	const char *key;
	json_t *port, *from = is_port ? p->ports : p->gateways;

	json_object_foreach(p->ports, key, port)
	{
		if (!is_port && !strcmp(fake_text(port, "gateway"), name))
			return fake_refuse(JSONRPC_IN_USE, "ports use it", why);
	}
	if (json_object_del(from, name))
		return fake_refuse(JSONRPC_NOT_FOUND, "there is none", why);
	json_object_del(p->states, name);
	p->changes++;
	*result = json_object();
	return 0;
}

static inline int fake_add(struct fake_podswitchd *p, bool is_port, bool set, json_t *params, json_t **result,
			   struct failure *why)
{
	const char *name = fake_text(params, "name"), *gateway = fake_text(params, "gateway");
	json_t *into = is_port ? p->ports : p->gateways, *old = json_object_get(into, name);
	json_t *now = old ? json_copy(old) : json_object();

	json_object_update(now, params);
	if (is_port && strcmp(gateway, "none") != 0 && !json_object_get(p->gateways, gateway)) {
		json_decref(now);
		return fake_refuse(JSONRPC_REFUSED, "there is no such gateway", why);
	}
	if (set != (old != NULL) && !json_equal(old, now)) {
		json_decref(now);
		return fake_refuse(set ? JSONRPC_NOT_FOUND : JSONRPC_EXISTS, "exists, or does not", why);
	}
	p->changes += !json_equal(old, now);
	json_object_set_new(into, name, now);
	*result = is_port ? fake_status(p, now) : json_object();
	return 0;
}

static inline json_t *fake_list(const struct fake_podswitchd *p, bool is_port)
{
	const char *key, *other;
	json_t *value, *port, *list = json_array();

	json_object_foreach(is_port ? p->ports : p->gateways, key, value)
	{
		int ports = 0;
		json_object_foreach(p->ports, other, port)
		{
			ports += !strcmp(fake_text(port, "gateway"), key);
		}
		json_array_append_new(list, is_port ? fake_status(p, value)
						    : json_pack("{s:s, s:i}", "name", key, "ports", ports));
	}
	return list;
}

static inline int fake_call(void *context, struct rpc_client *client, const char *method, json_t *params,
			    json_t **result, struct failure *why)
{
	struct fake_podswitchd *p = context;
	const char *name = fake_text(params, "name"), *command = strchr(method, '.') + 1;
	bool is_port = !strncmp(method, "port.", 5);

	json_array_append_new(p->log, json_sprintf("%s %s", method, name));
	if (p->refuse && !strcmp(p->refuse, method))
		return fake_refuse(JSONRPC_REFUSED, "not today", why);
	if (!strcmp(method, "monitor.start")) {
		rpc_subscribe(client);
		*result = json_object();
	} else if (!strcmp(method, "stats.get")) {
		*result = json_pack("{s:{s:i, s:i}}", "drops", "no_gateway", 3, "isolated", 0);
	} else if (!strcmp(command, "list")) {
		*result = fake_list(p, is_port);
	} else if (!strcmp(command, "show")) {
		json_t *port = json_object_get(p->ports, name);
		if (!port)
			return fake_refuse(JSONRPC_NOT_FOUND, "there is none", why);
		*result = fake_status(p, port);
	} else if (!strcmp(command, "remove")) {
		return fake_remove(p, is_port, name, result, why);
	} else {
		return fake_add(p, is_port, !strcmp(command, "set"), params, result, why);
	}
	return 0;
}

static inline void *fake_run(void *context)
{
	struct fake_podswitchd *p = context;
	struct pollfd fds[] = {{.fd = rpc_fd(p->rpc), .events = POLLIN}, {.fd = p->kick, .events = POLLIN}};
	uint64_t count;

	while (!p->stop) {
		poll(fds, 2, -1);
		if (fds[1].revents && read(p->kick, &count, sizeof(count)) < 0)
			abort();
		pthread_mutex_lock(&p->lock);
		if (!p->hang)
			rpc_serve(p->rpc);
		pthread_mutex_unlock(&p->lock);
		if (p->hang)
			poll(&fds[1], 1, -1);
	}
	return NULL;
}

static inline void podswitchd_kick(struct fake_podswitchd *p)
{
	const uint64_t one = 1;

	if (write(p->kick, &one, sizeof(one)) < 0)
		abort();
}

/* With what it had when it was stopped. */
static inline void podswitchd_start(struct fake_podswitchd *p)
{
	struct failure why = {0};

	p->stop = p->hang = false;
	p->kick = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&p->lock, NULL);
	if (rpc_open(p->path, fake_call, p, &p->rpc, &why) || pthread_create(&p->thread, NULL, fake_run, p)) {
		fprintf(stderr, "%s\n", why.text);
		abort();
	}
}

static inline void podswitchd_stop(struct fake_podswitchd *p)
{
	p->stop = true;
	podswitchd_kick(p);
	pthread_join(p->thread, NULL);
	rpc_close(p->rpc);
	p->rpc = NULL;
	close(p->kick);
}

static inline void podswitchd_forget(struct fake_podswitchd *p)
{
	json_object_clear(p->gateways);
	json_object_clear(p->ports);
	json_object_clear(p->states);
}

static inline void fake_podswitchd_open(struct fake_podswitchd *p, const char *directory)
{
	*p = (struct fake_podswitchd){.gateways = json_object(),
				      .ports = json_object(),
				      .clients = json_object(),
				      .paths = json_object(),
				      .lone = json_object(),
				      .states = json_object(),
				      .log = json_array()};
	snprintf(p->path, sizeof(p->path), "%.80s/control.sock", directory);
	podswitchd_start(p);
}

static inline void fake_podswitchd_close(struct fake_podswitchd *p)
{
	if (p->rpc)
		podswitchd_stop(p);
	json_decref(p->paths);
	json_decref(p->lone);
	json_decref(p->gateways);
	json_decref(p->ports);
	json_decref(p->clients);
	json_decref(p->states);
	json_decref(p->log);
}

/* What clients at a gateway are like from now on: "ready", "waiting", "probing", "lost". */
static inline void podswitchd_client(struct fake_podswitchd *p, const char *gateway, const char *state)
{
	pthread_mutex_lock(&p->lock);
	json_object_set_new(p->clients, gateway, json_string(state));
	pthread_mutex_unlock(&p->lock);
}

static inline void podswitchd_path(struct fake_podswitchd *p, const char *gateway, const char *state)
{
	pthread_mutex_lock(&p->lock);
	json_object_set_new(p->paths, gateway, json_string(state));
	pthread_mutex_unlock(&p->lock);
}

static inline void podswitchd_lone(struct fake_podswitchd *p, const char *port, const char *state)
{
	pthread_mutex_lock(&p->lock);
	json_object_set_new(p->lone, port, json_string(state));
	pthread_mutex_unlock(&p->lock);
}

static inline void podswitchd_event(struct fake_podswitchd *p, const char *event, const char *name)
{
	json_t *params = json_pack("{s:s, s:s}", "event", event, "name", name);

	pthread_mutex_lock(&p->lock);
	rpc_broadcast(p->rpc, params);
	pthread_mutex_unlock(&p->lock);
	json_decref(params);
	podswitchd_kick(p);
}

#endif
