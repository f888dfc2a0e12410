/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.c - what a node's agent, or the webhook, knows of the cluster
 *
 *   watch (pods of this node) ---.
 *   watch (namespaces) ----------+--> stores[kind]: "NAMESPACE/NAME" -> the members of `keep`
 *   watch (Services), ... -------'        |
 *                                         +--> changed(), when a kept member differs
 *                                         `--> answers to questions, computed when asked
 *
 * Kinds that only some clusters have (Calico's pools, ServiceCIDRs) are followed where the server has them and lets us:
 * they are never waited for. What the networks of the cluster are is read out of the stores by kept_networks.c;
 * `networks_version` says when to look again.
 *
 * Objects are trimmed to what decisions need: a node may have hundreds of pods, a cluster thousands of Services, and
 * most updates (a lease, a status) then change nothing. Nothing is derived in advance: questions are few and objects
 * change often.
 *
 * Invariants: after the first list of all kinds that are not `optional` the cluster is synced for good; through outages
 * it keeps the last state; objects leave it only when the server said so (watch.h). The webhook follows only what
 * choose() needs (`choosing`).
 *
 * Uninstallation: our own DaemonSet was there, and now is gone or being deleted (deletionTimestamp), other than with
 * its pods left alone (finalizer "orphan", kubectl delete --cascade=orphan).
 *
 * One thread, that of kube_turn().
 */
#include "control/kube/cluster.h"
#include "control/base/json.h"
#include "control/kube/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Addresses of a node that its network uses. */
static const char *const node_annotations[] = {"projectcalico.org/IPv4Address",
					       "projectcalico.org/IPv6Address",
					       "projectcalico.org/IPv4IPIPTunnelAddr",
					       "projectcalico.org/IPv4VXLANTunnelAddr",
					       "projectcalico.org/IPv6VXLANTunnelAddr",
					       "projectcalico.org/IPv4WireguardInterfaceAddr",
					       "projectcalico.org/IPv6WireguardInterfaceAddr",
					       "flannel.alpha.coreos.com/public-ip",
					       "flannel.alpha.coreos.com/public-ipv6",
					       "network.cilium.io/ipv4-cilium-host",
					       "network.cilium.io/ipv6-cilium-host",
					       NULL};

struct store {
	struct cluster *cluster;
	enum cluster_kind kind;
	json_t *objects;
	struct watch *watch; /* NULL: not followed */
};

struct cluster {
	struct store stores[CLUSTER_KINDS];
	unsigned networks_version, endpoints_version;
	char daemonset[256]; /* its key */
	bool saw_daemonset, uninstalled;
	void (*changed)(void *context);
	void *context;
};

static const struct {
	const char *paths[2];
	const char *what;
	const char *keep[9]; /* members, dots between levels */
	bool optional;       /* not every server has it, and not every agent may read it: never waited for */
	bool choosing;       /* choose() needs it */
	bool networks;       /* the cluster's networks are learned from it */
} kinds[CLUSTER_KINDS] = {
	[CLUSTER_PODS] = {.paths = {"/api/v1/pods"},
			  .what = "pods of this node",
			  .keep = {"metadata", "spec.hostNetwork", "spec.hostname", "spec.containers",
				   "spec.initContainers", "status.phase", "status.podIP", "status.podIPs"},
			  .networks = true},
	[CLUSTER_NAMESPACES] = {.paths = {"/api/v1/namespaces"},
				.what = "namespaces",
				.keep = {"metadata"},
				.choosing = true},
	[CLUSTER_SERVICES] = {.paths = {"/api/v1/services"},
			      .what = "services",
			      .keep = {"metadata", "spec.ports", "spec.selector", "spec.clusterIP", "spec.clusterIPs",
				       "spec.type", "spec.externalIPs", "status.loadBalancer"},
			      .choosing = true,
			      .networks = true},
	[CLUSTER_SLICES] = {.paths = {"/apis/discovery.k8s.io/v1/endpointslices",
				      "/apis/discovery.k8s.io/v1beta1/endpointslices"},
			    .what = "endpointslices",
			    .keep = {"metadata", "addressType", "endpoints", "ports"}},
	[CLUSTER_NODES] = {.paths = {"/api/v1/nodes"},
			   .what = "nodes",
			   .keep = {"metadata", "spec.podCIDR", "spec.podCIDRs", "status.addresses"},
			   .networks = true},
	[CLUSTER_SERVICE_CIDRS] = {.paths = {"/apis/networking.k8s.io/v1/servicecidrs",
					     "/apis/networking.k8s.io/v1beta1/servicecidrs"},
				   .what = "servicecidrs",
				   .keep = {"metadata", "spec.cidrs"},
				   .optional = true,
				   .networks = true},
	[CLUSTER_CALICO_POOLS] = {.paths = {"/apis/crd.projectcalico.org/v1/ippools",
					    "/apis/projectcalico.org/v3/ippools"},
				  .what = "Calico's ippools",
				  .keep = {"metadata", "spec.cidr", "spec.allowedUses"},
				  .optional = true,
				  .networks = true},
	[CLUSTER_CILIUM_POOLS] = {.paths = {"/apis/cilium.io/v2alpha1/ciliumpodippools",
					    "/apis/cilium.io/v2/ciliumpodippools"},
				  .what = "ciliumpodippools",
				  .keep = {"metadata", "spec.ipv4", "spec.ipv6"},
				  .optional = true,
				  .networks = true},
	[CLUSTER_CILIUM_NODES] = {.paths = {"/apis/cilium.io/v2/ciliumnodes"},
				  .what = "ciliumnodes",
				  .keep = {"metadata", "spec.addresses", "spec.ipam"},
				  .optional = true,
				  .networks = true},
	[CLUSTER_DAEMONSETS] = {.what = "our own DaemonSet", .keep = {"metadata"}, .optional = true},
};

/* ---- keeping objects ---- */

static const char *text_at(const json_t *object, const char *outer, const char *inner)
{
	return json_text(json_object_get(object, outer), inner);
}

/* NULL when the object has no name. */
static const char *object_key(const json_t *object, char out[static 512])
{
	const char *namespace = text_at(object, "metadata", "namespace"), *name = text_at(object, "metadata", "name");
	snprintf(out, 512, "%s%s%s", namespace, *namespace ? "/" : "", name);
	return *name ? out : NULL;
}

/* Copies the member that `path` ("a" or "a.b") names. */
static void keep_member(json_t *to, const json_t *from, const char *path)
{
	char outer[32];
	const char *dot = strchr(path, '.');
	snprintf(outer, sizeof(outer), "%.*s", (int)(dot ? dot - path : (long)strlen(path)), path);
	json_t *value = json_object_get(from, outer);
	if (!dot) {
		if (value)
			json_object_set(to, outer, value);
		return;
	}
	json_t *inner = json_object_get(value, dot + 1), *group = json_object_get(to, outer);
	if (!inner)
		return;
	if (!group) {
		group = json_object();
		json_object_set_new(to, outer, group);
	}
	json_object_set(group, dot + 1, inner);
}

/* Of containers only the names matter, and their environments can be long. */
static void keep_names_only(json_t *spec, const char *list)
{
	json_t *names = json_array();
	size_t i;
	const json_t *container;
	json_array_foreach(json_object_get(spec, list), i, container)
	{
		json_array_append_new(
			names, json_pack("{s:s*}", "name", json_string_value(json_object_get(container, "name"))));
	}
	if (json_array_size(names))
		json_object_set(spec, list, names);
	json_decref(names);
}

/* Without resourceVersion, which changes with every update and would make each one look like a change. */
static void keep_metadata(json_t *kept)
{
	json_t *metadata = json_copy(json_object_get(kept, "metadata"));
	json_object_del(metadata, "resourceVersion");
	json_object_set_new(kept, "metadata", metadata);
}

/* Of the nodes' metadata only their names and the addresses that networks annotate: there are thousands of nodes. */
static void keep_node_metadata(json_t *kept)
{
	const json_t *metadata = json_object_get(kept, "metadata"), *all = json_object_get(metadata, "annotations");
	json_t *annotations = json_object(), *slim = json_pack("{s:O}", "name", json_object_get(metadata, "name"));
	for (size_t i = 0; node_annotations[i]; i++) {
		json_t *value = json_object_get(all, node_annotations[i]);
		if (value)
			json_object_set(annotations, node_annotations[i], value);
	}
	if (json_object_size(annotations))
		json_object_set(slim, "annotations", annotations);
	json_decref(annotations);
	json_object_set_new(kept, "metadata", slim);
}

/* A list for each type instead of an object for each address. */
static void keep_node_addresses(json_t *kept)
{
	json_t *status = json_object();
	const json_t *entry;
	size_t i;
	json_array_foreach(json_object_get(json_object_get(kept, "status"), "addresses"), i, entry)
	{
		const char *type = json_text(entry, "type");
		json_t *address = json_object_get(entry, "address");
		if (!address || (strcmp(type, "InternalIP") != 0 && strcmp(type, "ExternalIP") != 0))
			continue;
		if (!json_object_get(status, type))
			json_object_set_new(status, type, json_array());
		json_array_append(json_object_get(status, type), address);
	}
	json_object_set_new(kept, "status", status);
}

/* Where Cilium takes addresses from a cloud, "ipam" has every single one, and changes with every pod. */
static void keep_ipam_networks(json_t *spec)
{
	const json_t *ipam = json_object_get(spec, "ipam");
	json_t *slim = json_object(), *pools = json_object_get(ipam, "pools"),
	       *list = json_object_get(ipam, "podCIDRs");
	json_t *allocated = json_object_get(pools, "allocated");
	if (list)
		json_object_set(slim, "podCIDRs", list);
	if (allocated)
		json_object_set(slim, "allocated", allocated);
	json_object_set_new(spec, "ipam", slim);
}

static json_t *object_slim(enum cluster_kind kind, const json_t *object)
{
	json_t *kept = json_object();
	for (size_t i = 0; i < sizeof(kinds[0].keep) / sizeof(kinds[0].keep[0]) && kinds[kind].keep[i]; i++)
		keep_member(kept, object, kinds[kind].keep[i]);
	if (kind == CLUSTER_NODES || kind == CLUSTER_CILIUM_NODES)
		keep_node_metadata(kept);
	else
		keep_metadata(kept);
	if (kind == CLUSTER_NODES)
		keep_node_addresses(kept);
	if (kind == CLUSTER_CILIUM_NODES)
		keep_ipam_networks(json_object_get(kept, "spec"));
	if (kind == CLUSTER_PODS) {
		keep_names_only(json_object_get(kept, "spec"), "containers");
		keep_names_only(json_object_get(kept, "spec"), "initContainers");
	}
	return kept;
}

static bool is_orphaning(const json_t *daemonset)
{
	size_t i;
	const json_t *finalizer;
	json_array_foreach(json_object_get(json_object_get(daemonset, "metadata"), "finalizers"), i, finalizer)
	{
		if (json_is_string(finalizer) && !strcmp(json_string_value(finalizer), "orphan"))
			return true;
	}
	return false;
}

static void note_daemonset(struct cluster *cluster)
{
	const json_t *own = json_object_get(cluster->stores[CLUSTER_DAEMONSETS].objects, cluster->daemonset);
	if (own && is_orphaning(own))
		cluster->saw_daemonset = false;
	else if (own && !*text_at(own, "metadata", "deletionTimestamp"))
		cluster->saw_daemonset = true;
	cluster->uninstalled = cluster->saw_daemonset && (!own || *text_at(own, "metadata", "deletionTimestamp"));
}

/* `key`: of the one object that changed; "": any may have. */
static bool store_has_networks(const struct store *store, const char *key)
{
	return kinds[store->kind].networks ||
	       (store->kind == CLUSTER_SLICES && (!*key || !strcmp(key, CLUSTER_API_SERVERS)));
}

static void store_notify(struct store *store, const char *key)
{
	store->cluster->networks_version += store_has_networks(store, key);
	store->cluster->endpoints_version += store->kind == CLUSTER_SERVICES || store->kind == CLUSTER_SLICES;
	if (store->kind == CLUSTER_DAEMONSETS)
		note_daemonset(store->cluster);
	store->cluster->changed(store->cluster->context);
}

static void on_replace(void *context, json_t *items)
{
	struct store *store = context;
	char key[512];
	json_t *fresh = json_object();
	size_t i;
	const json_t *object;
	json_array_foreach(items, i, object)
	{
		if (object_key(object, key))
			json_object_set_new(fresh, key, object_slim(store->kind, object));
	}
	json_decref(store->objects);
	store->objects = fresh;
	store_notify(store, "");
}

static void store_on_changed(void *context, json_t *object)
{
	struct store *store = context;
	char key[512];
	if (!object_key(object, key))
		return;
	json_t *fresh = object_slim(store->kind, object);
	bool same = json_equal(fresh, json_object_get(store->objects, key));
	json_object_set_new(store->objects, key, fresh);
	if (!same)
		store_notify(store, key);
}

static void on_deleted(void *context, json_t *object)
{
	struct store *store = context;
	char key[512];
	if (object_key(object, key) && !json_object_del(store->objects, key))
		store_notify(store, key);
}

/* ---- opening ---- */

static int start_watch(struct kube *kube, struct store *store, const char *path, const char *field, struct failure *why)
{
	struct watch_config config = {
		.paths = {path ? path : kinds[store->kind].paths[0], kinds[store->kind].paths[1]},
		.field_selector = field,
		.what = kinds[store->kind].what,
		.optional = kinds[store->kind].optional && kinds[store->kind].networks,
		.callbacks = {on_replace, store_on_changed, on_deleted},
		.context = store,
	};
	return watch_start(kube, &config, &store->watch, why);
}

/* `key` is "NAMESPACE/NAME". */
static int follow_daemonset(struct kube *kube, struct cluster *cluster, const char *key, struct failure *why)
{
	char path[256], field[256];
	const char *slash = strchr(key, '/');
	if (!slash || strlen(key) >= sizeof(cluster->daemonset) || strchr(slash + 1, '/'))
		return fail(why, -EINVAL, "daemonset", "'%.100s' is not NAMESPACE/NAME", key);
	snprintf(cluster->daemonset, sizeof(cluster->daemonset), "%s", key);
	snprintf(path, sizeof(path), "/apis/apps/v1/namespaces/%.*s/daemonsets", (int)(slash - key), key);
	snprintf(field, sizeof(field), "metadata.name=%s", slash + 1);
	return start_watch(kube, &cluster->stores[CLUSTER_DAEMONSETS], path, field, why);
}

int cluster_open(struct kube *kube, const struct cluster_config *config, struct cluster **out, struct failure *why)
{
	struct cluster *cluster = calloc(1, sizeof(*cluster));
	char field[300];
	int error = 0;
	if (!cluster)
		return fail(why, -ENOMEM, NULL, "out of memory");
	cluster->changed = config->changed;
	cluster->context = config->context;
	if (config->node)
		snprintf(field, sizeof(field), "spec.nodeName=%s", config->node);
	for (int kind = 0; kind < CLUSTER_KINDS; kind++)
		cluster->stores[kind] = (struct store){cluster, (enum cluster_kind)kind, json_object(), NULL};
	for (int kind = 0; kind < CLUSTER_DAEMONSETS && !error; kind++)
		if (config->node || kinds[kind].choosing)
			error = start_watch(kube, &cluster->stores[kind], NULL, kind == CLUSTER_PODS ? field : NULL,
					    why);
	if (!error && config->daemonset)
		error = follow_daemonset(kube, cluster, config->daemonset, why);
	if (error) {
		cluster_close(cluster);
		return error;
	}
	*out = cluster;
	return 0;
}

void cluster_close(struct cluster *cluster)
{
	if (!cluster)
		return;
	for (int kind = 0; kind < CLUSTER_KINDS; kind++) {
		watch_stop(cluster->stores[kind].watch);
		json_decref(cluster->stores[kind].objects);
	}
	free(cluster);
}

/* ---- questions ---- */

const char *cluster_missing(const struct cluster *cluster)
{
	for (int kind = 0; kind < CLUSTER_KINDS; kind++)
		if (cluster->stores[kind].watch && !kinds[kind].optional && !watch_synced(cluster->stores[kind].watch))
			return kinds[kind].what;
	return "";
}

bool cluster_synced(const struct cluster *cluster)
{
	return !*cluster_missing(cluster);
}

bool cluster_watches_namespaces(const struct cluster *cluster)
{
	return watch_live(cluster->stores[CLUSTER_NAMESPACES].watch) ||
	       !watch_live(cluster->stores[CLUSTER_PODS].watch);
}

bool cluster_watches_pods(const struct cluster *cluster)
{
	return watch_live(cluster->stores[CLUSTER_PODS].watch);
}

static const json_t *cluster_find(const struct cluster *cluster, enum cluster_kind kind, const char *namespace,
				  const char *name)
{
	char key[512];
	snprintf(key, sizeof(key), "%s%s%s", namespace, *namespace ? "/" : "", name);
	return json_object_get(cluster->stores[kind].objects, key);
}

const json_t *cluster_pod(const struct cluster *cluster, const char *namespace, const char *name)
{
	return cluster_find(cluster, CLUSTER_PODS, namespace, name);
}

const json_t *cluster_namespace(const struct cluster *cluster, const char *name)
{
	return cluster_find(cluster, CLUSTER_NAMESPACES, "", name);
}

const json_t *cluster_service(const struct cluster *cluster, const char *namespace, const char *name)
{
	return cluster_find(cluster, CLUSTER_SERVICES, namespace, name);
}

const json_t *cluster_pods(const struct cluster *cluster)
{
	return cluster->stores[CLUSTER_PODS].objects;
}

const json_t *cluster_objects(const struct cluster *cluster, enum cluster_kind kind)
{
	return cluster->stores[kind].objects;
}

unsigned cluster_networks_version(const struct cluster *cluster)
{
	return cluster->networks_version;
}

bool cluster_networks_answered(const struct cluster *cluster)
{
	for (int kind = 0; kind < CLUSTER_KINDS; kind++)
		if (kinds[kind].networks && cluster->stores[kind].watch && !watch_answered(cluster->stores[kind].watch))
			return false;
	return true;
}

bool cluster_uninstalled(const struct cluster *cluster)
{
	return cluster->uninstalled;
}

void cluster_count(const struct cluster *cluster,
		   void (*visit)(void *context, const char *what, const struct watch_counters *counters, bool live),
		   void *context)
{
	for (int kind = 0; kind < CLUSTER_KINDS; kind++) {
		struct watch_counters counters;
		const struct watch *watch = cluster->stores[kind].watch;
		/* What this cluster does not have is not news that is missed. */
		if (!watch || (kinds[kind].optional && kinds[kind].networks && !watch_synced(watch)))
			continue;
		watch_count(watch, &counters);
		visit(context, kinds[kind].what, &counters, watch_live(watch));
	}
}

/* ---- endpoints ---- */

/* By the API, an absent condition means ready. A terminating endpoint gets no new pods. */
static bool endpoint_is_ready(const json_t *endpoint)
{
	const json_t *conditions = json_object_get(endpoint, "conditions");
	const json_t *ready = json_object_get(conditions, "ready");
	return !json_is_false(ready) && !json_is_true(json_object_get(conditions, "terminating"));
}

/* As spec.c chooses among a Service's ports: the one called vxlan, else the first. */
static uint16_t udp_port(const json_t *slice)
{
	size_t i;
	const json_t *port;
	uint16_t first = 0;
	json_array_foreach(json_object_get(slice, "ports"), i, port)
	{
		json_int_t number = json_integer_value(json_object_get(port, "port"));
		if (strcmp(json_text(port, "protocol"), "UDP") != 0 || number <= 0 || number > UINT16_MAX)
			continue;
		if (!strcmp(json_text(port, "name"), SPEC_PORT_NAME))
			return (uint16_t)number;
		first = first ? first : (uint16_t)number;
	}
	return first;
}

static size_t add_endpoint(struct cluster_endpoint *out, size_t n, const json_t *endpoint, uint16_t port)
{
	/* By the API, all addresses of an endpoint are equivalent and clients use the first. */
	const char *text = json_string_value(json_array_get(json_object_get(endpoint, "addresses"), 0));
	struct cluster_endpoint found = {.port = port};
	if (n >= CLUSTER_MAX_ENDPOINTS || !endpoint_is_ready(endpoint) || !text || address_parse(text, &found.address))
		return n;
	for (size_t i = 0; i < n; i++)
		if (address_equal(&out[i].address, &found.address))
			return n;
	out[n] = found;
	return n + 1;
}

/* Calls `visit` for each EndpointSlice of the Service. */
static void each_slice(const struct cluster *cluster, const char *namespace, const char *service,
		       void (*visit)(void *context, const json_t *slice), void *context)
{
	const char *key;
	json_t *slice;
	json_object_foreach(cluster->stores[CLUSTER_SLICES].objects, key, slice)
	{
		const json_t *metadata = json_object_get(slice, "metadata");
		const char *of = text_at(metadata, "labels", "kubernetes.io/service-name");
		if (!strcmp(of, service) && !strcmp(text_at(slice, "metadata", "namespace"), namespace))
			visit(context, slice);
	}
}

struct endpoints {
	struct cluster_endpoint *out;
	size_t n;
};

static void add_ready(void *context, const json_t *slice)
{
	struct endpoints *to = context;
	size_t i;
	const json_t *endpoint;
	json_array_foreach(json_object_get(slice, "endpoints"), i, endpoint)
	{
		to->n = add_endpoint(to->out, to->n, endpoint, udp_port(slice));
	}
}

size_t cluster_endpoints(const struct cluster *cluster, const char *namespace, const char *service,
			 struct cluster_endpoint out[static CLUSTER_MAX_ENDPOINTS])
{
	struct endpoints to = {.out = out};
	each_slice(cluster, namespace, service, add_ready, &to);
	return to.n;
}

static void count_all(void *context, const json_t *slice)
{
	*(size_t *)context += json_array_size(json_object_get(slice, "endpoints"));
}

size_t cluster_count_endpoints(const struct cluster *cluster, const char *namespace, const char *service)
{
	size_t n = 0;
	each_slice(cluster, namespace, service, count_all, &n);
	return n;
}

unsigned cluster_endpoints_version(const struct cluster *cluster)
{
	return cluster->endpoints_version;
}

void cluster_each_slice(const struct cluster *cluster,
			void (*visit)(void *context, const json_t *slice, const char *namespace, const char *service,
				      uint16_t port),
			void *context)
{
	const char *key;
	json_t *slice;
	json_object_foreach(cluster->stores[CLUSTER_SLICES].objects, key, slice)
	{
		const json_t *metadata = json_object_get(slice, "metadata");
		visit(context, slice, json_text(metadata, "namespace"),
		      text_at(metadata, "labels", "kubernetes.io/service-name"), udp_port(slice));
	}
}

/* ---- nodes ---- */

static bool node_has(const json_t *addresses, const struct address *address)
{
	size_t i;
	const json_t *entry;
	struct address found;
	json_array_foreach(addresses, i, entry)
	{
		const char *text = json_string_value(entry);
		if (text && !address_parse(text, &found) && address_equal(&found, address))
			return true;
	}
	return false;
}

const char *cluster_node_at(const struct cluster *cluster, const struct address *address)
{
	const char *key;
	json_t *node;
	json_object_foreach(cluster->stores[CLUSTER_NODES].objects, key, node)
	{
		const json_t *status = json_object_get(node, "status");
		if (node_has(json_object_get(status, "InternalIP"), address) ||
		    node_has(json_object_get(status, "ExternalIP"), address))
			return key;
	}
	return NULL;
}
