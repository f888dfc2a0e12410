/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - what the switch tells about itself, and the verbs of its table */
#include "tap/base/clock.h"
#include "vswitch/gateway.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/remote.h"
#include "vswitch/pod_network.h"
#include "vswitch/port.h"
#include "vswitch/switch.h"

#include <string.h>

/* Counters: one block a worker, of 64-bit words only, summed word by word. */
static void sum_words(uint64_t *out, const uint64_t *block, size_t words)
{
	for (size_t i = 0; i < words; i++)
		out[i] += counted(&block[i]);
}

#define WORDS(type) (sizeof(type) / sizeof(uint64_t))

static const char *remote_state(const struct remote *remote)
{
	return remote->local_hub ? "local" : remote->learned ? "learned" : "configured";
}

static void show_gateway(const struct vswitch *vs, const struct gateway *gateway,
			 void (*visit)(void *context, const struct gateway_status *status), void *context)
{
	struct remote_status remotes[GATEWAY_MAX_LEARNED];
	size_t n = atomic_load(&gateway->n_remotes);
	for (size_t i = 0; i < n; i++)
		remotes[i] = (struct remote_status){
			.endpoint = gateway->remotes[i]->endpoint,
			.state = remote_state(gateway->remotes[i]),
			.by_tap = atomic_load(&gateway->remotes[i]->egress.mtu) != 0,
		};
	struct gateway_status status = {
		.config = &gateway->config,
		.pod_underlay = gateway->pod_underlay,
		.mtu = gateway_mtu(gateway, gateway->host),
		.ports = gateway->n_ports,
		.remotes = remotes,
		.n_remotes = n,
	};
	for (unsigned w = 0; w < vs->options.workers; w++)
		sum_words((uint64_t *)&status.counters, (const uint64_t *)&gateway->counters[w],
			  WORDS(struct gateway_counters));
	visit(context, &status);
}

unsigned switch_visit_gateways(const struct vswitch *vs, const char *name,
			       void (*visit)(void *context, const struct gateway_status *status), void *context)
{
	unsigned visited = 0;
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = vs->gateways[vs->gateway_order[i]];
		if (name && strcmp(name, gateway->config.name) != 0)
			continue;
		show_gateway(vs, gateway, visit, context);
		visited++;
	}
	return visited;
}

unsigned switch_visit_ports(const struct vswitch *vs, const char *name,
			    void (*visit)(void *context, const struct port_status *status), void *context)
{
	unsigned visited = 0;
	for (const struct port *port = vs->first_port; port; port = port->next) {
		if (name && strcmp(name, port->config.name) != 0)
			continue;
		struct port_status status = {
			.config = &port->config,
			.live = &port->live,
			.pod_underlay = port->underlay != NULL,
			.state = port->tap < 0   ? "gone"
				 : port->gateway ? "up"
						 : "detached",
			.worker = port->worker->index,
		};
		for (unsigned w = 0; w < vs->options.workers; w++)
			sum_words((uint64_t *)&status.counters, (const uint64_t *)&port->counters[w],
				  WORDS(struct port_counters));
		pod_network_report(port, &status.client);
		visit(context, &status);
		visited++;
	}
	return visited;
}

struct fdb_visit {
	const struct vswitch *vs;
	const struct gateway *only; /* NULL: all */
	void (*visit)(void *context, const struct fdb_status *status);
	void *context;
	uint32_t now;
	unsigned visited;
};

static void show_entry(void *context, const struct fdb_entry *entry)
{
	struct fdb_visit *walk = context;
	const struct gateway *gateway = walk->vs->gateways[entry->gateway];
	bool ages = entry->kind == FDB_LEARNED && entry->seen < walk->now; /* a worker may be ahead */
	uint32_t age = ages ? walk->now - entry->seen : 0;
	if (!gateway || (walk->only && gateway != walk->only) || age > walk->vs->options.ageing)
		return;
	struct fdb_status status = {
		.gateway = gateway->config.name,
		.vni = gateway->config.vni,
		.kind = entry->kind == FDB_STATIC  ? "static"
			: entry->kind == FDB_LOCAL ? "local"
						   : "learned",
		.age = age,
	};
	memcpy(status.mac.bytes, entry->mac, sizeof(status.mac.bytes));
	if (entry->place.is_port)
		status.port = walk->vs->ports[entry->place.index]->config.name;
	else
		status.remote = &walk->vs->remotes[entry->place.index].endpoint;
	walk->visit(walk->context, &status);
	walk->visited++;
}

unsigned switch_visit_fdb(const struct vswitch *vs, const char *gateway,
			  void (*visit)(void *context, const struct fdb_status *status), void *context)
{
	struct fdb_visit walk = {.vs = vs, .visit = visit, .context = context, .now = clock_seconds()};
	if (gateway) {
		walk.only = gateway_find(vs, gateway);
		if (!walk.only)
			return 0;
	}
	fdb_visit(vs->fdb, show_entry, &walk);
	return walk.visited;
}

void switch_report(const struct vswitch *vs, struct switch_status *out)
{
	*out = (struct switch_status){
		.uptime = clock_seconds() - vs->started,
		.workers = vs->options.workers,
		.gateways = vs->n_gateways,
		.ports = vs->n_ports,
		.fdb_entries = fdb_count(vs->fdb),
		.fdb_refused = fdb_refusals(vs->fdb),
	};
	for (unsigned w = 0; w < vs->options.workers; w++) {
		const struct worker *worker = &vs->workers[w];
		out->worker[w] = (struct worker_status){counted(&worker->rounds), counted(&worker->events),
							counted(&ring_counters(worker->ring)->starved)};
		sum_words(out->drops, worker->drops, DROP_COUNT);
	}
}

const struct switch_feature *switch_features(const struct vswitch *vs)
{
	return vs->features;
}

/* The verbs of the table */

static struct remote *find_remote(const struct gateway *gateway, const struct endpoint *endpoint)
{
	unsigned n = atomic_load(&gateway->n_remotes);
	for (unsigned i = 0; i < n; i++)
		if (address_equal(&gateway->remotes[i]->endpoint.address, &endpoint->address) &&
		    (!endpoint->port || gateway->remotes[i]->endpoint.port == endpoint->port))
			return gateway->remotes[i];
	return NULL;
}

/* The remote that a static entry names; an own side is given one that does not age. */
static struct remote *static_remote(struct vswitch *vs, struct gateway *gateway, const struct endpoint *endpoint)
{
	struct remote *remote = find_remote(gateway, endpoint);
	if (!gateway->is_hub)
		return remote;
	workers_park(vs);
	if (!remote)
		remote = find_remote(gateway, endpoint);
	if (!remote)
		remote = remote_claim(vs, gateway, endpoint, false);
	if (remote)
		remote->learned = false;
	workers_resume(vs);
	return remote;
}

static int resolve_place(struct vswitch *vs, struct gateway *gateway, const char *port_name,
			 const struct endpoint *endpoint, struct fdb_place *out, struct failure *why)
{
	char text[ADDRESS_TEXT];
	if (port_name) {
		const struct port *port = port_find(vs, port_name);
		if (!port || port->gateway != gateway)
			return fail(why, -ENOENT, "port", "gateway '%s' has no port '%s'", gateway->config.name,
				    port_name);
		*out = (struct fdb_place){.is_port = true, .index = port->id};
		return 0;
	}
	const struct remote *remote = static_remote(vs, gateway, endpoint);
	if (!remote)
		return fail(why, -ENOENT, "remote", "%s is no remote of gateway '%s'; add it with gateway set",
			    endpoint_format(endpoint, text), gateway->config.name);
	*out = (struct fdb_place){.index = remote->id};
	return 0;
}

/* Static entries for a MAC that belongs to a port here would cut that port off. */
static bool is_local(const struct vswitch *vs, const struct gateway *gateway, const struct mac *mac)
{
	struct fdb_entry entry;
	return fdb_lookup(vs->fdb, gateway->id, mac->bytes, clock_seconds(), &entry) && entry.kind == FDB_LOCAL;
}

int switch_fdb_add(struct vswitch *vs, const char *gateway_name, const struct mac *mac, const char *port,
		   const struct endpoint *remote, struct failure *why)
{
	struct gateway *gateway = gateway_find(vs, gateway_name);
	struct fdb_place place = {0};
	char text[MAC_TEXT];
	if (!gateway)
		return fail(why, -ENOENT, "gateway", "there is no gateway '%s'", gateway_name);
	if (!mac_is_unicast(mac))
		return fail(why, -EINVAL, "mac", "%s is a group address or zero; entries are unicast",
			    mac_format(mac, text));
	if (is_local(vs, gateway, mac))
		return fail(why, -EEXIST, "mac", "%s is the MAC of a port here", mac_format(mac, text));
	int error = resolve_place(vs, gateway, port, remote, &place, why);
	if (error)
		return error;
	error = fdb_set(vs->fdb, gateway->id, mac->bytes, FDB_STATIC, place);
	if (error == -ENOSPC) {
		workers_park(vs);
		error = fdb_reserve(vs->fdb);
		workers_resume(vs);
		if (!error)
			error = fdb_set(vs->fdb, gateway->id, mac->bytes, FDB_STATIC, place);
	}
	return error ? fail(why, error, NULL, "out of memory") : 0;
}

int switch_fdb_remove(struct vswitch *vs, const char *gateway_name, const struct mac *mac, struct failure *why)
{
	struct gateway *gateway = gateway_find(vs, gateway_name);
	char text[MAC_TEXT];
	if (!gateway)
		return fail(why, -ENOENT, "gateway", "there is no gateway '%s'", gateway_name);
	if (is_local(vs, gateway, mac))
		return fail(why, -EBUSY, "mac", "%s is the MAC of a port; it goes with the port",
			    mac_format(mac, text));
	if (!fdb_remove(vs->fdb, gateway->id, mac->bytes))
		return fail(why, -ENOENT, "mac", "gateway '%s' has no entry %s", gateway_name, mac_format(mac, text));
	return 0;
}

static bool is_learned(void *context, const struct fdb_entry *entry)
{
	const struct gateway *only = context;
	return entry->kind == FDB_LEARNED && (!only || entry->gateway == only->id);
}

int switch_fdb_flush(struct vswitch *vs, const char *gateway_name, struct failure *why)
{
	struct gateway *gateway = NULL;
	if (gateway_name) {
		gateway = gateway_find(vs, gateway_name);
		if (!gateway)
			return fail(why, -ENOENT, "gateway", "there is no gateway '%s'", gateway_name);
	}
	return (int)fdb_purge(vs->fdb, is_learned, gateway);
}
