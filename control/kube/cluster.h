/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h - what a node's agent, or the webhook, knows of the cluster: pods of the node, namespaces, Services,
 * endpoints, nodes
 *
 * Filled by watches (watch.h), so it keeps its last state while the API server is away, and nothing leaves it before
 * the server has said so. Only what decisions need is kept of each object. One thread.
 *
 * JSON values that are handed out are borrowed, and valid until the next kube_turn.
 */
#ifndef PODSWITCH_CLUSTER_H
#define PODSWITCH_CLUSTER_H

#include "control/kube/watch.h"
#include "tap/base/address.h"

#define CLUSTER_MAX_ENDPOINTS 64 /* of one Service that are looked at */

struct cluster;

struct cluster_config {
	const char
		*node; /* whose pods are followed; NULL: nothing but namespaces and Services is, which choose() needs */
	const char *daemonset; /* "NAMESPACE/NAME" of our own, to notice an uninstallation; NULL: not followed */
	void (*changed)(void *context); /* something is new; called within kube_turn, often */
	void *context;
};

/* Starts the watches. 0, or a negative errno. `kube` is borrowed and must outlive the cluster. */
int cluster_open(struct kube *kube, const struct cluster_config *config, struct cluster **out, struct failure *why);
void cluster_close(struct cluster *cluster);

/* Whether every kind of object has been listed once: before that nothing may be concluded from what is missing. */
bool cluster_synced(const struct cluster *cluster);

/*
 * Whether a pod that was just heard of may be judged by what its namespace says: not while changes of pods are being
 * heard and those of namespaces are not, as the pod may be younger than its namespace's annotation.
 */
bool cluster_hears_namespaces(const struct cluster *cluster);

/* What is not synced yet, for people; "" when all is. */
const char *cluster_missing(const struct cluster *cluster);

/* A pod of this node, a namespace, a Service; NULL when there is none. */
const json_t *cluster_pod(const struct cluster *cluster, const char *namespace, const char *name);
const json_t *cluster_namespace(const struct cluster *cluster, const char *name);
const json_t *cluster_service(const struct cluster *cluster, const char *namespace, const char *name);

/* All pods of this node: "NAMESPACE/NAME" -> pod. */
const json_t *cluster_pods(const struct cluster *cluster);

/* A ready endpoint of a Service. */
struct cluster_endpoint {
	struct address address;
	uint16_t port; /* its UDP port, host order; 0: the Service has none */
};

/* The ready endpoints, in no particular order; how many. */
size_t cluster_endpoints(const struct cluster *cluster, const char *namespace, const char *service,
			 struct cluster_endpoint out[static CLUSTER_MAX_ENDPOINTS]);

/*
 * The networks that are the cluster's own, at most `max`: pods' and Services' ranges and nodes' addresses. The range
 * of pods is the smallest network that covers the nodes' podCIDRs; that of Services is asked for where the API has it
 * (Linux distributions with 1.33 and later), else it is the smallest that starts where the Service `kubernetes` does
 * and covers all, at least a /16 (IPv6: /112).
 */
size_t cluster_networks(const struct cluster *cluster, struct prefix *out, size_t max);

/* Whether our own DaemonSet has been deleted, other than with its pods left alone (--cascade=orphan). */
bool cluster_uninstalled(const struct cluster *cluster);

/* For metrics: calls `visit` for each watch. */
void cluster_count(const struct cluster *cluster,
		   void (*visit)(void *context, const char *what, const struct watch_counters *counters, bool live),
		   void *context);

#endif
