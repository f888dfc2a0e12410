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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LISTED_NODES 40 /* with more nodes than this, one network covers them instead of a route each */
#define SHORTEST_COVER4 8   /* bits; a shorter cover would take in addresses that are not the cluster's */
#define SHORTEST_COVER6 32
#define SERVICES_AT_LEAST4 16 /* bits; the smallest Services' range we assume where the API does not name it */
#define SERVICES_AT_LEAST6 112

enum kind { PODS, NAMESPACES, SERVICES, SLICES, NODES, RANGES, DAEMONSETS, KINDS };

struct store {
	struct cluster *cluster;
	enum kind kind;
	json_t *objects;
	struct watch *watch; /* NULL: not followed */
};

struct cluster {
	struct store stores[KINDS];
	char daemonset[256]; /* its key */
	bool saw_daemonset, uninstalled;
	void (*changed)(void *context);
	void *context;
};

static const struct {
	const char *paths[2];
	const char *what;
	const char *keep[8]; /* members, dots between levels */
	bool optional;       /* not every server has it, and not every agent may read it: never waited for */
	bool choosing;       /* choose() needs it */
} kinds[KINDS] = {
	[PODS] = {.paths = {"/api/v1/pods"},
		  .what = "pods of this node",
		  .keep = {"metadata", "spec.hostNetwork", "spec.containers", "spec.initContainers", "status.phase",
			   "status.podIP"}},
	[NAMESPACES] = {.paths = {"/api/v1/namespaces"}, .what = "namespaces", .keep = {"metadata"}, .choosing = true},
	[SERVICES] = {.paths = {"/api/v1/services"},
		      .what = "services",
		      .keep = {"metadata", "spec.ports", "spec.selector", "spec.clusterIP", "spec.clusterIPs",
			       "spec.type"},
		      .choosing = true},
	[SLICES] = {.paths = {"/apis/discovery.k8s.io/v1/endpointslices",
			      "/apis/discovery.k8s.io/v1beta1/endpointslices"},
		    .what = "endpointslices",
		    .keep = {"metadata", "addressType", "endpoints", "ports"}},
	[NODES] = {.paths = {"/api/v1/nodes"},
		   .what = "nodes",
		   .keep = {"metadata", "spec.podCIDR", "spec.podCIDRs", "status.addresses"}},
	[RANGES] = {.paths = {"/apis/networking.k8s.io/v1/servicecidrs"},
		    .what = "servicecidrs",
		    .keep = {"metadata", "spec.cidrs"},
		    .optional = true},
	[DAEMONSETS] = {.what = "our own DaemonSet", .keep = {"metadata"}, .optional = true},
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

static json_t *object_slim(enum kind kind, const json_t *object)
{
	json_t *kept = json_object();
	for (size_t i = 0; i < sizeof(kinds[0].keep) / sizeof(kinds[0].keep[0]) && kinds[kind].keep[i]; i++)
		keep_member(kept, object, kinds[kind].keep[i]);
	keep_metadata(kept);
	if (kind == PODS) {
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
	const json_t *own = json_object_get(cluster->stores[DAEMONSETS].objects, cluster->daemonset);
	if (own && is_orphaning(own))
		cluster->saw_daemonset = false;
	else if (own && !*text_at(own, "metadata", "deletionTimestamp"))
		cluster->saw_daemonset = true;
	cluster->uninstalled = cluster->saw_daemonset && (!own || *text_at(own, "metadata", "deletionTimestamp"));
}

static void store_notify(struct store *store)
{
	if (store->kind == DAEMONSETS)
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
	store_notify(store);
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
		store_notify(store);
}

static void on_deleted(void *context, json_t *object)
{
	struct store *store = context;
	char key[512];
	if (object_key(object, key) && !json_object_del(store->objects, key))
		store_notify(store);
}

/* ---- opening ---- */

static int start_watch(struct kube *kube, struct store *store, const char *path, const char *field, struct failure *why)
{
	struct watch_config config = {
		.paths = {path ? path : kinds[store->kind].paths[0], kinds[store->kind].paths[1]},
		.field_selector = field,
		.what = kinds[store->kind].what,
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
	return start_watch(kube, &cluster->stores[DAEMONSETS], path, field, why);
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
	for (int kind = 0; kind < KINDS; kind++)
		cluster->stores[kind] = (struct store){cluster, (enum kind)kind, json_object(), NULL};
	for (int kind = 0; kind < DAEMONSETS && !error; kind++)
		if (config->node || kinds[kind].choosing)
			error = start_watch(kube, &cluster->stores[kind], NULL, kind == PODS ? field : NULL, why);
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
	for (int kind = 0; kind < KINDS; kind++) {
		watch_stop(cluster->stores[kind].watch);
		json_decref(cluster->stores[kind].objects);
	}
	free(cluster);
}

/* ---- questions ---- */

const char *cluster_missing(const struct cluster *cluster)
{
	for (int kind = 0; kind < KINDS; kind++)
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
	return watch_live(cluster->stores[NAMESPACES].watch) || !watch_live(cluster->stores[PODS].watch);
}

static const json_t *cluster_find(const struct cluster *cluster, enum kind kind, const char *namespace,
				  const char *name)
{
	char key[512];
	snprintf(key, sizeof(key), "%s%s%s", namespace, *namespace ? "/" : "", name);
	return json_object_get(cluster->stores[kind].objects, key);
}

const json_t *cluster_pod(const struct cluster *cluster, const char *namespace, const char *name)
{
	return cluster_find(cluster, PODS, namespace, name);
}

const json_t *cluster_namespace(const struct cluster *cluster, const char *name)
{
	return cluster_find(cluster, NAMESPACES, "", name);
}

const json_t *cluster_service(const struct cluster *cluster, const char *namespace, const char *name)
{
	return cluster_find(cluster, SERVICES, namespace, name);
}

const json_t *cluster_pods(const struct cluster *cluster)
{
	return cluster->stores[PODS].objects;
}

bool cluster_uninstalled(const struct cluster *cluster)
{
	return cluster->uninstalled;
}

void cluster_count(const struct cluster *cluster,
		   void (*visit)(void *context, const char *what, const struct watch_counters *counters, bool live),
		   void *context)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct watch_counters counters;
		const struct watch *watch = cluster->stores[kind].watch;
		if (!watch)
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

static uint16_t udp_port(const json_t *slice)
{
	size_t i;
	const json_t *port;
	json_array_foreach(json_object_get(slice, "ports"), i, port)
	{
		json_int_t number = json_integer_value(json_object_get(port, "port"));
		if (!strcmp(json_text(port, "protocol"), "UDP") && number > 0 && number < 65536)
			return (uint16_t)number;
	}
	return 0;
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
	json_object_foreach(cluster->stores[SLICES].objects, key, slice)
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

/* ---- nodes ---- */

static bool node_has(const json_t *node, const struct address *address)
{
	size_t i;
	const json_t *entry;
	struct address found;
	json_array_foreach(json_object_get(json_object_get(node, "status"), "addresses"), i, entry)
	{
		if (!address_parse(json_text(entry, "address"), &found) && address_equal(&found, address))
			return true;
	}
	return false;
}

const char *cluster_node_at(const struct cluster *cluster, const struct address *address)
{
	const char *key;
	json_t *node;
	json_object_foreach(cluster->stores[NODES].objects, key, node)
	{
		if (node_has(node, address))
			return key;
	}
	return NULL;
}

/* ---- the cluster's networks ---- */

struct networks {
	struct prefix *out;
	size_t n, max;
};

static void add_network(struct networks *to, const struct prefix *network)
{
	for (size_t i = 0; i < to->n; i++)
		if (to->out[i].length <= network->length && prefix_contains(&to->out[i], &network->address))
			return;
	if (to->n < to->max)
		to->out[to->n++] = *network;
}

static unsigned full_length(const struct address *address)
{
	return address->family == AF_INET6 ? 128 : 32;
}

/* Makes `cover` the smallest network that contains both. A cover of family 0 becomes `network`. */
static void widen(struct prefix *cover, const struct prefix *network)
{
	if (!cover->address.family)
		*cover = *network;
	if (network->length < cover->length)
		cover->length = network->length;
	while (cover->length && !prefix_contains(cover, &network->address))
		cover->length--;
	*cover = prefix_network(cover);
}

/* Visits the prefixes in `list`; when that is empty, the one in `one`. */
static void each_prefix(const json_t *list, const json_t *one, void (*visit)(void *, const struct prefix *),
			void *context)
{
	struct prefix prefix;
	size_t n = json_array_size(list);
	for (size_t i = 0; i < (n ? n : 1); i++) {
		const char *text = json_string_value(n ? json_array_get(list, i) : one);
		prefix = (struct prefix){0};
		if (text && !prefix_parse(text, &prefix))
			visit(context, &prefix);
	}
}

static void widen_family(void *context, const struct prefix *prefix)
{
	struct prefix *covers = context; /* IPv4, IPv6 */
	widen(&covers[prefix->address.family == AF_INET6], prefix);
}

static void add_cover(struct networks *to, const struct prefix *cover)
{
	unsigned shortest = cover->address.family == AF_INET6 ? SHORTEST_COVER6 : SHORTEST_COVER4;
	if (cover->address.family && cover->length >= shortest)
		add_network(to, cover);
}

static void add_pod_networks(const struct cluster *cluster, struct networks *to)
{
	struct prefix covers[2] = {0};
	const char *key;
	json_t *node;
	json_object_foreach(cluster->stores[NODES].objects, key, node)
	{
		const json_t *spec = json_object_get(node, "spec");
		each_prefix(json_object_get(spec, "podCIDRs"), json_object_get(spec, "podCIDR"), widen_family, covers);
	}
	add_cover(to, &covers[0]);
	add_cover(to, &covers[1]);
}

static bool is_node_address(const json_t *address, struct prefix *out)
{
	const char *type = json_text(address, "type");
	*out = (struct prefix){0};
	if (strcmp(type, "InternalIP") != 0 && strcmp(type, "ExternalIP") != 0)
		return false;
	return !address_parse(json_text(address, "address"), &out->address) &&
	       (out->length = (uint8_t)full_length(&out->address));
}

static void add_node_networks(const struct cluster *cluster, struct networks *to)
{
	const json_t *nodes = cluster->stores[NODES].objects;
	bool each = json_object_size(nodes) <= MAX_LISTED_NODES;
	struct prefix covers[2] = {0}, address;
	const char *key;
	json_t *node;
	const json_t *entry;
	size_t i;
	json_object_foreach((json_t *)nodes, key, node)
	{
		json_array_foreach(json_object_get(json_object_get(node, "status"), "addresses"), i, entry)
		{
			if (!is_node_address(entry, &address))
				continue;
			if (each)
				add_network(to, &address);
			else
				widen_family(covers, &address);
		}
	}
	add_cover(to, &covers[0]);
	add_cover(to, &covers[1]);
}

static void add_one(void *context, const struct prefix *prefix)
{
	const struct prefix network = prefix_network(prefix);
	add_cover(context, &network);
}

/* "None" and "" are not addresses and are skipped. */
static void each_cluster_ip(const json_t *service, void (*visit)(void *, const struct prefix *), void *context)
{
	const json_t *spec = json_object_get(service, "spec");
	each_prefix(json_object_get(spec, "clusterIPs"), json_object_get(spec, "clusterIP"), visit, context);
}

/* The Service `kubernetes` has the first usable address: the range starts one before it. */
static void start_range(void *context, const struct prefix *first)
{
	struct prefix *ranges = context, *range = &ranges[first->address.family == AF_INET6];
	*range = *first;
	range->address.bytes[full_length(&first->address) / 8 - 1]--;
	/* The range may be as large as the alignment of its start allows, but not larger than this. */
	unsigned least = first->address.family == AF_INET6 ? SERVICES_AT_LEAST6 : SERVICES_AT_LEAST4;
	while (range->length > least) {
		struct prefix wider = *range;
		wider.length--;
		wider = prefix_network(&wider);
		if (!address_equal(&wider.address, &range->address))
			break;
		*range = wider;
	}
}

static void stretch_range(void *context, const struct prefix *address)
{
	struct prefix *ranges = context, *range = &ranges[address->address.family == AF_INET6];
	if (range->address.family)
		widen(range, address);
}

static void add_service_networks(const struct cluster *cluster, struct networks *to)
{
	struct prefix ranges[2] = {0};
	const char *key;
	json_t *object;
	const json_t *known = cluster->stores[RANGES].objects;
	json_object_foreach((json_t *)known, key, object)
	{
		each_prefix(json_object_get(json_object_get(object, "spec"), "cidrs"), NULL, add_one, to);
	}
	if (json_object_size(known))
		return;
	each_cluster_ip(cluster_find(cluster, SERVICES, "default", "kubernetes"), start_range, ranges);
	json_object_foreach(cluster->stores[SERVICES].objects, key, object)
	{
		each_cluster_ip(object, stretch_range, ranges);
	}
	add_cover(to, &ranges[0]);
	add_cover(to, &ranges[1]);
}

size_t cluster_networks(const struct cluster *cluster, struct prefix *out, size_t max)
{
	struct networks to = {out, 0, max};
	add_pod_networks(cluster, &to);
	add_service_networks(cluster, &to);
	add_node_networks(cluster, &to);
	return to.n;
}
