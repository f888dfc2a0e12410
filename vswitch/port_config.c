/* SPDX-License-Identifier: Apache-2.0 */
/* port_config.c - a port as it was asked for: is it valid, and is it the same as before? */
#include "vswitch/port_config.h"

#include "tap/base/log.h"
#include "vswitch/housekeeping.h"
#include "vswitch/overlap.h"

#include <stdio.h>
#include <string.h>

static bool same_link(const struct link_config *a, const struct link_config *b)
{
	bool same = mac_equal(&a->mac, &b->mac) && a->mtu == b->mtu && a->n_routes == b->n_routes &&
		    address_equal(&a->default_via, &b->default_via) &&
		    prefix_lists_equal(a->addresses, a->n_addresses, b->addresses, b->n_addresses);
	for (size_t i = 0; same && i < a->n_routes; i++)
		same = link_route_equal(&a->routes[i], &b->routes[i]);
	return same;
}

/* As it was asked for: zero where MAC or MTU are derived. */
static struct link_config port_wanted_link(const struct port_config *config)
{
	struct link_config wanted = config->link;
	if (!config->has_mac)
		wanted.mac = (struct mac){0};
	if (!config->has_mtu)
		wanted.mtu = 0;
	return wanted;
}

unsigned port_probe_interval(const struct port_config *config)
{
	return config->probe_interval ? config->probe_interval : config->probe * 1000;
}

static bool same_probes(const struct port_config *a, const struct port_config *b)
{
	return a->probe == b->probe && a->probe_interval == b->probe_interval &&
	       path_target_equal(&a->probe_target, &b->probe_target);
}

static bool same_conduct(const struct port_config *a, const struct port_config *b)
{
	return a->dhcp == b->dhcp && same_probes(a, b) && a->exclusive == b->exclusive && a->inbound == b->inbound &&
	       a->gateway_names == b->gateway_names && a->own_addresses == b->own_addresses &&
	       prefix_equal(&a->network, &b->network) && address_equal(&a->expect_router, &b->expect_router) &&
	       !strcmp(a->hostname, b->hostname) && prefix_lists_equal(a->keep, a->n_keep, b->keep, b->n_keep);
}

bool port_is_same(const struct port *port, const struct port_config *config)
{
	struct link_config was = port_wanted_link(&port->config), wanted = port_wanted_link(config);
	return !strcmp(port->config.gateway, config->gateway) && !strcmp(port->config.netns, config->netns) &&
	       !strcmp(port->config.ifname, config->ifname) && same_link(&was, &wanted) &&
	       same_conduct(&port->config, config);
}

static int check_overlaps(const struct port_config *config, struct failure *why)
{
	char text[ADDRESS_TEXT], what[ADDRESS_TEXT + 16];
	int error = 0;
	for (size_t i = 0; !error && i < config->link.n_addresses; i++) {
		const struct prefix *address = &config->link.addresses[i];
		snprintf(what, sizeof(what), "address: %s", prefix_format(address, text));
		error = overlap_check(config, address, what, "address", why);
	}
	for (size_t i = 0; !error && i < config->link.n_routes; i++) {
		struct failure named = {0};
		const struct prefix *to = &config->link.routes[i].to;
		snprintf(what, sizeof(what), "the route %s", prefix_format(to, text));
		if (to->length && overlap_check(config, to, what, NULL, &named))
			log_line(LOG_WARNING, "port %s: %s; the longer prefix wins", config->name, named.text);
	}
	return error;
}

int port_check_config(const struct port_config *config, struct failure *why)
{
	if (switch_check_name(config->name, why))
		return -EINVAL;
	if (!config->netns[0])
		return fail(why, -EINVAL, "netns",
			    "give the network namespace of the pod: a name, a path or a process id");
	if (config->has_mac && !mac_is_unicast(&config->link.mac))
		return fail(why, -EINVAL, "mac", "is a group address or zero; a port needs a unicast MAC");
	unsigned interval = port_probe_interval(config);
	if (interval && !config->dhcp && config->link.default_via.family != AF_INET)
		return fail(why, -EINVAL, config->probe_interval ? "probe_interval" : "probe",
			    "there is no router to probe; give default_via (IPv4) or dhcp");
	if (!interval && config->probe_target.kind != PATH_NONE)
		return fail(why, -EINVAL, "probe_target",
			    "says what to ask, and not how often; give probe or "
			    "probe_interval too");
	if (config->n_keep && !config->exclusive)
		return fail(why, -EINVAL, "keep", "is only for an exclusive port; give exclusive too");
	if (config->gateway_names && !config->exclusive)
		return fail(why, -EINVAL, "dns", "gateway is only for an exclusive port; give exclusive too");
	if (config->inbound && !config->exclusive)
		return fail(why, -EINVAL, "inbound", "is only for an exclusive port; give exclusive too");
	if (config->expect_router.family && (!config->dhcp || config->expect_router.family != AF_INET))
		return fail(why, -EINVAL, "expect_router", "is an IPv4 address, for a port with dhcp; give dhcp too");
	return check_overlaps(config, why);
}
