/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h - cutting a super-frame of a pod into the frames that it stands for
 *
 * A pod whose TAP offers segmentation hands us TCP and UDP super-frames of up to 64 KB with one set of headers and an
 * unfinished checksum. Cutting only writes new headers: the payload stays where it is, and a segment leaves as two
 * pieces. The headers of the segments are what Linux's own segmentation writes: IPv4 ids count up, sequence numbers
 * advance, FIN and PSH go to the last segment, CWR to the first.
 *
 * The virtio header comes from a pod, so nothing in it is believed before it is checked here.
 *
 * Any thread; no state.
 */
#ifndef PODSWITCH_SEGMENT_H
#define PODSWITCH_SEGMENT_H

#include "vswitch/path/frame.h"

#include <linux/virtio_net.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2; Debian 12's headers are 6.1 */
#endif

#define SEGMENT_MAX 128         /* segments of one super-frame; also UDP_MAX_SEGMENTS, what Linux lets a pod send */
#define SEGMENT_MAX_HEADERS 200 /* bytes of Ethernet, IP with extensions and TCP with options that are copied */

struct segment_plan {
	const struct frame *frame;
	uint32_t headers; /* bytes before the payload */
	uint32_t size;    /* payload bytes of a segment; the last may have fewer */
	unsigned count;   /* segments, 1 to SEGMENT_MAX */
	uint8_t gso_type; /* as in a virtio header, for TCP with its ECN flag */
};

/*
 * Checks a pod's virtio header against its frame: DROP_NONE or DROP_BAD_VNET. *super tells whether the frame has to be
 * cut as *plan says, even if that gives one segment. Otherwise it is an ordinary frame, and a checksum that the virtio
 * header left to us has been filled in.
 */
enum drop segment_plan(struct frame *frame, const struct virtio_net_hdr *vnet, struct segment_plan *plan, bool *super);

/* The same check for a frame that goes to another TAP as it is, with its virtio header: nothing is filled in. */
enum drop segment_check(const struct frame *frame, const struct virtio_net_hdr *vnet);

/*
 * Writes the plan->headers bytes of segment `index` to `out`, checksums included. Returns the length of its payload,
 * bytes, and in *payload where that is in the frame.
 */
uint32_t segment_write(const struct segment_plan *plan, unsigned index, uint8_t *out, const uint8_t **payload);

#endif
