/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primary.c - making a TAP the pod's only way out, instead of its primary interface
 *
 * The kernel's tables are the only state. What we put there:
 *
 *    main table    unreachable default routes, behind all others, and the routes of networks and addresses that stay on
 *                  the primary interface. All of these have PRIMARY_PROTOCOL, and nothing else there has.
 *
 *    PARKED_TABLE  the pod's own default routes, as exact copies, until they are restored. No rule leads there. They
 *                  could not stay in the main table behind the unreachable ones: for a socket that is bound to an
 *                  interface, IPv6 skips routes of other interfaces, and unreachable routes belong to lo.
 *
 *    BOUND_TABLE   what IPv4 sockets that are bound to the primary interface may reach. Where such a socket finds no
 *                  route, Linux takes the destination to be on link and asks for it by ARP
 *                  (ip_route_output_key_hash_rcu), and a node that answers for everyone (proxy_arp, as Calico's do)
 *                  forwards it. An unreachable route does not prevent that, only a route that is found: a local default
 *                  route on that very interface. Throw routes send permitted destinations back to the main table.
 *
 * At no time may there be another way out. Only the order ensures that:
 *
 *    primary_take()                                     primary_restore()
 *      unreachable default routes                         copy parked default routes back, delete the copies
 *      refuse router advertisements                       rules and routes for bound sockets
 *      routes of what stays on the primary interface      routes of what stayed
 *      copy default routes to PARKED_TABLE, delete them   unreachable default routes
 *      rules and routes for bound sockets
 *      delete routes that are no longer wanted
 *
 * Control thread, in the pod's namespace.
 */
#include "tap/primary.h"

#include "tap/route.h"

#include <dirent.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <string.h>

#define CONF "/proc/sys/net/ipv6/conf" /* is that of the reading thread's network namespace */

#define PARK_TURNS 8       /* tries, as default routes may come back while they are removed */
#define RULE_PRIORITY 1000 /* before the main table (32766), and before rules of other plugins just before it */
#define MAX_RULES 256

struct session {
	struct netlink nl;
	unsigned ifindex; /* of the TAP; 0: it does not exist */
	struct route_list list;
};

static const uint8_t families[] = {AF_INET, AF_INET6};

static int session_open(struct session *s, const char *ifname, struct failure *why)
{
	*s = (struct session){.ifindex = if_nametoindex(ifname)};
	return netlink_open(&s->nl, why);
}

static void session_close(struct session *s)
{
	route_list_free(&s->list);
	netlink_close(&s->nl);
}

static int session_read(struct session *s, struct failure *why)
{
	route_list_free(&s->list);
	return route_list_read(&s->nl, &s->list, why);
}

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

static bool is_default(const struct route *route)
{
	return route->type == RTN_UNICAST && !route->to.length;
}

static bool is_parked(const struct route *route)
{
	return route->table == PRIMARY_PARKED_TABLE;
}

static bool is_kept(const struct route *route)
{
	return route->table == RT_TABLE_MAIN && route->protocol == PRIMARY_PROTOCOL && route->type == RTN_UNICAST;
}

/* In the main table, and not ours. */
static bool is_own(const struct route *route)
{
	return route->table == RT_TABLE_MAIN && route->protocol != PRIMARY_PROTOCOL;
}

/* Whether it is a default route around the TAP, even in part: IPv6 merges routes of equal metric into one. */
static bool is_way_around(const struct session *s, const struct route *route)
{
	return is_own(route) && is_default(route) && route_uses_other(route, s->ifindex);
}

static bool is_better(const struct route *a, const struct route *b)
{
	if (!b || a->to.length != b->to.length)
		return !b || a->to.length > b->to.length;
	/* A default route that came after others were parked is more recent, so it is preferred. */
	if (is_parked(a) != is_parked(b))
		return is_parked(b);
	return a->metric < b->metric;
}

/* The route that packets to all of `to` would take without the TAP and without us; NULL: none. */
static const struct route *find_way(const struct session *s, const struct prefix *to)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (route->type != RTN_UNICAST || !(is_own(route) || is_parked(route)) ||
		    !route_uses_other(route, s->ifindex))
			continue;
		if (route->to.length <= to->length && prefix_contains(&route->to, &to->address) &&
		    is_better(route, best))
			best = route;
	}
	return best;
}

/* Whether the pod has its own route to exactly that network, wherever it leads. */
static bool has_own(const struct session *s, const struct prefix *to)
{
	for (size_t i = 0; i < s->list.n; i++) {
		if (is_own(&s->list.routes[i]) && prefix_equal(&s->list.routes[i].to, to))
			return true;
	}
	return false;
}

/* Blocking everything else */

static int change_unreachable(struct session *s, int type, int flags, uint8_t family)
{
	struct prefix all = {.address.family = family};

	return netlink_request(&s->nl, route_stop(type, flags, RTN_UNREACHABLE, &all, RT_TABLE_MAIN,
						  PRIMARY_UNREACHABLE_METRIC, 0, PRIMARY_PROTOCOL));
}

static int put_unreachable(struct session *s, struct failure *why)
{
	for (size_t i = 0; i < sizeof(families); i++) {
		int code = change_unreachable(s, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, families[i]);
		/* A kernel without IPv6 has no IPv6 to block. */
		if (code && !(families[i] == AF_INET6 && (code == -EOPNOTSUPP || code == -EAFNOSUPPORT)))
			return fail(why, code, NULL, "cannot make IPv%d unreachable by default: %s",
				    families[i] == AF_INET6 ? 6 : 4, s->nl.text);
	}
	return 0;
}

static int write_zero(const char *path)
{
	char now[16] = "";
	FILE *file = fopen(path, "re");

	/* If it is 0 already, it need not be writable. */
	if (file) {
		bool zero = fgets(now, sizeof(now), file) && !strcmp(now, "0\n");
		fclose(file);
		if (zero)
			return 0;
		file = fopen(path, "we");
	}
	if (!file)
		return errno == ENOENT ? 0 : -errno; /* an interface that has just gone */
	int code = fputs("0", file) < 0 || fflush(file) ? -errno : 0;
	fclose(file);
	return code;
}

static int refuse_advertisements(struct failure *why)
{
	DIR *directory = opendir(CONF);
	char path[sizeof(CONF) + 300];
	int code = 0;

	if (!directory)
		return errno == ENOENT ? 0 : fail(why, -errno, NULL, "cannot open " CONF ": %s", strerror(errno));
	for (struct dirent *entry = readdir(directory); !code && entry; entry = readdir(directory)) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CONF "/%s/accept_ra", entry->d_name);
		code = write_zero(path);
		if (code)
			fail(why, code, NULL,
			     "cannot set the sysctl net.ipv6.conf.%.20s.accept_ra to 0 (%s), without which IPv6 has "
			     "a way around; give podswitchd a writable /proc/sys",
			     entry->d_name, strerror(-code));
	}
	closedir(directory);
	return code;
}

/* What stays on the primary interface */

static int primary_keep(struct session *s, const struct prefix *to, const char *key, struct failure *why)
{
	const struct route *way = find_way(s, to);
	struct route_edit edit = {
		.table = RT_TABLE_MAIN, .protocol = PRIMARY_PROTOCOL, .without = s->ifindex, .to = to};
	char text[ADDRESS_TEXT];

	if (!way || has_own(s, to))
		return 0;
	int code = netlink_request(&s->nl, route_copy(way, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &edit));
	return code ? fail(why, code, key, "%s: cannot keep %s on the primary interface: %s", key,
			   prefix_format(to, text), s->nl.text)
		    : 0;
}

static int keep_all(struct session *s, const struct primary_config *config, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < count_wanted(config); i++) {
		struct prefix to = nth_wanted(config, i);
		code = primary_keep(s, &to, i < config->n_keep ? "keep" : "remote", why);
	}
	return code;
}

/* With `without`, hops on that interface stay, which only IPv6 can do; 0: the whole route goes. */
static int delete_hops(struct session *s, const struct route *route, unsigned without, struct failure *why)
{
	struct route_edit edit = {.table = route->table, .without = without};
	char text[ADDRESS_TEXT];
	int code = netlink_request(&s->nl, route_copy(route, RTM_DELROUTE, 0, &edit));

	/* It may have gone with its interface in the meantime. */
	if (!code || code == -ESRCH || code == -ENOENT)
		return 0;
	return fail(why, code, NULL, "cannot delete the route %s: %s", prefix_format(&route->to, text), s->nl.text);
}

static int primary_delete_route(struct session *s, const struct route *route, struct failure *why)
{
	return delete_hops(s, route, 0, why);
}

/* `config` NULL: nothing is wanted. */
static int drop_unwanted(struct session *s, const struct primary_config *config, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (is_kept(route) && !(config && primary_is_wanted(config, &route->to)))
			code = primary_delete_route(s, route, why);
	}
	return code;
}

/* The pod's own default routes */

static int primary_park(struct session *s, const struct route *route, struct failure *why)
{
	struct route_edit edit = {.table = PRIMARY_PARKED_TABLE, .without = s->ifindex};
	int code = netlink_request(&s->nl, route_copy(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &edit));

	return code ? fail(why, code, NULL, "cannot move the pod's default route aside: %s", s->nl.text)
		    : delete_hops(s, route, route->family == AF_INET6 ? s->ifindex : 0, why);
}

/* Router advertisements that were already on their way when they were refused may still add some. */
static int park_all(struct session *s, struct failure *why)
{
	for (int turn = 0; turn < PARK_TURNS; turn++) {
		size_t parked = 0;
		int code = 0;
		for (size_t i = 0; !code && i < s->list.n; i++) {
			if (!is_way_around(s, &s->list.routes[i]))
				continue;
			code = primary_park(s, &s->list.routes[i], why);
			parked++;
		}
		if (!code && parked)
			code = session_read(s, why);
		if (code || !parked)
			return code;
	}
	return fail(why, -EBUSY, NULL, "the pod's default routes come back as fast as they are removed");
}

static int restore(struct session *s, const struct route *route, struct failure *why)
{
	struct route_edit edit = {.table = RT_TABLE_MAIN};
	int code = netlink_request(&s->nl, route_copy(route, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &edit));

	if (code && code != -EEXIST)
		return fail(why, code, NULL, "cannot restore the pod's default route: %s", s->nl.text);
	return primary_delete_route(s, route, why);
}

static int restore_all(struct session *s, struct failure *why)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->list.n; i++) {
		if (is_parked(&s->list.routes[i]))
			code = restore(s, &s->list.routes[i], why);
	}
	return code;
}

/* Whether this is a default route of `ifname` in the place of a parked one. */
static bool is_in_the_way(const struct session *s, const struct route *route)
{
	if (!is_own(route) || !is_default(route) || !route_uses(route, s->ifindex))
		return false;
	for (size_t i = 0; i < s->list.n; i++) {
		const struct route *other = &s->list.routes[i];
		if (is_parked(other) && other->family == route->family && other->metric == route->metric)
			return true;
	}
	return false;
}

/* Sockets bound to an interface */

static struct nl_msg *rule_message(int type, int flags, const char *ifname)
{
	struct fib_rule_hdr head = {.family = AF_INET, .action = FR_ACT_TO_TBL};
	struct nl_msg *msg = netlink_message(type, flags, &head, sizeof(head));
	uint32_t priority = RULE_PRIORITY, table = PRIMARY_BOUND_TABLE;

	netlink_put(&msg, FRA_PRIORITY, &priority, sizeof(priority));
	netlink_put(&msg, FRA_TABLE, &table, sizeof(table));
	if (ifname)
		netlink_put(&msg, FRA_OIFNAME, ifname, strlen(ifname) + 1);
	return msg;
}

static int change_bound(struct session *s, int type, uint8_t kind, const struct prefix *to, unsigned ifindex)
{
	int flags = type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_REPLACE : 0;

	/* Each interface's local default route has its own metric. */
	return netlink_request(
		&s->nl, route_stop(type, flags, kind, to, PRIMARY_BOUND_TABLE, ifindex, ifindex, PRIMARY_PROTOCOL));
}

/*
 * Whether bound sockets may go where the main table says. A route over the TAP alone is no way by the primary
 * interface.
 */
static bool is_bound_way(const struct session *s, const struct primary_config *config, const struct route *route)
{
	if (route->family != AF_INET || route->table != RT_TABLE_MAIN || !route->to.length ||
	    !route_uses_other(route, s->ifindex))
		return false;
	return is_own(route) || primary_is_wanted(config, &route->to);
}

static bool has_bound_way(const struct session *s, const struct primary_config *config, const struct prefix *to)
{
	for (size_t i = 0; i < s->list.n; i++) {
		if (prefix_equal(&s->list.routes[i].to, to) && is_bound_way(s, config, &s->list.routes[i]))
			return true;
	}
	return false;
}

static int throw_all(struct session *s, const struct primary_config *config)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (is_bound_way(s, config, route))
			code = change_bound(s, RTM_NEWROUTE, RTN_THROW, &route->to, 0);
	}
	for (size_t i = 0; !code && i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (route->table != PRIMARY_BOUND_TABLE || route->type != RTN_THROW ||
		    has_bound_way(s, config, &route->to))
			continue;
		code = change_bound(s, RTM_DELROUTE, RTN_THROW, &route->to, 0);
	}
	return code;
}

static int stop_bound(struct session *s, const char *ifname, unsigned ifindex)
{
	struct prefix all = {.address.family = AF_INET};
	int code = change_bound(s, RTM_NEWROUTE, RTN_LOCAL, &all, ifindex);

	if (!code)
		code = netlink_request(&s->nl, rule_message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, ifname));
	return code == -EEXIST ? 0 : code;
}

static int stop_all_bound(struct session *s, const struct primary_config *config, struct failure *why)
{
	struct nl_cache *links;
	int code = netlink_code(&s->nl, rtnl_link_alloc_cache(s->nl.sock, AF_UNSPEC, &links));

	if (code)
		return fail(why, code, NULL, "cannot list the interfaces: %s", s->nl.text);
	code = throw_all(s, config);
	for (struct nl_object *o = nl_cache_get_first(links); !code && o; o = nl_cache_get_next(o)) {
		struct rtnl_link *link = (struct rtnl_link *)o;
		unsigned ifindex = (unsigned)rtnl_link_get_ifindex(link);
		if (ifindex != s->ifindex && !(rtnl_link_get_flags(link) & IFF_LOOPBACK))
			code = stop_bound(s, rtnl_link_get_name(link), ifindex);
	}
	nl_cache_free(links);
	return code ? fail(why, code, NULL, "cannot block sockets that are bound to the primary interface: %s",
			   s->nl.text)
		    : 0;
}

/* Rules first: without its local default route the table would block nothing. */
static int free_bound(struct session *s, struct failure *why)
{
	int code = 0;

	for (int i = 0; !code && i < MAX_RULES; i++)
		code = netlink_request(&s->nl, rule_message(RTM_DELRULE, 0, NULL));
	if (code != -ENOENT)
		return fail(why, code ? code : -EBUSY, NULL, "cannot remove the rules of bound sockets: %s",
			    code ? s->nl.text : "more keep appearing");
	code = 0;
	for (size_t i = 0; !code && i < s->list.n; i++) {
		if (s->list.routes[i].table == PRIMARY_BOUND_TABLE)
			code = primary_delete_route(s, &s->list.routes[i], why);
	}
	return code;
}

int primary_take(const char *ifname, const struct primary_config *config, struct failure *why)
{
	struct session s;
	int code = primary_check_config(config, why);

	if (code)
		return code;
	code = session_open(&s, ifname, why);
	if (code)
		return code;
	code = put_unreachable(&s, why);
	if (!code)
		code = refuse_advertisements(why);
	if (!code)
		code = session_read(&s, why);
	if (!code)
		code = keep_all(&s, config, why);
	/* Read again, as bound sockets may use the routes that were just added. */
	if (!code)
		code = session_read(&s, why);
	if (!code)
		code = park_all(&s, why);
	if (!code)
		code = stop_all_bound(&s, config, why);
	if (!code)
		code = drop_unwanted(&s, config, why);
	session_close(&s);
	return code;
}

static int primary_restore_routes(struct session *s, const char *ifname, struct failure *why)
{
	for (size_t i = 0; i < s->list.n; i++) {
		if (is_in_the_way(s, &s->list.routes[i]))
			return fail(why, -EBUSY, "default_via",
				    "default_via: %.16s still has the default route; remove that first", ifname);
	}
	int code = restore_all(s, why);
	if (!code)
		code = free_bound(s, why);
	if (!code)
		code = drop_unwanted(s, NULL, why);
	for (size_t i = 0; !code && i < s->list.n; i++) {
		const struct route *route = &s->list.routes[i];
		if (route->protocol == PRIMARY_PROTOCOL && route->table == RT_TABLE_MAIN &&
		    route->type == RTN_UNREACHABLE)
			code = primary_delete_route(s, route, why);
	}
	return code;
}

int primary_restore(const char *ifname, struct failure *why)
{
	struct session s;
	int code = session_open(&s, ifname, why);

	if (code)
		return code;
	code = session_read(&s, why);
	if (!code)
		code = primary_restore_routes(&s, ifname, why);
	session_close(&s);
	return code;
}
