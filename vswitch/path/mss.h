/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mss.h - the size of segments that the ends of a TCP connection ask for, lowered to what fits the overlay
 *
 * Each end says in its SYN how large the segments may be that it is sent (RFC 9293, section 3.7.1: maximum segment
 * size, the MTU less the IP and TCP headers without options). When a path behind the gateway is narrower and its ICMP
 * errors are lost, neither end learns of it. So the option is lowered to what the port's MTU allows, as routers do in
 * front of such paths, in both directions.
 */
#ifndef PODSWITCH_MSS_H
#define PODSWITCH_MSS_H

#include "vswitch/path/frame.h"

/*
 * In a SYN or SYN-ACK, lowers each MSS option to what an MTU of `mtu` bytes takes, and follows in the checksum.
 * `partial`: the checksum field holds only the pseudo-header's sum, which does not cover options. Everything else,
 * malformed options too, stays as it is. Returns whether something was changed. Any thread.
 */
bool mss_clamp(const struct frame *frame, unsigned mtu, bool partial);

#endif
