/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h - cutting a super-frame of the pod into the frames that it stands for
 *
 * A pod whose TAP offers segmentation hands us TCP and UDP super-frames of up to 64 KB with one set of headers and an
 * unfinished checksum. Cutting writes new headers only: the payload stays where it is, and a segment leaves as two
 * pieces. What each segment's headers say follows Linux's own segmentation: IPv4 ids count up, sequence numbers
 * advance, FIN and PSH stay for the last, CWR for the first.
 *
 * The virtio header comes from a pod and is believed in nothing that is not checked here.
 *
 * Any thread; nothing is kept.
 */
#ifndef PODSWITCH_SEGMENT_H
#define PODSWITCH_SEGMENT_H

#include "vswitch/path/frame.h"

#include <linux/virtio_net.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2; Debian 12's headers are 6.1 */
#endif

#define SEGMENT_MAX 128         /* segments of a super-frame: UDP_MAX_SEGMENTS of Linux, of what a pod may send */
#define SEGMENT_MAX_HEADERS 200 /* bytes of Ethernet, IP with extensions and TCP with options that are copied */

struct segment_plan {
	const struct frame *frame;
	uint32_t headers; /* bytes before the payload */
	uint32_t size;    /* payload bytes of a segment, the last may have fewer */
	unsigned count;   /* segments, 1 to SEGMENT_MAX */
	uint8_t gso_type; /* as in a virtio header, for TCP with its ECN flag */
};

/*
 * Checks what a pod's virtio header says of its frame. DROP_NONE, or DROP_BAD_VNET. *super tells whether the frame is
 * to be cut as *plan says (also when that gives one segment); else it is an ordinary one whose checksum, if the virtio
 * header left it to us, has been filled in.
 */
enum drop segment_plan(struct frame *frame, const struct virtio_net_hdr *vnet, struct segment_plan *plan, bool *super);

/*
 * The same check for a frame that goes to another TAP as it is, with its virtio header: nothing is filled in.
 */
enum drop segment_check(const struct frame *frame, const struct virtio_net_hdr *vnet);

/*
 * Writes the plan->headers bytes of segment `index` to `out`, its checksums complete. Returns its payload's length,
 * bytes; *payload is where that lies in the frame.
 */
uint32_t segment_write(const struct segment_plan *plan, unsigned index, uint8_t *out, const uint8_t **payload);

#endif
