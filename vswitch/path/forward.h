/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.h - the way of a frame through the switch, in both directions
 *
 *   from a pod:  TAP -> frame -> checks -> table -> remote: VXLAN header, socket
 *                                                -> port here: its TAP
 *   to a pod:    socket -> VXLAN header -> gateway -> frame -> checks, learn, ECN -> table -> TAP
 *
 * Broadcast, multicast and unknown unicast of a pod go to the gateway's remotes, one copy each (head-end replication),
 * and to other pods of the gateway only with isolation off. A remote that stands for an own side on this node is served
 * by handing the frame to that side's port.
 *
 * Called by workers, from their own thread.
 */
#ifndef PODSWITCH_FORWARD_H
#define PODSWITCH_FORWARD_H

#include "vswitch/path/model.h"

/* What the pod behind `port` sent: [virtio_net_hdr][frame], `length` bytes together. */
void forward_from_pod(struct worker *worker, struct port *port, uint8_t *data, uint32_t length);

/* A datagram, or a train of them, that arrived on the host underlay (`owner` NULL) or on that of a port. */
void forward_from_network(struct worker *worker, const struct underlay *underlay, struct port *owner,
			  const struct ring_event *event);

/* Queues what was held back to leave together. At the end of a round, before the flush. */
void forward_finish(struct worker *worker);

/* The kernel refused a transmission: counts it, and tells the pod when its frame was too big for the path. */
void forward_refused(void *worker, const struct ring_tx *tx, int error);

/* Hands the pods what forward_refused() had to say. Before the next flush. */
void forward_replies(struct worker *worker);

#endif
