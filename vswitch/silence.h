/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silence.h - a gateway that sends nothing back: since when, and what is known of the cause
 *
 * Looked at once a second, from the gateways' own counters: a gateway is silent from the first second in which we sent
 * it something until a datagram of it arrives. What is known by then, the first that applies:
 *
 *    other source   its VNI arrives from an address that is none of its remotes: NAT on the way (stray.h)
 *    other VNI      a remote of it sends another VNI
 *    ICMP           a host on the way, or the remote itself, has refused our datagram (inquiry.h)
 *    nothing        none of these, and it has never been heard since it got this underlay
 *
 * A gateway with --underlay auto then tries the other underlay (switch.c). It stays where it was heard.
 *
 * Control thread.
 */
#ifndef PODSWITCH_SILENCE_H
#define PODSWITCH_SILENCE_H

#include "vswitch/path/model.h"

/* Looks at every gateway: notes who is silent, asks the network, logs what it finds. Once a second. */
void silence_check(struct vswitch *vs, uint32_t now);

/*
 * Whether a gateway with --underlay auto should try the other underlay: it has never been heard on this one, and no
 * other try was made for a while. The caller sets gateway->silence.tried.
 */
bool silence_wants_other_underlay(const struct gateway *gateway, uint32_t now);

/*
 * The gateway has another underlay, remote or VNI: what was known is about the old one, and so are the datagrams
 * counted until now. Its ports have sockets of the new one.
 */
void silence_forget(const struct vswitch *vs, struct gateway *gateway);

/* Frees what the object holds. */
void silence_close(struct gateway *gateway);

/* Fills in the report; reason NULL when the gateway is not silent, or not for long enough to say anything. */
struct silence_status;
void silence_report(const struct gateway *gateway, uint32_t now, struct silence_status *out);

#endif
