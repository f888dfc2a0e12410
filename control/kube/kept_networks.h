/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept_networks.h - the networks that stay on pods' first interface
 *
 * Computed from what is known of the cluster, without state of its own. One thread, that of the cluster.
 */
#ifndef PODSWITCH_KEPT_NETWORKS_H
#define PODSWITCH_KEPT_NETWORKS_H

#include "control/kube/cluster.h"
#include "control/kube/network_set.h"

#define KEPT_NETWORKS_MAX 224       /* with a gateway's not-routed networks they fit into podswitchd's list */
#define KEPT_NETWORKS_CONFIGURED 24 /* of these may be configured */

struct kept_networks_config {
	const char *node;          /* the node's own name */
	const struct prefix *keep; /* configured; what is beyond KEPT_NETWORKS_CONFIGURED is left out */
	size_t n_keep;
	bool metadata;                  /* clouds' metadata and credentials addresses stay, too */
	const struct network_set *seen; /* addresses of pods on other nodes, as their kubelets reported them; or NULL */
};

struct kept_networks {
	struct prefix list[KEPT_NETWORKS_MAX];
	size_t n;
	size_t n_named;        /* the first of them; the others are around pods that are in no network that is named */
	size_t left_out;       /* networks and addresses that should stay and are not in the list */
	struct prefix example; /* one of them */
	const char *what;      /* it is, for people: "node addresses" */
};

/*
 * Finds them anew. `before` is what was found last (or zeroes, and may be `out`): where not all fit, what was in it has
 * precedence, so that nothing is lost to a newcomer. 0, or -ENOMEM: *out is as it was.
 */
int kept_networks_find(const struct cluster *cluster, const struct kept_networks_config *config,
		       const struct kept_networks *before, struct kept_networks *out);

/* Whether all that `inner` has stays by `outer`, too. */
bool kept_networks_hold(const struct kept_networks *outer, const struct kept_networks *inner);

/* The first of the list that has an address in common with `network`; NULL: none has. */
const struct prefix *kept_networks_overlap(const struct kept_networks *kept, const struct prefix *network);

/* The one that has `address`, named or not; NULL: none has. */
const struct prefix *kept_networks_of(const struct kept_networks *kept, const struct address *address, bool named);

/* Calls `visit` for each of the pod's own addresses (status.podIPs, or podIP); not for pods in the host's network. */
void pod_addresses_each(const json_t *pod, void (*visit)(void *context, const struct prefix *address), void *context);

#endif
