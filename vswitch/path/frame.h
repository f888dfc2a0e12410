/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - bounds-checked view of an inner Ethernet frame
 *
 * frame_parse() looks at the bytes once and keeps the offsets of the headers, all inside the frame. Everything else
 * reads headers through these offsets. A frame with a broken IP header is still a frame: it is forwarded as opaque
 * bytes (version 0), as a bridge does.
 */
#ifndef PODSWITCH_FRAME_H
#define PODSWITCH_FRAME_H

#include "tap/base/address.h"
#include "vswitch/base/drops.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame {
	uint8_t *data;      /* the Ethernet header */
	uint32_t length;    /* bytes, padding included */
	uint32_t ip_end;    /* offset behind the IP packet's last byte, <= length; 0 unless IP */
	uint16_t ethertype; /* host order */
	uint16_t l3;        /* offset of the IP header; 0 unless IP */
	uint16_t l4;        /* offset of the TCP, UDP or ICMP header; 0: a fragment, unknown or cut short */
	uint8_t version;    /* 4, 6; 0: not IP */
	uint8_t protocol;   /* protocol of l4, PROTO_*; also set for fragments */
};

/*
 * Fills *out. DROP_NONE, or why this frame must not be in a VXLAN network: DROP_RUNT, DROP_VLAN, DROP_BAD_SOURCE. Any
 * thread.
 */
enum drop frame_parse(struct frame *out, uint8_t *data, size_t length);

/* Whether `n` bytes at `offset` lie inside the IP packet. */
static inline bool frame_reaches(const struct frame *frame, uint32_t offset, uint32_t n)
{
	return offset <= frame->ip_end && frame->ip_end - offset >= n;
}

/* The bytes of a source or destination MAC. */
static inline const uint8_t *frame_dst(const struct frame *frame)
{
	return frame->data;
}

static inline const uint8_t *frame_src(const struct frame *frame)
{
	return frame->data + 6;
}

/* Group address: broadcast and multicast. */
static inline bool frame_is_group(const struct frame *frame)
{
	return frame->data[0] & 1;
}

/* 01:80:c2:00:00:0x, spanning tree and the like, which a bridge does not forward (IEEE 802.1D, table 7-10). */
bool frame_is_link_local(const struct frame *frame);

/*
 * A hash of the inner flow: addresses, protocol and ports; for fragments addresses and protocol; without IP the MACs
 * and the ethertype. All packets of a flow have the same hash. `secret` has at least XXH3_SECRET_SIZE_MIN bytes.
 */
uint64_t frame_flow_hash(const struct frame *frame, const uint8_t *secret, size_t secret_size);

/* The ECN bits of the IP header; ECN_NOT_ECT without IP. */
unsigned frame_ecn(const struct frame *frame);

/*
 * The outer ECN for a frame that is encapsulated: its own, but ECT(0) instead of CE (RFC 6040, section 4.1, as Linux
 * implements it).
 */
unsigned frame_ecn_encapsulate(const struct frame *frame);

/*
 * Combines the outer ECN of a datagram with the inner one (RFC 6040, section 4.2) and writes the result to the frame,
 * with its IPv4 header checksum. DROP_ECN when the outer says "congestion" and the flow cannot carry the mark, else
 * DROP_NONE.
 */
enum drop frame_ecn_decapsulate(struct frame *frame, unsigned outer);

/*
 * Whether the TCP or UDP checksum field holds only the pseudo-header's sum: the sender left the rest to a device that
 * this frame never met, as a kernel vxlan device behind a veth does. One in 65536 complete checksums looks the same.
 * Treating it as partial is harmless: the kernel then computes it again from the same bytes.
 */
bool frame_checksum_is_partial(const struct frame *frame);

/*
 * The partial sum (checksum.h) of the pseudo-header of the IP frame, for an L4 packet of `length` bytes, which need not
 * be the frame's own.
 */
uint32_t frame_pseudo_sum(const struct frame *frame, uint32_t length);

/* Length of the TCP or UDP header at l4, bytes; 0 when there is neither or it is cut short. */
unsigned frame_l4_header(const struct frame *frame);

#endif
