/* SPDX-License-Identifier: Apache-2.0 */
/* primary_session.c - what primary.c works on: the routes and interfaces of the pod as they were found */
#include "tap/primary_session.h"

#include "tap/link.h"

#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <stdlib.h>

static enum link_stage stage_of(uint32_t group)
{
	return group == PRIMARY_FROZEN_GROUP ? LINK_FROZEN : group == PRIMARY_SEEN_GROUP ? LINK_SEEN : LINK_NEW;
}

/* An underlay TAP leads nowhere by itself: podswitchd writes what comes in by it, and reads nothing. */
static bool is_underlay_tap(struct nlmsghdr *raw, uint32_t group)
{
	struct nlattr *info = nlmsg_find_attr(raw, sizeof(struct ifinfomsg), IFLA_LINKINFO);
	struct nlattr *kind = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND) : NULL;

	return group == LINK_UNDERLAY_GROUP && kind && !nla_strcmp(kind, "tun");
}

static bool keep_link(void *context, struct nlmsghdr *raw)
{
	struct primary_session *s = context;
	const struct ifinfomsg *head = nlmsg_data(raw);

	if (raw->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(raw, sizeof(*head)))
		return true;
	struct nlattr *name = nlmsg_find_attr(raw, sizeof(*head), IFLA_IFNAME);
	struct nlattr *group = nlmsg_find_attr(raw, sizeof(*head), IFLA_GROUP);
	if ((unsigned)head->ifi_index == s->ifindex || head->ifi_flags & IFF_LOOPBACK || !name ||
	    is_underlay_tap(raw, group ? nla_get_u32(group) : 0))
		return true;
	struct primary_link *found = &s->links[s->n_links++];
	*found = (struct primary_link){.ifindex = (unsigned)head->ifi_index,
				       .stage = stage_of(group ? nla_get_u32(group) : 0)};
	nla_strlcpy(found->name, name, sizeof(found->name));
	return s->n_links < PRIMARY_MAX_LINKS;
}

static int read_links(struct primary_session *s, struct failure *why)
{
	struct ifinfomsg head = {.ifi_family = AF_UNSPEC};

	s->links = calloc(PRIMARY_MAX_LINKS, sizeof(*s->links));
	if (!s->links)
		return fail(why, -ENOMEM, NULL, "no memory for the interfaces");
	int code = netlink_list(&s->nl, RTM_GETLINK, &head, sizeof(head), (struct netlink_filter){0, 0}, keep_link, s,
				&s->n_links);
	return code ? fail(why, code, NULL, "cannot list the interfaces: %s", s->nl.text) : 0;
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
	static const uint32_t tables[] = {PRIMARY_WAY_TABLE, PRIMARY_BOUND_TABLE, PRIMARY_PARKED_TABLE, RT_TABLE_MAIN,
					  0};

	route_list_free(&s->list);
	return route_list_read(&s->nl, tables, &s->list, why);
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
