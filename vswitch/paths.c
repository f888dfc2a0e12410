/* SPDX-License-Identifier: Apache-2.0 */
/* paths.c - what the paths to the gateways take, and the MTUs of the ports that follow them */
#include "vswitch/paths.h"

#include "vswitch/gateway.h"
#include "vswitch/path/too_big.h"
#include "vswitch/port.h"

#define ASKED_MOST 512  /* paths a round, some microseconds each */
#define FOLLOWED_MOST 8 /* ports a round: each is a few requests to the kernel in the pod's namespace */
#define FOLLOW_PAUSE 60 /* seconds, after a port could not follow, which is logged */

/* What is left of this round. */
struct paths_round {
	unsigned questions, changes;
	uint32_t now; /* seconds */
};

/* The least room of all remotes by this underlay; each remote's own is kept when it is the host's. */
static unsigned ask_paths(const struct gateway *gateway, const struct underlay *underlay, bool host,
			  struct paths_round *left)
{
	unsigned n = atomic_load_explicit(&gateway->n_remotes, memory_order_acquire), least = 0;
	for (unsigned i = 0; i < n && left->questions; i++, left->questions--) {
		struct remote *remote = gateway->remotes[i];
		unsigned room = too_big_room(remote, underlay_path_mtu(underlay, &remote->to));
		if (host)
			atomic_store_explicit(&remote->room, room, memory_order_relaxed);
		if (room && (!least || room < least))
			least = room;
	}
	return least;
}

static void follow_path(struct vswitch *vs, struct port *port, struct paths_round *left)
{
	if (!left->changes || left->now < port->unmoved_until)
		return;
	unsigned before = port->config.link.mtu;
	int error = port_follow_gateway(vs, port, false);
	port->unmoved_until = error ? left->now + FOLLOW_PAUSE : 0;
	if (error || port->config.link.mtu != before)
		left->changes--;
}

static void check_gateway(struct vswitch *vs, struct gateway *gateway, struct paths_round *left)
{
	bool follows = !gateway->config.mtu && !gateway->is_hub;
	unsigned mtu = 0;
	if (gateway->host) {
		ask_paths(gateway, gateway->host, true, left);
		mtu = follows && gateway->n_ports ? gateway_mtu(gateway, gateway->host) : 0;
	}
	for (unsigned i = 0; i < gateway->n_ports; i++) {
		struct port *port = gateway->ports[i];
		if (port->underlay && left->questions)
			atomic_store_explicit(&port->room, ask_paths(gateway, port->underlay, false, left),
					      memory_order_relaxed);
		if (follows && (port->underlay || port->config.link.mtu != mtu))
			follow_path(vs, port, left);
	}
}

void paths_check(struct vswitch *vs, uint32_t now)
{
	struct paths_round left = {ASKED_MOST, FOLLOWED_MOST, now};
	/* Begins with another gateway each time, so that each has its turn where there are too many. */
	for (unsigned i = 0; i < vs->n_gateways && left.questions; i++)
		check_gateway(vs, gateway_at(vs, (i + now) % vs->n_gateways), &left);
}
