/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.c - whose allow list an endpoint is under, whichever Service names it
 *
 *     Service with an allow list          what it guards
 *     its EndpointSlices                  all addresses in them, ready or not, at its VXLAN's UDP port
 *     clusterIPs, externalIPs, the load   these at every port: they lead to the same pods by way of kube-proxy
 *     balancer's addresses
 *     nodePorts                           nodes' addresses at that port
 *
 * A pod of a namespace that the list does not name is not led there by any other Service. There is one exception: a
 * Service of the same namespace that has the annotation itself speaks for itself, as both have the same owner: one
 * gateway may have two Services for two circles of pods. A Service whose annotations are malformed guards what it has
 * from all namespaces but its own, at every port.
 *
 * Whoever may write EndpointSlices can claim any address for a guard of his own, and so keep pods away from a gateway
 * of somebody else; not the reverse. The sentence names his Service.
 *
 * The guarded addresses are found anew when Services or EndpointSlices have changed, and only when somebody asks.
 */
#include "control/kube/guard.h"
#include "control/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD_KEY "podswitch.io/allow-namespaces"

struct guard {
	char namespace[KUBE_LABEL], name[KUBE_LABEL];
	struct gateway_spec spec; /* zeroes where it is malformed */
	json_t *service;
};

struct guard_address {
	struct address address;
	uint16_t port; /* UDP, host order; 0: every one */
	size_t guard;
};

/* ---- finding them ---- */

/* The list with room for one more; NULL: for want of memory. */
static void *guard_room(void *list, size_t n, size_t size)
{
	bool full = !(n & (n - 1)); /* it doubles at each power of two */
	return full ? realloc(list, (n ? 2 * n : 1) * size) : list;
}

static void guards_add_address(struct guards *guards, const char *text, uint16_t port, size_t guard)
{
	struct guard_address found = {.port = port, .guard = guard};
	if (!text || address_parse(text, &found.address))
		return;
	struct guard_address *list = guard_room(guards->addresses, guards->n_addresses, sizeof(*list));
	guards->failed = guards->failed || !list;
	if (!list)
		return;
	guards->addresses = list;
	guards->addresses[guards->n_addresses++] = found;
}

static void guards_add_texts(struct guards *guards, const json_t *texts, uint16_t port, size_t guard)
{
	size_t i;
	const json_t *text;
	json_array_foreach(texts, i, text)
	{
		guards_add_address(guards, json_string_value(text), port, guard);
	}
}

/* A Service with a list that is not "*", or that cannot be read. */
static bool guard_read(const json_t *service, struct guard *out)
{
	const json_t *metadata = json_object_get(service, "metadata");
	struct failure why;
	if (!json_object_get(json_object_get(metadata, "annotations"), GUARD_KEY))
		return false;
	*out = (struct guard){.service = json_incref((json_t *)service)};
	snprintf(out->namespace, sizeof(out->namespace), "%s", json_text(metadata, "namespace"));
	snprintf(out->name, sizeof(out->name), "%s", json_text(metadata, "name"));
	return spec_read(service, &out->spec, &why) || out->spec.allow;
}

/* The addresses by which kube-proxy leads to its endpoints. */
static void guards_add_fronts(struct guards *guards, size_t guard)
{
	const json_t *service = guards->list[guard].service, *spec = json_object_get(service, "spec"), *entry;
	const json_t *balancer = json_object_get(json_object_get(service, "status"), "loadBalancer");
	size_t i;
	guards_add_address(guards, json_string_value(json_object_get(spec, "clusterIP")), 0, guard);
	guards_add_texts(guards, json_object_get(spec, "clusterIPs"), 0, guard);
	guards_add_texts(guards, json_object_get(spec, "externalIPs"), 0, guard);
	json_array_foreach(json_object_get(balancer, "ingress"), i, entry)
	{
		guards_add_address(guards, json_string_value(json_object_get(entry, "ip")), 0, guard);
	}
}

static void guard_free(struct guard *guard)
{
	spec_free(&guard->spec);
	json_decref(guard->service);
}

static void guards_find_services(struct guards *guards, const struct cluster *cluster)
{
	const char *key;
	json_t *service;
	json_object_foreach((json_t *)cluster_objects(cluster, CLUSTER_SERVICES), key, service)
	{
		struct guard found = {0};
		if (!guard_read(service, &found)) {
			guard_free(&found);
			continue;
		}
		struct guard *list = guard_room(guards->list, guards->n, sizeof(*list));
		guards->failed = guards->failed || !list;
		if (!list) {
			guard_free(&found);
			return;
		}
		guards->list = list;
		guards->list[guards->n] = found;
		guards_add_fronts(guards, guards->n++);
	}
}

static void guards_add_slice(void *context, const json_t *slice, const char *namespace, const char *service,
			     uint16_t port)
{
	struct guards *guards = context;
	size_t i, guard = 0;
	const json_t *endpoint;
	while (guard < guards->n && (strcmp(guards->list[guard].name, service) != 0 ||
				     strcmp(guards->list[guard].namespace, namespace) != 0))
		guard++;
	if (guard == guards->n)
		return;
	const struct gateway_spec *spec = &guards->list[guard].spec;
	port = !spec->port_given && port ? port : spec->port;
	json_array_foreach(json_object_get(slice, "endpoints"), i, endpoint)
	{
		guards_add_texts(guards, json_object_get(endpoint, "addresses"), *spec->name ? port : 0, guard);
	}
}

void guards_free(struct guards *guards)
{
	for (size_t i = 0; i < guards->n; i++)
		guard_free(&guards->list[i]);
	free(guards->list);
	free(guards->addresses);
	*guards = (struct guards){0};
}

/* Without the memory for it, what was guarded stays so, and the next one who asks tries again. */
static void guards_find(struct guards *guards, const struct cluster *cluster)
{
	struct guards fresh = {.found = true, .version = cluster_endpoints_version(cluster)};
	if (guards->found && guards->version == fresh.version)
		return;
	guards_find_services(&fresh, cluster);
	if (fresh.n)
		cluster_each_slice(cluster, guards_add_slice, &fresh);
	if (fresh.failed && guards->found) {
		guards_free(&fresh);
		return;
	}
	struct guards old = *guards;
	*guards = fresh;
	guards->found = !fresh.failed;
	guards_free(&old);
}

/* ---- asking ---- */

static bool guard_has_node_port(const struct guard *guard, uint16_t port)
{
	size_t i;
	const json_t *entry;
	json_array_foreach(json_object_get(json_object_get(guard->service, "spec"), "ports"), i, entry)
	{
		if (json_integer_value(json_object_get(entry, "nodePort")) == port)
			return true;
	}
	return false;
}

/* Whether it keeps pods of `namespace` from what another Service, `spec`, leads to. */
static bool guard_refuses(const struct guard *guard, const struct gateway_spec *spec, const char *namespace)
{
	bool own = !strcmp(guard->namespace, spec->namespace);
	if ((own && (spec->allow_given || !strcmp(guard->name, spec->name))) || !strcmp(guard->namespace, namespace))
		return false;
	return !guard->spec.allow || !spec_allows(&guard->spec, namespace);
}

static const struct guard *guards_at(const struct guards *guards, const struct cluster *cluster,
				     const struct gateway_spec *spec, const char *namespace,
				     const struct cluster_endpoint *endpoint)
{
	uint16_t port = !spec->port_given && endpoint->port ? endpoint->port : spec->port;
	for (size_t i = 0; i < guards->n_addresses; i++) {
		const struct guard_address *at = &guards->addresses[i];
		if ((!at->port || at->port == port) && address_equal(&at->address, &endpoint->address) &&
		    guard_refuses(&guards->list[at->guard], spec, namespace))
			return &guards->list[at->guard];
	}
	for (size_t i = 0; i < guards->n; i++)
		if (guard_has_node_port(&guards->list[i], port) && guard_refuses(&guards->list[i], spec, namespace) &&
		    cluster_node_at(cluster, &endpoint->address))
			return &guards->list[i];
	return NULL;
}

size_t guards_filter(struct guards *guards, const struct cluster *cluster, const struct gateway_spec *spec,
		     const char *namespace, struct cluster_endpoint *list, size_t n, char *out, size_t size)
{
	const struct guard *by = NULL;
	size_t left = 0;
	char address[ADDRESS_TEXT] = "";
	guards_find(guards, cluster);
	for (size_t i = 0; i < n; i++) {
		const struct guard *found = guards_at(guards, cluster, spec, namespace, &list[i]);
		if (!found)
			list[left++] = list[i];
		else if (!by)
			address_format(&list[i].address, address);
		by = by ? by : found;
	}
	*out = '\0';
	if (by && !left)
		snprintf(out, size,
			 "the endpoint %s of %s/%s belongs to the gateway %s/%s, which does not take pods of namespace "
			 "%s: name it in that Service's " GUARD_KEY,
			 address, spec->namespace, spec->name, by->namespace, by->name, namespace);
	return left;
}
