/* SPDX-License-Identifier: Apache-2.0 */
/* icmp.h - the ICMP error for a frame that does not fit the path (RFC 1191, RFC 4443) */
#ifndef PODSWITCH_ICMP_H
#define PODSWITCH_ICMP_H

#include "vswitch/path/frame.h"

/*
 * Writes to `out` the frame that answers `frame` with ICMP "fragmentation needed" or ICMPv6 "packet too big". It comes
 * from the packet's destination, as if a router on the way had sent it, and quotes as much of the packet as fits. `mtu`
 * is for the pod's IP packets, bytes. Returns the length, or 0 when the packet must not be answered: not IP, to or from
 * a group address, itself an ICMP error, or small enough.
 *
 * IPv4 packets without DF are answered too: they cannot pass either, and the sender fragments once its path MTU cache
 * knows the MTU.
 */
size_t icmp_too_big(const struct frame *frame, unsigned mtu, uint8_t *out, size_t size);

#endif
