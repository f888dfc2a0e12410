/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - what rtnetlink tells and changes in the current network namespace
 *
 * Setting up and changing are one thing, apply(): from what the interface was given (nothing, at first) to what it is
 * to have. First goes what is not wanted any more, then everything wanted is asked for, whether it was there before or
 * not: an address takes with it the routes and (IPv4) the secondary addresses that depended on it, and the kernel does
 * not say which. What apply() itself made is noted, so that a refusal half way can be undone.
 *
 * The default route is the last of an interface's routes, told apart only by the key that a refusal of it carries.
 */
#include "tap/link.h"

#include "tap/netlink.h"

#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/vxlan.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <string.h>

#define IPV6_LEAST_MTU 1280        /* RFC 8200, section 5; with less the kernel takes IPv6 off the interface */
#define IPV6_DEFAULT_PRIORITY 1024 /* what the kernel makes of a route without one, IP6_RT_PRIO_USER */
#define ROUTE_TEXT (2 * ADDRESS_TEXT + 8)

struct target {
	struct netlink nl;
	const char *ifname;
	int ifindex;
	struct mac mac; /* this and the rest: as found */
	unsigned mtu;
	bool up;
};

/* What apply() has made so far. */
struct made {
	bool mac, mtu, up;
	bool address[LINK_MAX_ADDRESSES];
	bool route[LINK_MAX_ROUTES + 1];
};

static size_t address_size(const struct address *address)
{
	return address->family == AF_INET6 ? 16 : 4;
}

static bool address_is_any(const struct address *address)
{
	static const uint8_t zero[16];

	return !memcmp(address->bytes, zero, address_size(address));
}

static bool address_is_multicast(const struct address *address)
{
	return address->family == AF_INET6 ? address->bytes[0] == 0xff : (address->bytes[0] & 0xf0) == 0xe0;
}

/* libnl's idea of an address as ours; family 0 for anything that is no IP address. */
static struct address address_of(const struct nl_addr *from)
{
	struct address out = {0};
	int family = from ? nl_addr_get_family(from) : 0;

	if (family != AF_INET && family != AF_INET6)
		return out;
	out.family = (uint8_t)family;
	/* A default route's destination has no bytes at all. */
	if (nl_addr_get_len(from) <= address_size(&out))
		memcpy(out.bytes, nl_addr_get_binary_addr(from), nl_addr_get_len(from));
	return out;
}

static size_t count_routes(const struct link_config *config)
{
	return config->n_routes + (config->default_via.family != 0);
}

static struct link_route nth_route(const struct link_config *config, size_t i)
{
	struct link_route route = {.via = config->default_via};

	if (i < config->n_routes)
		route = config->routes[i];
	else
		route.to.address.family = config->default_via.family;
	route.to = prefix_network(&route.to);
	return route;
}

static const char *route_key(const struct link_config *config, size_t i)
{
	return i < config->n_routes ? "route" : "default_via";
}

static const char *route_format(const struct link_route *route, char out[static ROUTE_TEXT])
{
	char to[ADDRESS_TEXT], via[ADDRESS_TEXT];

	snprintf(out, ROUTE_TEXT, "%s%s%s", route->to.length ? prefix_format(&route->to, to) : "default",
		 route->via.family ? " via " : "", address_format(&route->via, via));
	return out;
}

static bool link_config_has_route(const struct link_config *config, const struct link_route *route)
{
	for (size_t i = 0; i < count_routes(config); i++) {
		struct link_route other = nth_route(config, i);
		if (prefix_equal(&other.to, &route->to) && address_equal(&other.via, &route->via))
			return true;
	}
	return false;
}

static bool link_config_has_address(const struct link_config *config, const struct prefix *address)
{
	for (size_t i = 0; i < config->n_addresses; i++) {
		if (prefix_equal(&config->addresses[i], address))
			return true;
	}
	return false;
}

/* What the kernel would take, or refuse in words that name no key. */

static int check_prefix(const struct prefix *prefix, const char *key, struct failure *why)
{
	uint8_t family = prefix->address.family;

	if (family != AF_INET && family != AF_INET6)
		return fail(why, -EINVAL, key, "%s: not an IPv4 or IPv6 address", key);
	if (prefix->length > 8 * address_size(&prefix->address))
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
	char text[ROUTE_TEXT];
	int code = check_prefix(&route->to, key, why);

	if (code || !route->via.family)
		return code;
	if (route->via.family != route->to.address.family)
		return fail(why, -EINVAL, key, "%s: %s mixes IPv4 and IPv6", key, route_format(route, text));
	return check_host(&route->via, key, why);
}

static bool asks_ipv6(const struct link_config *config)
{
	for (size_t i = 0; i < config->n_addresses; i++) {
		if (config->addresses[i].address.family == AF_INET6)
			return true;
	}
	for (size_t i = 0; i < count_routes(config); i++) {
		if (nth_route(config, i).to.address.family == AF_INET6)
			return true;
	}
	return false;
}

static int link_check_config(const struct link_config *config, struct failure *why)
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
	for (size_t i = 0; !code && i < count_routes(config); i++) {
		struct link_route route = nth_route(config, i);
		code = check_route(&route, route_key(config, i), why);
	}
	if (!code && config->mtu < IPV6_LEAST_MTU && asks_ipv6(config))
		return fail(why, -EINVAL, "mtu", "mtu: IPv6 needs at least %d bytes, not %u", IPV6_LEAST_MTU,
			    config->mtu);
	return code;
}

/* Fills `why` for what netlink_request() returned about the `key` whose value is `value`. */
static int link_refuse(struct target *t, int code, const char *key, const char *value, struct failure *why)
{
	bool v6 = strchr(value, ':') && strcmp(key, "mac");

	if (code == -EPERM)
		return fail(why, code, NULL, "changing the interface %s needs CAP_NET_ADMIN", t->ifname);
	if (code == -ENODEV)
		return fail(why, code, "ifname", "the interface %s has vanished", t->ifname);
	if (v6 && code == -EACCES)
		return fail(why, code, key, "%s: %s needs IPv6, which the sysctl net.ipv6.conf.%s.disable_ipv6 forbids",
			    key, value, t->ifname);
	if (v6 && (code == -EOPNOTSUPP || code == -EAFNOSUPPORT))
		return fail(why, code, key, "%s: %s needs IPv6, which this kernel was started without", key, value);
	return fail(why, code, key, "%s: %s: %s", key, value, t->nl.text);
}

/* The interface itself. */

static struct nl_msg *link_message(const struct target *t, bool up, int attribute, const void *data, int size)
{
	struct ifinfomsg head = {.ifi_index = t->ifindex, .ifi_flags = up ? IFF_UP : 0};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);

	if (!attribute)
		head.ifi_change = IFF_UP;
	if (msg && !nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) &&
	    (!attribute || !nla_put(msg, attribute, size, data)))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static int set_mac(struct target *t, const struct mac *mac)
{
	return netlink_request(&t->nl, link_message(t, false, IFLA_ADDRESS, mac->bytes, sizeof(mac->bytes)));
}

static int set_mtu(struct target *t, uint32_t mtu)
{
	return netlink_request(&t->nl, link_message(t, false, IFLA_MTU, &mtu, sizeof(mtu)));
}

static int link_set_up(struct target *t, bool up)
{
	return netlink_request(&t->nl, link_message(t, up, 0, NULL, 0));
}

static int apply_mac(struct target *t, const struct mac *mac, struct made *made, struct failure *why)
{
	char text[MAC_TEXT];
	int code = set_mac(t, mac);

	if (code)
		return link_refuse(t, code, "mac", mac_format(mac, text), why);
	made->mac = true;
	return 0;
}

static int apply_mtu(struct target *t, unsigned mtu, struct made *made, struct failure *why)
{
	char text[16];
	int code = set_mtu(t, mtu);

	snprintf(text, sizeof(text), "%u", mtu);
	if (code)
		return link_refuse(t, code, "mtu", text, why);
	made->mtu = true;
	return 0;
}

static int apply_up(struct target *t, struct made *made, struct failure *why)
{
	int code = t->up ? 0 : link_set_up(t, true);

	if (code)
		return link_refuse(t, code, "ifname", t->ifname, why);
	made->up = !t->up;
	return 0;
}

/* Addresses. */

static struct nl_msg *address_message(const struct target *t, int type, int flags, const struct prefix *address)
{
	bool v6 = address->address.family == AF_INET6;
	struct ifaddrmsg head = {.ifa_family = address->address.family,
				 .ifa_prefixlen = address->length,
				 .ifa_flags = v6 ? IFA_F_NODAD : 0,
				 .ifa_index = (unsigned)t->ifindex};
	int size = (int)address_size(&address->address);
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);
	struct prefix broadcast = prefix_network(address);

	for (unsigned bit = address->length; bit < 32; bit++)
		broadcast.address.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	if (msg && !nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) &&
	    !nla_put(msg, IFA_LOCAL, size, address->address.bytes) &&
	    !nla_put(msg, IFA_ADDRESS, size, address->address.bytes) &&
	    (v6 || address->length > 30 || !nla_put(msg, IFA_BROADCAST, size, broadcast.address.bytes)))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static int delete_address(struct target *t, const struct prefix *address)
{
	int code = netlink_request(&t->nl, address_message(t, RTM_DELADDR, 0, address));

	return code == -EADDRNOTAVAIL ? 0 : code;
}

/* 1 when the address was added, 0 when it was there. */
static int ensure_address(struct target *t, const struct prefix *address, struct failure *why)
{
	char text[ADDRESS_TEXT];
	int code = netlink_request(&t->nl, address_message(t, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, address));

	if (!code)
		return 1;
	return code == -EEXIST ? 0 : link_refuse(t, code, "address", prefix_format(address, text), why);
}

/* Routes. */

/*
 * Gateways are reachable by our word for it (RTNH_F_ONLINK), as an address that covers them may come later or never.
 * Routes are taken away only when they are static, as we make them: the kernel's own for an address looks just like an
 * on-link route that a user asked for as well.
 */
static struct nl_msg *route_message(const struct target *t, int type, int flags, const struct link_route *route)
{
	bool via = route->via.family != 0;
	bool v6 = route->to.address.family == AF_INET6;
	struct rtmsg head = {.rtm_family = route->to.address.family,
			     .rtm_dst_len = route->to.length,
			     .rtm_table = RT_TABLE_MAIN,
			     .rtm_protocol = RTPROT_STATIC,
			     .rtm_scope = via || v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
			     .rtm_type = RTN_UNICAST,
			     .rtm_flags = via ? RTNH_F_ONLINK : 0};
	int size = (int)address_size(&route->to.address);
	uint32_t oif = (uint32_t)t->ifindex;
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (msg && !nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) &&
	    !nla_put(msg, RTA_DST, size, route->to.address.bytes) && !nla_put(msg, RTA_OIF, sizeof(oif), &oif) &&
	    (!via || !nla_put(msg, RTA_GATEWAY, size, route->via.bytes)))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static int link_delete_route(struct target *t, const struct link_route *route)
{
	int code = netlink_request(&t->nl, route_message(t, RTM_DELROUTE, 0, route));

	return code == -ESRCH ? 0 : code;
}

/* Whether `other` is what the kernel means when it says that `route` exists. */
static bool is_rival(struct rtnl_route *other, const struct link_route *route)
{
	uint32_t priority = route->to.address.family == AF_INET6 ? IPV6_DEFAULT_PRIORITY : 0;
	struct nl_addr *dst = rtnl_route_get_dst(other);
	struct address to = address_of(dst);

	return rtnl_route_get_table(other) == RT_TABLE_MAIN && rtnl_route_get_priority(other) == priority && dst &&
	       nl_addr_get_prefixlen(dst) == route->to.length && address_equal(&to, &route->to.address);
}

/*
 * The kernel says that a route of this destination exists. 0 when it is this very one, else -EEXIST with a text that
 * says where the other goes.
 */
static int explain_rival(struct target *t, const struct link_route *route, const char *key, struct rtnl_route *rival,
			 struct failure *why)
{
	struct rtnl_nexthop *hop = rtnl_route_nexthop_n(rival, 0);
	struct link_route other = {.to = route->to, .via = address_of(hop ? rtnl_route_nh_get_gateway(hop) : NULL)};
	int ifindex = hop ? rtnl_route_nh_get_ifindex(hop) : 0;
	char wanted[ROUTE_TEXT], found[ROUTE_TEXT], ifname[IFNAMSIZ] = "nothing";

	if (ifindex == t->ifindex && address_equal(&other.via, &route->via))
		return 0;
	if_indextoname((unsigned)ifindex, ifname);
	return fail(why, -EEXIST, key, "%s: %s: there is already a route %s through %s", key,
		    route_format(route, wanted), route_format(&other, found), ifname);
}

static int find_rival(struct target *t, const struct link_route *route, const char *key, struct failure *why)
{
	char text[ROUTE_TEXT];
	struct nl_cache *cache;
	int code = fail(why, -EEXIST, key, "%s: %s: there is already such a route", key, route_format(route, text));

	if (netlink_code(&t->nl, rtnl_route_alloc_cache(t->nl.sock, route->to.address.family, 0, &cache)))
		return code;
	for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
		if (!is_rival((struct rtnl_route *)o, route))
			continue;
		code = explain_rival(t, route, key, (struct rtnl_route *)o, why);
		break;
	}
	nl_cache_free(cache);
	return code;
}

/* 1 when the route was added, 0 when it was there. */
static int ensure_route(struct target *t, const struct link_route *route, const char *key, struct failure *why)
{
	char text[ROUTE_TEXT];
	int code = netlink_request(&t->nl, route_message(t, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route));

	if (!code)
		return 1;
	if (code == -EEXIST)
		return find_rival(t, route, key, why);
	return link_refuse(t, code, key, route_format(route, text), why);
}

/* From one configuration to another. */

static int remove_stale(struct target *t, const struct link_config *was, const struct link_config *now,
			struct failure *why)
{
	char text[ROUTE_TEXT];

	for (size_t i = 0; i < count_routes(was); i++) {
		struct link_route route = nth_route(was, i);
		int code = link_config_has_route(now, &route) ? 0 : link_delete_route(t, &route);
		if (code)
			return link_refuse(t, code, route_key(was, i), route_format(&route, text), why);
	}
	for (size_t i = 0; i < was->n_addresses; i++) {
		const struct prefix *address = &was->addresses[i];
		int code = link_config_has_address(now, address) ? 0 : delete_address(t, address);
		if (code)
			return link_refuse(t, code, "address", prefix_format(address, text), why);
	}
	return 0;
}

static int ensure_addresses(struct target *t, const struct link_config *now, struct made *made, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; code >= 0 && i < now->n_addresses; i++) {
		code = ensure_address(t, &now->addresses[i], why);
		made->address[i] = code > 0;
	}
	return code < 0 ? code : 0;
}

static int ensure_routes(struct target *t, const struct link_config *now, struct made *made, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; code >= 0 && i < count_routes(now); i++) {
		struct link_route route = nth_route(now, i);
		code = ensure_route(t, &route, route_key(now, i), why);
		made->route[i] = code > 0;
	}
	return code < 0 ? code : 0;
}

static int link_apply(struct target *t, const struct link_config *was, const struct link_config *now, bool up,
		      struct made *made, struct failure *why)
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

/* As good as it can be done: the refusal that led here is the one to report. */
static void undo(struct target *t, const struct link_config *was, const struct link_config *now,
		 const struct made *made)
{
	struct made again = {0};

	for (size_t i = 0; i < count_routes(now); i++) {
		struct link_route route = nth_route(now, i);
		if (made->route[i])
			link_delete_route(t, &route);
	}
	for (size_t i = 0; i < now->n_addresses; i++) {
		if (made->address[i])
			delete_address(t, &now->addresses[i]);
	}
	if (made->up)
		link_set_up(t, false);
	if (made->mtu)
		set_mtu(t, t->mtu);
	if (made->mac)
		set_mac(t, &t->mac);
	ensure_addresses(t, was, &again, NULL);
	ensure_routes(t, was, &again, NULL);
}

static int find_link(struct netlink *nl, const char *ifname, struct rtnl_link **link, struct failure *why)
{
	int code = netlink_code(nl, rtnl_link_get_kernel(nl->sock, 0, ifname, link));

	if (!code)
		return 0;
	if (code == -ENODEV || code == -ENOENT)
		return fail(why, -ENODEV, "ifname", "there is no interface %.40s", ifname);
	return fail(why, code, "ifname", "cannot look up the interface %.40s: %s", ifname, nl->text);
}

static struct mac link_mac(struct rtnl_link *link)
{
	struct mac mac = {0};
	struct nl_addr *found = rtnl_link_get_addr(link);

	if (found && nl_addr_get_len(found) == sizeof(mac.bytes))
		memcpy(mac.bytes, nl_addr_get_binary_addr(found), sizeof(mac.bytes));
	return mac;
}

static int target_open(struct target *t, const char *ifname, struct failure *why)
{
	struct rtnl_link *link;

	*t = (struct target){.ifname = ifname};
	int code = netlink_open(&t->nl, why);
	if (code)
		return code;
	code = find_link(&t->nl, ifname, &link, why);
	if (code) {
		netlink_close(&t->nl);
		return code;
	}
	t->ifindex = rtnl_link_get_ifindex(link);
	t->mac = link_mac(link);
	t->mtu = rtnl_link_get_mtu(link);
	t->up = rtnl_link_get_flags(link) & IFF_UP;
	rtnl_link_put(link);
	return 0;
}

static int change(const char *ifname, const struct link_config *was, const struct link_config *now, bool up,
		  struct failure *why)
{
	struct made made = {0};
	struct target t;
	int code = link_check_config(now, why);

	if (code)
		return code;
	code = target_open(&t, ifname, why);
	if (code)
		return code;
	code = link_apply(&t, was, now, up, &made, why);
	if (code)
		undo(&t, was, now, &made);
	netlink_close(&t.nl);
	return code;
}

int link_setup(const char *ifname, const struct link_config *config, struct failure *why)
{
	static const struct link_config nothing;

	return change(ifname, &nothing, config, true, why);
}

static bool link_config_same(const struct link_config *a, const struct link_config *b)
{
	bool same = mac_equal(&a->mac, &b->mac) && a->mtu == b->mtu && a->n_addresses == b->n_addresses &&
		    count_routes(a) == count_routes(b);

	for (size_t i = 0; same && i < a->n_addresses; i++)
		same = link_config_has_address(b, &a->addresses[i]) && link_config_has_address(a, &b->addresses[i]);
	for (size_t i = 0; same && i < count_routes(a); i++) {
		struct link_route mine = nth_route(a, i), theirs = nth_route(b, i);
		same = link_config_has_route(b, &mine) && link_config_has_route(a, &theirs);
	}
	return same;
}

int link_change(const char *ifname, const struct link_config *was, const struct link_config *now, struct failure *why)
{
	/* Not even to put back what the pod has taken off since: what did not change here is the pod's business. */
	if (link_config_same(was, now))
		return 0;
	return change(ifname, was, now, false, why);
}

void link_limit_gso(const char *ifname, unsigned segments)
{
	struct target t;
	uint32_t value = segments;

	if (target_open(&t, ifname, NULL))
		return;
	netlink_request(&t.nl, link_message(&t, false, IFLA_GSO_MAX_SEGS, &value, sizeof(value)));
	netlink_close(&t.nl);
}

/* IFLA_AF_SPEC { AF_INET { IFLA_INET_CONF { id: value } } }: needs no writable /proc/sys. */
static int put_devconf(struct nl_msg *msg)
{
	static const struct {
		int id;
		uint32_t value;
	} wanted[] = {{IPV4_DEVCONF_FORWARDING, 1}, {IPV4_DEVCONF_ACCEPT_LOCAL, 1}, {IPV4_DEVCONF_RP_FILTER, 2}};
	struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC);
	struct nlattr *inet = spec ? nla_nest_start(msg, AF_INET) : NULL;
	struct nlattr *conf = inet ? nla_nest_start(msg, IFLA_INET_CONF) : NULL;

	if (!conf)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (nla_put_u32(msg, wanted[i].id, wanted[i].value))
			return -ENOMEM;
	nla_nest_end(msg, conf);
	nla_nest_end(msg, inet);
	nla_nest_end(msg, spec);
	return 0;
}

static struct nl_msg *underlay_message(const struct target *t, unsigned flags, bool conf)
{
	struct ifinfomsg head = {.ifi_index = t->ifindex, .ifi_flags = flags, .ifi_change = flags};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWLINK, 0);

	if (msg && !nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) && (!conf || !put_devconf(msg)))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

/*
 * IPv6 forwards from one interface alone since Linux 6.17 (force_forwarding), before only where the node forwards from
 * all. Where it cannot be said, IPv6's datagrams take the sockets, as the probe finds out.
 */
static void force_ip6_forwarding(const char *ifname)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/force_forwarding", ifname);
	FILE *file = fopen(path, "we");
	if (!file)
		return;
	fputs("1", file);
	fclose(file);
}

/*
 * An interface without any address fails the reverse path filter, however loose (fib_validate_source), and the filter
 * cannot be turned off for one interface where it is on for all. The address serves nothing else: scope host keeps it
 * from being chosen as a source.
 */
static struct nl_msg *underlay_address(const struct target *t)
{
	static const uint8_t address[] = {169, 254, 189, 42}; /* link-local (RFC 3927) */
	struct ifaddrmsg head = {.ifa_family = AF_INET,
				 .ifa_prefixlen = 8 * sizeof(address),
				 .ifa_scope = RT_SCOPE_HOST,
				 .ifa_index = (unsigned)t->ifindex};
	struct nl_msg *msg = nlmsg_alloc_simple(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);

	if (msg && !nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) &&
	    !nla_put(msg, IFA_LOCAL, sizeof(address), address))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

int link_setup_underlay(const char *ifname, struct failure *why)
{
	struct target t;
	int code = target_open(&t, ifname, why);

	if (code)
		return code;
	code = netlink_request(&t.nl, underlay_message(&t, IFF_NOARP, true));
	if (!code)
		code = netlink_request(&t.nl, underlay_address(&t));
	if (!code)
		code = netlink_request(&t.nl, underlay_message(&t, IFF_UP, false));
	if (code)
		link_refuse(&t, code, "ifname", ifname, why);
	netlink_close(&t.nl);
	if (!code)
		force_ip6_forwarding(ifname);
	return code;
}

int link_find(const char *ifname, struct mac *mac, struct failure *why)
{
	struct target t;
	int code = target_open(&t, ifname, why);

	if (code)
		return code;
	if (mac)
		*mac = t.mac;
	netlink_close(&t.nl);
	return 0;
}

/* Multicast addresses have no neighbour behind them; their entries say what the address itself says. */
static bool is_learnt(struct rtnl_neigh *neighbour, int ifindex)
{
	int state = rtnl_neigh_get_state(neighbour);
	struct address address = address_of(rtnl_neigh_get_dst(neighbour));

	if (rtnl_neigh_get_ifindex(neighbour) != ifindex || !address.family)
		return false;
	return state != NUD_PERMANENT && !(state == NUD_NOARP && address_is_multicast(&address));
}

static int forget(struct target *t, struct rtnl_neigh *neighbour)
{
	struct nl_msg *msg;
	int code = netlink_code(&t->nl, rtnl_neigh_build_delete_request(neighbour, 0, &msg));

	if (!code)
		code = netlink_request(&t->nl, msg);
	/* It may have aged out meanwhile. */
	return code == -ENOENT ? 0 : code;
}

int link_flush_neighbours(const char *ifname, struct failure *why)
{
	struct nl_cache *cache;
	struct target t;
	int code = target_open(&t, ifname, why);

	if (code)
		return code;
	code = netlink_code(&t.nl, rtnl_neigh_alloc_cache(t.nl.sock, &cache));
	if (code)
		goto close;
	for (struct nl_object *o = nl_cache_get_first(cache); !code && o; o = nl_cache_get_next(o)) {
		if (is_learnt((struct rtnl_neigh *)o, t.ifindex))
			code = forget(&t, (struct rtnl_neigh *)o);
	}
	nl_cache_free(cache);
close:
	netlink_close(&t.nl);
	return code ? fail(why, code, "ifname", "cannot flush the neighbours of %s: %s", ifname, t.nl.text) : 0;
}

static bool is_vxlan_on(struct rtnl_link *link, uint16_t port)
{
	uint32_t theirs;

	return rtnl_link_is_vxlan(link) && !rtnl_link_vxlan_get_port(link, &theirs) && theirs == port;
}

int link_vxlan_on_port(uint16_t port, char *device, struct failure *why)
{
	struct nl_cache *cache;
	struct netlink nl;
	int code = netlink_open(&nl, why);

	if (code)
		return code;
	code = netlink_code(&nl, rtnl_link_alloc_cache(nl.sock, AF_UNSPEC, &cache));
	netlink_close(&nl);
	if (code)
		return fail(why, code, NULL, "cannot list the interfaces: %s", nl.text);
	for (struct nl_object *o = nl_cache_get_first(cache); !code && o; o = nl_cache_get_next(o)) {
		struct rtnl_link *link = (struct rtnl_link *)o;
		if (!is_vxlan_on(link, port))
			continue;
		snprintf(device, IFNAMSIZ, "%s", rtnl_link_get_name(link));
		code = 1;
	}
	nl_cache_free(cache);
	return code;
}

static int dump_addresses(struct nl_cache **cache, struct failure *why)
{
	struct netlink nl;
	int code = netlink_open(&nl, why);

	if (code)
		return code;
	code = netlink_code(&nl, rtnl_addr_alloc_cache(nl.sock, cache));
	netlink_close(&nl);
	return code ? fail(why, code, NULL, "cannot list the addresses: %s", nl.text) : 0;
}

int link_list_addresses(struct address *out, size_t max, struct failure *why)
{
	struct nl_cache *cache;
	int n = dump_addresses(&cache, why);

	if (n)
		return n;
	for (struct nl_object *o = nl_cache_get_first(cache); o && (size_t)n < max; o = nl_cache_get_next(o))
		out[n++] = address_of(rtnl_addr_get_local((struct rtnl_addr *)o));
	nl_cache_free(cache);
	return n;
}

int link_get_addresses(const char *ifname, struct prefix *out, size_t max, struct failure *why)
{
	struct nl_cache *cache;
	int ifindex = (int)if_nametoindex(ifname);
	int n = dump_addresses(&cache, why);

	if (n)
		return n;
	for (struct nl_object *o = nl_cache_get_first(cache); o && (size_t)n < max; o = nl_cache_get_next(o)) {
		struct rtnl_addr *address = (struct rtnl_addr *)o;
		if (!ifindex || rtnl_addr_get_ifindex(address) != ifindex)
			continue;
		out[n].address = address_of(rtnl_addr_get_local(address));
		out[n++].length = (uint8_t)rtnl_addr_get_prefixlen(address);
	}
	nl_cache_free(cache);
	return n;
}

int link_has_address(const struct address *address, struct failure *why)
{
	struct nl_cache *cache;
	int code = dump_addresses(&cache, why);

	if (code)
		return code;
	for (struct nl_object *o = nl_cache_get_first(cache); !code && o; o = nl_cache_get_next(o)) {
		struct address local = address_of(rtnl_addr_get_local((struct rtnl_addr *)o));
		code = address_equal(&local, address);
	}
	nl_cache_free(cache);
	return code;
}
