/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primary_old.c - a pod that an earlier version has closed is taken over, without a moment in which it is open
 *
 * That version removed the pod's default routes from the main table and kept copies in PARKED_TABLE. In the main table
 * it put routes of its own, with PRIMARY_PROTOCOL, and the TAP's; before it came a rule for each interface, to
 * THROW_TABLE. While the new rules are not yet there, all this stays; once they are, nothing of it is consulted.
 */
#include "tap/primary_session.h"
#include "tap/rule.h"

#include <linux/rtnetlink.h>

#define OLD_RULE_PREFERENCE 1000

bool primary_is_parked(const struct route *route)
{
	return route->table == PRIMARY_PARKED_TABLE;
}

static bool is_old(const struct route *route)
{
	return primary_is_parked(route) || route->table == PRIMARY_THROW_TABLE ||
	       (route->table == RT_TABLE_MAIN && route->protocol == PRIMARY_PROTOCOL);
}

static bool has_old(const struct primary_session *s)
{
	for (size_t i = 0; i < s->list.n; i++) {
		if (is_old(&s->list.routes[i]))
			return true;
	}
	return false;
}

/* Of the TAP's routes those that we added, not the kernel's. */
static bool is_tap_route(const struct primary_session *s, const struct route *route)
{
	return route->table == RT_TABLE_MAIN && route->protocol == RTPROT_STATIC && route_uses(route, s->ifindex);
}

int primary_take_along(struct primary_session *s, struct failure *why)
{
	struct route_edit edit = {.table = PRIMARY_WAY_TABLE};

	for (size_t i = 0; has_old(s) && i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		bool connected = route->table == RT_TABLE_MAIN && route_uses(route, s->ifindex);
		int code = is_tap_route(s, route) || connected
				   ? netlink_request(&s->nl, route_copy(route, RTM_NEWROUTE,
									NLM_F_CREATE | NLM_F_APPEND, &edit))
				   : 0;
		if (code && code != -EEXIST)
			return fail(why, code, NULL, "cannot copy a route of the TAP: %s", s->nl.text);
	}
	return 0;
}

static int unpark(struct primary_session *s, const struct route *route, struct failure *why)
{
	struct route_edit edit = {.table = RT_TABLE_MAIN};
	int code = netlink_request(&s->nl, route_copy(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &edit));

	if (code && code != -EEXIST)
		return fail(why, code, NULL, "cannot restore the pod's default route: %s", s->nl.text);
	return primary_delete_route(s, route, why);
}

/* Ours first: the TAP's default route is in the place of the pod's own. */
int primary_forget_old(struct primary_session *s, struct failure *why)
{
	int code = 0;

	s->took_over = has_old(s);
	if (!s->took_over)
		return 0;
	for (size_t i = 0; !code && i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (is_tap_route(s, route))
			code = primary_delete_route(s, route, why);
	}
	for (size_t i = 0; !code && i < s->list.n; i++) {
		if (primary_is_parked(&s->list.routes[i]))
			code = unpark(s, &s->list.routes[i], why);
	}
	if (!code && rule_delete_all(&s->nl, OLD_RULE_PREFERENCE, PRIMARY_THROW_TABLE))
		code = fail(why, -EIO, NULL, "cannot remove the rules of an earlier version: %s", s->nl.text);
	for (size_t i = 0; !code && i < s->list.n; i++) {
		if (is_old(&s->list.routes[i]) && !primary_is_parked(&s->list.routes[i]))
			code = primary_delete_route(s, &s->list.routes[i], why);
	}
	return code;
}
