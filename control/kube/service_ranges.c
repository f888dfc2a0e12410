/* SPDX-License-Identifier: Apache-2.0 */
/* service_ranges.c - the networks that Services' addresses come from */
#include "control/kube/service_ranges.h"

#define SERVICES_AT_LEAST4 16 /* bits; the smallest range we assume where the API does not name it */
#define SERVICES_AT_LEAST6 112

void prefixes_each(const json_t *list, const json_t *one, void (*visit)(void *, const struct prefix *), void *context)
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

static void each_cluster_ip(const json_t *service, void (*visit)(void *, const struct prefix *), void *context)
{
	const json_t *spec = json_object_get(service, "spec");
	prefixes_each(json_object_get(spec, "clusterIPs"), json_object_get(spec, "clusterIP"), visit, context);
}

/* The Service `kubernetes` has the first usable address: the range starts one before it. */
static void start_range(void *context, const struct prefix *first)
{
	struct prefix *ranges = context, *range = &ranges[first->address.family == AF_INET6];
	*range = *first;
	range->address.bytes[address_size(first->address.family) - 1]--;
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

/* The API server gives Services addresses of its range only, so that no Service can stretch it beyond. */
static void stretch_range(void *context, const struct prefix *address)
{
	struct prefix *ranges = context, *range = &ranges[address->address.family == AF_INET6];
	if (!range->address.family)
		return;
	while (range->length && !prefix_contains(range, &address->address))
		range->length--;
	*range = prefix_network(range);
}

static void infer_ranges(const struct cluster *cluster, struct prefix ranges[2])
{
	const char *key;
	json_t *service;
	each_cluster_ip(cluster_service(cluster, "default", "kubernetes"), start_range, ranges);
	json_object_foreach((json_t *)cluster_objects(cluster, CLUSTER_SERVICES), key, service)
	{
		each_cluster_ip(service, stretch_range, ranges);
	}
}

void service_ranges_each(const struct cluster *cluster, void (*visit)(void *, const struct prefix *), void *context)
{
	struct prefix ranges[2] = {0}; /* IPv4, IPv6 */
	const json_t *told = cluster_objects(cluster, CLUSTER_SERVICE_CIDRS);
	const char *key;
	json_t *object;
	json_object_foreach((json_t *)told, key, object)
	{
		prefixes_each(json_object_get(json_object_get(object, "spec"), "cidrs"), NULL, visit, context);
	}
	if (json_object_size(told))
		return;
	infer_ranges(cluster, ranges);
	for (size_t i = 0; i < 2; i++)
		if (ranges[i].address.family)
			visit(context, &ranges[i]);
}
