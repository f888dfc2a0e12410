/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coalesce.h - joining segments that arrived, before a pod gets them
 *
 * The inverse of segment.h, and what a kernel's GRO does: neighbouring segments of one flow that arrived in one round
 * of a worker become one super-frame, so that the pod's kernel handles one packet instead of many. A group is a list of
 * pointers: the first frame with its headers, then payloads where they are.
 *
 * Frames join only if segmentation would produce exactly the same frames again: equal headers except for lengths, ids,
 * sequence numbers and checksums, and equal payload lengths except for the last. The order within a flow never changes:
 * when a frame cannot join its flow's group, the group leaves first.
 *
 * The pod's kernel fills in a group's checksum. So a frame joins only if its own checksum is right, or was left partial
 * by its sender: otherwise we would hide damage.
 */
#ifndef PODSWITCH_COALESCE_H
#define PODSWITCH_COALESCE_H

#include "vswitch/path/frame.h"

#include <linux/virtio_net.h>
#include <sys/uio.h>

#define COALESCE_FRAMES 64 /* in a group, as in Linux's UDP GRO; 64 KiB hold 45 full-sized ones */

struct coalesce_group {
	void *port;         /* the caller's; frames of different ports never join */
	struct frame first; /* its headers become the group's */
	uint32_t headers;   /* bytes before the payload */
	uint32_t size;      /* payload bytes of every frame except the last */
	uint32_t payload;   /* payload bytes of all frames */
	uint32_t next_seq;  /* TCP */
	bool closed;        /* nothing more can join */
	bool verified;      /* the first frame's checksum was checked */
	uint8_t last_flags; /* TCP's, of the last frame */
	unsigned count;
	struct iovec pieces[COALESCE_FRAMES]; /* the first frame, then payloads */
};

/* Whether a group could begin with this frame. */
bool coalesce_can_start(const struct frame *frame);

/* Begins a group with the frame. */
void coalesce_start(struct coalesce_group *group, void *port, const struct frame *frame);

/* Whether the frame belongs to the group's flow: same port, addresses, protocol and L4 ports. */
bool coalesce_same_flow(const struct coalesce_group *group, const void *port, const struct frame *frame);

/* Adds the frame, which is of the flow, if it continues the group. False when it does not. */
bool coalesce_join(struct coalesce_group *group, const struct frame *frame);

/*
 * Rewrites the first frame's headers for the whole and fills in the virtio header. Only for groups of two or more
 * frames. Returns the length of the super-frame, bytes; its parts are pieces[0] to pieces[count - 1].
 */
uint32_t coalesce_finish(struct coalesce_group *group, struct virtio_net_hdr *vnet);

#endif
