/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primary.c - making a TAP the pod's only way out, instead of its primary interface
 *
 * The kernel's tables are the only state. The pod's own routes are left alone, in whichever table: rules that come
 * before all others (rule.h) lead past them.
 *
 *    0: local addresses                                  the kernel's
 *    0: fwmark MARK      -> main                         with `inbound`: answers, which pod_filter.c marks
 *    0:                  -> main, but for short prefixes and by frozen interfaces
 *    0:                  -> WAY_TABLE
 *    0: oif eth0         -> BOUND_TABLE                  IPv4, one for each interface
 *    0: unreachable
 *    1 to 32767                                          the pod's own, no longer consulted
 *
 *    WAY_TABLE    what stays on other interfaces than the TAP, and the TAP's own routes with its default route (link.c
 *                 puts them there). What stays are networks to be kept and remotes, with PRIMARY_PROTOCOL, and copies
 *                 of the pod's own routes. A route to a large part of the Internet, such as 0.0.0.0/1, is a default
 *                 route and not copied; like these it only shows the way to what is kept.
 *
 *    frozen       Routes are copied once: what a router adds later is no way out. From then on the interface is in
 *                 FROZEN_GROUP, for which the rules disregard the main table (suppress_ifgroup), and the packet filter
 *                 watches it. All interfaces that are there at first are frozen at once. Those that come later, as
 *                 Multus's and the bridges of containers in the pod do, need their networks in the main table as soon
 *                 as they have them: the kernel looks for gateways by these rules, and refuses a route to one that it
 *                 does not find. They are frozen by the second call that sees them (SEEN_GROUP marks the first).
 *
 *    BOUND_TABLE  stops IPv4 sockets that are bound to an interface. Where such a socket finds no route, Linux takes
 *                 the destination to be on link and asks for it by ARP (ip_route_output_key_hash_rcu), and a node that
 *                 answers for everyone (proxy_arp, as Calico's do) forwards it. An unreachable route or rule does not
 *                 prevent that, only a route that is found: a local default route on that very interface. IPv6 makes
 *                 no such assumption, but skips unreachable routes for these sockets, as they belong to lo. A rule
 *                 without a table stops both kinds.
 *
 * What no routing table stops is the packet filter's (pod_filter.c). It lets pass by frozen interfaces just what
 * WAY_TABLE has routes for there.
 *
 * At no time may there be another way out. Only the order ensures that:
 *
 *    primary_take()                                       primary_restore()
 *      routes of what stays, into WAY_TABLE                 rules, the last one first
 *      groups of interfaces                                 our tables
 *      local default routes, into BOUND_TABLE               groups of interfaces
 *      the packet filter                                    the packet filter
 *      rules; new ones are added behind the old ones,
 *        then the old ones go, the last one first
 *      routes that are no longer wanted
 *      what an earlier version has left (primary_old.c)
 *
 * Control thread, in the pod's namespace.
 */
#include "tap/primary.h"

#include "tap/primary_session.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

/* What is wanted */

static size_t count_wanted(const struct primary_config *config)
{
	return config->n_keep + config->n_remotes;
}

static struct prefix nth_wanted(const struct primary_config *config, size_t i)
{
	if (i < config->n_keep)
		return prefix_network(&config->primary_keep[i]);
	const struct address *remote = &config->remotes[i - config->n_keep];
	return (struct prefix){.address = *remote, .length = remote->family == AF_INET6 ? 128 : 32};
}

static bool primary_is_wanted(const struct primary_config *config, const struct prefix *to)
{
	for (size_t i = 0; i < count_wanted(config); i++) {
		struct prefix wanted = nth_wanted(config, i);
		if (prefix_equal(&wanted, to))
			return true;
	}
	return false;
}

static int primary_check_config(const struct primary_config *config, struct failure *why)
{
	char text[ADDRESS_TEXT];

	for (size_t i = 0; i < count_wanted(config); i++) {
		struct prefix wanted = nth_wanted(config, i);
		const char *key = i < config->n_keep ? "keep" : "remote";
		if (wanted.address.family != AF_INET && wanted.address.family != AF_INET6)
			return fail(why, -EINVAL, key, "%s: not an IPv4 or IPv6 address", key);
		if (!wanted.length)
			return fail(why, -EINVAL, key, "%s: %s would keep everything on the primary interface", key,
				    prefix_format(&wanted, text));
	}
	return 0;
}

/* What there is */

/* In a table of the pod's own. */
static bool is_own(const struct route *route)
{
	return route->table != RT_TABLE_LOCAL && !primary_is_our_table(route->table) &&
	       route->protocol != PRIMARY_PROTOCOL;
}

static bool is_way(const struct route *route)
{
	return route->table == PRIMARY_WAY_TABLE;
}

static bool is_kept(const struct route *route)
{
	return is_way(route) && route->protocol == PRIMARY_PROTOCOL;
}

/* The pod's default route of the main table is the one that counts, unless it has none there. */
static bool is_better(const struct route *a, const struct route *b)
{
	if (!b || a->to.length != b->to.length)
		return !b || a->to.length > b->to.length;
	if ((a->table == RT_TABLE_MAIN) != (b->table == RT_TABLE_MAIN))
		return a->table == RT_TABLE_MAIN;
	return a->metric < b->metric;
}

/* The route that packets to all of `to` would take without the TAP and without us; NULL: none. */
static const struct route *find_way(const struct primary_session *s, const struct prefix *to)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (route->type != RTN_UNICAST || !(is_own(route) || primary_is_parked(route)) ||
		    !route_uses_other(route, s->ifindex))
			continue;
		if (route->to.length <= to->length && prefix_contains(&route->to, &to->address) &&
		    is_better(route, best))
			best = route;
	}
	return best;
}

/* Whether there is a copy of a route of the pod's own to exactly that network. */
static bool has_copy(const struct primary_session *s, const struct prefix *to)
{
	for (size_t i = 0; i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (is_way(route) && !is_kept(route) && prefix_equal(&route->to, to))
			return true;
	}
	return false;
}

/* Copies of the pod's own routes */

static bool is_copied(const struct primary_session *s, const struct route *route)
{
	return is_own(route) && !primary_is_wide(&route->to) && route_uses_other(route, s->ifindex) &&
	       (route->type == RTN_UNICAST || route->type == RTN_UNREACHABLE || route->type == RTN_BLACKHOLE ||
		route->type == RTN_PROHIBIT);
}

/* A frozen interface that went down and came up again has lost its routes here, too. */
static bool has_lost(const struct primary_session *s, unsigned ifindex, uint8_t family)
{
	for (size_t i = 0; i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (is_way(route) && !is_kept(route) && route->family == family && route_uses(route, ifindex))
			return false;
	}
	return true;
}

/* Whether a route has to be copied, now that rules are in force. */
static bool is_due(const struct primary_session *s, const struct route *route)
{
	for (size_t i = 0; i < s->n_links; i++) {
		const struct primary_link *link = &s->links[i];
		if (route_uses(route, link->ifindex) &&
		    (link->freezes || (link->stage == LINK_FROZEN && has_lost(s, link->ifindex, route->family))))
			return true;
	}
	return false;
}

static int copy_route(struct primary_session *s, const struct route *route, struct failure *why)
{
	struct route_edit edit = {.table = PRIMARY_WAY_TABLE, .without = s->ifindex};
	char text[ADDRESS_TEXT];
	int code = netlink_request(&s->nl, route_copy(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, &edit));

	s->changes += !code;
	/* It, its address or its interface may have gone in the meantime; what has no copy is closed. */
	if (code != -ENOMEM && code != -EPERM)
		return 0;
	return fail(why, code, NULL, "cannot copy the pod's route %s: %s", prefix_format(&route->to, text), s->nl.text);
}

/* Routes with a gateway come second: the kernel looks for the gateway among the others. */
static int copy_routes(struct primary_session *s, const bool in_force[static 2], struct failure *why)
{
	int code = 0;

	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; !code && i < s->list.n; i++) {
			const struct route *route = &s->list.routes[i];
			bool again = in_force[route->family == AF_INET6];
			if (is_copied(s, route) && route_has_gateway(route) == (turn == 1) &&
			    (!again || is_due(s, route)))
				code = copy_route(s, route, why);
		}
	}
	return code;
}

/* Interfaces, from one stage to the next */

static void plan_stages(struct primary_session *s, const bool in_force[static 2])
{
	for (size_t i = 0; i < s->n_links; i++) {
		struct primary_link *link = &s->links[i];
		link->freezes = link->stage == LINK_SEEN || (link->stage == LINK_NEW && !in_force[0]);
	}
}

static int change_stages(struct primary_session *s, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->n_links; i++) {
		struct primary_link *link = &s->links[i];
		if (link->stage == LINK_FROZEN)
			continue;
		s->grows = true;
		code = primary_set_stage(s, link, link->freezes ? LINK_FROZEN : LINK_SEEN, why);
	}
	return code;
}

static int reset_stages(struct primary_session *s, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->n_links; i++) {
		if (s->links[i].stage != LINK_NEW)
			code = primary_set_stage(s, &s->links[i], LINK_NEW, why);
	}
	return code;
}

/* What stays on the primary interface */

static int delete_others(struct primary_session *s, const struct prefix *to, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->list.n; i++) {
		if (is_kept(&s->list.routes[i]) && prefix_equal(&s->list.routes[i].to, to))
			code = primary_delete_route(s, &s->list.routes[i], why);
	}
	return code;
}

/* The new route is appended to those that were there, which go then: there always is one. */
static int primary_keep(struct primary_session *s, const struct prefix *to, const char *key, struct failure *why)
{
	const struct route *way = find_way(s, to);
	struct route_edit edit = {
		.table = PRIMARY_WAY_TABLE, .protocol = PRIMARY_PROTOCOL, .without = s->ifindex, .to = to};
	char text[ADDRESS_TEXT];

	if (!way || has_copy(s, to))
		return 0;
	int code = netlink_request(&s->nl, route_copy(way, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, &edit));
	if (code == -EEXIST)
		return 0;
	if (code)
		return fail(why, code, key, "%s: cannot keep %s on the primary interface: %s", key,
			    prefix_format(to, text), s->nl.text);
	s->changes++;
	return delete_others(s, to, why);
}

static int keep_all(struct primary_session *s, const struct primary_config *config, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < count_wanted(config); i++) {
		struct prefix to = nth_wanted(config, i);
		code = primary_keep(s, &to, i < config->n_keep ? "keep" : "remote", why);
	}
	return code;
}

static int drop_unwanted(struct primary_session *s, const struct primary_config *config, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (is_kept(route) && !primary_is_wanted(config, &route->to))
			code = primary_delete_route(s, route, why);
	}
	return code;
}

/* Sockets bound to an interface */

static int stop_bound(struct primary_session *s, struct failure *why)
{
	struct prefix all = {.address.family = AF_INET};
	int code = 0;

	/* Each interface's local default route has its own metric. */
	for (size_t i = 0; !code && i < s->n_links; i++) {
		unsigned ifindex = s->links[i].ifindex;
		code = netlink_request(&s->nl, route_stop(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, RTN_LOCAL, &all,
							  PRIMARY_BOUND_TABLE, ifindex, ifindex, PRIMARY_PROTOCOL));
		s->changes += !code && s->links[i].stage == LINK_FROZEN;
		code = code == -EEXIST || code == -ENODEV ? 0 : code;
	}
	return code ? fail(why, code, NULL, "cannot stop sockets that are bound to the primary interface: %s",
			   s->nl.text)
		    : 0;
}

/* The packet filter */

static bool is_broadcast_network(const struct route *route)
{
	return route->family == AF_INET && !route_has_gateway(route) && route->protocol == RTPROT_KERNEL &&
	       route->to.length <= 30;
}

static struct address broadcast_of(const struct prefix *network)
{
	struct address last = network->address;

	for (unsigned bit = network->length; bit < 32; bit++)
		last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return last;
}

/* It lets pass what WAY_TABLE has routes for, so that both are one and the same. */
static int put_filter(struct primary_session *s, const struct primary_config *config, struct primary_state *state,
		      struct failure *why)
{
	struct pod_filter filter = {.inbound = config->inbound,
				    .names = config->names,
				    .resolver = config->resolver,
				    .tap = s->ifindex,
				    .tunnel = config->tunnel};
	unsigned *frozen = calloc(s->n_links + 1, sizeof(*frozen));
	struct prefix *stays = calloc(s->list.n + 1, sizeof(*stays));
	struct address *broadcasts = calloc(s->list.n + 1, sizeof(*broadcasts));
	struct failure trouble = {0};
	int code = -ENOMEM;

	for (size_t i = 0; frozen && i < s->n_links; i++) {
		if (s->links[i].stage == LINK_FROZEN || s->links[i].freezes)
			frozen[filter.n_watched++] = s->links[i].ifindex;
	}
	for (size_t i = 0; stays && broadcasts && i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (!is_way(route) || route->type != RTN_UNICAST || !route_uses_other(route, s->ifindex) ||
		    (is_kept(route) && !primary_is_wanted(config, &route->to)))
			continue;
		stays[filter.n_stays++] = route->to;
		if (is_broadcast_network(route))
			broadcasts[filter.n_broadcasts++] = broadcast_of(&route->to);
	}
	filter.watched = frozen;
	filter.stays = stays;
	filter.broadcasts = broadcasts;
	if (stays && broadcasts && frozen)
		code = pod_filter_put(&filter, &state->filter, &trouble);
	free(frozen);
	free(stays);
	free(broadcasts);
	s->changes += code > 0;
	memcpy(state->unfiltered, code < 0 ? trouble.text : "", code < 0 ? sizeof(state->unfiltered) - 1 : 1);
	return code < 0 && (config->inbound || config->names) ? fail(why, code, trouble.key, "%s", trouble.text) : 0;
}

/* All of it */

static int primary_close_ways(struct primary_session *s, const struct primary_config *config,
			      struct primary_state *state, struct failure *why)
{
	int code = change_stages(s, why);

	if (!code)
		code = keep_all(s, config, why);
	if (!code && config->inbound)
		code = primary_accept_marks(s, why);
	if (!code)
		code = stop_bound(s, why);
	if (!code)
		code = primary_read(s, why);
	if (!code)
		code = put_filter(s, config, state, why);
	if (!code)
		code = primary_put_rules(s, config, why);
	if (!code)
		code = primary_lead_rules(s, state, why);
	if (!code)
		code = drop_unwanted(s, config, why);
	return code;
}

int primary_take(const char *ifname, const struct primary_config *config, struct primary_state *state,
		 struct failure *why)
{
	struct primary_session s;
	bool in_force[2] = {false};
	int code = primary_check_config(config, why);

	if (!code)
		code = primary_open(&s, ifname, why);
	if (code)
		return code;
	code = primary_rules_in_force(&s, in_force, why);
	plan_stages(&s, in_force);
	if (!code)
		code = primary_take_along(&s, why);
	if (!code)
		code = copy_routes(&s, in_force, why);
	if (!code)
		code = primary_read(&s, why);
	if (!code)
		code = primary_close_ways(&s, config, state, why);
	if (!code)
		code = primary_forget_old(&s, why);
	if (!code && s.took_over)
		code = primary_read(&s, why);
	/* The main table may be asked now that no route there refuses everything. */
	if (!code && s.took_over)
		code = primary_put_rules(&s, config, why);
	state->changes = s.grows ? 0 : s.changes;
	primary_close(&s);
	return code;
}

static int delete_tables(struct primary_session *s, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->list.n; i++) {
		uint32_t table = s->list.routes[i].table;
		if (table == PRIMARY_WAY_TABLE || table == PRIMARY_BOUND_TABLE)
			code = primary_delete_route(s, &s->list.routes[i], why);
	}
	return code;
}

int primary_restore(const char *ifname, struct failure *why)
{
	struct primary_session s;
	int code = primary_open(&s, ifname, why);

	if (code)
		return code;
	code = primary_forget_old(&s, why);
	if (!code)
		code = primary_delete_rules(&s, why);
	if (!code)
		code = delete_tables(&s, why);
	if (!code)
		code = reset_stages(&s, why);
	if (!code)
		pod_filter_remove();
	primary_close(&s);
	return code;
}
