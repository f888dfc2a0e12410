/* SPDX-License-Identifier: Apache-2.0 */
/* handover.c - what a switch has that no file has: visiting it, and counters that go on */
#include "vswitch/handover.h"

#include "tap/base/clock.h"
#include "vswitch/gateway.h"
#include "vswitch/host_underlay.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/remote.h"
#include "vswitch/path/worker.h"
#include "vswitch/pod_queues.h"
#include "vswitch/port.h"

_Static_assert(HANDED_VTEPS == PORT_MAX_VTEPS, "all of a port's");

void switch_pause(struct vswitch *vs, bool pause)
{
	/* Of a TAP, the first queue alone is handed over. */
	for (struct port *port = vs->first_port; port && pause; port = port->next)
		pod_queues_end(vs, port);
	for (unsigned i = 0; i < vs->options.workers; i++)
		worker_pause(&vs->workers[i], pause);
}

void handover_visit_hosts(const struct vswitch *vs, void (*visit)(void *context, const struct underlay *host),
			  void *context)
{
	for (int i = 0; i < MAX_HOSTS; i++)
		if (vs->hosts[i].underlay)
			visit(context, vs->hosts[i].underlay);
}

void handover_visit_gateways(const struct vswitch *vs,
			     void (*visit)(void *context, const struct handed_gateway *gateway), void *context)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, i);
		visit(context, &(struct handed_gateway){gateway->config.name, gateway->pod_underlay});
	}
}

void handover_visit_ports(const struct vswitch *vs, void (*visit)(void *context, const struct handed_port *port),
			  void *context)
{
	for (const struct port *port = vs->first_port; port; port = port->next) {
		struct handed_port handed = {
			.name = port->config.name,
			.tap = port->tap,
			.netns = port->netns.fd,
			.underlay = port->underlay,
			.refuses_tso = port->refuses_tso,
			.has_client = port->gateway_client,
			.vteps = port->vteps,
			.n_vteps = port->n_vteps,
		};
		if (port->tap < 0)
			continue;
		if (port->gateway_client)
			gateway_client_report(port->gateway_client, &handed.client);
		visit(context, &handed);
	}
}

int handover_take_host(struct vswitch *vs, struct underlay *host, struct failure *why)
{
	return host_adopt(vs, host, why);
}

void handover_end(struct vswitch *vs)
{
	hosts_settle(vs);
}

/* The place of an entry; false when there is none. */
static bool find_place(struct vswitch *vs, struct gateway *gateway, const char *port_name,
		       const struct endpoint *endpoint, struct fdb_place *out)
{
	if (port_name) {
		const struct port *port = port_find(vs, port_name);
		*out = (struct fdb_place){.is_port = true, .index = port ? port->id : 0};
		return port && port->gateway == gateway;
	}
	struct remote *remote = gateway_find_remote(gateway, &endpoint->address);
	if (!remote && gateway->is_hub && gateway_allows(&gateway->config, &endpoint->address)) {
		workers_park(vs);
		remote = remote_claim(vs, gateway, endpoint, true);
		workers_resume(vs);
	}
	*out = (struct fdb_place){.index = remote ? remote->id : 0};
	return remote;
}

void handover_learn(struct vswitch *vs, const char *gateway_name, const struct mac *mac, const char *port,
		    const struct endpoint *remote, unsigned age)
{
	struct gateway *gateway = gateway_find(vs, gateway_name);
	uint32_t now = clock_seconds(), seen = age < now ? now - age : 0;
	struct fdb_place place;
	if (!gateway || !find_place(vs, gateway, port, remote, &place))
		return;
	if (fdb_crowded(vs->fdb)) {
		workers_park(vs);
		(void)fdb_reserve(vs->fdb);
		workers_resume(vs);
	}
	(void)fdb_learn(vs->fdb, gateway->id, mac->bytes, place, seen);
}

/* Counters are blocks of 64-bit words; the first worker's has those of before. */
static void add_words(void *block, const void *more, size_t size)
{
	uint64_t *words = block;
	const uint64_t *by = more;
	for (size_t i = 0; i < size / sizeof(uint64_t); i++)
		count(&words[i], by[i]);
}

void handover_count_port(struct vswitch *vs, const char *name, const struct port_counters *counters)
{
	struct port *port = port_find(vs, name);
	if (port)
		add_words(&port->counters[0], counters, sizeof(*counters));
}

void handover_count_gateway(struct vswitch *vs, const char *name, const struct gateway_counters *counters)
{
	struct gateway *gateway = gateway_find(vs, name);
	struct gateway_counters others = *counters;
	if (!gateway)
		return;
	gateway->hub.evicted = others.evicted_remotes;
	gateway->hub.evicted_macs = others.evicted_macs;
	gateway->hub.told_evicted = gateway->hub.evicted;
	gateway->hub.told_macs = gateway->hub.evicted_macs;
	others.evicted_remotes = others.evicted_macs = 0;
	add_words(&gateway->counters[0], &others, sizeof(others));
}

void handover_count_drops(struct vswitch *vs, const uint64_t drops[static DROP_COUNT])
{
	add_words(vs->workers[0].drops, drops, DROP_COUNT * sizeof(uint64_t));
}
