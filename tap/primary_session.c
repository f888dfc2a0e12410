/* SPDX-License-Identifier: Apache-2.0 */
/* primary_session.c - what primary.c works on: the routes and interfaces of the pod as they were found */
#include "tap/primary_session.h"

#include <linux/rtnetlink.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <stdlib.h>

static enum link_stage stage_of(uint32_t group)
{
	return group == PRIMARY_FROZEN_GROUP ? LINK_FROZEN : group == PRIMARY_SEEN_GROUP ? LINK_SEEN : LINK_NEW;
}

static void keep_link(struct primary_session *s, struct rtnl_link *link)
{
	unsigned ifindex = (unsigned)rtnl_link_get_ifindex(link);

	if (ifindex == s->ifindex || rtnl_link_get_flags(link) & IFF_LOOPBACK)
		return;
	struct primary_link *found = &s->links[s->n_links];
	found->ifindex = ifindex;
	found->stage = stage_of(rtnl_link_get_group(link));
	snprintf(found->name, sizeof(found->name), "%s", rtnl_link_get_name(link));
	s->n_links++;
}

static int read_links(struct primary_session *s, struct failure *why)
{
	struct nl_cache *links;
	int code = netlink_code(&s->nl, rtnl_link_alloc_cache(s->nl.sock, AF_UNSPEC, &links));

	if (code)
		return fail(why, code, NULL, "cannot list the interfaces: %s", s->nl.text);
	s->links = calloc((size_t)nl_cache_nitems(links) + 1, sizeof(*s->links));
	if (!s->links)
		code = fail(why, -ENOMEM, NULL, "no memory for the interfaces");
	for (struct nl_object *o = nl_cache_get_first(links); s->links && o; o = nl_cache_get_next(o))
		keep_link(s, (struct rtnl_link *)o);
	nl_cache_free(links);
	return code;
}

int primary_open(struct primary_session *s, const char *ifname, struct failure *why)
{
	*s = (struct primary_session){.ifindex = if_nametoindex(ifname)};
	int code = netlink_open(&s->nl, why);

	if (!code)
		code = read_links(s, why);
	if (!code)
		code = primary_read(s, why);
	if (code)
		primary_close(s);
	return code;
}

void primary_close(struct primary_session *s)
{
	route_list_free(&s->list);
	free(s->links);
	netlink_close(&s->nl);
}

int primary_read(struct primary_session *s, struct failure *why)
{
	route_list_free(&s->list);
	return route_list_read(&s->nl, &s->list, why);
}

int primary_delete_route(struct primary_session *s, const struct route *route, struct failure *why)
{
	struct route_edit edit = {.table = route->table};
	char text[ADDRESS_TEXT];
	int code = netlink_request(&s->nl, route_copy(route, RTM_DELROUTE, 0, &edit));

	s->changes += !code;
	/* It may have gone with its interface in the meantime. */
	if (!code || code == -ESRCH || code == -ENOENT)
		return 0;
	return fail(why, code, NULL, "cannot delete the route %s: %s", prefix_format(&route->to, text), s->nl.text);
}

int primary_set_stage(struct primary_session *s, const struct primary_link *link, enum link_stage stage,
		      struct failure *why)
{
	static const uint32_t groups[] = {
		[LINK_NEW] = 0, [LINK_SEEN] = PRIMARY_SEEN_GROUP, [LINK_FROZEN] = PRIMARY_FROZEN_GROUP};
	struct ifinfomsg head = {.ifi_index = (int)link->ifindex};
	struct nl_msg *msg = netlink_message(RTM_NEWLINK, 0, &head, sizeof(head));

	netlink_put(&msg, IFLA_GROUP, &groups[stage], sizeof(groups[stage]));
	int code = netlink_request(&s->nl, msg);
	if (!code || code == -ENODEV)
		return 0;
	return fail(why, code, NULL, "cannot change the group of the interface %s: %s", link->name, s->nl.text);
}

bool primary_is_our_table(uint32_t table)
{
	return table >= PRIMARY_PARKED_TABLE && table <= PRIMARY_BOUND_TABLE;
}

bool primary_is_wide(const struct prefix *to)
{
	const uint8_t *bytes = to->address.bytes;

	if (to->address.family == AF_INET)
		return to->length < PRIMARY_WIDE_IP4;
	return to->length < PRIMARY_WIDE_IP6 && !(to->length >= 7 && (bytes[0] & 0xfe) == 0xfc) &&
	       !(to->length >= 10 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
}
