/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_config.c - the configuration of an interface as a value
 *
 * The default route is the last of the routes. Only the key in a refusal tells it apart.
 */
#include "tap/link_config.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IPV6_LEAST_MTU 1280 /* RFC 8200, section 5; with less, the kernel removes IPv6 from the interface */

struct link_packed {
	size_t size;
	unsigned char bytes[]; /* the first `size` of a struct link_config */
};

struct link_packed *link_config_pack(const struct link_config *config)
{
	size_t size = offsetof(struct link_config, routes) + config->n_routes * sizeof(config->routes[0]);
	struct link_packed *packed = malloc(sizeof(*packed) + size);

	if (packed) {
		packed->size = size;
		memcpy(packed->bytes, config, size);
	}
	return packed;
}

struct link_config link_config_unpack(const struct link_packed *packed)
{
	struct link_config config;

	memcpy(&config, packed->bytes, packed->size);
	return config;
}

static bool has_ip6_address(const struct link_config *config)
{
	for (size_t i = 0; i < config->n_addresses; i++) {
		if (config->addresses[i].address.family == AF_INET6)
			return true;
	}
	return false;
}

/* Routes to the networks of the addresses. */
static size_t count_connected(const struct link_config *config)
{
	return config->table ? config->n_addresses + has_ip6_address(config) : 0;
}

static struct link_route nth_connected(const struct link_config *config, size_t i)
{
	static const struct link_route link_local = {
		.to = {.address = {.family = AF_INET6, .bytes = {0xfe, 0x80}}, .length = 64}};

	if (i == config->n_addresses)
		return link_local;
	return (struct link_route){.to = config->addresses[i], .from = config->addresses[i].address};
}

size_t link_count_routes(const struct link_config *config)
{
	return count_connected(config) + config->n_routes + (config->default_via.family != 0);
}

struct link_route link_nth_route(const struct link_config *config, size_t i)
{
	struct link_route route = {.via = config->default_via};
	size_t connected = count_connected(config);

	if (i < connected)
		route = nth_connected(config, i);
	else if (i - connected < config->n_routes)
		route = config->routes[i - connected];
	else
		route.to.address.family = config->default_via.family;
	route.to = prefix_network(&route.to);
	route.table = config->table;
	return route;
}

const char *link_route_key(const struct link_config *config, size_t i)
{
	size_t connected = count_connected(config);

	return i < connected ? "address" : i - connected < config->n_routes ? "route" : "default_via";
}

const char *link_route_format(const struct link_route *route, char out[static LINK_ROUTE_TEXT])
{
	char to[ADDRESS_TEXT], via[ADDRESS_TEXT];

	snprintf(out, LINK_ROUTE_TEXT, "%s%s%s", route->to.length ? prefix_format(&route->to, to) : "default",
		 route->via.family ? " via " : "", address_format(&route->via, via));
	return out;
}

bool link_route_equal(const struct link_route *a, const struct link_route *b)
{
	return prefix_equal(&a->to, &b->to) && address_equal(&a->via, &b->via) && address_equal(&a->from, &b->from) &&
	       a->table == b->table;
}

bool link_config_has_route(const struct link_config *config, const struct link_route *route)
{
	for (size_t i = 0; i < link_count_routes(config); i++) {
		struct link_route other = link_nth_route(config, i);
		if (link_route_equal(&other, route))
			return true;
	}
	return false;
}

bool link_config_has_address(const struct link_config *config, const struct prefix *address)
{
	for (size_t i = 0; i < config->n_addresses; i++) {
		if (prefix_equal(&config->addresses[i], address))
			return true;
	}
	return false;
}

bool link_config_equal(const struct link_config *a, const struct link_config *b)
{
	bool same = mac_equal(&a->mac, &b->mac) && a->mtu == b->mtu && a->n_addresses == b->n_addresses &&
		    link_count_routes(a) == link_count_routes(b);

	for (size_t i = 0; same && i < a->n_addresses; i++)
		same = link_config_has_address(b, &a->addresses[i]) && link_config_has_address(a, &b->addresses[i]);
	for (size_t i = 0; same && i < link_count_routes(a); i++) {
		struct link_route mine = link_nth_route(a, i), theirs = link_nth_route(b, i);
		same = link_config_has_route(b, &mine) && link_config_has_route(a, &theirs);
	}
	return same;
}

/* Checks */

static int check_prefix(const struct prefix *prefix, const char *key, struct failure *why)
{
	uint8_t family = prefix->address.family;

	if (family != AF_INET && family != AF_INET6)
		return fail(why, -EINVAL, key, "%s: not an IPv4 or IPv6 address", key);
	if (prefix->length > 8 * address_size(prefix->address.family))
		return fail(why, -EINVAL, key, "%s: a prefix of /%u is too long", key, prefix->length);
	return 0;
}

static int check_host(const struct address *address, const char *key, struct failure *why)
{
	char text[ADDRESS_TEXT];

	if (address_is_any(address) || address_is_multicast(address))
		return fail(why, -EINVAL, key, "%s: %s is not the address of one host", key,
			    address_format(address, text));
	return 0;
}

static int check_route(const struct link_route *route, const char *key, struct failure *why)
{
	char text[LINK_ROUTE_TEXT];
	int code = check_prefix(&route->to, key, why);

	if (code || !route->via.family)
		return code;
	if (route->via.family != route->to.address.family)
		return fail(why, -EINVAL, key, "%s: %s mixes IPv4 and IPv6", key, link_route_format(route, text));
	return check_host(&route->via, key, why);
}

static bool asks_ipv6(const struct link_config *config)
{
	if (has_ip6_address(config))
		return true;
	for (size_t i = 0; i < link_count_routes(config); i++) {
		if (link_nth_route(config, i).to.address.family == AF_INET6)
			return true;
	}
	return false;
}

bool link_config_reaches(const struct link_config *config, const struct address *address)
{
	bool found = address->family != AF_INET;

	for (size_t i = 0; !found && i < config->n_addresses; i++)
		found = prefix_contains(&config->addresses[i], address);
	return found;
}

unsigned link_config_least_mtu(const struct link_config *config)
{
	return asks_ipv6(config) ? IPV6_LEAST_MTU : 0;
}

int link_config_check(const struct link_config *config, struct failure *why)
{
	char text[MAC_TEXT];
	int code = 0;

	if (!mac_is_unicast(&config->mac))
		return fail(why, -EINVAL, "mac", "mac: %s is not the address of one interface",
			    mac_format(&config->mac, text));
	for (size_t i = 0; !code && i < config->n_addresses; i++) {
		code = check_prefix(&config->addresses[i], "address", why);
		if (!code)
			code = check_host(&config->addresses[i].address, "address", why);
	}
	for (size_t i = 0; !code && i < link_count_routes(config); i++) {
		struct link_route route = link_nth_route(config, i);
		code = check_route(&route, link_route_key(config, i), why);
	}
	if (!code && config->mtu < link_config_least_mtu(config))
		return fail(why, -EINVAL, "mtu", "mtu: IPv6 needs at least %d bytes, not %u", IPV6_LEAST_MTU,
			    config->mtu);
	return code;
}
