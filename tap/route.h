/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - the routes of the current network namespace, and messages that copy them
 *
 * A route is kept as the kernel told it, so that a copy of it elsewhere says all that the original says: metrics,
 * preferred source, several next hops, encapsulation. Control thread.
 */
#ifndef PODSWITCH_ROUTE_H
#define PODSWITCH_ROUTE_H

#include "tap/base/address.h"
#include "tap/netlink.h"

struct route {
	struct nlmsghdr *raw; /* RTM_NEWROUTE, owned by the list */
	uint8_t family;
	uint8_t type;     /* RTN_UNICAST, ... */
	uint8_t protocol; /* RTPROT_KERNEL, ... */
	uint32_t table;
	uint32_t metric;
	struct prefix to;
};

struct route_list {
	struct route *routes;
	size_t n;
};

/* Lists the IPv4 and IPv6 routes of all tables. *out needs route_list_free() unless it is refused. */
int route_list_read(struct netlink *nl, struct route_list *out, struct failure *why);

/* Accepts zeroes, and leaves them. */
void route_list_free(struct route_list *list);

/* Whether any of its next hops is on that interface, or on another (or, of a route without hops, none). */
bool route_uses(const struct route *route, unsigned ifindex);
bool route_uses_other(const struct route *route, unsigned ifindex);

/* What is to be different in a copy. */
struct route_edit {
	uint32_t table;
	uint8_t protocol;        /* 0: the original's */
	unsigned without;        /* of several hops, those on this interface are left out; 0: none */
	const struct prefix *to; /* NULL: the original's, with its metric; else without, and by its first hop alone */
};

/*
 * A request `type` (RTM_NEWROUTE, RTM_DELROUTE) for a copy of `route`, for netlink_request(). NULL when there is no
 * memory.
 */
struct nl_msg *route_copy(const struct route *route, int type, int flags, const struct route_edit *edit);

/* The same for a route without next hops: `kind` is RTN_UNREACHABLE, RTN_THROW, or RTN_LOCAL on interface `ifindex`. */
struct nl_msg *route_stop(int type, int flags, uint8_t kind, const struct prefix *to, uint32_t table, uint32_t metric,
			  unsigned ifindex, uint8_t protocol);

#endif
