/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route.h - the routes of the current network namespace, and messages that copy them
 *
 * A route is kept as the message that the kernel sent. So a copy of it elsewhere has everything that the original has:
 * metrics, preferred source, several next hops, encapsulation. Control thread.
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

/*
 * Lists the IPv4 and IPv6 routes of all tables: of those in `first` (ended by 0) at most ROUTE_LIST_MAX each and
 * family, and as many of all others together. A pod can have a hundred thousand, which would be read for a second. On
 * success *out has to be freed with route_list_free().
 */
#define ROUTE_LIST_MAX 4096
int route_list_read(struct netlink *nl, const uint32_t *first, struct route_list *out, struct failure *why);

/* Accepts an empty list, and leaves one. */
void route_list_free(struct route_list *list);

/*
 * Whether any of its next hops is on that interface, or on another one. A route without next hops uses no interface,
 * and other ones.
 */
bool route_uses(const struct route *route, unsigned ifindex);
bool route_uses_other(const struct route *route, unsigned ifindex);

/* Whether any of its next hops has a gateway, rather than being the link. */
bool route_has_gateway(const struct route *route);

/* What differs in a copy. */
struct route_edit {
	uint32_t table;
	uint8_t protocol;        /* 0: the original's */
	unsigned without;        /* leaves out hops on this interface, if there are several; 0: none */
	const struct prefix *to; /* NULL: the original's destination and metric; else this one, without metric and with
				    the first hop only */
};

/*
 * A request of `type` (RTM_NEWROUTE, RTM_DELROUTE) for a copy of `route`, for netlink_request(). NULL without memory.
 */
struct nl_msg *route_copy(const struct route *route, int type, int flags, const struct route_edit *edit);

/* The same for a route without next hops: `kind` is RTN_UNREACHABLE, RTN_THROW, or RTN_LOCAL on interface `ifindex`. */
struct nl_msg *route_stop(int type, int flags, uint8_t kind, const struct prefix *to, uint32_t table, uint32_t metric,
			  unsigned ifindex, uint8_t protocol);

#endif
