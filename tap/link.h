/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - the interfaces of the current network namespace: setting them up, and asking about them
 *
 * Each function opens its own netlink socket in the namespace that the calling (control) thread is in, and closes it.
 * On error, what the call itself made is removed again.
 */
#ifndef PODSWITCH_LINK_H
#define PODSWITCH_LINK_H

#include "tap/link_config.h"

/*
 * Gives `ifname` its MAC, MTU and addresses, brings it up, then adds the routes and the default route, all on that
 * interface. IPv6 addresses skip duplicate address detection, so that they work at once. Errors carry the key at fault
 * ("mac", "mtu", "address", "route", "default_via"); -EEXIST when the namespace already has a default route through
 * another interface.
 */
int link_setup(const char *ifname, const struct link_config *config, struct failure *why);

/* Changes what differs between the two: removes what `now` lacks, adds what `was` lacked. */
int link_change(const char *ifname, const struct link_config *was, const struct link_config *now, struct failure *why);

/*
 * Adds what `ifname` lacks of its configuration, addresses and routes, and brings it up. How many things it lacked, or
 * a negative errno; what was added until then stays.
 */
int link_repair(const char *ifname, const struct link_config *config, struct failure *why);

/*
 * Limits the super-frames that the kernel sends through `ifname` to `segments`. Only TCP keeps to it, and not every
 * kernel lets it be set; that is not an error.
 */
void link_limit_gso(const char *ifname, unsigned segments);

/*
 * Sets `ifname` up so that the node forwards what comes in by it: a TAP that we write datagrams to as if it were a
 * wire. It is up, without ARP, with forwarding, with the node's own addresses accepted as sources (accept_local), and
 * with a loose reverse path filter (rp_filter 2), for which it gets a link-local address of scope host. Nothing else in
 * the namespace changes.
 */
int link_setup_underlay(const char *ifname, struct failure *why);

/* 0 when the interface exists, with its MAC in *mac (may be NULL), or -ENODEV. */
int link_find(const char *ifname, struct mac *mac, struct failure *why);

/* What `ifname` was to send and dropped since it was made: of a TAP, what did not fit its queue. 0 or -ENODEV. */
int link_tx_dropped(const char *ifname, uint64_t *dropped, struct failure *why);

/* Of a TAP. */
struct link_queues {
	unsigned n;      /* one for each descriptor that is attached to it */
	unsigned length; /* frames that each of them holds */
};

/* 0 or -ENODEV. */
int link_get_queues(const char *ifname, struct link_queues *out, struct failure *why);

/*
 * Frames for `ifname`, an interface that is not up yet, go to its driver at once: the queues that the kernel puts in
 * front of it (pfifo_fast) would take 2 MB of a TAP that may have many. -EOPNOTSUP and others, as the kernel says.
 */
int link_unqueue(const char *ifname, struct failure *why);

/* Removes every neighbour (ARP, ND) of `ifname` that is not permanent. */
int link_flush_neighbours(const char *ifname, struct failure *why);

/*
 * Lets the kernel ask every neighbour of `ifname` that has one of the `n` MACs whether it is still there: by ARP or ND,
 * at once and to it alone, and twice more a second apart while it does not answer. Those set by hand are not asked.
 * Returns how many are asked, or a negative errno.
 */
int link_ask_neighbours(const char *ifname, const struct mac *macs, size_t n, struct failure *why);

/*
 * 1 when a vxlan device of this namespace, up or down, has the UDP destination port `port` (host order), with its name
 * in `device` (IFNAMSIZ bytes); 0 when none has; or a negative errno.
 */
int link_vxlan_on_port(uint16_t port, char *device, struct failure *why);

/* Fills in the addresses of all interfaces of this namespace, at most `max`. How many, or a negative errno. */
int link_list_addresses(struct address *out, size_t max, struct failure *why);

/* Fills in the addresses of `ifname` with their prefix lengths, at most `max`. How many, or a negative errno. */
int link_get_addresses(const char *ifname, struct prefix *out, size_t max, struct failure *why);

/* The group of underlay TAPs, by which they are known to be ours; primary.h has others. */
#define LINK_UNDERLAY_GROUP 0x70730003

/* An address of an interface, with its prefix length. */
struct link_address {
	int ifindex;
	struct prefix address;
};

/* Fills in the addresses of all interfaces but `ifname` and the loopback's, at most `max`. The same. */
int link_list_others(const char *ifname, struct link_address *out, size_t max, struct failure *why);

/* 1 when an interface of this namespace has `address`, 0 when none has, or a negative errno. */
int link_has_address(const struct address *address, struct failure *why);

#endif
