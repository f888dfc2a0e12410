/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decap.h - what a received datagram is, and how the frame in it is handed to a TAP
 *
 * A kernel vxlan device that reaches us over a veth pair, as that of a gateway on the same node does, hands our sockets
 * datagrams that no wire ever carried: up to 64 KB with one unsegmented inner super-frame, whose TCP or UDP checksum,
 * and that of small packets too, is only the pseudo-header's sum. Nothing marks them. And with UDP_GRO on, a datagram
 * may be a train of several that the kernel put together. The inner lengths tell the three apart.
 */
#ifndef PODSWITCH_DECAP_H
#define PODSWITCH_DECAP_H

#include "vswitch/path/frame.h"

#include <linux/virtio_net.h>

/*
 * Checks the VXLAN header in front of `data`; *vni is filled (24 bits) when there is nothing to complain about.
 * DROP_NONE, DROP_SHORT_HEADER, DROP_BAD_FLAGS, DROP_PROBE, DROP_RESERVED_BITS (unless `ignore_reserved`; RFC 7348 has
 * them ignored, but Linux, Open vSwitch and VPP drop, lest frames of VXLAN's extensions be misread).
 */
enum drop decap_header(const uint8_t *data, size_t length, bool ignore_reserved, uint32_t *vni);

/*
 * What is in a received buffer of `length` bytes for which the kernel reported `gro_size` (0: none). *segment is the
 * length of each datagram in it but for the last, which may be shorter: `length` itself for one datagram, also for one
 * that holds a super-frame of inner UDP, whose gro_size speaks of the inner segments. DROP_NONE or DROP_BAD_LENGTH.
 */
enum drop decap_split(uint8_t *data, size_t length, uint32_t gro_size, size_t *segment);

/*
 * The virtio header by which the pod's kernel takes the frame for what it is: nothing to say of a complete one;
 * checksum to be filled in for a partial one; and a super-frame to be cut at the pod's `mtu` (bytes of an IP packet),
 * or, for UDP, at `inner_gso` bytes of payload. Returns the bytes of the frame to write: padding would count into the
 * checksum that the kernel fills in, so a partial frame ends with its IP packet.
 */
uint32_t decap_shape(const struct frame *frame, unsigned mtu, uint32_t inner_gso, struct virtio_net_hdr *out);

#endif
