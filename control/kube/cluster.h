/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h - what a node's agent, or the webhook, knows of the cluster: the node's pods, namespaces, Services,
 * endpoints, nodes
 *
 * Watches (watch.h) keep it current, so it has the last known state while the API server is away. Of each object only
 * what decisions need is kept. One thread.
 *
 * JSON values that are handed out are borrowed, and valid until the next kube_turn().
 */
#ifndef PODSWITCH_CLUSTER_H
#define PODSWITCH_CLUSTER_H

#include "control/kube/watch.h"
#include "tap/base/address.h"

#define CLUSTER_MAX_ENDPOINTS 64 /* of one Service; further ones are ignored */

#define CLUSTER_API_SERVERS "default/kubernetes" /* the EndpointSlice of that name is the API servers' own */

/* In the order in which they are asked for. */
enum cluster_kind {
	CLUSTER_PODS, /* of this node */
	CLUSTER_NAMESPACES,
	CLUSTER_SERVICES,
	CLUSTER_SLICES,
	/* Of their addresses the lists status.InternalIP and status.ExternalIP; of their annotations those with an
	   address that the cluster's network gave the node. */
	CLUSTER_NODES,
	CLUSTER_SERVICE_CIDRS, /* this one and the next three: where there are any */
	CLUSTER_CALICO_POOLS,
	CLUSTER_CILIUM_POOLS,
	CLUSTER_CILIUM_NODES,
	CLUSTER_DAEMONSETS, /* our own one */
	CLUSTER_KINDS
};

struct cluster;

struct cluster_config {
	const char
		*node; /* whose pods are followed; NULL: nothing but namespaces and Services is, which choose() needs */
	const char *daemonset; /* "NAMESPACE/NAME" of our own, to notice an uninstallation; NULL: not followed */
	void (*changed)(void *context); /* something changed; called within kube_turn(), often */
	void *context;
};

/* Starts the watches. 0, or a negative errno. `kube` is borrowed and must outlive the cluster. */
int cluster_open(struct kube *kube, const struct cluster_config *config, struct cluster **out, struct failure *why);
void cluster_close(struct cluster *cluster);

/* Whether each kind of object has been listed once. Before that, a missing object means nothing. */
bool cluster_synced(const struct cluster *cluster);

/*
 * Whether the namespace of a new pod is known as well as the pod is. Not while changes of pods arrive and those of
 * namespaces do not: the namespace's annotation may be older than the pod, and still unknown to us.
 */
bool cluster_watches_namespaces(const struct cluster *cluster);

/* Whether changes of pods arrive: the API server is there. */
bool cluster_watches_pods(const struct cluster *cluster);

/* The kind of object that is not synced yet, for people; "" when all are. */
const char *cluster_missing(const struct cluster *cluster);

/* A pod of this node, a namespace, a Service; NULL when there is none. */
const json_t *cluster_pod(const struct cluster *cluster, const char *namespace, const char *name);
const json_t *cluster_namespace(const struct cluster *cluster, const char *name);
const json_t *cluster_service(const struct cluster *cluster, const char *namespace, const char *name);

/* All pods of this node: "NAMESPACE/NAME" -> pod. */
const json_t *cluster_pods(const struct cluster *cluster);

/* All objects of a kind: "NAMESPACE/NAME" or "NAME" -> what is kept of the object. */
const json_t *cluster_objects(const struct cluster *cluster, enum cluster_kind kind);

/* A ready endpoint of a Service. */
struct cluster_endpoint {
	struct address address;
	uint16_t port; /* its UDP port, host order; 0: the Service has none */
};

/* The ready endpoints, in no particular order; how many. */
size_t cluster_endpoints(const struct cluster *cluster, const char *namespace, const char *service,
			 struct cluster_endpoint out[static CLUSTER_MAX_ENDPOINTS]);

/* How many endpoints a Service has, ready or not. */
size_t cluster_count_endpoints(const struct cluster *cluster, const char *namespace, const char *service);

/* Changes whenever a Service or an EndpointSlice did. */
unsigned cluster_endpoints_version(const struct cluster *cluster);

/* Calls `visit` for each EndpointSlice of a Service; `port`: its UDP port, host order, or 0. */
void cluster_each_slice(const struct cluster *cluster,
			void (*visit)(void *context, const json_t *slice, const char *namespace, const char *service,
				      uint16_t port),
			void *context);

/* The name of the node that has this address; NULL when none has. */
const char *cluster_node_at(const struct cluster *cluster, const struct address *address);

/*
 * Changes whenever something did that the cluster's networks may be learned from (kept_networks.h): pods of this node,
 * Services, nodes, and what the networks of some clusters have.
 */
unsigned cluster_networks_version(const struct cluster *cluster);

/* Whether all of these have been listed once, or the server has said that it has no such objects for us. */
bool cluster_networks_answered(const struct cluster *cluster);

/* Whether our own DaemonSet was deleted, but not when its pods were left alone (--cascade=orphan). */
bool cluster_uninstalled(const struct cluster *cluster);

/* For metrics: calls `visit` for each watch. */
void cluster_count(const struct cluster *cluster,
		   void (*visit)(void *context, const char *what, const struct watch_counters *counters, bool live),
		   void *context);

#endif
