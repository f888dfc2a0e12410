/* SPDX-License-Identifier: Apache-2.0 */
/* overruns.c - frames and datagrams that the kernel dropped before a worker could read them */
#include "vswitch/overruns.h"

#include "tap/link.h"
#include "vswitch/switch.h"

#include <string.h>

/* What the TAP has lost since the last call. A pod may put another interface in its place, with a counter of its own.
 */
static uint64_t tap_overruns(struct port *port)
{
	uint64_t now = 0, before = port->tap_dropped;
	if (link_tx_dropped(port->config.ifname, &now, NULL))
		return 0;
	port->tap_dropped = now;
	return now > before ? now - before : 0;
}

void overruns_begin(struct port *port)
{
	port->tap_dropped = 0;
	(void)tap_overruns(port);
}

void overruns_count_port(struct vswitch *vs, struct port *port)
{
	struct failure ignored = {0};
	if (port->tap >= 0 && !netns_enter(&port->netns, &ignored)) {
		uint64_t frames = tap_overruns(port);
		netns_return(&vs->home);
		port->tap_overruns += frames;
		vs->tap_overruns += frames;
	}
	if (port->underlay) {
		uint64_t datagrams = underlay_overruns(port->underlay);
		port->socket_overruns += datagrams;
		vs->socket_overruns += datagrams;
	}
}

void overruns_count_host(struct vswitch *vs, struct underlay *host)
{
	vs->socket_overruns += underlay_overruns(host);
}

void switch_count_overruns(struct vswitch *vs, const char *name)
{
	for (struct port *port = vs->first_port; port; port = port->next)
		if (!name || !strcmp(port->config.name, name))
			overruns_count_port(vs, port);
	for (int i = 0; !name && i < MAX_HOSTS; i++)
		if (vs->hosts[i].underlay)
			overruns_count_host(vs, vs->hosts[i].underlay);
}

void switch_count_some_overruns(struct vswitch *vs, unsigned n)
{
	for (unsigned tries = 0; n && tries < MAX_PORTS; tries++, vs->next_counted++) {
		struct port *port = vs->ports[vs->next_counted % MAX_PORTS];
		if (!port)
			continue;
		overruns_count_port(vs, port);
		n--;
	}
	for (int i = 0; i < MAX_HOSTS; i++)
		if (vs->hosts[i].underlay)
			overruns_count_host(vs, vs->hosts[i].underlay);
}
