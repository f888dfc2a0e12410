/* SPDX-License-Identifier: Apache-2.0 */
/* route.c - the routes of the current network namespace, and messages that copy them */
#include "tap/route.h"

#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct route_list *list;
	const uint32_t *first; /* tables with a part of their own */
	uint8_t family;        /* of this part */
	uint32_t table;        /* 0: all the others */
	size_t left;           /* routes that it may still have */
	size_t room;
	bool no_memory;
};

static uint32_t attribute_u32(struct nlmsghdr *raw, int attribute, uint32_t otherwise)
{
	struct nlattr *found = nlmsg_find_attr(raw, sizeof(struct rtmsg), attribute);

	return found && nla_len(found) >= (int)sizeof(uint32_t) ? nla_get_u32(found) : otherwise;
}

static struct route route_of(struct nlmsghdr *raw)
{
	const struct rtmsg *head = nlmsg_data(raw);
	struct nlattr *to = nlmsg_find_attr(raw, sizeof(*head), RTA_DST);
	struct route route = {.raw = raw,
			      .family = head->rtm_family,
			      .type = head->rtm_type,
			      .protocol = head->rtm_protocol,
			      .table = attribute_u32(raw, RTA_TABLE, head->rtm_table),
			      .metric = attribute_u32(raw, RTA_PRIORITY, 0),
			      .to.address.family = head->rtm_family,
			      .to.length = head->rtm_dst_len};

	if (to && nla_len(to) == (int)address_size(route.family))
		memcpy(route.to.address.bytes, nla_data(to), address_size(route.family));
	return route;
}

static bool route_list_add(struct reader *reader, const struct nlmsghdr *from)
{
	struct route_list *list = reader->list;
	struct nlmsghdr *raw = malloc(from->nlmsg_len);

	if (raw && list->n == reader->room) {
		size_t room = reader->room ? 2 * reader->room : 16;
		struct route *more = reallocarray(list->routes, room, sizeof(*more));
		if (!more)
			goto fail;
		list->routes = more;
		reader->room = room;
	}
	if (!raw)
		goto fail;
	memcpy(raw, from, from->nlmsg_len);
	list->routes[list->n++] = route_of(raw);
	return true;
fail:
	free(raw);
	reader->no_memory = true;
	return false;
}

static bool is_in_part(const struct reader *reader, uint32_t table)
{
	bool found = reader->table == table;

	if (reader->table)
		return found;
	for (const uint32_t *first = reader->first; !found && *first; first++)
		found = *first == table;
	return !found;
}

static bool take_route(void *context, struct nlmsghdr *raw)
{
	struct reader *reader = context;
	const struct rtmsg *head = nlmsg_data(raw);

	if (!reader->left--)
		return false;
	if (raw->nlmsg_type != RTM_NEWROUTE || !nlmsg_valid_hdr(raw, sizeof(*head)))
		return true;
	/* Multicast routing dumps both of its own, and cached lookups are not routes. */
	if (head->rtm_family != reader->family || head->rtm_flags & RTM_F_CLONED ||
	    !is_in_part(reader, attribute_u32(raw, RTA_TABLE, head->rtm_table)))
		return true;
	return route_list_add(reader, raw);
}

static int read_part(struct netlink *nl, struct reader *reader, uint8_t family, uint32_t table)
{
	struct rtmsg head = {.rtm_family = family};
	struct netlink_filter filter = {table ? RTA_TABLE : 0, table};

	reader->family = family;
	reader->table = table;
	reader->left = ROUTE_LIST_MAX;
	int code = netlink_dump(nl, RTM_GETROUTE, &head, sizeof(head), filter, take_route, reader);
	/* There is no such table, or no such family. */
	return code == -ENOENT || code == -EOPNOTSUPP || code == -EAFNOSUPPORT ? 0 : code;
}

static int read_parts(struct netlink *nl, struct reader *reader)
{
	static const uint8_t both[] = {AF_INET, AF_INET6};
	int code = 0;

	for (size_t f = 0; f < sizeof(both); f++) {
		for (const uint32_t *first = reader->first; !code && *first; first++)
			code = read_part(nl, reader, both[f], *first);
		if (!code)
			code = read_part(nl, reader, both[f], 0);
	}
	return code;
}

int route_list_read(struct netlink *nl, const uint32_t *first, struct route_list *out, struct failure *why)
{
	struct route_list list = {0};
	struct reader reader = {.list = &list, .first = first};
	int code = -EAGAIN;

	for (int turn = 0; code == -EAGAIN && turn < NETLINK_TURNS; turn++) {
		route_list_free(&list);
		reader.room = 0;
		code = read_parts(nl, &reader);
	}
	if (code || reader.no_memory) {
		route_list_free(&list);
		return reader.no_memory ? fail(why, -ENOMEM, NULL, "no memory for the routes")
					: fail(why, code, NULL, "cannot list the routes: %s", nl->text);
	}
	*out = list;
	return 0;
}

void route_list_free(struct route_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->routes[i].raw);
	free(list->routes);
	*list = (struct route_list){0};
}

/*
 * The first next hop after `hop` in RTA_MULTIPATH (NULL: the first of all) that is not on the interface `without` (0:
 * any interface), or NULL.
 */
static struct rtnexthop *next_hop(struct nlattr *multipath, struct rtnexthop *hop, unsigned without)
{
	char *end = (char *)nla_data(multipath) + nla_len(multipath);
	char *at = hop ? (char *)hop + RTNH_ALIGN(hop->rtnh_len) : nla_data(multipath);

	for (; end - at >= (long)sizeof(*hop); at += RTNH_ALIGN(hop->rtnh_len)) {
		hop = (struct rtnexthop *)at;
		if (hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > end - at)
			return NULL;
		if (!without || hop->rtnh_ifindex != (int)without)
			return hop;
	}
	return NULL;
}

static struct nlattr *multipath_of(const struct route *route)
{
	return nlmsg_find_attr(route->raw, sizeof(struct rtmsg), RTA_MULTIPATH);
}

bool route_uses(const struct route *route, unsigned ifindex)
{
	struct nlattr *multipath = multipath_of(route);

	if (!ifindex)
		return false;
	if (!multipath)
		return attribute_u32(route->raw, RTA_OIF, 0) == ifindex;
	for (struct rtnexthop *hop = next_hop(multipath, NULL, 0); hop; hop = next_hop(multipath, hop, 0)) {
		if (hop->rtnh_ifindex == (int)ifindex)
			return true;
	}
	return false;
}

bool route_uses_other(const struct route *route, unsigned ifindex)
{
	struct nlattr *multipath = multipath_of(route);

	return multipath ? next_hop(multipath, NULL, ifindex) != NULL : !route_uses(route, ifindex);
}

bool route_has_gateway(const struct route *route)
{
	size_t head = sizeof(struct rtmsg);

	return nlmsg_find_attr(route->raw, (int)head, RTA_GATEWAY) || nlmsg_find_attr(route->raw, (int)head, RTA_VIA) ||
	       multipath_of(route);
}

/* Only the flags that the kernel accepts in a request, not those that it reports: dead, offloaded, without carrier. */
static unsigned char keep_flags(unsigned flags)
{
	return flags & RTNH_F_ONLINK;
}

static int put_hops(struct nl_msg *msg, struct nlattr *multipath, unsigned without)
{
	struct nlattr *nest = nla_nest_start(msg, RTA_MULTIPATH);

	if (!nest)
		return -ENOMEM;
	for (struct rtnexthop *hop = next_hop(multipath, NULL, without); hop; hop = next_hop(multipath, hop, without)) {
		struct rtnexthop *copy = nlmsg_reserve(msg, hop->rtnh_len, RTNH_ALIGNTO);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, hop, hop->rtnh_len);
		copy->rtnh_flags = keep_flags(hop->rtnh_flags);
	}
	nla_nest_end(msg, nest);
	return 0;
}

/* Adds the first remaining hop as the route's only one. */
static int put_first_hop(struct nl_msg *msg, struct nlattr *multipath, unsigned without)
{
	struct rtnexthop *hop = next_hop(multipath, NULL, without);
	struct rtmsg *head = nlmsg_data(nlmsg_hdr(msg));

	if (!hop)
		return 0;
	head->rtm_flags |= keep_flags(hop->rtnh_flags);
	int rest = hop->rtnh_len - (int)sizeof(*hop);
	for (struct nlattr *a = (struct nlattr *)RTNH_DATA(hop); nla_ok(a, rest); a = nla_next(a, &rest)) {
		if (nla_put(msg, nla_type(a), nla_len(a), nla_data(a)))
			return -ENOMEM;
	}
	return nla_put_u32(msg, RTA_OIF, (uint32_t)hop->rtnh_ifindex);
}

static int put_attribute(struct nl_msg *msg, struct nlattr *attribute, const struct route_edit *edit)
{
	switch (nla_type(attribute)) {
	case RTA_TABLE:
	case RTA_CACHEINFO: /* has the rest of a lifetime */
	case RTA_NH_ID:     /* the hops are in the message as well; both together are refused */
		return 0;
	case RTA_DST:
	case RTA_PRIORITY:
		if (edit->to)
			return 0;
		break;
	case RTA_MULTIPATH:
		return edit->to ? put_first_hop(msg, attribute, edit->without)
				: put_hops(msg, attribute, edit->without);
	default:
		break;
	}
	return nla_put(msg, nla_type(attribute), nla_len(attribute), nla_data(attribute));
}

struct nl_msg *route_copy(const struct route *route, int type, int flags, const struct route_edit *edit)
{
	struct rtmsg head = *(struct rtmsg *)nlmsg_data(route->raw);
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);
	int rest;

	head.rtm_table = RT_TABLE_UNSPEC;
	head.rtm_flags = keep_flags(head.rtm_flags);
	if (edit->protocol)
		head.rtm_protocol = edit->protocol;
	if (edit->to)
		head.rtm_dst_len = edit->to->length;
	if (!msg || nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) || nla_put_u32(msg, RTA_TABLE, edit->table))
		goto fail;
	if (edit->to && nla_put(msg, RTA_DST, (int)address_size(edit->to->address.family), edit->to->address.bytes))
		goto fail;
	rest = nlmsg_attrlen(route->raw, sizeof(head));
	for (struct nlattr *a = nlmsg_attrdata(route->raw, sizeof(head)); nla_ok(a, rest); a = nla_next(a, &rest)) {
		if (put_attribute(msg, a, edit))
			goto fail;
	}
	return msg;
fail:
	nlmsg_free(msg);
	return NULL;
}

struct nl_msg *route_stop(int type, int flags, uint8_t kind, const struct prefix *to, uint32_t table, uint32_t metric,
			  unsigned ifindex, uint8_t protocol)
{
	/* A throw route of the narrowest scope catches lookups of every scope (MSG_DONTROUTE). */
	struct rtmsg head = {.rtm_family = to->address.family,
			     .rtm_dst_len = to->length,
			     .rtm_protocol = protocol,
			     .rtm_scope = kind == RTN_UNREACHABLE ? RT_SCOPE_UNIVERSE : RT_SCOPE_HOST,
			     .rtm_type = kind};
	struct nl_msg *msg = netlink_message(type, flags, &head, sizeof(head));

	netlink_put(&msg, RTA_TABLE, &table, sizeof(table));
	netlink_put(&msg, RTA_DST, to->address.bytes, address_size(to->address.family));
	netlink_put(&msg, RTA_PRIORITY, &metric, sizeof(metric));
	if (ifindex)
		netlink_put(&msg, RTA_OIF, &ifindex, sizeof(ifindex));
	return msg;
}
