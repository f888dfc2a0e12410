/* SPDX-License-Identifier: Apache-2.0 */
/* link_config.h - the configuration of an interface as a value. Any thread. */
#ifndef PODSWITCH_LINK_CONFIG_H
#define PODSWITCH_LINK_CONFIG_H

#include "tap/base/address.h"
#include "tap/base/failure.h"

#define LINK_MAX_ADDRESSES 8
#define LINK_MAX_ROUTES 64

struct link_route {
	struct prefix to;
	struct address via;  /* family 0: on link */
	struct address from; /* preferred source; family 0: the kernel's choice */
	uint32_t table;      /* 0: the main table */
};

struct link_config {
	struct mac mac;
	unsigned mtu; /* bytes of the IP packet, like the mtu of ip link */
	struct prefix addresses[LINK_MAX_ADDRESSES];
	size_t n_addresses;
	struct address default_via; /* family 0: no default route */
	uint32_t table;             /* where the routes go, with those of the addresses' networks; 0: the main table */
	size_t n_routes;
	struct link_route routes[LINK_MAX_ROUTES]; /* the last member: link_config_pack() stores those that there are */
};

/* One that is stored for long, as small as it can be: most have no routes, which are 3.5 KiB. */
struct link_packed;

/* To be freed with free(); NULL when there is no memory. */
struct link_packed *link_config_pack(const struct link_config *config);

/* Routes from n_routes on are not set. */
struct link_config link_config_unpack(const struct link_packed *packed);

#define LINK_MAX_ALL_ROUTES (LINK_MAX_ROUTES + LINK_MAX_ADDRESSES + 2)

/*
 * All routes, the default route last, without host bits in their destinations. In another table than the main one,
 * these include what the kernel adds to the main table by itself: a route for the network of each address, and the
 * link-local network of IPv6.
 */
size_t link_count_routes(const struct link_config *config);
struct link_route link_nth_route(const struct link_config *config, size_t i);

/* The key of route `i` in a refusal: "route", "address" or "default_via". */
const char *link_route_key(const struct link_config *config, size_t i);

/* "10.0.0.0/8 via 172.16.0.1" or "default via 172.16.0.1" */
#define LINK_ROUTE_TEXT (2 * ADDRESS_TEXT + 8)
const char *link_route_format(const struct link_route *route, char out[static LINK_ROUTE_TEXT]);

bool link_route_equal(const struct link_route *a, const struct link_route *b);
bool link_config_has_route(const struct link_config *config, const struct link_route *route);
bool link_config_has_address(const struct link_config *config, const struct prefix *address);

/* Whether the address is in the network of one of the link's own; true of one that is not IPv4, too. */
bool link_config_reaches(const struct link_config *config, const struct address *address);

/* Whether both ask for the same, in any order. */
bool link_config_equal(const struct link_config *a, const struct link_config *b);

/* What link_config_check() asks of the MTU, bytes: IPv6 needs 1280 (RFC 8200, section 5), and else any will do: 0. */
unsigned link_config_least_mtu(const struct link_config *config);

/* 0, or -EINVAL for what the kernel would accept although it is wrong, or refuse without naming the key. */
int link_config_check(const struct link_config *config, struct failure *why);

#endif
