/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egress.h - by which way a remote's datagrams leave the node: the underlay TAP, or the sockets
 *
 * The sockets always work. The underlay TAP is only for the host underlay, and with `auto` only where
 * the device on the way takes tunnel super-frames. A remote takes it after a probe
 * to that remote has left the node unchanged (probe.h), and then only for what fits the path's MTU: what does not fit
 * takes the sockets, which report it. A remote has one way at a time, so that the order within a flow never depends on
 * a race between two ways. egress.c has the states.
 *
 * Threads: workers read an egress whose `mtu` is not 0 (acquire), and may set it to 0. The control thread does the
 * rest. It changes the route only after setting `mtu` to 0 and parking the workers once.
 */
#ifndef PODSWITCH_EGRESS_H
#define PODSWITCH_EGRESS_H

#include "vswitch/path/model.h"

/* Makes the underlay TAP if it is wanted. If that fails, logs why, and every datagram takes the sockets. */
void egress_open(struct vswitch *vs);
void egress_close(struct vswitch *vs);

/*
 * Follows the paths of the remotes and probes those that are due, when it is time or something on the node has changed.
 * Returns when it wants to be called again; `now` and that are ms of the monotonic clock. Control thread.
 */
uint64_t egress_turn(struct vswitch *vs, uint64_t now);

/* Prepares a new remote, before any other thread knows of it. Any thread. */
void egress_reset(struct egress *egress);

/* After the TAP refused a datagram: back to the sockets until the next probe. Worker. */
static inline void egress_refused(struct egress *egress)
{
	atomic_store_explicit(&egress->mtu, 0, memory_order_relaxed);
}

/* Whether datagrams of up to `datagram` bytes of UDP payload leave by the underlay TAP. Worker. */
static inline bool egress_by_tap(const struct egress *egress, uint32_t datagram)
{
	unsigned mtu = atomic_load_explicit(&egress->mtu, memory_order_acquire);
	return mtu && (uint32_t)egress->route.l4 - ETH_HEADER + UDP_HEADER + datagram <= mtu;
}

#endif
