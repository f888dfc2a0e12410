/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress.h - by which way a remote's datagrams leave the node: the underlay TAP, or the sockets
 *
 * The sockets always work. An underlay TAP is of one namespace: the node's, for remotes on the host underlay, or a
 * pod's (pod_egress.h); and with `auto` only where the device on the way takes tunnel super-frames. A remote takes it
 * after a probe to that remote has left the namespace unchanged (probe.h), and then only for what fits the path's MTU:
 * what does not fit takes the sockets, which report it. A remote has one way at a time, so that the order within a flow
 * never depends on a race between two ways. egress.c has the states.
 *
 * Threads: workers read an egress whose `mtu` is not 0 (acquire), and may set it to 0. The control thread does the
 * rest. It changes the route only after setting `mtu` to 0 and parking the workers once.
 */
#ifndef PODSWITCH_EGRESS_H
#define PODSWITCH_EGRESS_H

#include "tap/base/log.h"
#include "vswitch/path/model.h"
#include "vswitch/path/probe.h"

/* What leads to one remote. */
struct egress_way {
	struct outlet *outlet;
	const struct underlay *underlay; /* the sockets */
	struct remote *remote;
	struct egress *egress;
	const char *port;     /* the port whose own underlay it is; NULL: the host underlay */
	enum log_level level; /* of a line that says why it takes the sockets, egress_level() */
};

/* The ways that are due, all by one outlet, with what probe_run() needs to know. */
struct egress_round {
	struct probe_target targets[PROBE_MAX];
	struct egress_way ways[PROBE_MAX];
	size_t n;
};

/* Makes the underlay TAP if it is wanted. If that fails, logs why, and every datagram takes the sockets. */
void egress_open(struct vswitch *vs);
void egress_close(struct vswitch *vs);

/*
 * Follows the paths of the remotes and probes those that are due, when it is time or something on the node has changed.
 * Returns when it wants to be called again; `now` and that are ms of the monotonic clock. Control thread.
 */
uint64_t egress_turn(struct vswitch *vs, uint64_t now);

/*
 * Follows the path of one way, and adds it to the round if it is to be probed. In the outlet's namespace. Control
 * thread.
 */
void egress_consider(struct vswitch *vs, const struct egress_way *way, uint64_t now, struct egress_round *due);

/*
 * Probes the round and puts the results in force. In the outlet's namespace. -EBADFD, or another negative errno, when
 * the outlet is of no use any more; `why` says why. Control thread.
 */
int egress_probe(struct outlet *outlet, struct egress_round *due, uint64_t now, struct failure *why);

/* When a way wants to be looked at again, and not later than EGRESS_LOOK_EVERY after `now`. */
uint64_t egress_next(const struct egress *egress, uint64_t now);

#define EGRESS_LOOK_EVERY 1000 /* ms between two looks at a path */

/* Whoever has asked for the TAP is warned; with `auto` the sockets are as good an answer. */
enum log_level egress_level(const struct vswitch *vs);

/* There is no underlay TAP any more, for anybody: logs why. */
void egress_turn_off(struct vswitch *vs, const char *why);

/* Prepares a new remote, before any other thread knows of it. Any thread. */
void egress_reset(struct egress *egress);

/* After the TAP refused a datagram: back to the sockets until the next probe. Worker. */
static inline void egress_refused(struct egress *egress)
{
	atomic_store_explicit(&egress->mtu, 0, memory_order_relaxed);
}

/* What leads from a port to a remote besides the sockets; NULL: nothing does. Worker. */
static inline const struct egress *egress_of(const struct port *port, const struct remote *remote)
{
	const struct pod_egress *own = port->pod_egress;
	if (!port->underlay)
		return &remote->egress;
	return own && own->remote == remote && own->turn == remote->turn ? &own->egress : NULL;
}

/* Whether datagrams of up to `datagram` bytes of UDP payload leave by the underlay TAP. Worker. */
static inline bool egress_by_tap(const struct egress *egress, uint32_t datagram)
{
	unsigned mtu = atomic_load_explicit(&egress->mtu, memory_order_acquire);
	return mtu && (uint32_t)egress->route.l4 - ETH_HEADER + UDP_HEADER + datagram <= mtu;
}

#endif
