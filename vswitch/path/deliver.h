/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deliver.h - handing frames to a pod's TAP
 *
 * A frame of another pod on this node is written as that pod sent it, super-frames whole. A frame from the network is
 * first joined with the neighbours of its flow (coalesce.h). The worker holds such a group until a frame of the flow
 * cannot join it, or the round ends.
 *
 * Only workers may call these.
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

/*
 * For a frame that the TAP refused: takes the counters back and counts the drop, once for each frame that was joined.
 * A kernel that refuses what was joined gets frames as they come for a while (ban.h).
 */
void deliver_refused(struct worker *worker, const struct ring_tx *tx, int error);

#endif
