/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress.h - by which way a remote's datagrams leave the node: the underlay TAP, or the sockets
 *
 * The sockets always work. The underlay TAP is opt-in, for the host underlay, and used for a remote only after a probe
 * to that remote has left the node as it was written (probe.h), and only for what fits the path's MTU: what does not
 * takes the sockets, which say so. While it is used it is probed again and again, and path MTU and source address are
 * asked for every second; three probes lost in a row, or a write that the TAP refuses, and the remote is back on the
 * sockets.
 *
 * Everything to a remote takes one way at a time, so that the order within a flow does not depend on how two ways race.
 *
 * Threads: workers read an egress whose `mtu` is not 0 (acquire), and may set it to 0. The control thread does the
 * rest; it changes the route only after having set `mtu` to 0 and parked the workers once.
 */
#ifndef PODSWITCH_EGRESS_H
#define PODSWITCH_EGRESS_H

#include "vswitch/path/underlay_tap.h"

#include <stdatomic.h>

struct vswitch;

struct egress {
	atomic_uint mtu;                 /* of the path, bytes of an outer IP packet; 0: by the sockets */
	struct underlay_tap_route route; /* meaningful while mtu is not 0 */
	struct sockaddr_storage from;    /* the node's address in it; family 0: no route yet */
	uint32_t due;                    /* when to probe next, seconds; 0: at once */
	uint8_t misses;                  /* probes lost in a row */
	uint8_t turn;                    /* which of the source ports the next one has */
	bool logged;                     /* that it does not work has been logged */
};

/* Makes the underlay TAP when it is wanted. Without one, for the reason that is logged, everything takes the sockets.
 */
void egress_open(struct vswitch *vs);
void egress_close(struct vswitch *vs);

/* Probes the remotes whose time has come and follows their paths. Control thread, once a second. */
void egress_check(struct vswitch *vs, uint32_t now);

/* For a remote that is new. Any thread, before anybody else knows of the remote. */
void egress_reset(struct egress *egress);

/* The TAP refused a datagram: to the sockets, until the next probe. Worker. */
static inline void egress_refused(struct egress *egress)
{
	atomic_store_explicit(&egress->mtu, 0, memory_order_relaxed);
}

/* Whether datagrams of up to `datagram` bytes of UDP payload go by the underlay TAP. Worker. */
static inline bool egress_by_tap(const struct egress *egress, uint32_t datagram)
{
	unsigned mtu = atomic_load_explicit(&egress->mtu, memory_order_acquire);
	return mtu && (uint32_t)egress->route.l4 - ETH_HEADER + UDP_HEADER + datagram <= mtu;
}

#endif
