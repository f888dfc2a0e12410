/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.c - a gateway's remotes
 *
 * A slot is free while its to_length is 0. Workers of a hub claim slots too, one worker at a time (vs->learning), while
 * others read the gateway's list: a remote is complete before the release store of n_remotes shows it. Only the control
 * thread releases slots, so that an FDB entry never names a slot that has become another remote's.
 */
#include "vswitch/path/remote.h"

#include "tap/base/clock.h"
#include "vswitch/path/egress.h"

struct remote *remote_claim(struct vswitch *vs, struct gateway *gateway, const struct endpoint *endpoint, bool learned)
{
	unsigned n = atomic_load_explicit(&gateway->n_remotes, memory_order_relaxed);
	if (n >= (gateway->is_hub ? GATEWAY_MAX_LEARNED : GATEWAY_MAX_REMOTES))
		return NULL;
	for (unsigned tries = 0; tries < MAX_REMOTES; tries++) {
		struct remote *remote = &vs->remotes[vs->next_remote];
		uint16_t id = vs->next_remote++;
		if (remote->to_length)
			continue;
		remote->id = id;
		remote->endpoint = *endpoint;
		if (!remote->endpoint.port)
			remote->endpoint.port = gateway->config.port;
		remote->to_length = endpoint_to_sockaddr(&remote->endpoint, &remote->to);
		remote->gateway = gateway->id;
		remote->local_hub = 0;
		remote->learned = learned;
		remote->leaving = false;
		atomic_store_explicit(&remote->answered, false, memory_order_relaxed);
		remote->turn = vs->next_turn++;
		remote->since = clock_seconds();
		egress_reset(&remote->egress);
		ban_lift(&remote->train_ban);
		atomic_store_explicit(&remote->seen, remote->since, memory_order_relaxed);
		gateway->remotes[n] = remote;
		atomic_store_explicit(&gateway->n_remotes, n + 1, memory_order_release);
		return remote;
	}
	return NULL;
}

static bool is_behind_leaving(void *context, const struct fdb_entry *entry)
{
	const struct vswitch *vs = context;
	return !entry->place.is_port && vs->remotes[entry->place.index].leaving;
}

/* One walk through the table for all of them: it is long, and the workers wait. */
void remote_release_leaving(struct vswitch *vs, struct gateway *gateway)
{
	fdb_purge(vs->fdb, is_behind_leaving, vs);
	for (unsigned n = atomic_load(&gateway->n_remotes), i = n; i-- > 0;) {
		struct remote *remote = gateway->remotes[i];
		if (!remote->leaving)
			continue;
		gateway->remotes[i] = gateway->remotes[--n];
		atomic_store(&gateway->n_remotes, n);
		remote->to_length = 0;
		remote->leaving = false;
	}
}

void remote_release(struct vswitch *vs, struct remote *remote)
{
	remote->leaving = true;
	remote_release_leaving(vs, vs->gateways[remote->gateway]);
}
