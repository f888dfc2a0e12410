/* SPDX-License-Identifier: Apache-2.0 */
/* link_query.c - what rtnetlink knows of neighbours, vxlan devices and addresses */
#include "tap/link.h"
#include "tap/link_target.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/link.h>
#include <netlink/route/link/vxlan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NEIGHBOURS 4096 /* of an interface that are looked at */

/* A neighbour that the kernel has found out about. */
struct neighbour {
	struct address address;
	struct mac mac;
};

/* The neighbours of one interface: the kernel keeps about a thousand of those that it has found out about. */
struct neighbour_search {
	int ifindex;
	bool active; /* not those that are never asked (NUD_NOARP) */
	size_t n;
	struct neighbour list[MAX_NEIGHBOURS];
};

static bool take_neighbour(void *context, struct nlmsghdr *raw)
{
	struct neighbour_search *search = context;
	const struct ndmsg *head = nlmsg_data(raw);

	if (raw->nlmsg_type != RTM_NEWNEIGH || !nlmsg_valid_hdr(raw, sizeof(*head)) ||
	    head->ndm_ifindex != search->ifindex || (head->ndm_family != AF_INET && head->ndm_family != AF_INET6))
		return true;
	struct nlattr *to = nlmsg_find_attr(raw, sizeof(*head), NDA_DST);
	struct nlattr *mac = nlmsg_find_attr(raw, sizeof(*head), NDA_LLADDR);
	struct neighbour found = {.address.family = head->ndm_family};
	if (!to || nla_len(to) != (int)address_size(head->ndm_family))
		return true;
	memcpy(found.address.bytes, nla_data(to), address_size(head->ndm_family));
	if (mac && nla_len(mac) == sizeof(found.mac.bytes))
		memcpy(found.mac.bytes, nla_data(mac), sizeof(found.mac.bytes));
	/* NUD_NOARP entries of multicast addresses are not learned: they follow from the address itself. */
	if (head->ndm_state == NUD_PERMANENT ||
	    (head->ndm_state == NUD_NOARP && (search->active || address_is_multicast(&found.address))))
		return true;
	search->list[search->n++] = found;
	return search->n < MAX_NEIGHBOURS;
}

/* *out has to be freed. */
static int list_neighbours(struct link_target *t, bool active, struct neighbour_search **out)
{
	struct neighbour_search *search = malloc(sizeof(*search));
	struct ndmsg head = {.ndm_family = AF_UNSPEC};
	struct netlink_filter filter = {NDA_IFINDEX, (uint32_t)t->ifindex};

	*out = search;
	if (!search)
		return -ENOMEM;
	search->ifindex = t->ifindex;
	search->active = active;
	return netlink_list(&t->nl, RTM_GETNEIGH, &head, sizeof(head), filter, take_neighbour, search, &search->n);
}

static struct nl_msg *neighbour_message(const struct link_target *t, int type, int flags, uint16_t state,
					const struct neighbour *neighbour)
{
	struct ndmsg head = {.ndm_family = neighbour->address.family, .ndm_ifindex = t->ifindex, .ndm_state = state};
	struct nl_msg *msg = netlink_message(type, flags, &head, sizeof(head));

	netlink_put(&msg, NDA_DST, neighbour->address.bytes, address_size(neighbour->address.family));
	if (type == RTM_NEWNEIGH)
		netlink_put(&msg, NDA_LLADDR, neighbour->mac.bytes, sizeof(neighbour->mac.bytes));
	return msg;
}

int link_flush_neighbours(const char *ifname, struct failure *why)
{
	struct neighbour_search *found = NULL;
	struct link_target t;
	int code = link_target_open(&t, ifname, why);

	if (code)
		return code;
	code = list_neighbours(&t, false, &found);
	for (size_t i = 0; !code && i < found->n; i++) {
		code = netlink_request(&t.nl, neighbour_message(&t, RTM_DELNEIGH, 0, 0, &found->list[i]));
		/* It may have aged out in the meantime. */
		code = code == -ENOENT ? 0 : code;
	}
	free(found);
	netlink_close(&t.nl);
	return code ? fail(why, code, "ifname", "cannot flush the neighbours of %s: %s", ifname, t.nl.text) : 0;
}

static bool is_one_of(const struct mac *mac, const struct mac *macs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (mac_equal(mac, &macs[i]))
			return true;
	return false;
}

/* NUD_PROBE, set by hand, is what the kernel does itself when it begins to doubt a neighbour. */
int link_ask_neighbours(const char *ifname, const struct mac *macs, size_t n, struct failure *why)
{
	struct neighbour_search *found = NULL;
	struct link_target t;
	int asked = 0, code = link_target_open(&t, ifname, why);

	if (code)
		return code;
	code = list_neighbours(&t, true, &found);
	for (size_t i = 0; !code && i < found->n; i++) {
		if (!is_one_of(&found->list[i].mac, macs, n))
			continue;
		code = netlink_request(&t.nl,
				       neighbour_message(&t, RTM_NEWNEIGH, NLM_F_REPLACE, NUD_PROBE, &found->list[i]));
		asked++;
	}
	free(found);
	netlink_close(&t.nl);
	return code ? fail(why, code, "ifname", "cannot ask the neighbours of %s: %s", ifname, t.nl.text) : asked;
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

int link_tx_dropped(const char *ifname, uint64_t *dropped, struct failure *why)
{
	struct rtnl_link *link;
	struct netlink nl;
	int code = netlink_open(&nl, why);

	if (code)
		return code;
	code = netlink_code(&nl, rtnl_link_get_kernel(nl.sock, 0, ifname, &link));
	netlink_close(&nl);
	if (code)
		return fail(why, code, "ifname", "cannot read the counters of %s: %s", ifname, nl.text);
	*dropped = rtnl_link_get_stat(link, RTNL_LINK_TX_DROPPED);
	rtnl_link_put(link);
	return 0;
}

/* Looking through addresses, of one interface or of all. */
struct address_search {
	bool (*take)(struct address_search *search, const struct link_address *found); /* false: that is enough */
	void *out;
	size_t n, max;
	int interfaces[2];     /* that are asked for, or left out */
	struct address wanted; /* family 0: all */
};

static bool look_at_address(void *context, struct nlmsghdr *raw)
{
	struct address_search *search = context;
	const struct ifaddrmsg *head = nlmsg_data(raw);

	if (raw->nlmsg_type != RTM_NEWADDR || !nlmsg_valid_hdr(raw, sizeof(*head)))
		return true;
	struct nlattr *own = nlmsg_find_attr(raw, sizeof(*head), IFA_LOCAL);
	if (!own)
		own = nlmsg_find_attr(raw, sizeof(*head), IFA_ADDRESS);
	struct link_address found = {.ifindex = (int)head->ifa_index, .address.length = head->ifa_prefixlen};
	if ((head->ifa_family != AF_INET && head->ifa_family != AF_INET6) || !own ||
	    nla_len(own) != (int)address_size(head->ifa_family))
		return true;
	found.address.address.family = head->ifa_family;
	memcpy(found.address.address.bytes, nla_data(own), address_size(head->ifa_family));
	return search->take(search, &found);
}

/* `ifindex` 0: of all interfaces. */
static int search_addresses(struct address_search *search, int ifindex, struct failure *why)
{
	struct ifaddrmsg head = {.ifa_index = (uint32_t)ifindex};
	struct netlink nl = {0};
	int code = netlink_list(&nl, RTM_GETADDR, &head, sizeof(head), (struct netlink_filter){0, 0}, look_at_address,
				search, &search->n);
	return code ? fail(why, code, NULL, "cannot list the addresses: %s", nl.text) : 0;
}

static bool take_plain(struct address_search *search, const struct link_address *found)
{
	((struct address *)search->out)[search->n++] = found->address.address;
	return search->n < search->max;
}

int link_list_addresses(struct address *out, size_t max, struct failure *why)
{
	struct address_search search = {.take = take_plain, .out = out, .max = max};
	int code = search_addresses(&search, 0, why);

	return code ? code : (int)search.n;
}

static bool take_prefix(struct address_search *search, const struct link_address *found)
{
	if (found->ifindex == search->interfaces[0])
		((struct prefix *)search->out)[search->n++] = found->address;
	return search->n < search->max;
}

int link_get_addresses(const char *ifname, struct prefix *out, size_t max, struct failure *why)
{
	int ifindex = (int)if_nametoindex(ifname);
	struct address_search search = {.take = take_prefix, .out = out, .max = max, .interfaces = {ifindex, 0}};
	int code = ifindex ? search_addresses(&search, ifindex, why) : 0;

	return code ? code : (int)search.n;
}

static bool take_other(struct address_search *search, const struct link_address *found)
{
	if (found->ifindex != search->interfaces[0] && found->ifindex != search->interfaces[1])
		((struct link_address *)search->out)[search->n++] = *found;
	return search->n < search->max;
}

int link_list_others(const char *ifname, struct link_address *out, size_t max, struct failure *why)
{
	struct address_search search = {.take = take_other,
					.out = out,
					.max = max,
					.interfaces = {(int)if_nametoindex(ifname), (int)if_nametoindex("lo")}};
	int code = search_addresses(&search, 0, why);

	return code ? code : (int)search.n;
}

static bool take_equal(struct address_search *search, const struct link_address *found)
{
	search->n = address_equal(&search->wanted, &found->address.address);
	return !search->n;
}

int link_has_address(const struct address *address, struct failure *why)
{
	struct address_search search = {.take = take_equal, .wanted = *address};
	int code = search_addresses(&search, 0, why);

	return code ? code : (int)search.n;
}
