/* SPDX-License-Identifier: Apache-2.0 */
/* arp_probe.h - ARP for IPv4 over Ethernet as whole frames (RFC 826): questions of a pod, and who answers. Any thread.
 */
#ifndef PODSWITCH_ARP_PROBE_H
#define PODSWITCH_ARP_PROBE_H

#include "tap/base/address.h"
#include "tap/base/mac.h"

#include <linux/filter.h>
#include <stddef.h>

#define ARP_FRAME 42 /* bytes of a request */
#define ARP_FILTER 6 /* instructions */

/* Asks who has `target`, from `sender` (RFC 826), or from nobody (NULL): a probe for an address (RFC 5227). */
void arp_probe_write(uint8_t frame[static ARP_FRAME], const struct mac *own, const uint8_t *sender,
		     const uint8_t *target);

/* Whether it is ARP for IPv4 over Ethernet. The functions below take only such frames. */
bool arp_probe_is_arp(const uint8_t *frame, size_t length);

/* Whether it is the router's answer to the pod. If so, *from is its MAC. */
bool arp_probe_answers(const uint8_t *frame, const struct mac *own_mac, const struct address *own,
		       const struct address *router, struct mac *from);

/* Whether somebody else has the IPv4 address, or is about to take it (RFC 5227, section 2.1.1). */
bool arp_probe_conflicts(const uint8_t *frame, const struct mac *own_mac, const uint8_t *address);

/* A packet filter that lets through what the two functions above look for. Returns the number of instructions. */
unsigned short arp_probe_filter(struct sock_filter code[static ARP_FILTER]);

#endif
