/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wiring.c - which gateways of this node reach each other without the network, and whose datagrams are whose
 *
 * Three things depend on all gateways together, so they are worked out again after each change:
 *
 *    demux             (UDP port, source, VNI) -> gateway, for what the host underlay receives
 *    remote->local_hub a remote that is a hub of this node: frames are handed over, without a datagram
 *    hub->peers        the reverse: gateways of this node that have the hub as a remote, for its broadcasts
 *
 * The demux is built, and addresses are looked up with rtnetlink, while the workers still run. They are parked only to
 * put the results in place.
 *
 * Control thread.
 */
#include "vswitch/wiring.h"

#include "tap/link.h"
#include "vswitch/path/parking.h"

#include <stdlib.h>

/* Whether a hub has this address: on the node or, with the pod underlay, in the pod of one of its ports. */
static bool hub_has_address(const struct gateway *hub, const struct address *address)
{
	if (!hub->pod_underlay)
		return link_has_address(address, NULL) > 0;
	for (unsigned i = 0; i < hub->n_ports; i++)
		for (unsigned a = 0; a < hub->ports[i]->n_vteps; a++)
			if (address_equal(&hub->ports[i]->vteps[a], address))
				return true;
	return false;
}

/* Hubs that clients on this node may reach without the network. Usually there are none or few, and many clients. */
struct local_hubs {
	const struct gateway *list[MAX_GATEWAYS];
	unsigned n;
};

/* A hub that allows only some sources is reached by the network, where the source of a datagram shows. */
static void find_local_hubs(const struct vswitch *vs, struct local_hubs *out)
{
	out->n = 0;
	for (unsigned i = 0; i < vs->n_gateways; i++)
		if (gateway_at(vs, i)->is_hub && !gateway_at(vs, i)->config.n_allow)
			out->list[out->n++] = gateway_at(vs, i);
}

/* The one that a remote of `client` stands for, or 0. */
static uint16_t choose_local_hub(const struct local_hubs *hubs, const struct gateway *client,
				 const struct remote *remote)
{
	for (unsigned i = 0; i < hubs->n; i++) {
		const struct gateway *hub = hubs->list[i];
		if (hub->config.vni == client->config.vni && hub->config.port == remote->endpoint.port &&
		    hub_has_address(hub, &remote->endpoint.address))
			return hub->id;
	}
	return 0;
}

static int build_demux(const struct vswitch *vs, struct demux **out)
{
	size_t entries = vs->n_gateways;
	for (unsigned i = 0; i < vs->n_gateways; i++)
		entries += gateway_at(vs, i)->config.n_remotes;
	struct demux *demux = demux_new(entries, vs->secret, sizeof(vs->secret));
	if (!demux)
		return -ENOMEM;
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *gateway = gateway_at(vs, i);
		const struct gateway_config *config = &gateway->config;
		if (gateway->pod_underlay)
			continue;
		/* Two gateways never share an entry: such were refused, or given the pod underlay. */
		if (gateway->is_hub)
			(void)demux_add(demux, config->port, NULL, config->vni, gateway->id, 0, NULL);
		unsigned n = gateway->is_hub ? 0 : atomic_load(&gateway->n_remotes);
		for (unsigned r = 0; r < n; r++)
			(void)demux_add(demux, config->port, &gateway->remotes[r]->endpoint.address, config->vni,
					gateway->id, gateway->remotes[r]->id, NULL);
	}
	*out = demux;
	return 0;
}

/* Notes at the hub that `client` has it as a remote. Workers parked. */
static void note_peer(struct vswitch *vs, const struct gateway *client, uint16_t hub_id)
{
	struct gateway *hub = vs->gateways[hub_id];
	for (unsigned i = 0; i < hub->n_peers; i++)
		if (hub->peers[i] == client->id)
			return;
	uint16_t *peers = realloc(hub->peers, (hub->n_peers + 1) * sizeof(*peers));
	if (!peers)
		return; /* until the next change its broadcasts do not reach this client */
	hub->peers = peers;
	hub->peers[hub->n_peers++] = client->id;
}

int switch_rewire(struct vswitch *vs, struct failure *why)
{
	struct demux *fresh, *old = vs->demux;
	if (build_demux(vs, &fresh))
		return fail(why, -ENOMEM, NULL, "out of memory");
	/*
	 * Looking up addresses takes a while, so it comes before the workers are parked. Indexed by the id of the
	 * remote.
	 */
	uint16_t *local = calloc(MAX_REMOTES, sizeof(*local));
	struct local_hubs *hubs = malloc(sizeof(*hubs));
	if (!local || !hubs) {
		demux_free(fresh);
		free(local);
		free(hubs);
		return fail(why, -ENOMEM, NULL, "out of memory");
	}
	find_local_hubs(vs, hubs);
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *client = gateway_at(vs, i);
		for (unsigned r = 0; !client->is_hub && r < atomic_load(&client->n_remotes); r++)
			local[client->remotes[r]->id] = choose_local_hub(hubs, client, client->remotes[r]);
	}
	workers_park(vs);
	vs->demux = fresh;
	for (unsigned i = 0; i < vs->n_gateways; i++)
		gateway_at(vs, i)->n_peers = 0;
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		const struct gateway *client = gateway_at(vs, i);
		for (unsigned r = 0; !client->is_hub && r < atomic_load(&client->n_remotes); r++) {
			client->remotes[r]->local_hub = local[client->remotes[r]->id];
			if (client->remotes[r]->local_hub)
				note_peer(vs, client, client->remotes[r]->local_hub);
		}
	}
	workers_resume(vs);
	free(local);
	free(hubs);
	demux_free(old);
	return 0;
}
