/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_network.c - what a port has inside its pod: addresses and routes, the lease, and being the only way out
 *
 * port->config is what was asked for. port->live is what the interface has: the same and, once there is one, the lease,
 * and without the IPv4 addresses that are being checked, or are somebody else's (address_check.h).
 * gateway_client.c only talks to servers and routers; what it learns is applied here.
 *
 * The order matters for an exclusive port: at no time may the pod's packets leave another way.
 *
 *    open:    way_out_take() -> link_setup() -> start the client
 *    change:  becoming exclusive: way_out_take() first, then link_change()
 *             no longer:          link_change() first, then primary_restore()
 *    close:   release the lease (its frame must still be forwarded) -> remove addresses and routes -> primary_restore()
 *
 * In between, an unreachable rule stops the packets (primary.c).
 *
 * Control thread. Clients run from pod_network_turn(), when one of their sockets is readable or the alarm fires.
 */
#include "vswitch/pod_network.h"

#include "tap/base/clock.h"
#include "tap/base/log.h"
#include "tap/base/wire.h"
#include "tap/gateway_client.h"
#include "tap/link.h"
#include "tap/primary.h"
#include "vswitch/around.h"
#include "vswitch/housekeeping.h"
#include "vswitch/overlap.h"
#include "vswitch/path/identity.h"
#include "vswitch/path/parking.h"
#include "vswitch/port_config.h"
#include "vswitch/way_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define RELEASE_PATIENCE 50 /* ms to wait for the last frame */
#define DEAF 4              /* seconds after a question for the pod's own address: dnsmasq waits for 3 */
#define FOLLOW_AGAIN 5000   /* ms until what could not be configured is tried again */

/* What the interface should have */

void pod_network_limit_gso(const char *ifname, unsigned mtu)
{
	unsigned segments = TRAIN_BYTES / (mtu + ETH_HEADER + VXLAN_HEADER);
	link_limit_gso(ifname, segments < 1 ? 1 : segments > SEGMENT_MAX ? SEGMENT_MAX : segments);
}

static int keep_live(struct port *port, const struct link_config *live, struct failure *why)
{
	struct link_packed *packed = link_config_pack(live);
	if (!packed)
		return fail(why, -ENOMEM, NULL, "out of memory");
	free(port->live);
	port->live = packed;
	return 0;
}

/* The routes of an exclusive port are where its pod looks first. */
static struct link_config asked_link(const struct port_config *config)
{
	struct link_config link = config->link;
	link.table = config->exclusive ? PRIMARY_WAY_TABLE : 0;
	return link;
}

/* Takes out the addresses that must not be used now, and what needs them: routes by a router that is out of reach. */
static void withhold_claims(struct link_config *live, const struct address_check *claims)
{
	size_t n = 0, routes = 0;
	for (size_t i = 0; i < live->n_addresses; i++)
		if (!address_check_withholds(claims, &live->addresses[i].address))
			live->addresses[n++] = live->addresses[i];
	if (n == live->n_addresses)
		return;
	live->n_addresses = n;
	if (!link_config_reaches(live, &live->default_via))
		live->default_via = (struct address){0};
	for (size_t i = 0; i < live->n_routes; i++)
		if (link_config_reaches(live, &live->routes[i].via))
			live->routes[routes++] = live->routes[i];
	live->n_routes = routes;
}

static int refuse_claim(const struct gateway_client_status *status, struct failure *why)
{
	char address[ADDRESS_TEXT], holder[MAC_TEXT];
	return fail(why, -EADDRINUSE, "address",
		    "%s is in use by %s; give the pod another address, or take it from the other one",
		    address_format(&status->taken, address), mac_format(&status->holder, holder));
}

/* In the pod's namespace. */
static int port_check_lease(const struct port_config *config, const struct gateway *gateway,
			    const struct dhcp_lease *lease, struct failure *why)
{
	char what[OVERLAP_LEASE_TEXT];
	int error = overlap_check_lease(config, lease, why);
	return error ? error
		     : around_check(config, gateway, &lease->address, overlap_lease_format(lease, what), NULL, why);
}

/*
 * Who may configure interfaces in the pod can put another one in the TAP's place and give leases there. One that did
 * not come by the TAP makes no address the port's own, but for the one that it has.
 */
static int check_offered(const struct port *port, const struct dhcp_lease *lease, struct failure *why)
{
	uint32_t address = load32(lease->address.address.bytes);
	char what[OVERLAP_LEASE_TEXT];
	for (unsigned i = 0; i < PORT_OFFERS; i++)
		if (atomic_load_explicit(&port->offers[i], memory_order_acquire) == address)
			return 0;
	for (unsigned i = 0; i < port->identity.n4; i++)
		if (load32(port->identity.ip4[i]) == address)
			return 0;
	return fail(why, -EPERM, "dhcp", "%s did not come by the TAP: something in the pod answers; remove it",
		    overlap_lease_format(lease, what));
}

/* In the pod's namespace. A lease, or an address, that must not be used is left out; `why` says so then. */
static struct link_config link_in_force(const struct port *port, const struct port_config *config,
					const struct gateway *gateway, const struct gateway_client *client,
					struct failure *why)
{
	struct link_config live = asked_link(config);
	struct gateway_client_status status = {0};
	if (client)
		gateway_client_report(client, &status);
	if (client)
		withhold_claims(&live, gateway_client_claims(client));
	if (status.taken.family)
		(void)refuse_claim(&status, why);
	if (!status.has_lease || port_check_lease(config, gateway, &status.lease, why) ||
	    (config->own_addresses && check_offered(port, &status.lease, why)))
		return live;
	if (live.n_addresses < LINK_MAX_ADDRESSES)
		live.addresses[live.n_addresses++] = status.lease.address;
	if (!live.default_via.family)
		live.default_via = status.lease.router;
	if (status.lease.mtu && status.lease.mtu < live.mtu)
		live.mtu = status.lease.mtu;
	return live;
}

/* Before the interface has them, so that its first word is not taken for another's. */
static void own_addresses(struct vswitch *vs, struct port *port, const struct link_config *live)
{
	struct identity own = identity_of(live);
	if (!memcmp(&own, &port->identity, sizeof(own)))
		return;
	workers_park(vs);
	port->identity = own;
	workers_resume(vs);
}

/* The first IPv4 address of a list; family 0 when there is none. */
static struct prefix first_ip4(const struct link_config *link)
{
	for (size_t i = 0; i < link->n_addresses; i++)
		if (link->addresses[i].address.family == AF_INET)
			return link->addresses[i];
	return (struct prefix){0};
}

/* The client */

static struct gateway_client_config client_wanted(const struct port_config *config)
{
	struct gateway_client_config wanted = {
		.dhcp = config->dhcp,
		.probe = port_probe_interval(config),
		.target = config->probe_target,
		.mac = config->link.mac,
		.address = first_ip4(&config->link),
		.router = config->link.default_via,
		.expected = config->expect_router,
	};
	for (size_t i = 0; i < config->link.n_addresses; i++)
		if (config->link.addresses[i].address.family == AF_INET)
			wanted.claims[wanted.n_claims++] = config->link.addresses[i].address;
	memcpy(wanted.hostname, config->hostname, sizeof(wanted.hostname));
	if (wanted.router.family != AF_INET)
		wanted.router = (struct address){0};
	if (!wanted.dhcp && (!wanted.router.family || !wanted.address.length))
		wanted.probe = 0;
	if (!wanted.probe)
		wanted.target = (struct path_target){.kind = PATH_NONE};
	return wanted;
}

/* But for whom it asks, and how often: that can be changed while it runs. */
static bool is_same_client(const struct port_config *a, const struct port_config *b)
{
	struct gateway_client_config x = client_wanted(a), y = client_wanted(b);
	bool claims = x.n_claims == y.n_claims && !memcmp(x.claims, y.claims, sizeof(x.claims));
	return claims && x.dhcp == y.dhcp && !x.probe == !y.probe && mac_equal(&x.mac, &y.mac) &&
	       prefix_equal(&x.address, &y.address) && address_equal(&x.router, &y.router) &&
	       !strcmp(x.hostname, y.hostname);
}

static void watch_client(struct vswitch *vs, struct port *port)
{
	int fds[CLIENT_FDS];
	size_t n = gateway_client_fds(port->gateway_client, fds);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = port->id};
	for (size_t i = 0; i < n; i++)
		(void)epoll_ctl(vs->attention, EPOLL_CTL_ADD, fds[i], &event);
}

/* In the pod's namespace, for the same client: what has not changed in it goes on. */
static int retune_client(struct vswitch *vs, struct port *port, const struct port_config *config, struct failure *why)
{
	struct gateway_client_config wanted = client_wanted(config);
	if (!port->gateway_client)
		return 0;
	gateway_client_expect(port->gateway_client, &wanted.expected, clock_ms());
	if (!wanted.probe)
		return 0;
	int error = gateway_client_retune(port->gateway_client, wanted.probe, &wanted.target, clock_ms(), why);
	if (!error)
		watch_client(vs, port);
	switch_alarm(vs, 0);
	return error;
}

static void mark_used(struct gateway_client_config *wanted, const struct link_config *had)
{
	for (size_t i = 0; i < wanted->n_claims; i++)
		for (size_t k = 0; k < had->n_addresses; k++)
			if (address_equal(&had->addresses[k].address, &wanted->claims[i]))
				wanted->claims_used[i] = true;
}

/*
 * In the pod's namespace. A port that needs neither DHCP nor probes, and has no IPv4 address, has no client. What the
 * interface has already (`had`) is not checked again.
 */
static int start_client(struct vswitch *vs, struct port *port, const struct port_config *config,
			const struct link_config *had, const struct address *hint, struct failure *why)
{
	struct gateway_client_config wanted = client_wanted(config);
	if (!wanted.dhcp && !wanted.probe && !wanted.n_claims)
		return 0;
	mark_used(&wanted, had);
	int error = gateway_client_open(&port->gateway_client, config->ifname, &wanted, hint, clock_ms(), why);
	if (error)
		return error;
	watch_client(vs, port);
	switch_alarm(vs, 0);
	return 0;
}

/* Its sockets leave the epoll set when they are closed. */
void pod_network_forget(struct port *port)
{
	gateway_client_close(port->gateway_client);
	port->gateway_client = NULL;
}

/* Setting up */

/* An address on the interface that was not asked for is the lease of an earlier podswitchd. */
static struct prefix find_lease(const struct port_config *config, const struct link_config *found)
{
	for (size_t i = 0; config->dhcp && i < found->n_addresses; i++) {
		bool asked = found->addresses[i].address.family != AF_INET;
		for (size_t k = 0; k < config->link.n_addresses; k++)
			asked = asked || prefix_equal(&found->addresses[i], &config->link.addresses[k]);
		if (!asked)
			return found->addresses[i];
	}
	return (struct prefix){0};
}

/* In the pod's namespace: the addresses of an interface that was there before. */
static struct link_config find_addresses(const struct port_config *config)
{
	struct link_config found = {.n_addresses = 0};
	int n = link_get_addresses(config->ifname, found.addresses, LINK_MAX_ADDRESSES, NULL);
	found.n_addresses = n > 0 ? (size_t)n : 0;
	return found;
}

/*
 * In the pod's namespace, with the way out taken: an interface that was there before gets what it lacks. A lease of an
 * earlier podswitchd that must not be used any more goes at once.
 */
static void adopt_link(const struct port *port, const struct gateway *gateway, const struct prefix *hint,
		       struct link_config *live)
{
	const struct port_config *config = &port->config;
	struct failure why = {0};
	struct link_config with = *live;
	if (hint->length && live->n_addresses < LINK_MAX_ADDRESSES) {
		with.addresses[with.n_addresses++] = *hint;
		if (overlap_check(config, hint, "the lease", NULL, NULL) ||
		    around_check(config, gateway, hint, "the lease", NULL, NULL))
			(void)link_change(config->ifname, &with, live, NULL);
		else
			*live = with;
	}
	if (config->exclusive && link_repair(config->ifname, live, &why) < 0)
		log_line(LOG_WARNING, "port %s: its interface cannot be repaired: %s", config->name, why.text);
}

/* In the pod's namespace, with the client started: *live becomes what the interface has. */
static int take_up(const struct port *port, const struct gateway *gateway, bool adopt, const struct prefix *hint,
		   struct link_config *live, struct failure *why)
{
	struct link_config asked = *live;
	if (port->gateway_client)
		withhold_claims(live, gateway_client_claims(port->gateway_client));
	if (!adopt)
		return link_change(port->config.ifname, &asked, live, why);
	adopt_link(port, gateway, hint, live);
	return 0;
}

int pod_network_open(struct vswitch *vs, struct port *port, const struct gateway *gateway, bool adopt,
		     struct failure *why)
{
	const struct port_config *config = &port->config;
	struct link_config had = adopt ? find_addresses(config) : (struct link_config){.n_addresses = 0};
	struct prefix hint = find_lease(config, &had);
	struct link_config live = asked_link(config);
	int error = adopt ? 0 : around_check_config(config, gateway, why);
	if (error)
		return error;
	if (config->exclusive)
		error = way_out_take(vs, port, config, gateway, why);
	/* All of it first, so that what the kernel refuses is refused here; then what has to be checked goes again. */
	if (!error && !adopt)
		error = link_setup(config->ifname, &live, why);
	if (!error)
		error = start_client(vs, port, config, &had, hint.length ? &hint.address : NULL, why);
	if (!error)
		error = take_up(port, gateway, adopt, &hint, &live, why);
	int kept = keep_live(port, &live, error ? NULL : why);
	error = error ? error : kept;
	port->identity = identity_of(&live);
	if (!error && config->gateway_names)
		error = way_out_take(vs, port, config, gateway, why);
	if (error && config->exclusive && !adopt)
		(void)primary_restore(config->ifname, NULL);
	way_out_watch(port, clock_ms());
	switch_alarm(vs, 0);
	return error;
}

void pod_network_resume(struct vswitch *vs, struct port *port, const struct gateway_client_status *was)
{
	if (!port->gateway_client || netns_enter(&port->netns, NULL))
		return;
	gateway_client_resume(port->gateway_client, was, clock_ms());
	if (was->has_lease)
		port_note_offer(port, load32(was->lease.address.address.bytes));
	struct link_config live = link_in_force(port, &port->config, port->gateway, port->gateway_client, NULL);
	(void)keep_live(port, &live, NULL);
	own_addresses(vs, port, &live);
	netns_return(&vs->home);
}

/* Changing */

/* In the pod's namespace. */
static int change_exclusive(struct vswitch *vs, struct port *port, const struct port_config *config,
			    const struct gateway *gateway, struct failure *why)
{
	if (config->exclusive)
		return way_out_take(vs, port, config, gateway, why);
	return port->config.exclusive ? primary_restore(config->ifname, why) : 0;
}

/*
 * In the pod's namespace. New addresses that have to be checked are asked of the kernel first, so that what it refuses
 * is refused now, and go again.
 */
static int apply_link(struct vswitch *vs, struct port *port, const struct port_config *config,
		      const struct link_config *had, const struct link_config *live, struct failure *why)
{
	struct link_config asked = asked_link(config);
	bool withheld = live->n_addresses < asked.n_addresses;
	own_addresses(vs, port, live);
	int error = withheld ? link_change(config->ifname, had, &asked, why) : 0;
	if (!error)
		error = link_change(config->ifname, withheld ? &asked : had, live, why);
	if (error)
		own_addresses(vs, port, had);
	return error;
}

/* In the pod's namespace. The client that the new configuration needs; what the pod `had` is not checked again. */
static int apply_client(struct vswitch *vs, struct port *port, const struct port_config *config,
			const struct link_config *had, struct failure *why)
{
	if (is_same_client(&port->config, config))
		return retune_client(vs, port, config, why);
	pod_network_forget(port);
	return start_client(vs, port, config, had, NULL, why);
}

/* What the interface gets: of another client's addresses, those that it has. */
static struct link_config next_link(const struct port *port, const struct port_config *config,
				    const struct gateway *gateway, const struct link_config *had,
				    struct failure *refusal)
{
	if (is_same_client(&port->config, config))
		return link_in_force(port, config, gateway, port->gateway_client, refusal);
	struct gateway_client_config wanted = client_wanted(config);
	struct link_config live = link_in_force(port, config, gateway, NULL, refusal);
	struct address_check claims;
	mark_used(&wanted, had);
	address_check_begin(&claims, wanted.claims, wanted.n_claims, wanted.claims_used, 0, 0);
	withhold_claims(&live, &claims);
	return live;
}

/* What was allowed stays so: else a pod could prevent a change by an address that it gives itself. */
static bool asks_anew(const struct port *port, const struct port_config *config, const struct gateway *gateway,
		      bool moved)
{
	return (moved && gateway) || !prefix_lists_equal(port->config.link.addresses, port->config.link.n_addresses,
							 config->link.addresses, config->link.n_addresses);
}

/* In the pod's namespace. */
static int pod_network_apply(struct vswitch *vs, struct port *port, const struct port_config *config,
			     const struct gateway *gateway, bool moved, struct failure *why)
{
	struct failure refusal = {0};
	const struct link_config had = link_config_unpack(port->live),
				 live = next_link(port, config, gateway, &had, &refusal);
	int error = asks_anew(port, config, gateway, moved) ? around_check_config(config, gateway, why) : 0;
	/* Other ways out go before this one comes, and come back only after it has gone. */
	if (!error && config->exclusive)
		error = change_exclusive(vs, port, config, gateway, why);
	if (!error)
		error = apply_link(vs, port, config, &had, &live, why);
	if (!error && !config->exclusive)
		error = change_exclusive(vs, port, config, gateway, why);
	if (!error)
		error = keep_live(port, &live, why);
	if (error) {
		own_addresses(vs, port, &had);
		return error;
	}
	if (live.mtu != had.mtu)
		pod_network_limit_gso(config->ifname, live.mtu);
	if (config->gateway_names)
		error = way_out_take(vs, port, config, gateway, why);
	snprintf(port->trouble, sizeof(port->trouble), "%.150s", refusal.text);
	way_out_watch(port, clock_ms());
	if (moved)
		error = link_flush_neighbours(config->ifname, why);
	return error ? error : apply_client(vs, port, config, &had, why);
}

int pod_network_change(struct vswitch *vs, struct port *port, const struct port_config *config,
		       const struct gateway *gateway, bool moved, struct failure *why)
{
	int error = netns_enter(&port->netns, why);
	if (error)
		return error;
	error = pod_network_apply(vs, port, config, gateway, moved, why);
	netns_return(&vs->home);
	if (!error && moved && port->gateway_client) {
		gateway_client_moved(port->gateway_client, clock_ms());
		switch_alarm(vs, 0);
	}
	return error;
}

/* Ending */

/* Frames read from the pod's TAP, by all workers. */
static uint64_t count_rx_frames(const struct vswitch *vs, const struct port *port)
{
	uint64_t frames = 0;
	for (unsigned w = 0; w < vs->options.workers; w++)
		frames += counted(&port->counters[w].rx_frames);
	return frames;
}

/* Packet sockets write to the TAP like the pod does, so the frame is on its way once a worker has counted it. */
static void wait_for_frame(const struct vswitch *vs, const struct port *port, uint64_t sent)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	for (int i = 0; i < RELEASE_PATIENCE && count_rx_frames(vs, port) <= sent; i++)
		nanosleep(&pause, NULL);
}

void pod_network_close(struct vswitch *vs, struct port *port)
{
	const struct link_config had = link_config_unpack(port->live);
	struct link_config bare = had;
	struct gateway_client_status status = {0};
	if (port->gateway_client)
		gateway_client_report(port->gateway_client, &status);
	if (status.has_lease && port->gateway) {
		uint64_t before = count_rx_frames(vs, port);
		gateway_client_release(port->gateway_client, clock_ms());
		wait_for_frame(vs, port, before);
	}
	pod_network_forget(port);
	if (!port->config.exclusive || port->stays_closed || port->tap < 0 || netns_enter(&port->netns, NULL))
		return;
	bare.n_routes = bare.n_addresses = 0;
	bare.default_via = (struct address){0};
	struct failure why = {0};
	(void)link_change(port->config.ifname, &had, &bare, NULL);
	if (primary_restore(port->config.ifname, &why))
		log_line(LOG_WARNING, "port %s: the pod's own default route could not be restored: %s",
			 port->config.name, why.text);
	netns_return(&vs->home);
}

/* Running the clients */

/* Why the port has not the addresses that it should have, is told until it has them. */
static void note_addresses(struct port *port, const struct link_config *live, const struct failure *refusal)
{
	bool told = !strncmp(port->trouble, refusal->text, 150);
	bool leased = !port->config.dhcp || live->n_addresses > port->config.link.n_addresses;
	port->follow_at = clock_ms() + FOLLOW_AGAIN;
	if (refusal->code && !told)
		log_line(LOG_WARNING, "port %s cannot use its %s: %s", port->config.name,
			 port->config.dhcp ? "lease" : "address", refusal->text);
	if (refusal->code || leased)
		snprintf(port->trouble, sizeof(port->trouble), "%.150s", refusal->text);
}

/* In the pod's namespace. */
static int follow_addresses(struct vswitch *vs, struct port *port, const struct link_config *live, struct failure *why)
{
	const struct link_config had = link_config_unpack(port->live);
	own_addresses(vs, port, live);
	int error = link_change(port->config.ifname, &had, live, why);
	if (!error && live->mtu != had.mtu)
		pod_network_limit_gso(port->config.ifname, live->mtu);
	if (!error)
		error = keep_live(port, live, why);
	if (error)
		own_addresses(vs, port, &had);
	if (!error && port->config.gateway_names)
		error = way_out_take(vs, port, &port->config, port->gateway, why);
	return error;
}

static void follow_client(struct vswitch *vs, struct port *port)
{
	struct failure why = {0}, refusal = {0};
	struct link_config live = link_config_unpack(port->live);
	int error = netns_enter(&port->netns, &why);
	if (!error) {
		live = link_in_force(port, &port->config, port->gateway, port->gateway_client, &refusal);
		error = follow_addresses(vs, port, &live, &why);
		netns_return(&vs->home);
	}
	if (refusal.code && port->config.dhcp)
		gateway_client_decline(port->gateway_client, clock_ms());
	note_addresses(port, &live, error ? &why : &refusal);
}

/*
 * A server that is asked for the pod's own address may ping it before it answers (dnsmasq does, for 3 s), and if the
 * pod answers, takes the address for somebody else's and gives another one.
 */
static void stop_pings(struct port *port, uint64_t now)
{
	if (gateway_client_reclaims(port->gateway_client, now))
		atomic_store_explicit(&port->deaf_until, clock_seconds() + DEAF, memory_order_relaxed);
}

static void pod_network_turn_client(struct vswitch *vs, struct port *port, uint64_t now)
{
	stop_pings(port, now);
	unsigned events = gateway_client_turn(port->gateway_client, now);
	uint64_t took;
	if (gateway_client_answered(port->gateway_client, &took) && port->gateway)
		histogram_add(&port->gateway->answers, (double)took / 1e6);
	if (events & (CLIENT_LEASE | CLIENT_UNLEASED | CLIENT_CLAIMS)) {
		follow_client(vs, port);
		switch_notify(vs, "port.leased", port->config.name, NULL);
	} else if (port->trouble[0] && now >= port->follow_at) {
		follow_client(vs, port);
	}
	if (events & CLIENT_IS_READY)
		switch_notify(vs, "port.ready", port->config.name, NULL);
	if (events & CLIENT_IS_LOST)
		switch_notify(vs, "port.lost", port->config.name, NULL);
}

uint64_t pod_network_turn(struct vswitch *vs)
{
	struct epoll_event events[POD_NETWORK_TURN];
	uint64_t now = clock_ms(), due = UINT64_MAX;
	int n = epoll_wait(vs->attention, events, POD_NETWORK_TURN, 0);
	for (int i = 0; i < n; i++) {
		struct port *port = events[i].data.u32 < MAX_PORTS ? vs->ports[events[i].data.u32] : NULL;
		if (port && port->gateway_client)
			pod_network_turn_client(vs, port, now);
	}
	for (struct port *port = vs->first_port; port; port = port->next) {
		uint64_t check = way_out_turn(vs, port, now);
		due = check < due ? check : due;
		if (!port->gateway_client)
			continue;
		if (gateway_client_due(port->gateway_client) <= now || (port->trouble[0] && port->follow_at <= now))
			pod_network_turn_client(vs, port, now);
		uint64_t next = gateway_client_due(port->gateway_client);
		if (port->trouble[0] && port->follow_at < next)
			next = port->follow_at;
		due = next < due ? next : due;
	}
	return due;
}

static void report_path(const struct port *port, const struct gateway_client_status *status, uint64_t now,
			struct port_client *out)
{
	bool missing = status->state == CLIENT_PROBING || status->state == CLIENT_LOST;
	out->lacks = !missing ? NULL : status->lacks_path ? "path" : "router";
	out->target = port->gateway_client ? port->config.probe_target : (struct path_target){.kind = PATH_NONE};
	out->path_state = status->state == CLIENT_READY                        ? "ready"
			  : status->state == CLIENT_LOST && status->lacks_path ? "lost"
									       : "probing";
	out->path_took = status->path_took;
	out->path_has_answered = status->path_answered_at;
	if (status->path_answered_at && now > status->path_answered_at)
		out->path_answered = (unsigned)((now - status->path_answered_at) / 1000);
}

void pod_network_report(const struct port *port, struct port_client *out)
{
	struct gateway_client_status status = {0};
	uint64_t now = clock_ms();
	if (port->gateway_client)
		gateway_client_report(port->gateway_client, &status);
	*out = (struct port_client){.state = gateway_client_state_name(status.state), .router = status.router};
	if (status.has_lease) {
		out->server = status.lease.server;
		out->lease = status.lease.seconds;
		out->expires_in =
			status.lease.expires_at > now ? (unsigned)((status.lease.expires_at - now) / 1000) : 0;
	}
	out->checking = status.checking;
	out->has_answered = status.answered_at;
	if (status.answered_at && now > status.answered_at)
		out->answered = (unsigned)((now - status.answered_at) / 1000);
	snprintf(out->trouble, sizeof(out->trouble), "%.150s", port->trouble);
	report_path(port, &status, now, out);
}
