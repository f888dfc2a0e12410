/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.h - each pod of this node at the gateway that it was given: what is wanted meets what podswitchd has
 *
 * Level-triggered: whatever woke it, a look at a tenant compares what the cluster says now with what is in force, and
 * does the difference. The CNI plugin's questions, changes in the cluster, podswitchd's news and time all lead to the
 * same look. When something is not known (the API server or podswitchd is away), what is in force stays.
 *
 * One thread, the agent's.
 */
#ifndef PODSWITCH_KUBE_ATTACH_H
#define PODSWITCH_KUBE_ATTACH_H

#include "control/kube/choose.h"
#include "control/kube/cluster.h"
#include "control/kube/daemon.h"
#include "control/kube/histogram.h"

struct attach;

/* All borrowed, for as long as the attach lives. */
struct attach_config {
	struct kube *kube;
	struct cluster *cluster;
	struct daemon *daemon;
	const char *node;
	const struct choose_policy *policy;
	const struct prefix *keep; /* networks that stay on pods' first interface besides the cluster's own */
	size_t n_keep;
	unsigned probe;     /* seconds */
	bool running;       /* whether pods that run already are attached without the CNI plugin */
	const char *socket; /* podswitchd's; the plugin's tombstones are beside it */
	const char *memory; /* directory, for memory.h */
};

int attach_open(const struct attach_config *config, struct attach **out, struct failure *why);
void attach_close(struct attach *attach);

/* Something in the cluster changed: everything is to be looked at in the next turn. */
void attach_wake(struct attach *attach);

/* Takes podswitchd's news, and looks at what needs it. After each sleep; `now` in ms of CLOCK_MONOTONIC. */
void attach_turn(struct attach *attach, uint64_t now);

/* Whether a change waits for a turn that comes soon, of itself: the caller is not to sleep long. */
bool attach_waits(const struct attach *attach);

/*
 * The methods attachment.add, remove, check and gc of the agent's socket, and agent.status; the context is a struct
 * attach. The plugin's side of them is in control/cni/.
 */
int attach_call(void *context, struct rpc_client *client, const char *method, json_t *params, json_t **result,
		struct failure *why);

struct attach_counters {
	unsigned tenants, ready, pending, refused;
	uint64_t lost;                   /* times a gateway stopped answering a pod */
	const struct histogram *seconds; /* from the first question to the gateway's answer, of the CNI plugin's pods */
};
void attach_count(const struct attach *attach, struct attach_counters *out);

/* Whether podswitchd and the cluster are known well enough for new pods; else `reason` says what is missing. */
bool attach_ready(const struct attach *attach, const char **reason);

#endif
