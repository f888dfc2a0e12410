/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - bounds-checked view of an inner Ethernet frame
 *
 * frame_parse() looks once at the bytes and remembers where the headers are; everything that later reads a header does
 * so through the offsets it found, which are known to lie inside the frame. A frame whose IP header does not hold
 * together is still a frame: it is forwarded as opaque bytes (version 0), as a bridge would.
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
	uint8_t protocol;   /* what l4 is, PROTO_*; also set for fragments */
};

/*
 * Fills *out. DROP_NONE, or the reason why no VXLAN network carries this frame: DROP_RUNT, DROP_VLAN, DROP_BAD_SOURCE.
 * Any thread.
 */
enum drop frame_parse(struct frame *out, uint8_t *data, size_t length);

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

/* 01:80:c2:00:00:0x: spanning tree and its kin, which a bridge does not forward (IEEE 802.1D, table 7-10). */
bool frame_is_link_local(const struct frame *frame);

/*
 * A hash of the inner flow: addresses, protocol and ports; addresses and protocol for fragments; MACs and ethertype
 * where there is no IP. All packets of a flow have the same hash. `secret` is at least XXH3_SECRET_SIZE_MIN bytes.
 */
uint64_t frame_flow_hash(const struct frame *frame, const uint8_t *secret, size_t secret_size);

/* ECN bits of the IP header, ECN_NOT_ECT unless IP. */
unsigned frame_ecn(const struct frame *frame);

/*
 * RFC 6040 as Linux implements it. The outer ECN for a frame that is encapsulated: its own, but ECT(0) for CE (section
 * 4.1, normal mode of RFC 3168).
 */
unsigned frame_ecn_encapsulate(const struct frame *frame);

/*
 * Combines the outer ECN of the datagram with the inner one, writing the result into the frame (with its IPv4 header
 * checksum). DROP_ECN for congestion marked on a flow that cannot carry the mark, else DROP_NONE.
 */
enum drop frame_ecn_decapsulate(struct frame *frame, unsigned outer);

/*
 * Whether the TCP or UDP checksum field holds only the pseudo-header's sum: the sender left the rest to a device that
 * this frame has never met (a kernel vxlan device behind a veth does). A complete checksum looks the same once in 65536
 * frames; treating that one as partial is harmless, as the kernel then computes it again from the same bytes.
 */
bool frame_checksum_is_partial(const struct frame *frame);

/*
 * The partial sum (checksum.h) of the pseudo-header that an L4 checksum of the IP frame takes in, for `length` bytes
 * from l4 on, which need not be the frame's own.
 */
uint32_t frame_pseudo_sum(const struct frame *frame, uint32_t length);

/* Length of TCP's or UDP's header at l4, bytes; 0 when there is neither or it is cut short. */
unsigned frame_l4_header(const struct frame *frame);

#endif
