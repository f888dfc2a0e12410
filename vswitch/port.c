/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port.c - ports: a TAP in a pod, attached to a gateway
 *
 *                       TAP   gateway
 *    "up"               yes   yes
 *    "detached"         yes   no        drops what the pod sends
 *    "gone"             no    no        namespace or TAP vanished; waits to be removed, or added again
 *
 *               add                             gateway removed, or set to "none"
 *    (none) ----------> up <------------------------------------------------------> detached
 *               adopt   |  ^                     add, or set --gateway                 |
 *                 \     |  | add                                                       |
 *                  \    v  |                                                           |
 *                   +-> gone <----------------------------------------------------------+
 *                                               its TAP or namespace vanished
 *
 * port_attach() makes a port work, in this order: namespace; TAP, underlay sockets and the pod's network (in the
 * namespace, port_set_up()); membership and FDB entry (workers parked); reading. Errors undo what was done.
 * port_release() is the reverse. A worker must not see a descriptor after it is closed: so it is taken out of the port
 * while the workers are parked, then unwatched, then closed. Deleting a TAP takes the kernel long, so others do that
 * (tap_endings.h).
 *
 * Control thread.
 */
#include "vswitch/port.h"

#include "tap/base/log.h"
#include "tap/base/mac.h"
#include "tap/base/wire.h"
#include "tap/gateway_client.h"
#include "tap/link.h"
#include "tap/pod_filter.h"
#include "tap/steering.h"
#include "tap/tap.h"
#include "tap/tap_endings.h"
#include "tap/trial_frame.h"
#include "vswitch/gateway.h"
#include "vswitch/handover.h"
#include "vswitch/housekeeping.h"
#include "vswitch/overruns.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/worker.h"
#include "vswitch/pod_egress.h"
#include "vswitch/pod_network.h"
#include "vswitch/pod_queues.h"
#include "vswitch/port_binding.h"
#include "vswitch/port_config.h"
#include "vswitch/switch.h"
#include "vswitch/wiring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct port *port_find(const struct vswitch *vs, const char *name)
{
	struct port *port = vs->first_port;
	while (port && strcmp(port->config.name, name) != 0)
		port = port->next;
	return port;
}

const struct port_config *switch_port_config(const struct vswitch *vs, const char *name)
{
	const struct port *port = port_find(vs, name);
	return port ? &port->config : NULL;
}

/* A MAC may be at only one port of a gateway. `except` is the port itself. */
static int check_mac(const struct gateway *gateway, const struct mac *mac, const struct port *except,
		     struct failure *why)
{
	char text[MAC_TEXT];
	for (unsigned i = 0; i < gateway->n_ports; i++)
		if (gateway->ports[i] != except && mac_equal(&gateway->ports[i]->config.link.mac, mac))
			return fail(why, -EEXIST, "mac", "port '%s' of the same gateway has the MAC %s; use another",
				    gateway->ports[i]->config.name, mac_format(mac, text));
	return 0;
}

static bool has_address(const struct link_config *link, const struct address *address)
{
	for (size_t i = 0; i < link->n_addresses; i++)
		if (address_equal(&link->addresses[i].address, address))
			return true;
	return false;
}

/*
 * Two pods of one network cannot have one address: neither one that the other was given, nor one that it has by DHCP.
 * Who has it elsewhere, is found by asking (address_check.h).
 */
static int check_addresses(const struct gateway *gateway, const struct link_config *link, const struct port *except,
			   struct failure *why)
{
	char text[ADDRESS_TEXT];
	for (unsigned i = 0; i < gateway->n_ports; i++) {
		const struct port *other = gateway->ports[i];
		const struct link_config live = link_config_unpack(other->live);
		for (size_t a = 0; other != except && a < link->n_addresses; a++)
			if (has_address(&other->config.link, &link->addresses[a].address) ||
			    has_address(&live, &link->addresses[a].address))
				return fail(why, -EEXIST, "address",
					    "port '%s' of the same gateway has the address %s; give this one "
					    "another, or remove that one first",
					    other->config.name, address_format(&link->addresses[a].address, text));
	}
	return 0;
}

/* The object */

void port_free(struct port *port)
{
	if (!port)
		return;
	pod_queues_close(NULL, port);
	if (port->tap >= 0)
		close(port->tap);
	gateway_client_close(port->gateway_client);
	pod_egress_free(port);
	underlay_close(port->underlay);
	netns_close(&port->netns);
	free(port->counters);
	free(port->live);
	free(port->config.keep);
	free(port);
}

/* Room in the port for so many networks to keep; those that it has stay. */
static int port_reserve_keep(struct port *port, size_t n, struct failure *why)
{
	if (n <= port->config.n_keep)
		return 0;
	struct prefix *keep = realloc(port->config.keep, n * sizeof(*keep));
	if (!keep)
		return fail(why, -ENOMEM, NULL, "out of memory");
	port->config.keep = keep;
	return 0;
}

/* With room for its networks. */
static void port_copy_config(struct port *port, const struct port_config *config)
{
	struct prefix *keep = port->config.keep;
	prefix_list_copy(keep, config->keep, config->n_keep);
	port->config = *config;
	port->config.keep = keep;
}

static struct port *port_new(struct vswitch *vs, const struct port_config *config)
{
	for (unsigned tries = 0; tries < MAX_PORTS && vs->ports[vs->next_port % MAX_PORTS]; tries++)
		vs->next_port++;
	uint16_t id = (uint16_t)(vs->next_port % MAX_PORTS);
	struct port *port = vs->ports[id] ? NULL : calloc(1, sizeof(*port));
	if (!port)
		return NULL;
	port->netns.fd = port->tap = port->tap_watch = -1;
	port->udp_watch[UNDERLAY_IP4] = port->udp_watch[UNDERLAY_IP6] = -1;
	atomic_store(&port->crowded_at, UINT64_MAX);
	port->counters = calloc(vs->options.workers, sizeof(*port->counters));
	port->live = link_config_pack(&(struct link_config){0});
	if (!port->counters || !port->live || port_reserve_keep(port, config->n_keep, NULL)) {
		port_free(port);
		return NULL;
	}
	vs->next_port++;
	port->id = id;
	port_copy_config(port, config);
	if (!config->has_mac)
		port->config.link.mac = mac_derive(config->name);
	port->worker = &vs->workers[id % vs->options.workers];
	return port;
}

static void port_list_append(struct vswitch *vs, struct port *port)
{
	*vs->last_port = port;
	vs->last_port = &port->next;
	vs->n_ports++;
}

static void port_list_remove(struct vswitch *vs, struct port *port)
{
	struct port **at = &vs->first_port;
	while (*at != port)
		at = &(*at)->next;
	*at = port->next;
	if (vs->last_port == &port->next)
		vs->last_port = at;
	vs->n_ports--;
}

/*
 * Releases everything except the object; with `destroy` the TAP is deleted as well. Returns the number of its ending,
 * or 0.
 */
static uint64_t port_release(struct vswitch *vs, struct port *port, bool destroy)
{
	int tap = port->tap;
	uint64_t ending = 0;
	struct underlay *underlay = port->underlay;
	overruns_count_port(vs, port);
	pod_egress_end(vs, port);
	if (destroy)
		pod_network_close(vs, port);
	pod_network_forget(port);
	workers_park(vs);
	port_leave_gateway(vs, port);
	port->tap = -1;
	port->underlay = NULL;
	workers_resume(vs);
	worker_unwatch(port->worker, port->tap_watch);
	port->tap_watch = -1;
	pod_queues_close(vs, port);
	port_unwatch_underlay(port);
	underlay_close(underlay);
	if (destroy)
		ending = tap_endings_add(vs->endings, tap, &port->netns, &vs->home);
	else if (tap >= 0)
		close(tap);
	netns_close(&port->netns);
	return ending;
}

void port_gone(struct vswitch *vs, struct port *port, const char *reason)
{
	log_line(LOG_INFO, "port %s is gone: %s", port->config.name, reason);
	struct gateway *gateway = port->gateway;
	(void)port_release(vs, port, false);
	if (gateway && gateway->is_hub)
		(void)switch_rewire(vs, NULL);
	switch_notify(vs, "port.gone", port->config.name, NULL);
}

/* Attaching */

/*
 * Makes the TAP, or takes over one that we left there ourselves, as when the process that named the namespace ended
 * before its pod did: nobody has it open, and it has this port's MAC.
 */
static int make_tap(struct port *port, struct failure *why)
{
	struct mac mac;
	const char *ifname = port->config.ifname;
	int error = tap_create(ifname, &port->tap, why);
	if (error == -EEXIST && !link_find(ifname, &mac, NULL) && mac_equal(&mac, &port->config.link.mac) &&
	    !tap_adopt(ifname, &port->tap, NULL))
		error = 0;
	return error;
}

/* A number of a process, or a path by way of one: it may stand for another process by now. */
static bool is_by_process(const char *netns)
{
	return !netns[strspn(netns, "0123456789")] || !strncmp(netns, "/proc/", 6);
}

/*
 * Takes over the TAP that an earlier podswitchd left. By a name, the namespace is the pod's, and so is the TAP,
 * whatever the pod has done to its MAC. By a process that has ended since it may be another pod's, with another port's
 * TAP.
 */
static int adopt_tap(struct port *port, struct failure *why)
{
	const struct port_config *config = &port->config;
	if (is_by_process(config->netns))
		return tap_adopt_own(config->ifname, &config->link.mac, &port->tap, why);
	return tap_adopt(config->ifname, &port->tap, why);
}

/* In the pod's namespace, before we configure anything there. */
static void note_vteps(struct port *port)
{
	int n = link_list_addresses(port->vteps, PORT_MAX_VTEPS, NULL);
	port->n_vteps = n > 0 ? (unsigned)n : 0;
}

/* A TAP that was just made and is not up yet. One that is adopted may be up, and then the pod would get the frame. */
static void try_super_frames(const struct vswitch *vs, struct port *port)
{
	if (!vs->offloads.tap_gro)
		return;
	port->refuses_tso = trial_frame_refused(port->tap, PROTO_TCP);
	bool refuses_uso = port->takes_uso && trial_frame_refused(port->tap, PROTO_UDP);
	port->takes_uso = port->takes_uso && !refuses_uso;
	if (port->refuses_tso || refuses_uso)
		log_line(LOG_WARNING,
			 "port %s has no tap_gro for %s: this kernel refuses super-frames with a short end",
			 port->config.name,
			 !refuses_uso        ? "TCP"
			 : port->refuses_tso ? "TCP and UDP"
					     : "UDP");
}

/*
 * The MTU that the paths leave. An IPv6 pod has the least that IPv6 needs where they leave less: then it is told packet
 * by packet, which IPv4 follows.
 */
static unsigned fitting_mtu(const struct link_config *link, const struct gateway *gateway,
			    const struct underlay *underlay)
{
	unsigned mtu = gateway_mtu(gateway, underlay);
	unsigned least = gateway->config.mtu ? 0 : link_config_least_mtu(link);
	return mtu < least ? least : mtu;
}

/* In the pod's namespace: TAP, sockets of the pod underlay, and what the TAP is given. */
static int port_set_up(struct vswitch *vs, struct port *port, const struct gateway *gateway, bool adopt,
		       struct failure *why)
{
	const char *ifname = port->config.ifname;
	bool fresh = port->tap < 0 && !adopt;
	int error = 0;
	if (port->tap < 0)
		error = adopt ? adopt_tap(port, why) : make_tap(port, why);
	if (error)
		return error;
	if (gateway && !port->underlay)
		error = pod_underlay_open(vs, gateway, &port->underlay, why);
	if (error)
		return error;
	if (!port->config.has_mtu && gateway)
		port->config.link.mtu =
			fitting_mtu(&port->config.link, gateway, port->underlay ? port->underlay : gateway->host);
	if (tap_set_offloads(port->tap, vs->offloads.tap_gso, &port->takes_uso))
		log_line(LOG_INFO, "port %s has no tap_gso: this kernel's TAPs do not offer it", port->config.name);
	overruns_begin(port);
	if (fresh && steering_works() && link_unqueue(ifname, why))
		log_line(LOG_DEBUG, "port %s: %s", port->config.name, why->text);
	if (fresh)
		try_super_frames(vs, port);
	error = pod_network_open(vs, port, gateway, adopt, why);
	if (!error)
		pod_network_limit_gso(ifname, port->config.link.mtu);
	return error;
}

/* Undoes port_set_up(), however far it came. */
static void port_tear_down(struct vswitch *vs, struct port *port, bool adopt)
{
	if (!adopt)
		pod_network_close(vs, port);
	pod_network_forget(port);
	underlay_close(port->underlay);
	port->underlay = NULL;
	if (!adopt)
		(void)tap_endings_add(vs->endings, port->tap, &port->netns, &vs->home);
	else if (port->tap >= 0)
		close(port->tap);
	port->tap = -1;
	netns_close(&port->netns);
}

static int port_attach(struct vswitch *vs, struct port *port, struct gateway *gateway, bool adopt, struct failure *why)
{
	int error = port->netns.fd >= 0 ? 0 : netns_open(port->config.netns, &port->netns, why);
	if (!error)
		error = netns_enter(&port->netns, why);
	if (error) {
		netns_close(&port->netns);
		return error;
	}
	if (!adopt)
		note_vteps(port);
	do
		error = port_set_up(vs, port, gateway, adopt, why);
	while (adopt && (error == -EBUSY || error == -EADDRINUSE) && switch_settling(vs));
	netns_return(&vs->home);
	if (!error && gateway) {
		workers_park(vs);
		error = port_join_gateway(vs, port, gateway);
		workers_resume(vs);
		if (error)
			fail(why, error, NULL, "out of memory");
	}
	if (error) {
		port_tear_down(vs, port, adopt);
		return error;
	}
	atomic_store(&port->lost, 0); /* left from an earlier TAP */
	ban_lift(&port->gro_ban);
	port->tap_watch = worker_watch(port->worker, RING_TAP, port->tap, make_tag(TAG_TAP, port->id));
	port_watch_underlay(port);
	if (port->tap_watch < 0) {
		(void)port_release(vs, port, !adopt);
		return fail(why, -ENOMEM, NULL, "out of memory");
	}
	if (gateway && gateway->is_hub)
		(void)switch_rewire(vs, NULL);
	return 0;
}

/* Errors that mean that the pod is gone although the state directory has its port. */
static bool is_vanished(int error)
{
	return error == -ENOENT || error == -ENODEV || error == -EINVAL;
}

/*
 * Attaches a port whose TAP an earlier podswitchd left behind. A TAP that vanished is made again if a name or path says
 * for which pod. A process id may belong to another process by now, and the TAP would be in the wrong namespace.
 */
static int port_attach_adopted(struct vswitch *vs, struct port *port, struct gateway *gateway, struct failure *why)
{
	int error = port_attach(vs, port, gateway, true, why);
	if (error == -ENODEV && gateway && !is_by_process(port->config.netns))
		error = port_attach(vs, port, gateway, false, why);
	/* The pod has put something of its own in the TAP's place: the port is gone. */
	return error == -EEXIST ? -ENODEV : error;
}

static int refuse_gateway(const struct port_config *config, struct failure *why)
{
	return fail(why, -ENOENT, "gateway", "there is no gateway '%s'; add it with gateway add", config->gateway);
}

/* The descriptors become the port's. */
static void take_handed(struct port *port, struct handed_port *from)
{
	struct stat namespace;
	port->tap = from->tap;
	port->underlay = from->underlay;
	if (port->underlay)
		underlay_mark(port->underlay, POD_FILTER_TUNNEL_MARK); /* an older version did not */
	port->refuses_tso = from->refuses_tso;
	if (!fstat(from->netns, &namespace))
		port->netns = (struct netns){from->netns, namespace.st_dev, namespace.st_ino};
	port->n_vteps = from->n_vteps < PORT_MAX_VTEPS ? from->n_vteps : PORT_MAX_VTEPS;
	memcpy(port->vteps, from->vteps, port->n_vteps * sizeof(port->vteps[0]));
	from->tap = from->netns = -1;
	from->underlay = NULL;
}

/* `from` is NULL but for a port of another process. */
static int port_add_new(struct vswitch *vs, const struct port_config *config, bool adopt, struct handed_port *from,
			struct failure *why)
{
	struct gateway *gateway = gateway_find(vs, config->gateway);
	/* An adopted port without a gateway stays detached: a later add must find its TAP. */
	if (!gateway && !adopt)
		return refuse_gateway(config, why);
	struct port *port = port_new(vs, config);
	if (!port)
		return fail(why, -ENOSPC, NULL, "no room for another port; there can be %d", MAX_PORTS);
	if (from)
		take_handed(port, from);
	int error = gateway ? check_mac(gateway, &port->config.link.mac, NULL, why) : 0;
	if (!error && gateway && !adopt)
		error = check_addresses(gateway, &port->config.link, NULL, why);
	vs->ports[port->id] = port;
	if (!error)
		error = adopt ? port_attach_adopted(vs, port, gateway, why)
			      : port_attach(vs, port, gateway, false, why);
	if (error && adopt && is_vanished(error)) {
		log_line(LOG_INFO, "port %s is gone: %s", config->name, why ? why->text : "its pod has ended");
		error = 0;
	}
	if (error) {
		vs->ports[port->id] = NULL;
		port_free(port);
		return error;
	}
	port_list_append(vs, port);
	if (from && from->has_client)
		pod_network_resume(vs, port, &from->client);
	switch_notify(vs, "port.added", config->name, NULL);
	return 0;
}

int handover_take_port(struct vswitch *vs, const struct port_config *config, struct handed_port *from,
		       struct failure *why)
{
	int error = port_find(vs, config->name) ? fail(why, -EEXIST, "name", "port '%s' is there twice", config->name)
						: port_check_config(config, why);
	if (!error)
		error = port_add_new(vs, config, true, from, why);
	handed_port_close(from);
	return error;
}

int switch_port_add(struct vswitch *vs, const struct port_config *config, bool adopt, struct failure *why)
{
	struct port *old = port_find(vs, config->name);
	int error = port_check_config(config, why);
	if (error)
		return error;
	if (!old)
		return port_add_new(vs, config, adopt, NULL, why);
	if (!port_is_same(old, config))
		return fail(why, -EEXIST, "name", "port '%s' exists with other settings; use port set", config->name);
	if (old->tap >= 0 && old->gateway)
		return 0;
	struct gateway *gateway = gateway_find(vs, config->gateway);
	if (!gateway)
		return refuse_gateway(config, why);
	error = check_mac(gateway, &old->config.link.mac, old, why);
	if (error)
		return error;
	if (old->tap < 0) {
		error = port_attach(vs, old, gateway, false, why);
	} else {
		error = port_rebind(vs, old, gateway, why);
		if (!error && gateway->is_hub)
			error = switch_rewire(vs, why);
		(void)port_follow_gateway(vs, old, true);
	}
	if (!error)
		switch_notify(vs, "port.added", config->name, NULL);
	return error;
}

int switch_port_remove(struct vswitch *vs, const char *name, bool closed, uint64_t *ending, struct failure *why)
{
	struct port *port = port_find(vs, name);
	if (!port)
		return fail(why, -ENOENT, "name", "there is no port '%s'", name);
	port->stays_closed = closed;
	struct gateway *gateway = port->gateway;
	port_list_remove(vs, port);
	*ending = port_release(vs, port, true);
	vs->ports[port->id] = NULL;
	if (gateway && gateway->is_hub)
		(void)switch_rewire(vs, NULL);
	switch_notify(vs, "port.removed", port->config.name, NULL);
	port_free(port);
	return 0;
}

/* Changing */

int port_follow_gateway(struct vswitch *vs, struct port *port, bool moved)
{
	struct failure why = {0};
	struct port_config now = port->config;
	if (!port->gateway || port->tap < 0)
		return 0;
	if (!now.has_mtu)
		now.link.mtu = fitting_mtu(&now.link, port->gateway, port_underlay(port));
	if (now.link.mtu == port->config.link.mtu && !moved)
		return 0;
	int error = pod_network_change(vs, port, &now, port->gateway, moved, &why);
	if (error) {
		log_line(LOG_WARNING, "port %s could not be changed with its gateway: %s", port->config.name, why.text);
		return error;
	}
	workers_park(vs);
	port->config.link.mtu = now.link.mtu;
	workers_resume(vs);
	return 0;
}

/* Puts the new configuration in force, with the FDB entry of the MAC. */
static void port_apply_config(struct vswitch *vs, struct port *port, const struct port_config *config)
{
	const struct link_config *link = &config->link;
	struct fdb_place place = {.is_port = true, .index = port->id};
	workers_park(vs);
	if (port->gateway && !mac_equal(&port->config.link.mac, &link->mac)) {
		/* One entry goes as one comes, so there is room. */
		fdb_remove(vs->fdb, port->gateway->id, port->config.link.mac.bytes);
		(void)fdb_set(vs->fdb, port->gateway->id, link->mac.bytes, FDB_LOCAL, place);
	}
	port_copy_config(port, config);
	workers_resume(vs);
}

/* Detached on request. Everything else that is asked for still applies. */
static int set_detached(struct vswitch *vs, struct port *port, const struct port_config *config, struct failure *why)
{
	struct port_config now = *config;
	if (!config->has_mac)
		now.link.mac = mac_derive(config->name);
	if (!config->has_mtu)
		now.link.mtu = port->config.link.mtu;
	struct gateway *from = port->gateway;
	int error = port_check_config(config, why);
	if (!error)
		error = port_reserve_keep(port, config->n_keep, why);
	if (!error)
		error = pod_network_change(vs, port, &now, NULL, false, why);
	if (error)
		return error;
	port_detach(vs, port);
	if (from && from->is_hub)
		(void)switch_rewire(vs, NULL);
	port_apply_config(vs, port, &now);
	switch_notify(vs, "port.changed", now.name, NULL);
	return 0;
}

/* Moves the port to another gateway, in a way that can be undone. */
static int port_move(struct vswitch *vs, struct port *port, struct gateway *to, struct failure *why)
{
	struct gateway *from = port->gateway;
	if (from == to)
		return 0;
	int error = port_rebind(vs, port, to, why);
	if (!error && ((from && from->is_hub) || to->is_hub))
		error = switch_rewire(vs, why);
	return error;
}

int switch_port_set(struct vswitch *vs, const struct port_config *config, struct failure *why)
{
	struct port *port = port_find(vs, config->name);
	if (!port)
		return fail(why, -ENOENT, "name", "there is no port '%s'", config->name);
	if (port_is_same(port, config) && (port->gateway || !strcmp(config->gateway, GATEWAY_NONE)))
		return 0;
	if (strcmp(port->config.netns, config->netns) != 0)
		return fail(why, -EINVAL, "netns", "cannot be changed; remove the port and add it again");
	if (strcmp(port->config.ifname, config->ifname) != 0)
		return fail(why, -EINVAL, "ifname", "cannot be changed; remove the port and add it again");
	if (port->tap < 0)
		return fail(why, -ENODEV, "name", "port '%s' is gone, because its namespace or interface is; remove it",
			    config->name);
	if (!strcmp(config->gateway, GATEWAY_NONE))
		return set_detached(vs, port, config, why);
	struct gateway *to = gateway_find(vs, config->gateway), *from = port->gateway;
	if (!to)
		return refuse_gateway(config, why);
	struct port_config now = *config;
	if (!config->has_mac)
		now.link.mac = mac_derive(config->name);
	int error = port_check_config(config, why);
	if (!error)
		error = port_reserve_keep(port, config->n_keep, why);
	if (!error)
		error = check_mac(to, &now.link.mac, port, why);
	if (!error)
		error = check_addresses(to, &now.link, port, why);
	/* The port moves with its present MAC, which must not replace the FDB entry of another port there. */
	if (!error && from != to)
		error = check_mac(to, &port->config.link.mac, port, why);
	if (!error)
		error = port_move(vs, port, to, why);
	if (error)
		return error;
	if (!config->has_mtu)
		now.link.mtu = fitting_mtu(&now.link, to, port_underlay(port));
	/* After the move, so that a late answer of the old gateway no longer finds the port. */
	error = pod_network_change(vs, port, &now, to, from != to, why);
	if (error) {
		if (from)
			(void)port_move(vs, port, from, NULL);
		return error;
	}
	port_apply_config(vs, port, &now);
	switch_notify(vs, "port.changed", now.name, NULL);
	return 0;
}
