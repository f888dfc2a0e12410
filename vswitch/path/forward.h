/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.h - the way of a frame through the switch, in both directions
 *
 * Start reading here. To the right: the reason and counter of a frame that is dropped at this point (drops.def).
 *
 * From a pod, forward_from_pod():
 *
 *    ring.c       a TAP read has completed: [virtio_net_hdr][frame]
 *    worker.c     worker_dispatch() finds the port                        bad_vnet
 *    frame.c      frame_parse() finds the headers                         runt vlan bad_source
 *    forward.c    may this port send this frame?                          foreign_source reserved_mac detached loop
 *    segment.c    segment_plan(): fill the checksum in, or plan the cuts  bad_vnet
 *    identity.c   with own_addresses: is it in the port's own name?      foreign_...
 *    mss.c        of a SYN: lower the segment size that it asks for
 *                     |
 *                 struct packet
 *                     |
 *                 fdb_lookup(gateway, destination MAC)
 *                     |
 *          +----------+----------------------+
 *      a port here    |                unknown, or broadcast or multicast
 *          |      a remote                   |
 *          |          |             forward_flood(): a copy for each remote   no_remote
 *          |          +<---------------------+  (and for the other pods, if they are not isolated)
 *          |          |
 *          |      a hub on this node? ---yes---> forward_to_local_hub(): learn, then its port
 *          |          | no                                                unknown_destination
 *      isolated?  encap.c   VXLAN header, source port and ECN of the flow
 *      (isolated)     |     does it fit the path? (too_big.h)             too_big
 *          |      train.c   joins the open train, or leaves as segments
 *      deliver.c      |
 *          |      ring_send() on a socket, or ring_write() on the underlay TAP   too_big send_full send_failed
 *      ring_write() on the pod's TAP                                      tap_down tap_failed
 *
 * To a pod, forward_from_network():
 *
 *    ring.c       a receive has completed: a datagram, or a train of them that UDP_GRO joined     truncated
 *    decap.c      decap_split() takes the train apart                     bad_length
 *                     | each datagram:
 *    decap.c      decap_header(): flags and VNI                           short_header bad_flags probe reserved_bits
 *    forward.c    find_origin(): which gateway, which remote?             unknown_remote unknown_vni
 *                    host underlay: demux by UDP port, source and VNI
 *                    pod underlay:  the socket belongs to a port          detached
 *    frame.c      frame_parse()                                           runt vlan bad_source
 *    forward.c    check_source(): learn that this MAC is at that remote   reserved_mac own_source static_moved
 *                    a hub: is there room for one more remote?            too_many_remotes
 *    frame.c      frame_ecn_decapsulate()                                 ecn
 *    forward.c    deliver_from_network(): group address: every port,
 *                     | else fdb_lookup()                                 unknown_destination
 *    mss.c            | of a SYN: lower the segment size that it asks for
 *    deliver.c    held in a group with its flow's neighbours (coalesce.c)
 *                     |
 *                 ring_write() on the pod's TAP                           tap_down tap_failed
 *
 * What the two hold back, in trains and in groups, leaves at the end of the round: see worker.c.
 *
 * Broadcast, multicast and unknown unicast of a pod go to each of the gateway's remotes (head-end replication).
 * Broadcast and multicast also go to the other pods of the gateway when they are not isolated, and from a hub to its
 * clients on this node. When a remote is a hub of this node, the frame is handed to the hub's port without a datagram.
 *
 * Called by workers, from their own thread.
 */
#ifndef PODSWITCH_FORWARD_H
#define PODSWITCH_FORWARD_H

#include "vswitch/path/model.h"

/* A frame that the pod behind `port` sent: [virtio_net_hdr][frame], `length` bytes together. */
void forward_from_pod(struct worker *worker, struct port *port, uint8_t *data, uint32_t length);

/*
 * A datagram, or a train of them, that arrived on the host underlay (`owner` NULL) or on the underlay of port `owner`.
 */
void forward_from_network(struct worker *worker, const struct underlay *underlay, struct port *owner,
			  const struct ring_event *event);

/* Queues every held group and open train. At the end of a round, before the flush. */
void forward_finish(struct worker *worker);

/*
 * For struct ring_options: takes the counters of a refused transmission back, counts the drop, and keeps an ICMP error
 * for the pod when its frame was too big for the path.
 */
void forward_refused(void *worker, const struct ring_tx *tx, int error);

/* Queues the ICMP errors that forward_refused() has kept. Before the next flush. */
void forward_replies(struct worker *worker);

#endif
