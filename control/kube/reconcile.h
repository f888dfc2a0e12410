/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile.h - each pod of this node at the gateway that it was given: what is wanted meets what podswitchd has
 *
 * Level-triggered: whatever woke it, a look at a tenant compares what the cluster says now with what is in force, and
 * does the difference. The CNI plugin's questions, changes in the cluster, podswitchd's news and time all lead to the
 * same look. When something is not known (the API server or podswitchd is away), what is in force stays.
 *
 * One thread, the agent's.
 */
#ifndef PODSWITCH_RECONCILE_H
#define PODSWITCH_RECONCILE_H

#include "control/kube/choose.h"
#include "control/kube/cluster.h"
#include "control/kube/histogram.h"
#include "control/kube/podswitchd.h"

struct reconciler;

/* All borrowed, for as long as the attach lives. */
struct reconciler_config {
	struct kube *kube;
	struct cluster *cluster;
	struct podswitchd *podswitchd;
	const char *node;
	const struct choose_policy *policy;
	const struct prefix *keep; /* networks that stay on pods' first interface besides the cluster's own */
	size_t n_keep;
	unsigned probe;     /* seconds */
	bool running;       /* whether pods that run already are attached without the CNI plugin */
	const char *socket; /* podswitchd's; the plugin's tombstones are beside it */
	const char *memory; /* directory, for memory.h */
};

int reconciler_open(const struct reconciler_config *config, struct reconciler **out, struct failure *why);
void reconciler_close(struct reconciler *reconciler);

/* Something in the cluster changed: everything is to be looked at in the next turn. */
void reconciler_wake(struct reconciler *reconciler);

/* Takes podswitchd's news, and looks at what needs it. After each sleep; `now` in ms of CLOCK_MONOTONIC. */
void reconciler_turn(struct reconciler *reconciler, uint64_t now);

/* Whether a change waits for a turn that comes soon, of itself: the caller is not to sleep long. */
bool reconciler_waits(const struct reconciler *reconciler);

/*
 * The methods attachment.add, remove, check and gc of the agent's socket, and agent.status; the context is a struct
 * attach. The plugin's side of them is in control/cni/.
 */
int agent_methods_call(void *context, struct rpc_client *client, const char *method, json_t *params, json_t **result,
		       struct failure *why);

struct reconciler_counters {
	unsigned attachments, ready, pending, refused;
	uint64_t lost;                   /* times a gateway stopped answering a pod */
	const struct histogram *seconds; /* from the first question to the gateway's answer, of the CNI plugin's pods */
};
void reconciler_count(const struct reconciler *reconciler, struct reconciler_counters *out);

/* Whether podswitchd and the cluster are known well enough for new pods; else `reason` says what is missing. */
bool reconciler_ready(const struct reconciler *reconciler, const char **reason);

#endif
