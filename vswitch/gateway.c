/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.c - the object of a gateway, and the MTU that its paths leave */
#include "vswitch/gateway.h"

#include "tap/base/wire.h"
#include "vswitch/silence.h"
#include "vswitch/switch.h"

#include <stdlib.h>
#include <string.h>

#define LOOPBACK_MTU 16384 /* larger than any wire has: such a path stays on the node */
#define LEAST_MTU 576

struct gateway *gateway_find(const struct vswitch *vs, const char *name)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		struct gateway *gateway = gateway_at(vs, i);
		if (!strcmp(gateway->config.name, name))
			return gateway;
	}
	return NULL;
}

const struct gateway_config *switch_gateway_config(const struct vswitch *vs, const char *name)
{
	const struct gateway *gateway = gateway_find(vs, name);
	return gateway ? &gateway->config : NULL;
}

unsigned gateway_mtu(const struct gateway *gateway, const struct underlay *underlay)
{
	unsigned n = atomic_load(&gateway->n_remotes), least = 0;
	if (gateway->config.mtu)
		return gateway->config.mtu;
	for (unsigned i = 0; i < n && !gateway->is_hub; i++) {
		const struct remote *remote = gateway->remotes[i];
		int path = underlay ? underlay_path_mtu(underlay, &remote->to) : -EINVAL;
		if (path <= 0 || path > LOOPBACK_MTU)
			path = 1500;
		int overhead = remote->to.ss_family == AF_INET6 ? TUNNEL_OVERHEAD_IP6 : TUNNEL_OVERHEAD_IP4;
		unsigned mtu = path > overhead + LEAST_MTU ? (unsigned)(path - overhead) : LEAST_MTU;
		if (!least || mtu < least)
			least = mtu;
	}
	return least ? least : 1500 - TUNNEL_OVERHEAD_IP4;
}

void gateway_free(struct gateway *gateway)
{
	if (!gateway)
		return;
	silence_close(gateway);
	free(gateway->remotes);
	free(gateway->ports);
	free(gateway->peers);
	free(gateway->counters);
	free(gateway);
}

struct gateway *gateway_new(const struct vswitch *vs)
{
	uint16_t id = 1;
	while (id < MAX_GATEWAYS && vs->gateways[id])
		id++;
	struct gateway *gateway = id < MAX_GATEWAYS ? calloc(1, sizeof(*gateway)) : NULL;
	if (!gateway)
		return NULL;
	gateway->id = id;
	gateway->silence.inquiry = -1;
	gateway->remotes = calloc(GATEWAY_MAX_LEARNED, sizeof(struct remote *));
	gateway->counters = calloc(vs->options.workers, sizeof(*gateway->counters));
	if (!gateway->remotes || !gateway->counters) {
		gateway_free(gateway);
		return NULL;
	}
	return gateway;
}
