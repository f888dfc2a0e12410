/* SPDX-License-Identifier: Apache-2.0 */
/*
 * way_out.c - an exclusive port as its pod's only way out: closing the others, and looking that they stay closed
 *
 * Somebody in the pod may delete a rule, flush a table, or set the TAP down, and everything but his traffic says that
 * all is well. So what the pod has is compared with what it should have, and put right:
 *
 *    after 1, 2, 4, 8, 16, 32 s      interfaces that come after the port, such as Multus's, get their networks soon
 *    from then on every minute
 *
 * A check that finds nothing to do costs a few netlink dumps. One that fails is tried again the next time.
 */
#include "vswitch/way_out.h"

#include "tap/base/clock.h"
#include "tap/base/log.h"
#include "tap/link.h"
#include "tap/primary.h"

#include <stdio.h>
#include <string.h>

#define FIRST_CHECK 1000 /* ms */
#define LAST_CHECK 60000

static struct primary_config primary_config_of(const struct port *port, const struct port_config *config,
					       const struct gateway *gateway)
{
	struct primary_config kept = {
		.n_keep = config->n_keep, .inbound = config->inbound, .names = config->gateway_names};
	const struct link_config live = link_config_unpack(port->live);
	if (live.default_via.family == AF_INET)
		kept.resolver = live.default_via;
	if (gateway && config->own_addresses)
		kept.tunnel = gateway->config.n_remotes && gateway->config.remotes[0].port
				      ? gateway->config.remotes[0].port
				      : gateway->config.port;
	prefix_list_copy(kept.primary_keep, config->keep, config->n_keep);
	for (size_t i = 0; gateway && i < gateway->config.n_remotes; i++)
		kept.remotes[kept.n_remotes++] = gateway->config.remotes[i].address;
	return kept;
}

static void tell_unfiltered(struct vswitch *vs, const struct primary_state *state)
{
	if (state->unfiltered[0] && !vs->told_unfiltered)
		log_line(LOG_WARNING,
			 "multicast and broadcast of pods' sockets that are bound to their first "
			 "interface are not stopped: %s",
			 state->unfiltered);
	vs->told_unfiltered = vs->told_unfiltered || state->unfiltered[0];
}

int way_out_take(struct vswitch *vs, struct port *port, const struct port_config *config, const struct gateway *gateway,
		 struct failure *why)
{
	struct primary_config kept = primary_config_of(port, config, gateway);
	int error = primary_take(config->ifname, &kept, &port->primary, why);
	if (!error)
		tell_unfiltered(vs, &port->primary);
	return error;
}

void way_out_watch(struct port *port, uint64_t now)
{
	port->check_pause = FIRST_CHECK;
	port->check_at = now + FIRST_CHECK;
}

/* In the pod's namespace. How many things were not as they should be, or a negative errno. */
static int repair(struct vswitch *vs, struct port *port, struct failure *why)
{
	const struct link_config live = link_config_unpack(port->live);
	int error = way_out_take(vs, port, &port->config, port->gateway, why);
	int lacked = error ? error : link_repair(port->config.ifname, &live, why);
	return lacked < 0 ? lacked : lacked + (int)port->primary.changes;
}

static void note_check(struct port *port, int found, const struct failure *why, uint64_t now)
{
	const char *name = port->config.name;
	if (found < 0 && strcmp(port->disorder, why->text) != 0)
		log_line(LOG_WARNING, "port %s: the pod's ways out cannot be put right: %s", name, why->text);
	snprintf(port->disorder, sizeof(port->disorder), "%.150s", found < 0 ? why->text : "");
	if (found <= 0)
		return;
	port->repairs++;
	port->repaired_at = now;
	log_line(LOG_WARNING, "port %s: somebody has changed the pod's rules, routes or addresses (%d); repaired", name,
		 found);
}

uint64_t way_out_turn(struct vswitch *vs, struct port *port, uint64_t now)
{
	struct failure why = {0};
	if (!port->config.exclusive || port->tap < 0)
		return UINT64_MAX;
	if (port->check_at > now)
		return port->check_at;
	int found = netns_enter(&port->netns, &why);
	if (!found) {
		found = repair(vs, port, &why);
		netns_return(&vs->home);
	}
	note_check(port, found, &why, now);
	port->checked_at = now;
	port->check_pause = port->check_pause < LAST_CHECK / 2 ? 2 * port->check_pause : LAST_CHECK;
	port->check_at = now + port->check_pause;
	return port->check_at;
}

void way_out_report(const struct port *port, struct port_way_out *out)
{
	uint64_t now = clock_ms();
	*out = (struct port_way_out){
		.exclusive = port->config.exclusive,
		.state = port->disorder[0]        ? "broken"
			 : port->primary.preceded ? "preceded"
						  : "closed",
		.checked = port->checked_at ? (unsigned)((now - port->checked_at) / 1000) : 0,
		.repairs = port->repairs,
		.repaired = port->repaired_at ? (unsigned)((now - port->repaired_at) / 1000) : 0,
		.trouble = port->disorder,
		.unfiltered = port->primary.unfiltered,
	};
	if (!port->disorder[0] && port->primary.preceded)
		out->trouble = "a rule of the pod's own with preference 0 comes before podswitch's";
}
