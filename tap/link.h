/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - what rtnetlink tells and changes in the current network namespace
 *
 * Thin verbs over libnl-3. Each opens its own netlink socket in the namespace the calling (control) thread is in, and
 * closes it. On error nothing that the call itself made is left.
 */
#ifndef PODSWITCH_LINK_H
#define PODSWITCH_LINK_H

#include "tap/link_config.h"

/*
 * Gives `ifname` its MAC, MTU, addresses (IPv6 ones without duplicate address detection, so that they serve at once),
 * brings it up, then adds the routes and the default route, all on that interface. Errors carry the key at fault
 * ("mac", "mtu", "address", "route", "default_via"); -EEXIST for a default route that the namespace already has through
 * another interface.
 */
int link_setup(const char *ifname, const struct link_config *config, struct failure *why);

/* Changes what differs between the two: removes what `now` lacks, adds what `was` lacked. */
int link_change(const char *ifname, const struct link_config *was, const struct link_config *now, struct failure *why);

/*
 * Bounds the super-frames that `ifname` is given to `segments`, where the kernel lets it be set: TCP keeps to it. No
 * error when it does not.
 */
void link_limit_gso(const char *ifname, unsigned segments);

/*
 * Readies `ifname`, a TAP that we write datagrams to as if it were a wire, for being forwarded from: up, without ARP
 * and addresses; forwarding on it, this node's own addresses accepted as sources (accept_local), and a reverse path
 * filter that is satisfied with that (rp_filter 2), for which it has a link-local address of scope host. Nothing else
 * in the namespace changes.
 */
int link_setup_underlay(const char *ifname, struct failure *why);

/* Whether the interface exists, and its MAC (`mac` may be NULL). 0 or -ENODEV. */
int link_find(const char *ifname, struct mac *mac, struct failure *why);

/* Forgets every neighbour (ARP, ND) of `ifname` that is not permanent. */
int link_flush_neighbours(const char *ifname, struct failure *why);

/*
 * Whether a vxlan device of this namespace, up or down, has UDP destination port `port` (host order). 1 and its name in
 * `device` (IFNAMSIZ bytes), 0, or a negative errno.
 */
int link_vxlan_on_port(uint16_t port, char *device, struct failure *why);

/* The addresses of all interfaces of this namespace, at most `max`. How many, or a negative errno. */
int link_list_addresses(struct address *out, size_t max, struct failure *why);

/* The addresses of `ifname` with their prefix lengths, at most `max`. How many, or a negative errno. */
int link_get_addresses(const char *ifname, struct prefix *out, size_t max, struct failure *why);

/* 1 when `address` is assigned to an interface of this namespace, 0 when not, or a negative errno. */
int link_has_address(const struct address *address, struct failure *why);

#endif
