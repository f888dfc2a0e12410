/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hub.c - what the control thread does for hubs: room for new remotes, and lines about those who are none
 *
 *    worker:  a new remote, and GATEWAY_CROWDED or more are there: vs->crowded = true, wakes the control thread
 *    here:    ranks the remotes, parks the workers, marks the first ones as leaving, releases them together
 *
 * A pass forgets several at a time, and hubs wait a moment between passes: a flood of forged sources must not make the
 * workers wait all the time.
 */
#include "vswitch/hub.h"

#include "tap/base/log.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/remote.h"

#include <inttypes.h>
#include <stdlib.h>

#define ROOMY (GATEWAY_CROWDED - 32) /* remotes that a pass leaves, if so many may be forgotten */
#define ROOMY_ANSWERED (GATEWAY_MAX_LEARNED - 16)
#define FRESH 16        /* of those that were not answered, the newest, which are kept for FRESH_SECONDS */
#define FRESH_SECONDS 2 /* in a clock of whole ones; an answer takes milliseconds, or a second when ARP asks again */
#define SILENT 30       /* seconds; clients of ours ask their gateway every 10 */
#define PASS_PAUSE 10   /* ms between two passes of a hub */
#define CLEAR_PAUSE 100 /* ms between two passes through the table, which are longer */
#define TELL_PAUSE 60   /* seconds between two lines about a hub */

/* A remote that may be forgotten, as it was when the pass began: workers go on meanwhile. */
struct candidate {
	struct remote *remote;
	bool answered;
	uint32_t order; /* `seen` of one that was answered, else `turn`; wraps */
};

/* Who goes first. */
static int compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	if (a->answered != b->answered)
		return a->answered ? 1 : -1;
	int32_t later = (int32_t)(a->order - b->order);
	return later > 0 ? 1 : later < 0 ? -1 : 0;
}

/* The learned remotes, in that order, not those of static entries; how many were never answered in *unanswered. */
static unsigned rank_remotes(const struct gateway *gateway, struct candidate *out, unsigned *unanswered)
{
	unsigned n = 0, total = atomic_load(&gateway->n_remotes);
	*unanswered = 0;
	for (unsigned i = 0; i < total; i++) {
		struct remote *remote = gateway->remotes[i];
		bool answered = atomic_load(&remote->answered);
		if (!remote->learned)
			continue;
		out[n++] = (struct candidate){remote, answered, answered ? atomic_load(&remote->seen) : remote->turn};
		*unanswered += !answered;
	}
	if (n)
		qsort(out, n, sizeof(*out), compare_candidates);
	return n;
}

static void mark_leaving(struct gateway *gateway, struct remote *remote)
{
	remote->leaving = true;
	gateway->hub.last = remote->endpoint.address;
}

/* Marks the remotes that make room for new ones, and returns how many. Workers only append to the list meanwhile. */
static unsigned hub_choose_leaving(struct gateway *gateway, uint32_t now)
{
	struct candidate ranked[GATEWAY_MAX_LEARNED] = {0};
	unsigned unanswered, left = atomic_load(&gateway->n_remotes), before = left;
	unsigned n = rank_remotes(gateway, ranked, &unanswered);
	for (unsigned i = 0; i < unanswered && left > ROOMY; i++) {
		if (i + FRESH >= unanswered && (int32_t)(now - ranked[i].remote->since) < FRESH_SECONDS)
			continue;
		mark_leaving(gateway, ranked[i].remote);
		left--;
	}
	if (left < GATEWAY_MAX_LEARNED)
		return before - left;
	for (unsigned i = unanswered; i < n && left > ROOMY_ANSWERED; i++, left--) {
		if ((int32_t)(now - ranked[i].order) < SILENT)
			break;
		mark_leaving(gateway, ranked[i].remote);
	}
	return before - left;
}

static void hub_evict(struct vswitch *vs, struct gateway *gateway, uint32_t now)
{
	unsigned n = hub_choose_leaving(gateway, now);
	if (!n)
		return;
	workers_park(vs);
	remote_release_leaving(vs, gateway);
	workers_resume(vs);
	gateway->hub.evicted += n;
}

/* Table entries that a pass looks for. */
struct clearing {
	uint16_t gateway;
	uint32_t now;
	bool recent; /* also those that spoke in this second */
};

static bool is_unanswered_mac(void *context, const struct fdb_entry *entry)
{
	const struct clearing *clearing = context;
	return entry->gateway == clearing->gateway && entry->kind == FDB_LEARNED && !entry->answered &&
	       !entry->place.is_port && (clearing->recent || (int32_t)(clearing->now - entry->seen) > 0);
}

/* Entries that nothing was ever sent to make room; those that have just come only when the others are few. */
static void hub_clear(struct vswitch *vs, struct gateway *gateway, uint32_t now)
{
	struct clearing clearing = {.gateway = gateway->id, .now = now};
	size_t n = fdb_purge(vs->fdb, is_unanswered_mac, &clearing);
	gateway->hub.evicted_macs += n;
	clearing.recent = true;
	if (n < vs->options.fdb_gateway_limit / 8)
		gateway->hub.evicted_macs += fdb_purge(vs->fdb, is_unanswered_mac, &clearing);
}

/* Whether the last pass, at *last, is long enough ago for one now, which is then noted. */
static bool hub_may_pass(uint64_t *last, uint64_t now_ms, unsigned pause)
{
	if (now_ms - *last < pause)
		return false;
	*last = now_ms;
	return true;
}

/* Returns whether something has to wait. */
static bool hub_relieve(struct vswitch *vs, struct gateway *gateway, uint32_t now, uint64_t now_ms)
{
	struct hub *hub = &gateway->hub;
	bool crowded = atomic_load(&gateway->n_remotes) >= GATEWAY_CROWDED;
	bool full = fdb_gateway_is_full(vs->fdb, gateway->id);
	bool room = crowded && hub_may_pass(&hub->made_room_at, now_ms, PASS_PAUSE);
	bool clear = full && hub_may_pass(&hub->cleared_at, now_ms, CLEAR_PAUSE);
	if (room)
		hub_evict(vs, gateway, now);
	if (clear)
		hub_clear(vs, gateway, now);
	return crowded != room || full != clear;
}

uint64_t hub_make_room(struct vswitch *vs, uint32_t now, uint64_t now_ms)
{
	uint64_t again = UINT64_MAX;
	if (!atomic_exchange(&vs->crowded, false))
		return again;
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		struct gateway *gateway = gateway_at(vs, i);
		if (!gateway->is_hub || !hub_relieve(vs, gateway, now, now_ms))
			continue;
		atomic_store(&vs->crowded, true);
		again = now_ms + PASS_PAUSE;
	}
	return again;
}

/* Datagrams to the hub that were dropped for this reason. With the pod underlay they are counted at the port. */
static uint64_t hub_dropped(const struct vswitch *vs, const struct gateway *gateway, enum drop reason)
{
	uint64_t dropped = 0;
	for (unsigned w = 0; w < vs->options.workers; w++) {
		dropped += counted(&gateway->counters[w].drops[reason]);
		for (unsigned i = 0; i < gateway->n_ports; i++)
			dropped += counted(&gateway->ports[i]->counters[w].drops[reason]);
	}
	return dropped;
}

static void log_crowd(const struct vswitch *vs, struct gateway *gateway, uint32_t now)
{
	struct hub *hub = &gateway->hub;
	char last[ADDRESS_TEXT];
	uint64_t refused = hub_dropped(vs, gateway, DROP_TOO_MANY_REMOTES);
	if (refused < hub->told_refused)
		hub->told_refused = refused; /* a port that was removed took its counters with it */
	if (hub->evicted == hub->told_evicted && refused == hub->told_refused)
		return;
	if (hub->told_at && now - hub->told_at < TELL_PAUSE)
		return;
	log_line(LOG_WARNING,
		 "gateway %s has too many remotes: %" PRIu64 " forgotten to make room (the last is %s), %" PRIu64
		 " datagrams of others dropped; if these are no clients, name the clients' networks with --allow",
		 gateway->config.name, hub->evicted - hub->told_evicted,
		 hub->evicted ? address_format(&hub->last, last) : "nobody", refused - hub->told_refused);
	hub->told_at = now;
	hub->told_evicted = hub->evicted;
	hub->told_refused = refused;
}

/* Who was barred last, or false when no worker remembers. */
static bool find_barred(const struct vswitch *vs, const struct gateway *gateway, struct stray *out)
{
	struct stray stray;
	out->seen = 0;
	for (unsigned i = 0; i < vs->options.workers * STRAYS; i++)
		if (stray_read(&vs->workers[i / STRAYS].strays, i % STRAYS, &stray) && stray.seen > out->seen &&
		    stray.port == gateway->config.port && stray.vni == gateway->config.vni &&
		    !gateway_allows(&gateway->config, &stray.source))
			*out = stray;
	return out->seen != 0;
}

/* Without this line a client whose network was forgotten in --allow would be hard to tell from one that sends nothing.
 */
static void log_barred(const struct vswitch *vs, struct gateway *gateway, uint32_t now)
{
	struct hub *hub = &gateway->hub;
	struct stray last;
	char text[ADDRESS_TEXT];
	uint64_t barred = hub_dropped(vs, gateway, DROP_UNKNOWN_REMOTE);
	if (barred < hub->told_barred)
		hub->told_barred = barred; /* as above */
	if (barred == hub->told_barred || (hub->told_barred_at && now - hub->told_barred_at < TELL_PAUSE) ||
	    !find_barred(vs, gateway, &last))
		return;
	log_line(LOG_WARNING,
		 "gateway %s: %" PRIu64
		 " datagrams dropped whose senders --allow does not let in, the last %s; if that is a "
		 "client, add its network",
		 gateway->config.name, barred - hub->told_barred, address_format(&last.source, text));
	hub->told_barred = barred;
	hub->told_barred_at = now;
}

static void log_macs(struct gateway *gateway, uint32_t now)
{
	struct hub *hub = &gateway->hub;
	if (hub->evicted_macs == hub->told_macs || (hub->told_macs_at && now - hub->told_macs_at < TELL_PAUSE))
		return;
	log_line(LOG_WARNING,
		 "gateway %s has too many MACs: %" PRIu64
		 " to which nothing was ever sent forgotten to make room; if they "
		 "are no clients', name the clients' networks with --allow",
		 gateway->config.name, hub->evicted_macs - hub->told_macs);
	hub->told_macs = hub->evicted_macs;
	hub->told_macs_at = now;
}

void hub_log(struct vswitch *vs, uint32_t now)
{
	for (unsigned i = 0; i < vs->n_gateways; i++) {
		struct gateway *gateway = gateway_at(vs, i);
		if (!gateway->is_hub)
			continue;
		log_crowd(vs, gateway, now);
		log_barred(vs, gateway, now);
		log_macs(gateway, now);
	}
}
