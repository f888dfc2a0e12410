/* SPDX-License-Identifier: Apache-2.0 */
/* link_query.c - what rtnetlink knows of neighbours, vxlan devices and addresses */
#include "tap/link.h"
#include "tap/link_target.h"

#include <linux/neighbour.h>
#include <net/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/vxlan.h>
#include <netlink/route/neighbour.h>
#include <stdio.h>
#include <string.h>

/* NUD_NOARP entries of multicast addresses are not learned: they follow from the address itself. */
static bool is_learned_neighbour(struct rtnl_neigh *neighbour, int ifindex)
{
	int state = rtnl_neigh_get_state(neighbour);
	struct address address = netlink_address(rtnl_neigh_get_dst(neighbour));

	if (rtnl_neigh_get_ifindex(neighbour) != ifindex || !address.family)
		return false;
	return state != NUD_PERMANENT && !(state == NUD_NOARP && address_is_multicast(&address));
}

static int forget(struct link_target *t, struct rtnl_neigh *neighbour)
{
	struct nl_msg *msg;
	int code = netlink_code(&t->nl, rtnl_neigh_build_delete_request(neighbour, 0, &msg));

	if (!code)
		code = netlink_request(&t->nl, msg);
	/* It may have aged out in the meantime. */
	return code == -ENOENT ? 0 : code;
}

int link_flush_neighbours(const char *ifname, struct failure *why)
{
	struct nl_cache *cache;
	struct link_target t;
	int code = link_target_open(&t, ifname, why);

	if (code)
		return code;
	code = netlink_code(&t.nl, rtnl_neigh_alloc_cache(t.nl.sock, &cache));
	if (code)
		goto close;
	for (struct nl_object *o = nl_cache_get_first(cache); !code && o; o = nl_cache_get_next(o)) {
		if (is_learned_neighbour((struct rtnl_neigh *)o, t.ifindex))
			code = forget(&t, (struct rtnl_neigh *)o);
	}
	nl_cache_free(cache);
close:
	netlink_close(&t.nl);
	return code ? fail(why, code, "ifname", "cannot flush the neighbours of %s: %s", ifname, t.nl.text) : 0;
}

static bool has_mac_of(struct rtnl_neigh *neighbour, const struct mac *macs, size_t n)
{
	const struct nl_addr *lladdr = rtnl_neigh_get_lladdr(neighbour);

	if (!lladdr || nl_addr_get_len(lladdr) != sizeof(macs->bytes))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!memcmp(nl_addr_get_binary_addr(lladdr), macs[i].bytes, sizeof(macs[i].bytes)))
			return true;
	return false;
}

/*
 * NUD_PROBE, set by hand, is what the kernel does itself when it begins to doubt a neighbour. The request is made anew,
 * as libnl adds a state to those that an object has.
 */
static int ask_neighbour(struct link_target *t, struct rtnl_neigh *neighbour)
{
	struct rtnl_neigh *fresh = rtnl_neigh_alloc();
	struct nl_msg *msg = NULL;
	int code = -ENOMEM;

	if (!fresh)
		return code;
	rtnl_neigh_set_ifindex(fresh, t->ifindex);
	rtnl_neigh_set_lladdr(fresh, rtnl_neigh_get_lladdr(neighbour));
	rtnl_neigh_set_state(fresh, NUD_PROBE);
	code = netlink_code(&t->nl, rtnl_neigh_set_dst(fresh, rtnl_neigh_get_dst(neighbour)));
	if (!code)
		code = netlink_code(&t->nl, rtnl_neigh_build_add_request(fresh, NLM_F_REPLACE, &msg));
	rtnl_neigh_put(fresh);
	return code ? code : netlink_request(&t->nl, msg);
}

int link_ask_neighbours(const char *ifname, const struct mac *macs, size_t n, struct failure *why)
{
	struct nl_cache *cache;
	struct link_target t;
	int asked = 0, code = link_target_open(&t, ifname, why);

	if (code)
		return code;
	code = netlink_code(&t.nl, rtnl_neigh_alloc_cache(t.nl.sock, &cache));
	if (code)
		goto close;
	for (struct nl_object *o = nl_cache_get_first(cache); !code && o; o = nl_cache_get_next(o)) {
		struct rtnl_neigh *neighbour = (struct rtnl_neigh *)o;
		bool dynamic =
			is_learned_neighbour(neighbour, t.ifindex) && rtnl_neigh_get_state(neighbour) != NUD_NOARP;
		if (!dynamic || !has_mac_of(neighbour, macs, n))
			continue;
		code = ask_neighbour(&t, neighbour);
		asked++;
	}
	nl_cache_free(cache);
close:
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
		out[n++] = netlink_address(rtnl_addr_get_local((struct rtnl_addr *)o));
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
		out[n].address = netlink_address(rtnl_addr_get_local(address));
		out[n++].length = (uint8_t)rtnl_addr_get_prefixlen(address);
	}
	nl_cache_free(cache);
	return n;
}

int link_list_others(const char *ifname, struct link_address *out, size_t max, struct failure *why)
{
	struct nl_cache *cache;
	int ifindex = (int)if_nametoindex(ifname), loopback = (int)if_nametoindex("lo");
	int n = dump_addresses(&cache, why);

	if (n)
		return n;
	for (struct nl_object *o = nl_cache_get_first(cache); o && (size_t)n < max; o = nl_cache_get_next(o)) {
		struct rtnl_addr *address = (struct rtnl_addr *)o;
		int on = rtnl_addr_get_ifindex(address);
		if (on == ifindex || on == loopback)
			continue;
		out[n].ifindex = on;
		out[n].address.address = netlink_address(rtnl_addr_get_local(address));
		out[n++].address.length = (uint8_t)rtnl_addr_get_prefixlen(address);
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
		struct address local = netlink_address(rtnl_addr_get_local((struct rtnl_addr *)o));
		code = address_equal(&local, address);
	}
	nl_cache_free(cache);
	return code;
}
