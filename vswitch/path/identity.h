/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - a port's own addresses, and whether a frame of its pod is sent in their name
 *
 *    the interface's addresses: configured, leased --> struct identity --+
 *    the port's MAC, which the frame has as source (forward.c)           +--> identity_check()
 *
 *    ARP (RFC 826)           sender: the MAC, and an own address or none         foreign_arp
 *    IPv4, IPv6              source: an own address, or the link-local one of    foreign_address
 *                            the MAC (RFC 4291, appendix A); none where an
 *                            address is asked for (DHCP, DAD, MLD, IGMP)
 *    neighbour discovery     targets and link-layer addresses: own; no router's  foreign_neighbour
 *      (RFC 4861), redirects words, nor VRRP's, nor an IGMP or MLD querier's
 *    ICMP errors             about packets to an own address                     foreign_neighbour
 *    DHCP, DHCPv6            a client's messages in its own name; none of a      foreign_dhcp
 *                            server's or relay's, and no DHCPv6: what it would
 *                            lease is not known here
 *    UDP to the gateway's    none: the gateway would unpack a frame in which     foreign_tunnel
 *      VXLAN port            anything can be said
 *    anything else           what it says in whose name cannot be seen           foreign_type
 *
 * Pods that route for others, or move addresses between them (VRRP), need `own_addresses` off.
 *
 * Threads: the control thread changes an identity while the workers are parked.
 */
#ifndef PODSWITCH_IDENTITY_H
#define PODSWITCH_IDENTITY_H

#include "tap/link_config.h"
#include "vswitch/path/frame.h"

struct identity {
	uint8_t n4, n6;
	uint8_t ip4[LINK_MAX_ADDRESSES][4], ip6[LINK_MAX_ADDRESSES][16]; /* network order */
};

/* The identity of who has these addresses. */
struct identity identity_of(const struct link_config *link);

/*
 * DROP_NONE, or the reason above. The frame has the port's MAC as source; `super`: it will be cut into several, so what
 * is seen of it is not all of it; `tunnel`: the UDP port of its gateway's VXLAN, host order.
 */
enum drop identity_check(const struct identity *own, const struct frame *frame, bool super, uint16_t tunnel);

#endif
