/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coalesce.h - putting what arrived in segments together again, before it is handed to a pod
 *
 * The reverse of segment.h, and what a kernel's GRO does: neighbouring segments of one flow, that arrived in one round
 * of a worker, become one super-frame, so that the pod's kernel works once for many. A group is a list of pointers: the
 * first frame with its headers, then payloads where they lie.
 *
 * What is put together is what segmentation would cut apart into the same bytes again: equal headers but for lengths,
 * ids, sequence numbers and checksums, equal payload lengths but for the last. Order within a flow never changes: a
 * frame that cannot join its flow's group makes the group leave first.
 *
 * A group's checksum is left to the pod's kernel to fill in, so a frame joins only when its own has been found right
 * (or was left partial by its sender): damage is never covered up.
 */
#ifndef PODSWITCH_COALESCE_H
#define PODSWITCH_COALESCE_H

#include "vswitch/path/frame.h"

#include <linux/virtio_net.h>
#include <sys/uio.h>

#define COALESCE_FRAMES 64 /* of a group, as Linux's UDP GRO; 64 KiB hold 45 full-sized ones */

struct coalesce_group {
	void *port;         /* the caller's: frames of different ports never join */
	struct frame first; /* its headers become the group's */
	uint32_t headers;   /* bytes before the payload */
	uint32_t size;      /* payload bytes of every frame but the last */
	uint32_t payload;   /* of all together */
	uint32_t next_seq;  /* TCP */
	bool closed;        /* nothing can follow */
	bool verified;      /* the first one's checksum has been looked at */
	uint8_t last_flags; /* TCP's, of the last frame */
	unsigned count;
	struct iovec pieces[COALESCE_FRAMES]; /* the first frame, then payloads */
};

/* Whether a group could begin with this frame. */
bool coalesce_can_start(const struct frame *frame);

/* Begins one with it. */
void coalesce_start(struct coalesce_group *group, void *port, const struct frame *frame);

/* Whether the frame is of the group's flow: same port, addresses, protocol and L4 ports. */
bool coalesce_same_flow(const struct coalesce_group *group, const void *port, const struct frame *frame);

/* Adds the frame, which is of the flow, when it continues the group; false when it cannot. */
bool coalesce_join(struct coalesce_group *group, const struct frame *frame);

/*
 * Rewrites the first frame's headers to those of the whole and fills the virtio header. Only for groups of two and
 * more. Returns the length of the super-frame, bytes; its parts are pieces[0] to pieces[count - 1].
 */
uint32_t coalesce_finish(struct coalesce_group *group, struct virtio_net_hdr *vnet);

#endif
