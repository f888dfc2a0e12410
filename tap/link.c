/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - gives an interface its MAC, MTU, addresses and routes, and changes them
 *
 * Setting up and changing are the same thing, link_apply(): from what the interface was given before (nothing, at
 * first) to what it is to have.
 *
 *   MAC, MTU -> remove routes and addresses that are no longer wanted -> add every wanted address -> up -> every route
 *
 * All wanted addresses and routes are asked for, not just the new ones: when the kernel removes an address it also
 * removes the routes, and for IPv4 the secondary addresses, that depended on it, and does not say which.
 *
 * What link_apply() has made is noted in struct link_made. When the kernel refuses something half way, link_undo()
 * takes that back and asks once more for what was there before.
 *
 * The calling thread, which is the control thread, is in the namespace of the interface.
 */
#include "tap/link.h"

#include "tap/link_target.h"
#include "tap/route.h"

#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>

#define IPV6_DEFAULT_PRIORITY 1024 /* priority of an IPv6 route without one: IP6_RT_PRIO_USER */

/* What link_apply() has made so far. */
struct link_made {
	bool mac, mtu, up;
	bool address[LINK_MAX_ADDRESSES];
	bool route[LINK_MAX_ALL_ROUTES];
};

/* The interface itself */

static int apply_mac(struct link_target *t, const struct mac *mac, struct link_made *made, struct failure *why)
{
	char text[MAC_TEXT];
	int code = link_set_attribute(t, IFLA_ADDRESS, mac, sizeof(*mac));

	made->mac = !code;
	return code ? link_refuse(t, code, "mac", mac_format(mac, text), why) : 0;
}

static int apply_mtu(struct link_target *t, unsigned mtu, struct link_made *made, struct failure *why)
{
	char text[16];
	int code = link_set_attribute(t, IFLA_MTU, &mtu, sizeof(mtu));

	made->mtu = !code;
	snprintf(text, sizeof(text), "%u", mtu);
	return code ? link_refuse(t, code, "mtu", text, why) : 0;
}

/*
 * A connection that was there before the TAP goes on with the address of another interface. Asking for the gateway by
 * ARP with that address would give it away, and a gateway with a reverse path filter would not answer (arp_announce 2).
 */
static void announce_own_address(struct link_target *t)
{
	(void)link_set_devconf(t, IPV4_DEVCONF_ARP_ANNOUNCE, 2);
}

static int apply_up(struct link_target *t, struct link_made *made, struct failure *why)
{
	if (!t->up)
		announce_own_address(t);
	int code = t->up ? 0 : link_set_flags(t, IFF_UP, IFF_UP);

	made->up = !code && !t->up;
	return code ? link_refuse(t, code, "ifname", t->ifname, why) : 0;
}

/* Addresses. */

static struct nl_msg *address_message(const struct link_target *t, int type, int flags, const struct prefix *address)
{
	bool v6 = address->address.family == AF_INET6;
	struct ifaddrmsg head = {.ifa_family = address->address.family,
				 .ifa_prefixlen = address->length,
				 .ifa_flags = v6 ? IFA_F_NODAD : 0,
				 .ifa_index = (unsigned)t->ifindex};
	size_t size = address_size(address->address.family);
	struct nl_msg *msg = netlink_message(type, flags, &head, sizeof(head));
	struct prefix broadcast = prefix_network(address);

	for (unsigned bit = address->length; bit < 32; bit++)
		broadcast.address.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	netlink_put(&msg, IFA_LOCAL, address->address.bytes, size);
	netlink_put(&msg, IFA_ADDRESS, address->address.bytes, size);
	if (!v6 && address->length <= 30)
		netlink_put(&msg, IFA_BROADCAST, broadcast.address.bytes, size);
	return msg;
}

static int delete_address(struct link_target *t, const struct prefix *address)
{
	int code = netlink_request(&t->nl, address_message(t, RTM_DELADDR, 0, address));

	return code == -EADDRNOTAVAIL ? 0 : code;
}

/* 1 when the address was added, 0 when it was there already. */
static int ensure_address(struct link_target *t, const struct prefix *address, struct failure *why)
{
	char text[ADDRESS_TEXT];
	int code = netlink_request(&t->nl, address_message(t, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address));

	if (!code)
		return 1;
	return code == -EEXIST ? 0 : link_refuse(t, code, "address", prefix_format(address, text), why);
}

/* Routes. */

static uint32_t table_of(const struct link_route *route)
{
	return route->table ? route->table : RT_TABLE_MAIN;
}

/*
 * Gateways of routes are marked as on link (RTNH_F_ONLINK): an address that covers them may come later, or never.
 *
 * Only static routes are deleted, as ours are: the kernel's own route for an address looks like an on-link route that
 * the user asked for as well.
 */
static struct nl_msg *route_message(const struct link_target *t, int type, int flags, const struct link_route *route)
{
	bool via = route->via.family != 0;
	bool v6 = route->to.address.family == AF_INET6;
	struct rtmsg head = {.rtm_family = route->to.address.family,
			     .rtm_dst_len = route->to.length,
			     .rtm_protocol = RTPROT_STATIC,
			     .rtm_scope = via || v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
			     .rtm_type = RTN_UNICAST,
			     .rtm_flags = via ? RTNH_F_ONLINK : 0};
	size_t size = address_size(route->to.address.family);
	uint32_t table = table_of(route);
	struct nl_msg *msg = netlink_message(type, flags, &head, sizeof(head));

	netlink_put(&msg, RTA_DST, route->to.address.bytes, size);
	netlink_put(&msg, RTA_TABLE, &table, sizeof(table));
	netlink_put(&msg, RTA_OIF, &t->ifindex, sizeof(t->ifindex));
	if (route->from.family)
		netlink_put(&msg, RTA_PREFSRC, route->from.bytes, size);
	if (via)
		netlink_put(&msg, RTA_GATEWAY, route->via.bytes, size);
	return msg;
}

static int link_delete_route(struct link_target *t, const struct link_route *route)
{
	int code = netlink_request(&t->nl, route_message(t, RTM_DELROUTE, 0, route));

	return code == -ESRCH ? 0 : code;
}

/* Looking for the route that the kernel means when it says that `wanted` exists. */
struct rival_search {
	const struct link_route *wanted;
	size_t left; /* routes to be looked at */
	bool found;
	uint32_t ifindex;
	struct address via;
};

static uint32_t attribute_of(struct nlmsghdr *raw, int attribute, uint32_t otherwise)
{
	struct nlattr *found = nlmsg_find_attr(raw, sizeof(struct rtmsg), attribute);

	return found && nla_len(found) >= (int)sizeof(uint32_t) ? nla_get_u32(found) : otherwise;
}

static struct address address_at(struct nlmsghdr *raw, int attribute, uint8_t family)
{
	struct nlattr *found = nlmsg_find_attr(raw, sizeof(struct rtmsg), attribute);
	struct address out = {.family = family};

	if (!found || nla_len(found) != (int)address_size(family))
		return (struct address){0};
	memcpy(out.bytes, nla_data(found), address_size(family));
	return out;
}

static bool is_rival(struct nlmsghdr *raw, const struct link_route *route)
{
	const struct rtmsg *head = nlmsg_data(raw);
	const struct address *to = &route->to.address;
	uint32_t priority = to->family == AF_INET6 ? IPV6_DEFAULT_PRIORITY : 0;

	if (raw->nlmsg_type != RTM_NEWROUTE || !nlmsg_valid_hdr(raw, sizeof(*head)) || head->rtm_family != to->family ||
	    head->rtm_dst_len != route->to.length)
		return false;
	struct address dst = address_at(raw, RTA_DST, to->family);
	return (!route->to.length || address_equal(&dst, to)) && attribute_of(raw, RTA_PRIORITY, 0) == priority &&
	       attribute_of(raw, RTA_TABLE, head->rtm_table) == table_of(route);
}

static bool look_at_rival(void *context, struct nlmsghdr *raw)
{
	struct rival_search *search = context;

	if (!is_rival(raw, search->wanted))
		return --search->left;
	search->found = true;
	search->ifindex = attribute_of(raw, RTA_OIF, 0);
	search->via = address_at(raw, RTA_GATEWAY, search->wanted->to.address.family);
	return false;
}

/* Our own is looked for among the routes of the interface: a pod may have very many others. */
static bool find_rival(struct link_target *t, struct rival_search *search, struct netlink_filter filter)
{
	struct rtmsg head = {.rtm_family = search->wanted->to.address.family};

	search->left = ROUTE_LIST_MAX;
	search->found = false;
	(void)netlink_dump(&t->nl, RTM_GETROUTE, &head, sizeof(head), filter, look_at_rival, search);
	return search->found;
}

/*
 * The kernel says that a route to this destination exists. 0 when it is just this route, else -EEXIST with a text that
 * says where the other one goes.
 */
static int explain_rival(struct link_target *t, const struct link_route *route, const char *key, struct failure *why)
{
	struct rival_search search = {.wanted = route};
	char wanted[LINK_ROUTE_TEXT], found[LINK_ROUTE_TEXT], ifname[IFNAMSIZ] = "nothing";

	if (find_rival(t, &search, (struct netlink_filter){RTA_OIF, (uint32_t)t->ifindex}) &&
	    search.ifindex == (uint32_t)t->ifindex && address_equal(&search.via, &route->via))
		return 0;
	if (!find_rival(t, &search, (struct netlink_filter){RTA_TABLE, table_of(route)}))
		return fail(why, -EEXIST, key, "%s: %s: there is already such a route", key,
			    link_route_format(route, wanted));
	struct link_route other = {.to = route->to, .via = search.via};
	if_indextoname(search.ifindex, ifname);
	return fail(why, -EEXIST, key, "%s: %s: there is already a route %s through %s", key,
		    link_route_format(route, wanted), link_route_format(&other, found), ifname);
}

/* 1 when the route was added, 0 when it was there already. */
static int ensure_route(struct link_target *t, const struct link_route *route, const char *key, struct failure *why)
{
	char text[LINK_ROUTE_TEXT];
	int code = netlink_request(&t->nl, route_message(t, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route));

	if (!code)
		return 1;
	if (code == -EEXIST)
		return explain_rival(t, route, key, why);
	return link_refuse(t, code, key, link_route_format(route, text), why);
}

/* From one configuration to another. */

static int remove_stale(struct link_target *t, const struct link_config *was, const struct link_config *now,
			struct failure *why)
{
	char text[LINK_ROUTE_TEXT];

	for (size_t i = 0; i < link_count_routes(was); i++) {
		struct link_route route = link_nth_route(was, i);
		int code = link_config_has_route(now, &route) ? 0 : link_delete_route(t, &route);
		if (code)
			return link_refuse(t, code, link_route_key(was, i), link_route_format(&route, text), why);
	}
	for (size_t i = 0; i < was->n_addresses; i++) {
		const struct prefix *address = &was->addresses[i];
		int code = link_config_has_address(now, address) ? 0 : delete_address(t, address);
		if (code)
			return link_refuse(t, code, "address", prefix_format(address, text), why);
	}
	return 0;
}

static int ensure_addresses(struct link_target *t, const struct link_config *now, struct link_made *made,
			    struct failure *why)
{
	int code = 0;

	for (size_t i = 0; code >= 0 && i < now->n_addresses; i++) {
		code = ensure_address(t, &now->addresses[i], why);
		made->address[i] = code > 0;
	}
	return code < 0 ? code : 0;
}

static int ensure_routes(struct link_target *t, const struct link_config *now, struct link_made *made,
			 struct failure *why)
{
	int code = 0;

	for (size_t i = 0; code >= 0 && i < link_count_routes(now); i++) {
		struct link_route route = link_nth_route(now, i);
		code = ensure_route(t, &route, link_route_key(now, i), why);
		made->route[i] = code > 0;
	}
	return code < 0 ? code : 0;
}

static int link_apply(struct link_target *t, const struct link_config *was, const struct link_config *now, bool up,
		      struct link_made *made, struct failure *why)
{
	int code = 0;

	if (!mac_equal(&was->mac, &now->mac))
		code = apply_mac(t, &now->mac, made, why);
	if (!code && was->mtu != now->mtu)
		code = apply_mtu(t, now->mtu, made, why);
	if (!code)
		code = remove_stale(t, was, now, why);
	if (!code)
		code = ensure_addresses(t, now, made, why);
	if (!code && up)
		code = apply_up(t, made, why);
	if (!code)
		code = ensure_routes(t, now, made, why);
	return code;
}

/* Ignores errors: the refusal that led here is the one to report. */
static void link_undo(struct link_target *t, const struct link_config *was, const struct link_config *now,
		      const struct link_made *made)
{
	struct link_made again = {0};

	for (size_t i = 0; i < link_count_routes(now); i++) {
		struct link_route route = link_nth_route(now, i);
		if (made->route[i])
			link_delete_route(t, &route);
	}
	for (size_t i = 0; i < now->n_addresses; i++) {
		if (made->address[i])
			delete_address(t, &now->addresses[i]);
	}
	if (made->up)
		link_set_flags(t, 0, IFF_UP);
	if (made->mtu)
		link_set_attribute(t, IFLA_MTU, &t->mtu, sizeof(t->mtu));
	if (made->mac)
		link_set_attribute(t, IFLA_ADDRESS, &t->mac, sizeof(t->mac));
	ensure_addresses(t, was, &again, NULL);
	ensure_routes(t, was, &again, NULL);
}

static int link_apply_or_undo(const char *ifname, const struct link_config *was, const struct link_config *now, bool up,
			      struct failure *why)
{
	struct link_made made = {0};
	struct link_target t;
	int code = link_config_check(now, why);

	if (code)
		return code;
	code = link_target_open(&t, ifname, why);
	if (code)
		return code;
	code = link_apply(&t, was, now, up, &made, why);
	if (code)
		link_undo(&t, was, now, &made);
	netlink_close(&t.nl);
	return code;
}

int link_setup(const char *ifname, const struct link_config *config, struct failure *why)
{
	static const struct link_config nothing;

	return link_apply_or_undo(ifname, &nothing, config, true, why);
}

int link_change(const char *ifname, const struct link_config *was, const struct link_config *now, struct failure *why)
{
	/* Does not even restore what the pod has removed since: what did not change here is the pod's business. */
	if (link_config_equal(was, now))
		return 0;
	return link_apply_or_undo(ifname, was, now, false, why);
}

static size_t count_made(const struct link_made *made)
{
	size_t n = (size_t)made->mac + made->mtu + made->up;

	for (size_t i = 0; i < LINK_MAX_ADDRESSES; i++)
		n += made->address[i];
	for (size_t i = 0; i < LINK_MAX_ALL_ROUTES; i++)
		n += made->route[i];
	return n;
}

int link_repair(const char *ifname, const struct link_config *config, struct failure *why)
{
	struct link_made made = {0};
	struct link_target t;
	int code = link_target_open(&t, ifname, why);

	if (code)
		return code;
	code = link_apply(&t, config, config, true, &made, why);
	netlink_close(&t.nl);
	return code ? code : (int)count_made(&made);
}

void link_limit_gso(const char *ifname, unsigned segments)
{
	struct link_target t;

	if (link_target_open(&t, ifname, NULL))
		return;
	(void)link_set_attribute(&t, IFLA_GSO_MAX_SEGS, &segments, sizeof(segments));
	netlink_close(&t.nl);
}

int link_find(const char *ifname, struct mac *mac, struct failure *why)
{
	struct link_target t;
	int code = link_target_open(&t, ifname, why);

	if (code)
		return code;
	if (mac)
		*mac = t.mac;
	netlink_close(&t.nl);
	return 0;
}
