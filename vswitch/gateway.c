/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.c - gateways, their remotes, and the choice of an underlay
 *
 * A gateway's configuration changes in place while the workers are parked, so that its ports and what was learned about
 * its remaining remotes stay. The sockets of the host underlay are shared by all gateways of one UDP port: opened for
 * the first, closed after the last.
 */
#include "vswitch/gateway.h"

#include "tap/base/log.h"
#include "tap/base/wire.h"
#include "vswitch/housekeeping.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/remote.h"
#include "vswitch/port.h"
#include "vswitch/switch.h"
#include "vswitch/wiring.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_VXLAN_PORT 8472 /* Linux's default before IANA gave 4789; flannel's and Cilium's */
#define LOOPBACK_MTU 16384     /* no wire has more: such a path never leaves the node */
#define LEAST_MTU 576

struct gateway *gateway_find(const struct vswitch *vs, const char *name)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		struct gateway *gateway = vs->gateways[vs->gateway_order[i]];
		if (!strcmp(gateway->config.name, name))
			return gateway;
	}
	return NULL;
}

const struct gateway_config *switch_gateway_config(const struct vswitch *vs, const char *name)
{
	const struct gateway *gateway = gateway_find(vs, name);
	return gateway ? &gateway->config : NULL;
}

unsigned gateway_mtu(const struct gateway *gateway, const struct underlay *underlay)
{
	unsigned n = atomic_load(&gateway->n_remotes), least = 0;
	if (gateway->config.mtu)
		return gateway->config.mtu;
	for (unsigned i = 0; i < n && !gateway->is_hub; i++) {
		const struct remote *remote = gateway->remotes[i];
		int path = underlay ? underlay_path_mtu(underlay, &remote->to) : -EINVAL;
		if (path <= 0 || path > LOOPBACK_MTU)
			path = 1500;
		int overhead = remote->to.ss_family == AF_INET6 ? TUNNEL_OVERHEAD_IP6 : TUNNEL_OVERHEAD_IP4;
		unsigned mtu = path > overhead + LEAST_MTU ? (unsigned)(path - overhead) : LEAST_MTU;
		if (!least || mtu < least)
			least = mtu;
	}
	return least ? least : 1500 - TUNNEL_OVERHEAD_IP4;
}

/* The host underlay */

static struct host *find_host(struct vswitch *vs, uint16_t port)
{
	for (int i = 0; i < MAX_HOSTS; i++)
		if (vs->hosts[i].underlay && vs->hosts[i].underlay->port == port)
			return &vs->hosts[i];
	return NULL;
}

/* A port that is, or will be, a kernel vxlan device's: taking it would keep the node's own network from coming up. */
static int check_host_port(uint16_t port, struct failure *why)
{
	char device[IFNAMSIZ];
	if (port == KERNEL_VXLAN_PORT)
		return fail(why, -EADDRINUSE, "port",
			    "UDP port 8472 is left to the node's own network (flannel, Cilium); use --underlay pod");
	int used = link_vxlan_on_port(port, device, why);
	if (used > 0)
		return fail(why, -EADDRINUSE, "port",
			    "UDP port %u is that of the node's vxlan device %s; use --underlay pod or another --port",
			    port, device);
	return used;
}

static void close_host(struct vswitch *vs, struct host *host)
{
	for (unsigned w = 0; w < vs->options.workers; w++)
		for (int f = 0; f < UNDERLAY_FAMILIES; f++)
			worker_unwatch(&vs->workers[w], host->watch[w][f]);
	underlay_close(host->underlay);
	host->underlay = NULL;
}

static int watch_host(struct vswitch *vs, struct host *host)
{
	uint64_t tag = make_tag(TAG_HOST, (uint32_t)(host - vs->hosts));
	for (unsigned w = 0; w < vs->options.workers; w++) {
		for (int f = 0; f < UNDERLAY_FAMILIES; f++) {
			int fd = host->underlay->family[f].receive[w];
			if (fd < 0)
				continue;
			host->watch[w][f] = worker_watch(&vs->workers[w], RING_UDP, fd, tag);
			if (host->watch[w][f] < 0)
				return host->watch[w][f];
		}
	}
	return 0;
}

static int open_host(struct vswitch *vs, uint16_t port, struct host **out, struct failure *why)
{
	struct host *host = NULL;
	for (int i = 0; i < MAX_HOSTS && !host; i++)
		if (!vs->hosts[i].underlay)
			host = &vs->hosts[i];
	if (!host)
		return fail(why, -ENOSPC, "port", "more than %d UDP ports on the host underlay; use --underlay pod",
			    MAX_HOSTS);
	int error = check_host_port(port, why);
	if (error)
		return error;
	memset(host->watch, 0xff, sizeof(host->watch));
	do
		error = underlay_open(&host->underlay, port, vs->options.workers, UNDERLAY_HOST_SOURCES,
				      vs->options.vtep, vs->offloads.udp_gro, why);
	while (error == -EADDRINUSE && switch_settling(vs));
	if (error || !host->underlay)
		return error;
	error = watch_host(vs, host);
	if (error) {
		close_host(vs, host);
		return fail(why, error, NULL, "out of memory");
	}
	*out = host;
	return 0;
}

/* Closes the host underlays that no gateway uses any more. */
static void close_unused_hosts(struct vswitch *vs)
{
	for (int h = 0; h < MAX_HOSTS; h++) {
		struct host *host = &vs->hosts[h];
		bool used = false;
		for (unsigned i = 0; i < vs->n_gateways; i++)
			used |= vs->gateways[vs->gateway_order[i]]->host == host->underlay;
		if (host->underlay && !used)
			close_host(vs, host);
	}
}

/* On shared sockets, source and VNI must tell whose a datagram is. */
static int check_distinct(const struct vswitch *vs, const struct gateway_config *config, struct failure *why)
{
	char text[ADDRESS_TEXT];
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *other = vs->gateways[vs->gateway_order[i]];
		if (other->pod_underlay || other->config.vni != config->vni || other->config.port != config->port ||
		    !strcmp(other->config.name, config->name))
			continue;
		if (!config->n_remotes && other->is_hub)
			return fail(why, -EEXIST, "vni",
				    "VNI %u on UDP port %u is gateway '%s' own side already; use another "
				    "VNI or port, or --underlay pod",
				    config->vni, config->port, other->config.name);
		for (size_t a = 0; a < config->n_remotes; a++)
			for (size_t b = 0; b < other->config.n_remotes; b++)
				if (address_equal(&config->remotes[a].address, &other->config.remotes[b].address))
					return fail(
						why, -EEXIST, "remote",
						"VNI %u of %s is gateway '%s' already; use that one, or --underlay pod",
						config->vni, address_format(&config->remotes[a].address, text),
						other->config.name);
	}
	return 0;
}

struct underlay_choice {
	bool pod;
	struct underlay *host; /* NULL with pod */
};

/* What `auto` means for this gateway now. Opens the host underlay when that is the choice. */
static int choose_underlay(struct vswitch *vs, const struct gateway_config *config, struct underlay_choice *out,
			   struct failure *why)
{
	*out = (struct underlay_choice){.pod = true};
	if (config->underlay == UNDERLAY_POD)
		return 0;
	struct failure reason = {0};
	int error = check_distinct(vs, config, &reason);
	struct host *host = error ? NULL : find_host(vs, config->port);
	if (!error && !host)
		error = open_host(vs, config->port, &host, &reason);
	if (!error && host) {
		*out = (struct underlay_choice){.host = host->underlay};
		return 0;
	}
	if (config->underlay == UNDERLAY_AUTO && (error == -EADDRINUSE || error == -EEXIST)) {
		log_line(LOG_INFO, "gateway %s: pod underlay, as %s", config->name, reason.text);
		return 0;
	}
	*why = reason;
	return error;
}

/* Verbs */

static int check_remote(const struct gateway_config *config, size_t i, struct failure *why)
{
	char text[ADDRESS_TEXT];
	const struct address *address = &config->remotes[i].address;
	bool group = address->family == AF_INET ? address->bytes[0] >= 224 : address->bytes[0] == 0xff;
	if (group || address_is_any(address))
		return fail(why, -EINVAL, "remote", "%s is not the address of a host", address_format(address, text));
	if (address->family == AF_INET6 && address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80)
		return fail(why, -EINVAL, "remote",
			    "%s is link-local, which does not say on which link; give a global address",
			    address_format(address, text));
	for (size_t j = 0; j < i; j++)
		if (address_equal(address, &config->remotes[j].address))
			return fail(why, -EINVAL, "remote", "%s is given twice", address_format(address, text));
	return 0;
}

static int gateway_check_config(const struct gateway_config *config, struct failure *why)
{
	if (!switch_name_valid(config->name))
		return fail(why, -EINVAL, "name",
			    "a name is 1 to 191 of A-Z a-z 0-9 . _ : @ - and does not start with '.' or '-'");
	if (!strcmp(config->name, GATEWAY_NONE))
		return fail(why, -EINVAL, "name", "'%s' means that a port has no gateway; choose another name",
			    GATEWAY_NONE);
	if (config->vni > 0xffffff)
		return fail(why, -EINVAL, "vni", "a VNI is 0 to 16777215");
	if (!config->port)
		return fail(why, -EINVAL, "port", "a UDP port is 1 to 65535");
	if (config->n_allow && config->n_remotes)
		return fail(why, -EINVAL, "allow", "is for a gateway's own side, which has no remote");
	for (size_t i = 0; i < config->n_remotes; i++)
		if (check_remote(config, i, why))
			return why ? why->code : -EINVAL;
	return 0;
}

static bool same_remotes(const struct gateway_config *a, const struct gateway_config *b)
{
	if (a->n_remotes != b->n_remotes)
		return false;
	for (size_t i = 0; i < a->n_remotes; i++)
		if (!endpoint_equal(&a->remotes[i], &b->remotes[i]))
			return false;
	return true;
}

static bool gateway_config_equal(const struct gateway_config *a, const struct gateway_config *b)
{
	if (strcmp(a->name, b->name) != 0 || a->vni != b->vni || a->port != b->port || a->underlay != b->underlay ||
	    a->mtu != b->mtu || a->learning != b->learning || a->isolate != b->isolate || a->n_allow != b->n_allow ||
	    !same_remotes(a, b))
		return false;
	for (size_t i = 0; i < a->n_allow; i++)
		if (!prefix_equal(&a->allow[i], &b->allow[i]))
			return false;
	return true;
}

static bool remote_is_wanted(const struct gateway_config *config, const struct remote *remote)
{
	for (size_t i = 0; i < config->n_remotes; i++) {
		uint16_t port = config->remotes[i].port ? config->remotes[i].port : config->port;
		if (port == remote->endpoint.port &&
		    address_equal(&config->remotes[i].address, &remote->endpoint.address))
			return true;
	}
	return false;
}

static bool has_remote(const struct gateway *gateway, const struct address *address)
{
	unsigned n = atomic_load(&gateway->n_remotes);
	for (unsigned i = 0; i < n; i++)
		if (address_equal(&gateway->remotes[i]->endpoint.address, address))
			return true;
	return false;
}

static bool allow_list_has(const struct gateway_config *config, const struct remote *remote)
{
	for (size_t i = 0; i < config->n_allow; i++)
		if (prefix_contains(&config->allow[i], &remote->endpoint.address))
			return true;
	return config->n_allow == 0;
}

/* An own side keeps what it may go on learning and what static entries name, the others what is configured. */
static bool keeps_remote(const struct gateway *gateway, const struct gateway_config *config,
			 const struct remote *remote)
{
	if (!gateway->is_hub)
		return remote_is_wanted(config, remote);
	return remote->endpoint.port == config->port && (!remote->learned || allow_list_has(config, remote));
}

/* Releases the remotes that the configuration lacks and claims those it adds. Frozen. */
static int set_remotes(struct vswitch *vs, struct gateway *gateway, struct failure *why)
{
	const struct gateway_config *config = &gateway->config;
	bool is_hub = config->n_remotes == 0;
	for (unsigned i = atomic_load(&gateway->n_remotes); i-- > 0;)
		if (is_hub != gateway->is_hub || !keeps_remote(gateway, config, gateway->remotes[i]))
			remote_release(vs, gateway->remotes[i]);
	gateway->is_hub = is_hub;
	for (size_t i = 0; i < config->n_remotes; i++)
		if (!has_remote(gateway, &config->remotes[i].address) &&
		    !remote_claim(vs, gateway, &config->remotes[i], false))
			return fail(why, -ENOSPC, "remote", "more than %d remotes altogether", MAX_REMOTES);
	return 0;
}

/* Gives the gateway this configuration and underlay; its ports follow one by one. */
static int gateway_apply(struct vswitch *vs, struct gateway *gateway, const struct gateway_config *config,
			 const struct underlay_choice *underlay_choice, struct failure *why)
{
	bool rebind = underlay_choice->pod != gateway->pod_underlay || config->port != gateway->config.port;
	workers_park(vs);
	gateway->config = *config;
	gateway->pod_underlay = underlay_choice->pod;
	/* Until the last port has sockets of its own, the others send by the host's. */
	if (underlay_choice->host)
		gateway->host = underlay_choice->host;
	int error = set_remotes(vs, gateway, why);
	workers_resume(vs);
	/* From the last, as a port that is rebound changes places with it. */
	for (unsigned i = gateway->n_ports; !error && rebind && i-- > 0;)
		error = port_rebind(vs, gateway->ports[i], gateway, why);
	if (!error && gateway->host != underlay_choice->host) {
		workers_park(vs);
		gateway->host = underlay_choice->host;
		workers_resume(vs);
	}
	return error ? error : switch_rewire(vs, why);
}

void gateway_free(struct gateway *gateway)
{
	if (!gateway)
		return;
	free(gateway->remotes);
	free(gateway->ports);
	free(gateway->peers);
	free(gateway->counters);
	free(gateway);
}

static struct gateway *gateway_new(struct vswitch *vs)
{
	uint16_t id = 1;
	while (id < MAX_GATEWAYS && vs->gateways[id])
		id++;
	struct gateway *gateway = id < MAX_GATEWAYS ? calloc(1, sizeof(*gateway)) : NULL;
	if (!gateway)
		return NULL;
	gateway->id = id;
	gateway->remotes = calloc(GATEWAY_MAX_LEARNED, sizeof(struct remote *));
	gateway->counters = calloc(vs->options.workers, sizeof(*gateway->counters));
	if (!gateway->remotes || !gateway->counters) {
		gateway_free(gateway);
		return NULL;
	}
	return gateway;
}

static bool is_of_gateway(void *context, const struct fdb_entry *entry)
{
	const struct gateway *gateway = context;
	return entry->gateway == gateway->id;
}

/* Takes the gateway, which has no ports any more, out of everything. */
static void gateway_discard(struct vswitch *vs, struct gateway *gateway)
{
	unsigned at = 0;
	while (vs->gateway_order[at] != gateway->id)
		at++;
	vs->n_gateways--;
	memmove(&vs->gateway_order[at], &vs->gateway_order[at + 1],
		(vs->n_gateways - at) * sizeof(vs->gateway_order[0]));
	struct failure why = {0};
	if (switch_rewire(vs, &why))
		log_line(LOG_ERROR, "%s", why.text);
	/* Nothing leads to it any more, so that nothing can be learned for it behind our back. */
	workers_park(vs);
	fdb_purge(vs->fdb, is_of_gateway, gateway);
	while (atomic_load(&gateway->n_remotes))
		remote_release(vs, gateway->remotes[0]);
	vs->gateways[gateway->id] = NULL;
	workers_resume(vs);
	gateway_free(gateway);
	close_unused_hosts(vs);
}

int switch_gateway_add(struct vswitch *vs, const struct gateway_config *config, struct failure *why)
{
	struct underlay_choice underlay_choice;
	const struct gateway *old = gateway_find(vs, config->name);
	if (old && gateway_config_equal(&old->config, config))
		return 0;
	if (old)
		return fail(why, -EEXIST, "name", "gateway '%s' exists with other settings; use gateway set",
			    config->name);
	int error = gateway_check_config(config, why);
	if (!error)
		error = choose_underlay(vs, config, &underlay_choice, why);
	if (error)
		return error;
	struct gateway *gateway = gateway_new(vs);
	if (!gateway) {
		close_unused_hosts(vs);
		return fail(why, -ENOSPC, NULL, "no room for another gateway; there can be %d", MAX_GATEWAYS - 1);
	}
	gateway->is_hub = config->n_remotes == 0;
	gateway->config.port = config->port;
	gateway->pod_underlay = underlay_choice.pod;
	vs->gateways[gateway->id] = gateway;
	vs->gateway_order[vs->n_gateways++] = gateway->id;
	error = gateway_apply(vs, gateway, config, &underlay_choice, why);
	if (error) {
		gateway_discard(vs, gateway);
		return error;
	}
	switch_notify(vs, "gateway.added", config->name, NULL);
	return 0;
}

int switch_gateway_set(struct vswitch *vs, const struct gateway_config *config, struct failure *why)
{
	struct underlay_choice underlay_choice, was;
	struct gateway *gateway = gateway_find(vs, config->name);
	if (!gateway)
		return fail(why, -ENOENT, "name", "there is no gateway '%s'", config->name);
	if (gateway_config_equal(&gateway->config, config))
		return 0;
	int error = gateway_check_config(config, why);
	if (!error)
		error = choose_underlay(vs, config, &underlay_choice, why);
	if (error)
		return error;
	struct gateway_config before = gateway->config;
	was = (struct underlay_choice){.pod = gateway->pod_underlay, .host = gateway->host};
	error = gateway_apply(vs, gateway, config, &underlay_choice, why);
	if (error) {
		/* What worked before works again. */
		struct failure again = {0};
		if (gateway_apply(vs, gateway, &before, &was, &again))
			log_line(LOG_ERROR, "gateway %s: taking back a change failed too: %s", before.name, again.text);
	}
	close_unused_hosts(vs);
	if (error)
		return error;
	/* Another VNI, UDP port or remote is another network, or one that does not know us. */
	bool moved = before.vni != config->vni || before.port != config->port || !same_remotes(&before, config);
	for (unsigned i = 0; i < gateway->n_ports; i++)
		port_follow_gateway(vs, gateway->ports[i], moved);
	switch_notify(vs, "gateway.changed", config->name, NULL);
	return 0;
}

int switch_gateway_remove(struct vswitch *vs, const char *name, bool force, struct failure *why)
{
	struct gateway *gateway = gateway_find(vs, name);
	if (!gateway)
		return fail(why, -ENOENT, "name", "there is no gateway '%s'", name);
	if (gateway->n_ports && !force)
		return fail(why, -EBUSY, "name", "%u port%s gateway '%s'; move or remove them first, or use --force",
			    gateway->n_ports, gateway->n_ports == 1 ? " uses" : "s use", name);
	while (gateway->n_ports)
		port_detach(vs, gateway->ports[0]);
	char copy[SWITCH_NAME];
	memcpy(copy, gateway->config.name, sizeof(copy));
	gateway_discard(vs, gateway);
	switch_notify(vs, "gateway.removed", copy, NULL);
	return 0;
}
