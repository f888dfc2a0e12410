/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - what the switch reports about itself */
#include "tap/base/clock.h"
#include "vswitch/gateway.h"
#include "vswitch/pod_network.h"
#include "vswitch/silence.h"
#include "vswitch/switch.h"
#include "vswitch/way_out.h"

#include <string.h>

/* Counters are blocks of 64-bit words, one for each worker, summed word by word. */
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
	for (size_t i = 0; i < n; i++) {
		remotes[i] = (struct remote_status){
			.endpoint = gateway->remotes[i]->endpoint,
			.state = remote_state(gateway->remotes[i]),
			.by_tap = atomic_load(&gateway->remotes[i]->egress.mtu) != 0,
		};
		(void)ban_left(&gateway->remotes[i]->train_ban, clock_seconds(), &remotes[i].trains_off);
	}
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
	status.answers = &gateway->answers;
	status.counters.evicted_macs = gateway->hub.evicted_macs;
	status.counters.evicted_remotes = gateway->hub.evicted;
	silence_report(gateway, clock_seconds(), &status.silence);
	visit(context, &status);
}

unsigned switch_visit_gateways(const struct vswitch *vs, const char *name,
			       void (*visit)(void *context, const struct gateway_status *status), void *context)
{
	unsigned visited = 0;
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, i);
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
		const struct link_config live = link_config_unpack(port->live);
		struct port_status status = {
			.config = &port->config,
			.live = &live,
			.pod_underlay = port->underlay != NULL,
			.by_tap = port->pod_egress && atomic_load(&port->pod_egress->egress.mtu) != 0,
			.state = port->tap < 0   ? "gone"
				 : port->gateway ? "up"
						 : "detached",
			.worker = port->worker->index,
			.queues = port->tap < 0 ? 0 : 1 + (port->queues ? port->queues->n : 0),
		};
		for (unsigned w = 0; w < vs->options.workers; w++)
			sum_words((uint64_t *)&status.counters, (const uint64_t *)&port->counters[w],
				  WORDS(struct port_counters));
		status.counters.drops[DROP_TAP_OVERRUN] += port->tap_overruns;
		status.counters.drops[DROP_SOCKET_OVERRUN] += port->socket_overruns;
		pod_network_report(port, &status.client);
		way_out_report(port, &status.way_out);
		if (port->gateway)
			silence_report(port->gateway, clock_seconds(), &status.silence);
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
	bool ages = entry->kind == FDB_LEARNED && entry->seen < walk->now; /* a worker's clock may be ahead */
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
		.io = vs->io.io == IO_EPOLL ? "epoll" : "uring",
		.io_why = vs->io.why,
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
	out->drops[DROP_TAP_OVERRUN] += vs->tap_overruns;
	out->drops[DROP_SOCKET_OVERRUN] += vs->socket_overruns;
}

const struct switch_feature *switch_features(const struct vswitch *vs)
{
	return vs->features;
}
