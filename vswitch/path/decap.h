/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decap.h - what a received datagram is, and how the frame in it is handed to a TAP
 *
 * A kernel vxlan device that reaches us over a veth pair, as that of a gateway on the same node does, hands our sockets
 * datagrams that no wire ever carried: up to 64 KB with one unsegmented inner super-frame. Its TCP or UDP checksum, and
 * that of small packets too, is only the sum of the pseudo-header. Nothing marks these datagrams. With UDP_GRO on, a
 * datagram may also be a train of several that the kernel joined. The inner lengths tell the three apart.
 */
#ifndef PODSWITCH_DECAP_H
#define PODSWITCH_DECAP_H

#include "vswitch/path/frame.h"

#include <linux/virtio_net.h>

/*
 * Checks the VXLAN header at `data`. *vni (24 bits) is filled in with DROP_NONE. Otherwise DROP_SHORT_HEADER,
 * DROP_BAD_FLAGS, DROP_PROBE, or, unless `ignore_reserved`, DROP_RESERVED_BITS. RFC 7348, section 5 says that a
 * receiver ignores reserved bits. Linux, Open vSwitch and VPP drop such datagrams, because VXLAN's extensions use those
 * bits and their frames would be misread.
 */
enum drop decap_header(const uint8_t *data, size_t length, bool ignore_reserved, uint32_t *vni);

/*
 * What is in a received buffer of `length` bytes for which the kernel reported `gro_size` (0: none). *segment is the
 * length of each datagram in it except the last, which may be shorter. It is `length` for a single datagram; that
 * includes one with a super-frame of inner UDP, where gro_size is about the inner segments. DROP_NONE or
 * DROP_BAD_LENGTH.
 */
enum drop decap_split(uint8_t *data, size_t length, uint32_t gro_size, size_t *segment);

/*
 * Fills in the virtio header with which the pod's kernel understands the frame: nothing for a complete frame, checksum
 * to be filled in for a partial one, and for a super-frame where to cut it: at the pod's `mtu` (bytes of an IP packet),
 * or, for UDP, at `inner_gso` bytes of payload. Returns how many bytes of the frame to write: a partial frame must end
 * with its IP packet, as the kernel would include padding in the checksum.
 */
uint32_t decap_shape(const struct frame *frame, unsigned mtu, uint32_t inner_gso, struct virtio_net_hdr *out);

#endif
