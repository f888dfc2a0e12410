/* SPDX-License-Identifier: Apache-2.0 */
/* icmp.h - telling a pod that its frame does not fit the path (RFC 1191, RFC 4443) */
#ifndef PODSWITCH_ICMP_H
#define PODSWITCH_ICMP_H

#include "vswitch/path/frame.h"

/*
 * Writes into `out` the frame that answers `frame` with ICMP fragmentation needed or ICMPv6 packet too big: from the
 * packet's destination, as if a router on the way had said so, with as much of the packet as fits. `mtu` is that of the
 * pod's IP packets, bytes. Returns the length, or 0 when the packet must not be answered: not IP, to or from a group
 * address, itself an ICMP error, or small enough.
 *
 * IPv4 packets without DF are answered too: they cannot pass either, and the sender's path MTU cache makes it fragment.
 */
size_t icmp_too_big(const struct frame *frame, unsigned mtu, uint8_t *out, size_t size);

#endif
