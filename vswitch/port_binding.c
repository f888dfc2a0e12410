/* SPDX-License-Identifier: Apache-2.0 */
/*
 * port_binding.c - a port's place on its gateway: membership, and the sockets of the pod underlay
 *
 * Membership is an entry in gateway->ports, port->gateway, and a local FDB entry with the port's MAC. All three change
 * together while the workers are parked.
 *
 * port_rebind() opens the new sockets before anything changes, so that it can still fail:
 *
 *    open new sockets -> park -> leave, join; port->underlay = new -> resume -> unwatch and close the old ones
 *                                    |                                            -> watch the new ones
 *                                    on error: join the old gateway again         -> port_announce_move()
 *
 * Control thread.
 */
#include "vswitch/port_binding.h"

#include "tap/base/wire.h"
#include "tap/pod_filter.h"
#include "vswitch/overruns.h"
#include "vswitch/path/encap.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/worker.h"
#include "vswitch/pod_egress.h"

#include <stdlib.h>
#include <string.h>

/* Membership. Workers parked. */

static int gateway_reserve_port(struct gateway *gateway)
{
	if (gateway->n_ports < gateway->max_ports)
		return 0;
	unsigned max = gateway->max_ports ? gateway->max_ports * 2 : 8;
	struct port **ports = realloc(gateway->ports, max * sizeof(struct port *));
	if (!ports)
		return -ENOMEM;
	gateway->ports = ports;
	gateway->max_ports = max;
	return 0;
}

static bool is_at_port(void *context, const struct fdb_entry *entry)
{
	const struct port *port = context;
	return entry->place.is_port && entry->place.index == port->id;
}

void port_leave_gateway(struct vswitch *vs, struct port *port)
{
	struct gateway *gateway = port->gateway;
	fdb_purge(vs->fdb, is_at_port, port);
	for (unsigned i = 0; gateway && i < gateway->n_ports; i++)
		if (gateway->ports[i] == port)
			gateway->ports[i--] = gateway->ports[--gateway->n_ports];
	port->gateway = NULL;
}

int port_join_gateway(struct vswitch *vs, struct port *port, struct gateway *gateway)
{
	struct fdb_place place = {.is_port = true, .index = port->id};
	int error = gateway_reserve_port(gateway);
	if (error)
		return error;
	error = fdb_set(vs->fdb, gateway->id, port->config.link.mac.bytes, FDB_LOCAL, place);
	if (error == -ENOSPC && !fdb_reserve(vs->fdb))
		error = fdb_set(vs->fdb, gateway->id, port->config.link.mac.bytes, FDB_LOCAL, place);
	if (error)
		return error;
	gateway->ports[gateway->n_ports++] = port;
	port->gateway = gateway;
	return 0;
}

/* Watching */

void port_watch_underlay(struct port *port)
{
	for (int f = 0; port->underlay && f < UNDERLAY_FAMILIES; f++) {
		int fd = port->underlay->family[f].receive[0];
		if (fd >= 0)
			port->udp_watch[f] = worker_watch(port->worker, RING_UDP, fd, make_tag(TAG_POD, port->id));
	}
}

void port_unwatch_underlay(struct port *port)
{
	for (int f = 0; f < UNDERLAY_FAMILIES; f++) {
		worker_unwatch(port->worker, port->udp_watch[f]);
		port->udp_watch[f] = -1;
	}
}

int pod_underlay_open(const struct vswitch *vs, const struct gateway *gateway, struct underlay **out,
		      struct failure *why)
{
	static const struct address any[2];
	*out = NULL;
	if (!gateway->pod_underlay)
		return 0;
	int error = underlay_open(out, gateway->config.port, 1, UNDERLAY_POD_SOURCES, any, vs->offloads.udp_gro, why);
	if (!error)
		underlay_mark(*out, POD_FILTER_TUNNEL_MARK);
	return error;
}

static int port_open_underlay(const struct vswitch *vs, const struct port *port, const struct gateway *gateway,
			      struct underlay **out, struct failure *why)
{
	int error = netns_enter(&port->netns, why);
	if (error)
		return error;
	error = pod_underlay_open(vs, gateway, out, why);
	netns_return(&vs->home);
	return error;
}

/* Two receivers cannot be open on one UDP port: then the port keeps the sockets that it has. */
static bool keeps_underlay(const struct port *port, const struct gateway *gateway)
{
	return port->underlay && gateway->pod_underlay && port->underlay->port == gateway->config.port;
}

/*
 * Tells the gateway that the pod has another outer address now, so that it does not send to the old one until the pod
 * says something. This is a reverse ARP request (RFC 903) from the pod's MAC, as hypervisors send after a migration: it
 * needs no IP address, and nobody answers it.
 */
static void port_announce_move(const struct port *port)
{
	static const uint8_t rarp_request[] = {0, 1, 8, 0, 6, 4, 0, 3};
	const struct underlay *underlay = port_underlay(port);
	const uint8_t *mac = port->config.link.mac.bytes;
	uint8_t datagram[VXLAN_HEADER + ETH_HEADER + 28] = {0}, *frame = datagram + VXLAN_HEADER;
	uint8_t *arp = frame + ETH_HEADER;
	encap_header(datagram, port->gateway->config.vni);
	memset(frame + ETH_DST, 0xff, 6);
	memcpy(frame + ETH_SRC, mac, 6);
	store16(frame + ETH_TYPE, ETHERTYPE_RARP);
	memcpy(arp, rarp_request, sizeof(rarp_request));
	memcpy(arp + 8, mac, 6);
	memcpy(arp + 18, mac, 6);
	unsigned n = atomic_load(&port->gateway->n_remotes);
	for (unsigned i = 0; i < n; i++) {
		const struct remote *remote = port->gateway->remotes[i];
		int fd = underlay_source(underlay, remote->to.ss_family, 0);
		if (!remote->local_hub)
			(void)sendto(fd, datagram, sizeof(datagram), MSG_DONTWAIT | MSG_NOSIGNAL,
				     (const struct sockaddr *)&remote->to, remote->to_length);
	}
}

int port_rebind(struct vswitch *vs, struct port *port, struct gateway *gateway, struct failure *why)
{
	struct underlay *old = port->underlay, *fresh = NULL;
	struct gateway *from = port->gateway;
	bool keep = keeps_underlay(port, gateway);
	overruns_count_port(vs, port);
	if (!keep)
		pod_egress_end(vs, port);
	int error = keep || !gateway->pod_underlay ? 0 : port_open_underlay(vs, port, gateway, &fresh, why);
	if (error)
		return error;
	workers_park(vs);
	/* If it stays with its gateway, it keeps its place and its static FDB entries. */
	if (from != gateway) {
		port_leave_gateway(vs, port);
		error = port_join_gateway(vs, port, gateway);
	}
	if (error && from)
		(void)port_join_gateway(vs, port, from); /* there was room for it */
	else if (!error && !keep)
		port->underlay = fresh;
	if (!error && !keep)
		ban_lift(&port->train_ban);
	workers_resume(vs);
	if (error) {
		underlay_close(fresh);
		return fail(why, error, NULL, "out of memory");
	}
	if (!keep) {
		port_unwatch_underlay(port);
		underlay_close(old);
		port_watch_underlay(port);
		port_announce_move(port);
	}
	memmove(port->config.gateway, gateway->config.name, sizeof(port->config.gateway));
	return 0;
}

void port_detach(struct vswitch *vs, struct port *port)
{
	struct underlay *old = port->underlay;
	overruns_count_port(vs, port);
	pod_egress_end(vs, port);
	workers_park(vs);
	port_leave_gateway(vs, port);
	port->underlay = NULL;
	workers_resume(vs);
	port_unwatch_underlay(port);
	underlay_close(old);
}
