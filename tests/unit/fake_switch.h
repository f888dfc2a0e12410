/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_switch.h - the verbs of vswitch/switch.h without packets, for tests of what is above them
 *
 * Keeps configurations in arrays and follows the rules of switch.h. `fake_refuse` makes the next verb that changes
 * something fail. To be included once, before or after the file under test.
 */
#ifndef PODSWITCH_FAKE_SWITCH_H
#define PODSWITCH_FAKE_SWITCH_H

#include "vswitch/handover.h"
#include "vswitch/switch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#ifndef FAKE_MAX
#define FAKE_MAX 256 /* gateways, ports and entries */
#endif

struct fake_port {
	struct port_config config;
	struct prefix keep[PORT_MAX_KEEP]; /* config.keep, which points to where the ports moved from */
	const char *state;
	bool adopted;
	bool handed; /* it was taken over; the next three came with it, or are to be given */
	int tap, netns;
	struct underlay *underlay;
	struct gateway_client_status client;
	struct port_counters counters;
};

struct fake_entry {
	char gateway[SWITCH_NAME];
	struct mac mac;
	char port[SWITCH_NAME];
	struct endpoint remote;
};

struct vswitch {
	struct switch_options options;
	struct gateway_config gateways[FAKE_MAX];
	size_t n_gateways;
	struct fake_port ports[FAKE_MAX];
	size_t n_ports;
	struct fake_entry entries[FAKE_MAX];
	size_t n_entries;
	switch_listener *listener;
	void *context;
	int wakeup;
	bool paused;
	struct underlay *host; /* that is given, or was taken */
	unsigned learned;      /* entries that were taken */
	uint64_t ending;       /* the number of the TAP of a port that was removed last */
};

/* Whose overruns were counted last; "": all. */
static char fake_counted[SWITCH_NAME];

/* The next verb fails with this (0: with what the rules say), and key "ifname". */
static int fake_refuse;

static int fake_refused(struct failure *why)
{
	int error = fake_refuse;

	fake_refuse = 0;
	return error ? fail(why, error, "ifname", "ifname: refused by the test") : 0;
}

int switch_open(const struct switch_options *options, struct vswitch **out, struct failure *why)
{
	struct vswitch *vs = calloc(1, sizeof(*vs));

	if (!vs)
		return fail(why, -ENOMEM, NULL, "out of memory");
	vs->options = *options;
	vs->wakeup = eventfd(0, EFD_CLOEXEC);
	*out = vs;
	return 0;
}

void switch_close(struct vswitch *vs)
{
	if (vs)
		close(vs->wakeup);
	free(vs);
}

static void fake_event(struct vswitch *vs, const char *what, const char *name, const struct mac *mac)
{
	if (vs->listener)
		vs->listener(vs->context, what, name, mac);
}

static struct gateway_config *fake_gateway(const struct vswitch *vs, const char *name)
{
	for (size_t i = 0; i < vs->n_gateways; i++) {
		if (!strcmp(vs->gateways[i].name, name))
			return (struct gateway_config *)&vs->gateways[i];
	}
	return NULL;
}

static struct fake_port *fake_port(const struct vswitch *vs, const char *name)
{
	for (size_t i = 0; i < vs->n_ports; i++) {
		if (!strcmp(vs->ports[i].config.name, name))
			return (struct fake_port *)&vs->ports[i];
	}
	return NULL;
}

static int fake_no_gateway(const char *key, const char *name, struct failure *why)
{
	return fail(why, -ENOENT, key, "%s: there is no gateway '%s'", key, name);
}

int switch_gateway_add(struct vswitch *vs, const struct gateway_config *config, struct failure *why)
{
	const struct gateway_config *old = fake_gateway(vs, config->name);

	int error = fake_refused(why);
	if (error)
		return error;
	if (old && !memcmp(old, config, sizeof(*old)))
		return 0;
	if (old)
		return fail(why, -EEXIST, "name", "name: gateway '%s' exists with other settings", config->name);
	if (vs->n_gateways == FAKE_MAX)
		return fail(why, -ENOSPC, "name", "name: too many gateways");
	vs->gateways[vs->n_gateways++] = *config;
	fake_event(vs, "gateway.added", config->name, NULL);
	return 0;
}

int switch_gateway_set(struct vswitch *vs, const struct gateway_config *config, struct failure *why)
{
	struct gateway_config *old = fake_gateway(vs, config->name);

	int error = fake_refused(why);
	if (error)
		return error;
	if (!old)
		return fake_no_gateway("name", config->name, why);
	*old = *config;
	fake_event(vs, "gateway.changed", config->name, NULL);
	return 0;
}

static unsigned fake_users(const struct vswitch *vs, const char *gateway)
{
	unsigned users = 0;

	for (size_t i = 0; i < vs->n_ports; i++)
		users += !strcmp(vs->ports[i].config.gateway, gateway);
	return users;
}

static void fake_drop_entries(struct vswitch *vs, const char *gateway, const char *port)
{
	for (size_t i = vs->n_entries; i-- > 0;) {
		if ((gateway && !strcmp(vs->entries[i].gateway, gateway)) ||
		    (port && !strcmp(vs->entries[i].port, port)))
			vs->entries[i] = vs->entries[--vs->n_entries];
	}
}

int switch_gateway_remove(struct vswitch *vs, const char *name, bool force, struct failure *why)
{
	struct gateway_config *old = fake_gateway(vs, name);

	int error = fake_refused(why);
	if (error)
		return error;
	if (!old)
		return fake_no_gateway("name", name, why);
	if (fake_users(vs, name) && !force)
		return fail(why, -EBUSY, "name", "name: ports use gateway '%s'; remove them first or use --force",
			    name);
	for (size_t i = 0; i < vs->n_ports; i++) {
		if (!strcmp(vs->ports[i].config.gateway, name))
			vs->ports[i].state = "detached";
	}
	fake_drop_entries(vs, name, NULL);
	memmove(old, old + 1, (size_t)(vs->gateways + --vs->n_gateways - old) * sizeof(*old));
	fake_event(vs, "gateway.removed", name, NULL);
	return 0;
}

static void fake_fill(struct port_config *config)
{
	if (!config->has_mac)
		config->link.mac = (struct mac){{2, 0, 0, 0, 0, (uint8_t)strlen(config->name)}};
	if (!config->has_mtu)
		config->link.mtu = 1450;
}

static const struct port_config *fake_config(struct fake_port *port)
{
	port->config.keep = port->keep;
	return &port->config;
}

static bool fake_same(const struct fake_port *port, const struct port_config *config)
{
	struct port_config a = port->config, b = *config;

	a.keep = b.keep = NULL;
	return !memcmp(&a, &b, sizeof(a)) && prefix_lists_equal(port->keep, a.n_keep, config->keep, b.n_keep);
}

int switch_port_add(struct vswitch *vs, const struct port_config *config, bool adopt, struct failure *why)
{
	struct fake_port *old = fake_port(vs, config->name);
	struct port_config wanted = *config;

	int error = fake_refused(why);
	if (error)
		return error;
	fake_fill(&wanted);
	bool attached = fake_gateway(vs, config->gateway);
	if (!attached && !adopt)
		return fake_no_gateway("gateway", config->gateway, why);
	if (old && !fake_same(old, &wanted))
		return fail(why, -EEXIST, "name", "name: port '%s' exists with other settings", config->name);
	if (!strcmp(config->netns, "missing"))
		return fail(why, -ENOENT, "netns", "netns: there is no /run/netns/missing");
	if (!old && vs->n_ports == FAKE_MAX)
		return fail(why, -ENOSPC, "name", "name: too many ports");
	if (!old)
		old = &vs->ports[vs->n_ports++];
	*old = (struct fake_port){.config = wanted, .state = attached ? "up" : "detached", .adopted = adopt};
	prefix_list_copy(old->keep, config->keep, config->n_keep);
	fake_event(vs, "port.added", config->name, NULL);
	return 0;
}

int switch_port_set(struct vswitch *vs, const struct port_config *config, struct failure *why)
{
	struct fake_port *old = fake_port(vs, config->name);

	int error = fake_refused(why);
	if (error)
		return error;
	if (!old)
		return fail(why, -ENOENT, "name", "name: there is no port '%s'", config->name);
	if (!fake_gateway(vs, config->gateway))
		return fake_no_gateway("gateway", config->gateway, why);
	if (strcmp(config->netns, old->config.netns) != 0 || strcmp(config->ifname, old->config.ifname) != 0)
		return fail(why, -EINVAL, "netns", "netns: cannot be changed; remove the port and add it again");
	old->config = *config;
	prefix_list_copy(old->keep, config->keep, config->n_keep);
	fake_fill(&old->config);
	fake_event(vs, "port.changed", config->name, NULL);
	return 0;
}

int switch_port_remove(struct vswitch *vs, const char *name, bool closed, uint64_t *ending, struct failure *why)
{
	(void)closed;
	struct fake_port *old = fake_port(vs, name);

	int error = fake_refused(why);
	if (error)
		return error;
	if (!old)
		return fail(why, -ENOENT, "name", "name: there is no port '%s'", name);
	fake_drop_entries(vs, NULL, name);
	memmove(old, old + 1, (size_t)(vs->ports + --vs->n_ports - old) * sizeof(*old));
	fake_event(vs, "port.removed", name, NULL);
	*ending = vs->ending;
	return 0;
}

uint64_t switch_port_waits_for(const struct vswitch *vs, const struct port_config *config)
{
	(void)config;
	return vs->ending;
}

const struct gateway_config *switch_gateway_config(const struct vswitch *vs, const char *name)
{
	return fake_gateway(vs, name);
}

const struct port_config *switch_port_config(const struct vswitch *vs, const char *name)
{
	struct fake_port *port = fake_port(vs, name);

	return port ? fake_config(port) : NULL;
}

static struct fake_entry *fake_find_entry(struct vswitch *vs, const char *gateway, const struct mac *mac)
{
	for (size_t i = 0; i < vs->n_entries; i++) {
		if (!strcmp(vs->entries[i].gateway, gateway) && mac_equal(&vs->entries[i].mac, mac))
			return &vs->entries[i];
	}
	return NULL;
}

int switch_fdb_add(struct vswitch *vs, const char *gateway, const struct mac *mac, const char *port,
		   const struct endpoint *remote, struct failure *why)
{
	struct fake_entry entry = {.mac = *mac};

	int error = fake_refused(why);
	if (error)
		return error;
	if (!fake_gateway(vs, gateway))
		return fake_no_gateway("gateway", gateway, why);
	if (port && !fake_port(vs, port))
		return fail(why, -ENOENT, "port", "port: there is no port '%s'", port);
	strcpy(entry.gateway, gateway);
	if (port)
		strcpy(entry.port, port);
	if (remote)
		entry.remote = *remote;
	const struct fake_entry *old = fake_find_entry(vs, gateway, mac);
	if (old && !memcmp(old, &entry, sizeof(entry)))
		return 0;
	if (old)
		return fail(why, -EEXIST, "mac", "mac: it exists with another port or remote");
	if (vs->n_entries == FAKE_MAX)
		return fail(why, -ENOSPC, "mac", "mac: too many entries");
	vs->entries[vs->n_entries++] = entry;
	return 0;
}

int switch_fdb_remove(struct vswitch *vs, const char *gateway, const struct mac *mac, struct failure *why)
{
	struct fake_entry *entry = fake_find_entry(vs, gateway, mac);

	int error = fake_refused(why);
	if (error)
		return error;
	if (!entry)
		return fail(why, -ENOENT, "mac", "mac: gateway '%s' has no static entry for it", gateway);
	*entry = vs->entries[--vs->n_entries];
	return 0;
}

int switch_fdb_flush(struct vswitch *vs, const char *gateway, struct failure *why)
{
	if (gateway && !fake_gateway(vs, gateway))
		return fake_no_gateway("gateway", gateway, why);
	return 3;
}

unsigned switch_visit_gateways(const struct vswitch *vs, const char *name,
			       void (*visit)(void *context, const struct gateway_status *status), void *context)
{
	static const struct histogram answers = {.n = 3, .sum = 0.5};
	unsigned visited = 0;

	for (size_t i = 0; i < vs->n_gateways; i++) {
		const struct gateway_config *config = &vs->gateways[i];
		struct remote_status remotes[GATEWAY_MAX_REMOTES];
		if (name && strcmp(name, config->name) != 0)
			continue;
		for (size_t r = 0; r < config->n_remotes; r++)
			remotes[r] = (struct remote_status){.endpoint = config->remotes[r], .state = "configured"};
		struct gateway_status status = {.config = config,
						.pod_underlay = config->underlay == UNDERLAY_POD,
						.mtu = config->mtu ? config->mtu : 1450,
						.ports = fake_users(vs, config->name),
						.remotes = remotes,
						.n_remotes = config->n_remotes,
						.answers = &answers,
						.counters = {.encap_frames = 1ull << 40, .drops[0] = 7}};
		visit(context, &status);
		visited++;
	}
	return visited;
}

unsigned switch_visit_ports(const struct vswitch *vs, const char *name,
			    void (*visit)(void *context, const struct port_status *status), void *context)
{
	unsigned visited = 0;

	for (size_t i = 0; i < vs->n_ports; i++) {
		struct fake_port *port = (struct fake_port *)&vs->ports[i];
		if (name && strcmp(name, port->config.name) != 0)
			continue;
		struct port_status status = {.config = fake_config(port),
					     .live = &port->config.link,
					     .client = {.state = "off"},
					     .state = port->state,
					     .counters = {.rx_frames = 5000000000, .rx_bytes = 6, .drops[1] = 9}};
		visit(context, &status);
		visited++;
	}
	return visited;
}

unsigned switch_visit_fdb(const struct vswitch *vs, const char *gateway,
			  void (*visit)(void *context, const struct fdb_status *status), void *context)
{
	unsigned visited = 0;

	for (size_t i = 0; i < vs->n_entries; i++) {
		const struct fake_entry *entry = &vs->entries[i];
		if (gateway && strcmp(gateway, entry->gateway) != 0)
			continue;
		struct fdb_status status = {.gateway = entry->gateway,
					    .vni = fake_gateway(vs, entry->gateway)->vni,
					    .mac = entry->mac,
					    .port = entry->port[0] ? entry->port : NULL,
					    .remote = entry->port[0] ? NULL : &entry->remote,
					    .kind = "static"};
		visit(context, &status);
		visited++;
	}
	return visited;
}

void switch_visit_refusals(const struct vswitch *vs, void (*visit)(void *context, const struct refusal_status *status),
			   void *context)
{
	(void)vs;
	visit(context, &(struct refusal_status){
			       .what = "trains", .where = "port web", .why = "Input/output error", .seconds = 60});
}

void switch_count_some_overruns(struct vswitch *vs, unsigned n)
{
	(void)vs;
	(void)n;
}

void switch_count_overruns(struct vswitch *vs, const char *name)
{
	(void)vs;
	snprintf(fake_counted, sizeof(fake_counted), "%s", name ? name : "");
}

void switch_report(const struct vswitch *vs, struct switch_status *out)
{
	*out = (struct switch_status){.uptime = 1.5,
				      .io = "epoll",
				      .io_why = "io_uring is forbidden",
				      .workers = vs->options.workers,
				      .gateways = (unsigned)vs->n_gateways,
				      .ports = (unsigned)vs->n_ports};
}

const struct switch_feature *switch_features(const struct vswitch *vs)
{
	static const struct switch_feature features[] = {{"read_multishot", true}, {"send_zc", false}, {NULL, false}};

	(void)vs;
	return features;
}

void switch_listen(struct vswitch *vs, switch_listener *listener, void *context)
{
	vs->listener = listener;
	vs->context = context;
}

int switch_wakeup_fd(const struct vswitch *vs)
{
	return vs->wakeup;
}

void switch_tick(struct vswitch *vs)
{
	(void)vs;
}

/* ---- handing over ---- */

void switch_pause(struct vswitch *vs, bool pause)
{
	vs->paused = pause;
}

void handover_visit_hosts(const struct vswitch *vs, void (*visit)(void *context, const struct underlay *host),
			  void *context)
{
	if (vs->host)
		visit(context, vs->host);
}

void handover_visit_gateways(const struct vswitch *vs,
			     void (*visit)(void *context, const struct handed_gateway *gateway), void *context)
{
	for (size_t i = 0; i < vs->n_gateways; i++)
		visit(context,
		      &(struct handed_gateway){vs->gateways[i].name, vs->gateways[i].underlay == UNDERLAY_POD});
}

void handover_visit_ports(const struct vswitch *vs, void (*visit)(void *context, const struct handed_port *port),
			  void *context)
{
	static const struct address vteps[] = {{.family = AF_INET, .bytes = {10, 0, 0, 7}}};
	for (size_t i = 0; i < vs->n_ports; i++) {
		const struct fake_port *port = &vs->ports[i];
		visit(context, &(struct handed_port){.name = port->config.name,
						     .tap = port->tap,
						     .netns = port->netns,
						     .underlay = port->underlay,
						     .has_client = port->client.state != CLIENT_OFF,
						     .client = port->client,
						     .vteps = vteps,
						     .n_vteps = 1});
	}
}

int handover_take_host(struct vswitch *vs, struct underlay *host, struct failure *why)
{
	(void)why;
	underlay_close(vs->host);
	vs->host = host;
	return 0;
}

void handover_end(struct vswitch *vs)
{
	(void)vs;
}

int handover_take_gateway(struct vswitch *vs, const struct gateway_config *config, bool pod_underlay,
			  struct failure *why)
{
	struct gateway_config decided = *config;
	decided.underlay = pod_underlay ? UNDERLAY_POD : UNDERLAY_HOST;
	return switch_gateway_add(vs, &decided, why);
}

int handover_take_port(struct vswitch *vs, const struct port_config *config, struct handed_port *from,
		       struct failure *why)
{
	int error = switch_port_add(vs, config, true, why);
	struct fake_port *port = error ? NULL : fake_port(vs, config->name);
	if (port) {
		port->handed = true;
		port->tap = from->tap;
		port->netns = from->netns;
		port->underlay = from->underlay;
		port->client = from->client;
	}
	from->tap = from->netns = -1;
	from->underlay = NULL;
	return error;
}

void handover_learn(struct vswitch *vs, const char *gateway, const struct mac *mac, const char *port,
		    const struct endpoint *remote, unsigned age)
{
	(void)mac;
	(void)age;
	vs->learned += fake_gateway(vs, gateway) && !port != !remote;
}

void handover_count_port(struct vswitch *vs, const char *name, const struct port_counters *counters)
{
	struct fake_port *port = fake_port(vs, name);
	if (port)
		port->counters = *counters;
}

void handover_count_gateway(struct vswitch *vs, const char *name, const struct gateway_counters *counters)
{
	(void)vs;
	(void)name;
	(void)counters;
}

void handover_count_drops(struct vswitch *vs, const uint64_t drops[static DROP_COUNT])
{
	(void)vs;
	(void)drops;
}

#endif
