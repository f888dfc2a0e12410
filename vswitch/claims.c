/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claims.c - addresses of a hub's clients that another remote claims: their owners are asked
 *
 * A worker's ring of claims is a bound on the work: while it is full no claim begins, so a flood of claims delays those
 * who have moved and takes nothing from those who have not. One dump of the neighbours serves all that wait.
 */
#include "vswitch/claims.h"

#include "tap/base/log.h"
#include "tap/link.h"

#include <inttypes.h>

#define ASK_PAUSE 10 /* ms between two rounds of questions */
#define TELL_HELD 60 /* seconds between two lines about a hub */

/* Claims of one worker that are asked about together. */
struct claim_batch {
	struct worker_claim claims[WORKER_CLAIMS];
	unsigned n;
};

static void take_claims(struct worker *worker, struct claim_batch *batch)
{
	unsigned out = atomic_load_explicit(&worker->claims_out, memory_order_relaxed);
	unsigned in = atomic_load_explicit(&worker->claims_in, memory_order_acquire);
	batch->n = 0;
	for (; out != in; out++)
		batch->claims[batch->n++] = worker->claims[out % WORKER_CLAIMS];
	atomic_store_explicit(&worker->claims_out, out, memory_order_release);
}

static void note_last(const struct vswitch *vs, struct gateway *gateway, const struct worker_claim *claim, uint32_t now)
{
	struct fdb_entry entry;
	gateway->hub.claimed = claim->mac;
	gateway->hub.claimant = claim->from;
	gateway->hub.owner = (struct address){0};
	if (fdb_lookup(vs->fdb, gateway->id, claim->mac.bytes, now, &entry) && !entry.place.is_port)
		gateway->hub.owner = vs->remotes[entry.place.index].endpoint.address;
}

static void ask_behind(const struct vswitch *vs, const struct port *port, const struct mac *macs, unsigned n)
{
	struct failure why = {0};
	int error = port->tap >= 0 ? netns_enter(&port->netns, &why) : 0;
	if (port->tap < 0)
		return;
	if (!error) {
		error = link_ask_neighbours(port->config.ifname, macs, n, &why);
		netns_return(&vs->home);
	}
	if (error < 0)
		log_line(LOG_DEBUG, "port %s: owners of claimed addresses are not asked: %s", port->config.name,
			 why.text);
}

/* Those of the batch that are of this gateway. */
static void ask_owners(const struct vswitch *vs, struct gateway *gateway, const struct claim_batch *batch, uint32_t now)
{
	struct mac macs[WORKER_CLAIMS];
	unsigned n = 0;
	for (unsigned i = 0; i < batch->n; i++) {
		if (batch->claims[i].gateway != gateway->id)
			continue;
		macs[n++] = batch->claims[i].mac;
		note_last(vs, gateway, &batch->claims[i], now);
	}
	for (unsigned i = 0; n && i < gateway->n_ports; i++)
		ask_behind(vs, gateway->ports[i], macs, n);
}

static bool has_claims(struct worker *worker)
{
	return atomic_load(&worker->claims_in) != atomic_load(&worker->claims_out);
}

uint64_t claims_ask(struct vswitch *vs, uint32_t now, uint64_t now_ms)
{
	struct claim_batch batch;
	bool early = now_ms - vs->asked_at < ASK_PAUSE, left = false;
	for (unsigned w = 0; w < vs->options.workers; w++) {
		struct worker *worker = &vs->workers[w];
		if (!early && has_claims(worker)) {
			take_claims(worker, &batch);
			vs->asked_at = now_ms;
			for (unsigned i = 0; i < vs->n_gateways; i++)
				ask_owners(vs, gateway_at(vs, i), &batch, now);
		}
		left |= has_claims(worker); /* came meanwhile, or must wait */
	}
	return left ? now_ms + ASK_PAUSE : UINT64_MAX;
}

static uint64_t hub_held(const struct vswitch *vs, const struct gateway *gateway)
{
	uint64_t held = 0;
	for (unsigned w = 0; w < vs->options.workers; w++)
		held += counted(&gateway->counters[w].held_moves);
	return held;
}

static void log_held(const struct vswitch *vs, struct gateway *gateway, uint32_t now)
{
	struct hub *hub = &gateway->hub;
	char mac[MAC_TEXT], owner[ADDRESS_TEXT], claimant[ADDRESS_TEXT];
	uint64_t held = hub_held(vs, gateway);
	if (held == hub->told_held || !hub->claimant.family ||
	    (hub->told_held_at && now - hub->told_held_at < TELL_HELD))
		return;
	log_line(LOG_INFO,
		 "gateway %s: %" PRIu64
		 " frames came from elsewhere than their MACs; the last that was claimed is %s, at "
		 "%s, by %s: it moves when it does not answer at its old place",
		 gateway->config.name, held - hub->told_held, mac_format(&hub->claimed, mac),
		 hub->owner.family ? address_format(&hub->owner, owner) : "a port here",
		 address_format(&hub->claimant, claimant));
	hub->told_held = held;
	hub->told_held_at = now;
}

void claims_log(struct vswitch *vs, uint32_t now)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		struct gateway *gateway = gateway_at(vs, i);
		if (gateway->is_hub)
			log_held(vs, gateway, now);
	}
}
