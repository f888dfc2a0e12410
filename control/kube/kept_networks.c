/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kept_networks.c - the networks that stay on pods' first interface
 *
 *     what                                 learned from                                          share of the list
 *     configured                           --keep                                                               24
 *     the own node's addresses             its Node and CiliumNode                                              16
 *     Services                             ServiceCIDRs, else the Service `kubernetes`                           8
 *     link-local and what is like it       fixed                                                                12
 *     API servers                          EndpointSlice default/kubernetes, private addresses only              8
 *     pods                                 IPPools, CiliumPodIPPools, CiliumNodes, the nodes' podCIDRs          40
 *     nodes, internal                      Nodes' InternalIPs, CiliumNodes, annotations of the network          48
 *     nodes, external                      Nodes' ExternalIPs                                                   44
 *   named until here; after this:
 *     around the pods of this node         status.podIPs                                                         8
 *     around pods of other nodes           status.podIPs, read now and then (pod_survey.h)                      16
 *
 * Each kind has its share, whatever the others take: how many nodes there are never changes which pods are reached.
 * What does not fit into a share is covered by fewer networks (network_set_cover()), in private space only and never
 * together with another kind. Public addresses are listed one by one; those that do not fit are left out, newcomers
 * first, and counted. A network of a pool, a podCIDR or a range that is shorter than WIDEST4 or WIDEST6 is left out, as
 * everything would go around the gateway.
 *
 * Trust. What stays is a way around the gateway, so it is learned only from what tenants cannot write: objects of the
 * cluster's scope, Services' addresses (the API server gives them), and the addresses in pods' status (kubelets report
 * them). EndpointSlices are written by whoever may do so in a namespace, references to pods included; the pods' own
 * status says the same and cannot be forged, so slices are not used, except the one that the API servers keep.
 * Annotations of nodes, and CiliumNodes, count for private addresses only, as nodes write them about themselves.
 *
 * Covers keep off the networks of gateways where that is possible with covers of the same size, so that a Service's
 * annotation never opens more of the private space; and always off the addresses of clouds' metadata.
 *
 * Around the pods. Some networks tell nobody where their pods are (a cloud's own addresses; a network without
 * podCIDRs). Then the block of BLOCK4 or BLOCK6 bits around each pod is kept: Calico's size of a node's block, and a
 * link. The list changes with blocks and not with pods.
 */
#include "control/kube/kept_networks.h"
#include "control/base/json.h"
#include "control/kube/service_ranges.h"
#include "control/kube/spec.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define WIDEST4 8 /* bits */
#define WIDEST6 32
#define BLOCK4 26 /* bits */
#define BLOCK6 64
#define MAX_AVOID 72

enum {
	SHARE_OWN_NODE = 16,
	SHARE_SERVICES = 8,
	SHARE_LOCAL = 12,
	SHARE_API = 8,
	SHARE_PODS = 40,
	SHARE_INTERNAL = 48,
	SHARE_EXTERNAL = 44,
	SHARE_OWN_PODS = 8,
	SHARE_SEEN_PODS = 16
};
static_assert(KEPT_NETWORKS_CONFIGURED + SHARE_OWN_NODE + SHARE_SERVICES + SHARE_LOCAL + SHARE_API + SHARE_PODS +
			      SHARE_INTERNAL + SHARE_EXTERNAL + SHARE_OWN_PODS + SHARE_SEEN_PODS ==
		      KEPT_NETWORKS_MAX,
	      "the shares make up the list");

/*
 * NodeLocal DNS, Istio's probes, and the like. 169.254.168.0/22 is not among them: clouds have their metadata there
 * (169.254.169.254) and credentials (169.254.170.2, .23), and only their resolver is wanted. Istio's last address is
 * the source of ambient mode's probes in IPv6, as 169.254.7.127 is in IPv4.
 */
static const char *const local_networks[] = {"169.254.0.0/17",
					     "169.254.128.0/19",
					     "169.254.160.0/21",
					     "169.254.172.0/22",
					     "169.254.176.0/20",
					     "169.254.192.0/18",
					     "169.254.169.253/32",
					     "fe80::/10",
					     "fd00:ec2::253/128",
					     "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128",
					     NULL};

static const char *const metadata_networks[] = {"169.254.168.0/22", "fd00:ec2::/64", "fd20:ce::254/128",
						"100.100.100.200/32", NULL};

/* A route to one of these the kernel refuses, or gives another meaning: a port with it would not come up. */
static const struct prefix unroutable[] = {{{{0}, AF_INET}, 8},
					   {{{127}, AF_INET}, 8},
					   {{{224}, AF_INET}, 3},
					   {{{0}, AF_INET6}, 127}, /* :: and ::1 */
					   {{{0xff}, AF_INET6}, 8}};

struct finder {
	const struct cluster *cluster;
	const struct kept_networks_config *config;
	struct prefix before[KEPT_NETWORKS_MAX]; /* the last list, sorted */
	size_t n_before;
	struct kept_networks found;
	struct network_set set;                      /* of the present kind */
	struct network_set internal, external, pods; /* of the nodes, which are gone through once */
	struct prefix avoid[MAX_AVOID];              /* metadata, then gateways' networks */
	size_t n_metadata, n_avoid;
	bool failed;
};

/* ---- the list ---- */

static const struct prefix *list_holder(const struct prefix *list, size_t n, const struct prefix *network)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_holds(&list[i], network))
			return &list[i];
	return NULL;
}

static void leave_out(struct finder *finder, const struct prefix *network, const char *what)
{
	if (!finder->found.left_out++) {
		finder->found.example = *network;
		finder->found.what = what;
	}
}

static bool network_is_routable(const struct prefix *network)
{
	for (size_t i = 0; i < sizeof(unroutable) / sizeof(unroutable[0]); i++)
		if (networks_overlap(&unroutable[i], network))
			return false;
	return true;
}

/* Moves what is private, and not in the list yet, to `private`; what is public stays in `set`. */
static void split_set(struct finder *finder, struct network_set *set, struct network_set *private)
{
	struct network_set known = {0};
	size_t n = 0;
	for (size_t i = 0; i < finder->found.n; i++)
		network_set_add(&known, &finder->found.list[i]);
	network_set_tidy(&known);
	network_set_tidy(set);
	network_set_subtract(set, &known);
	for (size_t i = 0; i < set->n; i++) {
		if (network_is_private(&set->list[i]))
			network_set_add(private, &set->list[i]);
		else if (!network_is_routable(&set->list[i]))
			leave_out(finder, &set->list[i], "addresses that are no machine's");
		else
			set->list[n++] = set->list[i];
	}
	set->n = n;
	finder->failed = finder->failed || known.failed;
	network_set_free(&known);
}

/*
 * Covers keep off gateways' networks where that takes no larger covers than without: else a Service's annotation could
 * open more of the private space.
 */
static void cover_private(struct finder *finder, struct network_set *private, size_t share)
{
	struct network_set without = {0};
	for (size_t i = 0; i < private->n; i++)
		network_set_add(&without, &private->list[i]);
	unsigned level = network_set_cover(private, share, NETWORK_SET_LEVELS, finder->avoid, finder->n_metadata);
	network_set_cover(&without, share, level, finder->avoid, finder->n_avoid);
	bool fits = !without.failed && without.n <= share;
	network_set_free(fits ? private : &without);
	if (fits)
		*private = without;
}

/* Those that were listed before come first. Returns how many these are. */
static size_t prefer_listed(const struct finder *finder, struct network_set *set)
{
	size_t n = 0;
	for (size_t i = 0; i < set->n; i++) {
		if (!networks_have(finder->before, finder->n_before, &set->list[i]))
			continue;
		struct prefix listed = set->list[i];
		set->list[i] = set->list[n];
		set->list[n++] = listed;
	}
	return n;
}

/* Lists the set, up to `end` in the list. */
static void list_networks(struct finder *finder, struct network_set *set, size_t end, const char *what)
{
	size_t listed = set->n > end - finder->found.n ? prefer_listed(finder, set) : 0;
	if (set->n > listed) /* so that the example of what is left out stays the same */
		networks_sort(set->list + listed, set->n - listed);
	for (size_t i = 0; i < set->n; i++) {
		if (finder->found.n < end)
			finder->found.list[finder->found.n++] = set->list[i];
		else
			leave_out(finder, &set->list[i], what);
	}
}

/* Takes the set into the list, and empties it. Up to a quarter of the share is for the public networks of it. */
static void take_share(struct finder *finder, struct network_set *set, size_t share, const char *what)
{
	struct network_set private = {0};
	size_t begin = finder->found.n, public = share / 4;
	split_set(finder, set, &private);
	cover_private(finder, &private, share - (set->n < public ? set->n : public));
	list_networks(finder, &private, begin + share, what);
	list_networks(finder, set, begin + share, what);
	/* In an order that does not depend on which was there first. */
	networks_sort(finder->found.list + begin, finder->found.n - begin);
	finder->failed = finder->failed || private.failed || set->failed;
	network_set_free(&private);
	network_set_free(set);
}

/* Takes ranges that somebody has named, but for those that are too wide. */
static void take_ranges(struct finder *finder, struct network_set *set, size_t share, const char *what)
{
	size_t n = 0;
	for (size_t i = 0; i < set->n; i++) {
		unsigned widest = set->list[i].address.family == AF_INET6 ? WIDEST6 : WIDEST4;
		if (set->list[i].length < widest)
			leave_out(finder, &set->list[i], "ranges wider than /8, or in IPv6 /32");
		else
			set->list[n++] = set->list[i];
	}
	set->n = n;
	take_share(finder, set, share, what);
}

/* ---- gathering ---- */

static void gather_any(void *context, const struct prefix *network)
{
	network_set_add(context, network);
}

static void gather_address(struct network_set *set, const char *text, bool private_only)
{
	struct prefix parsed = {0};
	if (prefix_parse(text, &parsed))
		return;
	/* Calico annotates "10.0.0.5/24": the node's address and the length of its network. */
	parsed = network_of_address(&parsed.address);
	if (!private_only || network_is_private(&parsed))
		network_set_add(set, &parsed);
}

static void gather_texts(struct network_set *set, const char *const *texts)
{
	for (; *texts; texts++) {
		struct prefix network = {0};
		if (!prefix_parse(*texts, &network))
			network_set_add(set, &network);
	}
}

/* The cluster has kept none of the other annotations. */
static void gather_annotated(struct network_set *set, const json_t *node)
{
	const char *key;
	json_t *value;
	json_object_foreach(json_object_get(json_object_get(node, "metadata"), "annotations"), key, value)
	{
		if (json_is_string(value))
			gather_address(set, json_string_value(value), true);
	}
}

static void gather_list(struct network_set *set, const json_t *addresses)
{
	const json_t *address;
	size_t i;
	json_array_foreach(addresses, i, address)
	{
		if (json_is_string(address))
			gather_address(set, json_string_value(address), false);
	}
}

static void gather_node(const json_t *node, struct network_set *internal, struct network_set *external)
{
	const json_t *status = json_object_get(node, "status");
	gather_list(internal, json_object_get(status, "InternalIP"));
	gather_list(external, json_object_get(status, "ExternalIP"));
	gather_annotated(internal, node);
}

static void gather_cilium_node(struct network_set *set, const json_t *node)
{
	const json_t *entry;
	size_t i;
	json_array_foreach(json_object_get(json_object_get(node, "spec"), "addresses"), i, entry)
	{
		gather_address(set, json_text(entry, "ip"), true);
	}
}

static void gather_cilium_pods(struct network_set *set, const json_t *node)
{
	const json_t *ipam = json_object_get(json_object_get(node, "spec"), "ipam"), *pool;
	size_t i;
	prefixes_each(json_object_get(ipam, "podCIDRs"), NULL, gather_any, set);
	json_array_foreach(json_object_get(ipam, "allocated"), i, pool)
	{
		prefixes_each(json_object_get(pool, "cidrs"), NULL, gather_any, set);
	}
}

static void gather_nodes(struct finder *finder)
{
	const char *key;
	json_t *node;
	json_object_foreach((json_t *)cluster_objects(finder->cluster, CLUSTER_NODES), key, node)
	{
		const json_t *spec = json_object_get(node, "spec");
		gather_node(node, &finder->internal, &finder->external);
		prefixes_each(json_object_get(spec, "podCIDRs"), json_object_get(spec, "podCIDR"), gather_any,
			      &finder->pods);
	}
	json_object_foreach((json_t *)cluster_objects(finder->cluster, CLUSTER_CILIUM_NODES), key, node)
	{
		gather_cilium_node(&finder->internal, node);
		gather_cilium_pods(&finder->pods, node);
	}
}

/* A pool may be for load balancers alone. */
static bool pool_is_of_pods(const json_t *spec)
{
	const json_t *uses = json_object_get(spec, "allowedUses"), *use;
	size_t i;
	json_array_foreach(uses, i, use)
	{
		const char *text = json_is_string(use) ? json_string_value(use) : "";
		if (!strcmp(text, "Workload") || !strcmp(text, "Tunnel"))
			return true;
	}
	return !json_array_size(uses);
}

static void gather_pools(struct finder *finder)
{
	const char *key;
	json_t *pool;
	json_object_foreach((json_t *)cluster_objects(finder->cluster, CLUSTER_CALICO_POOLS), key, pool)
	{
		const json_t *spec = json_object_get(pool, "spec");
		if (pool_is_of_pods(spec))
			prefixes_each(NULL, json_object_get(spec, "cidr"), gather_any, &finder->pods);
	}
	json_object_foreach((json_t *)cluster_objects(finder->cluster, CLUSTER_CILIUM_POOLS), key, pool)
	{
		const json_t *spec = json_object_get(pool, "spec");
		prefixes_each(json_object_get(json_object_get(spec, "ipv4"), "cidrs"), NULL, gather_any, &finder->pods);
		prefixes_each(json_object_get(json_object_get(spec, "ipv6"), "cidrs"), NULL, gather_any, &finder->pods);
	}
}

/* ---- one kind after the other ---- */

/* As they are: the administrator may want what we would not dare to. */
static void find_configured(struct finder *finder)
{
	for (size_t i = 0; i < finder->config->n_keep; i++) {
		struct prefix network = prefix_network(&finder->config->keep[i]);
		if (i < KEPT_NETWORKS_CONFIGURED)
			finder->found.list[finder->found.n++] = network;
		else
			leave_out(finder, &network, "configured networks");
	}
}

static void find_own_node(struct finder *finder)
{
	const char *name = finder->config->node;
	struct network_set *set = &finder->set;
	gather_node(json_object_get(cluster_objects(finder->cluster, CLUSTER_NODES), name), set, set);
	gather_cilium_node(set, json_object_get(cluster_objects(finder->cluster, CLUSTER_CILIUM_NODES), name));
	take_share(finder, set, SHARE_OWN_NODE, "this node's addresses");
}

static void find_services(struct finder *finder)
{
	service_ranges_each(finder->cluster, gather_any, &finder->set);
	take_ranges(finder, &finder->set, SHARE_SERVICES, "Services' ranges");
}

static void find_local(struct finder *finder)
{
	gather_texts(&finder->set, local_networks);
	if (finder->config->metadata)
		gather_texts(&finder->set, metadata_networks);
	take_share(finder, &finder->set, SHARE_LOCAL, "link-local networks");
}

static void find_api_servers(struct finder *finder)
{
	const json_t *slice = json_object_get(cluster_objects(finder->cluster, CLUSTER_SLICES), CLUSTER_API_SERVERS);
	const json_t *endpoint, *address;
	size_t i, k;
	json_array_foreach(json_object_get(slice, "endpoints"), i, endpoint)
	{
		json_array_foreach(json_object_get(endpoint, "addresses"), k, address)
		{
			if (json_is_string(address))
				gather_address(&finder->set, json_string_value(address), true);
		}
	}
	take_share(finder, &finder->set, SHARE_API, "the API servers' addresses");
}

static void find_pods_and_nodes(struct finder *finder)
{
	gather_nodes(finder);
	gather_pools(finder);
	take_ranges(finder, &finder->pods, SHARE_PODS, "pods' networks");
	take_share(finder, &finder->internal, SHARE_INTERNAL, "nodes' internal addresses");
	take_share(finder, &finder->external, SHARE_EXTERNAL, "nodes' external addresses");
}

/* Around an address that is private, and in none of the networks so far. */
static void gather_block(void *context, const struct prefix *address)
{
	struct finder *finder = context;
	const struct prefix block = {address->address, address->address.family == AF_INET6 ? BLOCK6 : BLOCK4};
	if (!list_holder(finder->found.list, finder->found.n, address) && network_is_private(address))
		network_set_add(&finder->set, &block);
}

void pod_addresses_each(const json_t *pod, void (*visit)(void *, const struct prefix *), void *context)
{
	const json_t *status = json_object_get(pod, "status"), *list = json_object_get(status, "podIPs"), *entry;
	size_t i;
	if (json_is_true(json_object_get(json_object_get(pod, "spec"), "hostNetwork")))
		return;
	json_array_foreach(list, i, entry)
	{
		prefixes_each(NULL, json_object_get(entry, "ip"), visit, context);
	}
	if (!json_array_size(list))
		prefixes_each(NULL, json_object_get(status, "podIP"), visit, context);
}

static void find_around_pods(struct finder *finder)
{
	const struct network_set *seen = finder->config->seen;
	const char *key;
	json_t *pod;
	json_object_foreach((json_t *)cluster_objects(finder->cluster, CLUSTER_PODS), key, pod)
	{
		pod_addresses_each(pod, gather_block, finder);
	}
	take_share(finder, &finder->set, SHARE_OWN_PODS, "networks around this node's pods");
	for (size_t i = 0; seen && i < seen->n; i++)
		gather_block(finder, &seen->list[i]);
	take_share(finder, &finder->set, SHARE_SEEN_PODS, "networks around pods of other nodes");
}

/* ---- all of it ---- */

static void avoid_network(struct finder *finder, const struct prefix *network)
{
	if (finder->n_avoid < MAX_AVOID)
		finder->avoid[finder->n_avoid++] = *network;
}

static void avoid_gateways(struct finder *finder)
{
	const struct prefix network = SPEC_NETWORK;
	const char *key;
	json_t *service;
	avoid_network(finder, &network);
	json_object_foreach((json_t *)cluster_objects(finder->cluster, CLUSTER_SERVICES), key, service)
	{
		struct gateway_spec spec;
		if (!spec_names_network(service) || spec_read(service, &spec, NULL))
			continue;
		avoid_network(finder, &spec.network);
		spec_free(&spec);
	}
}

static void find_avoided(struct finder *finder)
{
	for (size_t i = 0; metadata_networks[i] && !finder->config->metadata; i++) {
		struct prefix network = {0};
		if (!prefix_parse(metadata_networks[i], &network))
			avoid_network(finder, &network);
	}
	finder->n_metadata = finder->n_avoid;
	avoid_gateways(finder);
}

int kept_networks_find(const struct cluster *cluster, const struct kept_networks_config *config,
		       const struct kept_networks *before, struct kept_networks *out)
{
	struct finder finder = {.cluster = cluster, .config = config, .n_before = before->n};
	memcpy(finder.before, before->list, before->n * sizeof(before->list[0]));
	networks_sort(finder.before, finder.n_before);
	find_avoided(&finder);
	find_configured(&finder);
	find_own_node(&finder);
	find_services(&finder);
	find_local(&finder);
	find_api_servers(&finder);
	find_pods_and_nodes(&finder);
	finder.found.n_named = finder.found.n;
	find_around_pods(&finder);
	if (finder.failed)
		return -ENOMEM;
	*out = finder.found;
	return 0;
}

bool kept_networks_hold(const struct kept_networks *outer, const struct kept_networks *inner)
{
	for (size_t i = 0; i < inner->n; i++)
		if (!list_holder(outer->list, outer->n, &inner->list[i]))
			return false;
	return true;
}

const struct prefix *kept_networks_overlap(const struct kept_networks *kept, const struct prefix *network)
{
	for (size_t i = 0; i < kept->n; i++)
		if (networks_overlap(&kept->list[i], network))
			return &kept->list[i];
	return NULL;
}

const struct prefix *kept_networks_of(const struct kept_networks *kept, const struct address *address, bool named)
{
	const struct prefix network = network_of_address(address);
	return list_holder(kept->list, named ? kept->n_named : kept->n, &network);
}
