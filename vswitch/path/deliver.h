/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver.h - handing frames to a pod's TAP
 *
 * A frame of another pod here goes in as it came out, super-frames whole. What came from the network is first put
 * together with its neighbours (coalesce.h); such groups are held by the worker until something of their flow cannot
 * join, or the round ends.
 *
 * From workers.
 */
#ifndef PODSWITCH_DELIVER_H
#define PODSWITCH_DELIVER_H

#include "vswitch/path/frame.h"
#include "vswitch/path/model.h"

/* A frame of another port, with its virtio header. */
void deliver_whole(struct worker *worker, struct port *port, const struct frame *frame,
		   const struct virtio_net_hdr *vnet);

/* A frame from the network; `inner_gso` as in decap_shape(). Its bytes must stay until the flush. */
void deliver_segment(struct worker *worker, struct port *port, const struct frame *frame, uint32_t inner_gso);

/* Queues every group that is still held. At the end of a round. */
void deliver_all_held(struct worker *worker);

/* The TAP refused it: takes the counters back. */
void deliver_refused(struct worker *worker, const struct ring_tx *tx, int error);

#endif
