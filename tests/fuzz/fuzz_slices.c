/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_slices.c - any EndpointSlices, one change after another: whose endpoints they make, and whom an allow list stops
 *
 * A line is + (new or changed) or - (deleted) and a JSON text. Of two Services, safe/vpn has an allow list on which
 * "evil" is not; evil/own has none. What single changes make of the slices must be what one list of all makes of them;
 * and no pod of "evil" may be led by evil/own to where safe/vpn leads.
 */
#include "control/kube/guard.h"
#include "tests/fuzz/quiet.h"

#define assert_non_null(value) assert(value)
#include "tests/unit/fake_watch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char services[] =
	"[{\"metadata\":{\"name\":\"vpn\",\"namespace\":\"safe\",\"annotations\":{\"podswitch.io/allow-namespaces\":"
	"\"good\"}},\"spec\":{\"ports\":[{\"protocol\":\"UDP\",\"port\":4789}]}},"
	"{\"metadata\":{\"name\":\"own\",\"namespace\":\"evil\"},\"spec\":{\"ports\":[{\"protocol\":\"UDP\",\"port\":"
	"4789}]}}]";

static void on_changed(void *context)
{
	(void)context;
}

static struct cluster *cluster_of(json_t *slices)
{
	const struct cluster_config config = {.node = "n1", .changed = on_changed};
	struct cluster *cluster;
	json_t *list = json_loads(services, 0, NULL);
	struct watch *watch;
	assert(!cluster_open(NULL, &config, &cluster, NULL));
	watch = watch_of("services");
	watch->callbacks.replace(watch->context, list);
	watch = watch_of("endpointslices");
	watch->callbacks.replace(watch->context, slices);
	json_decref(list);
	return cluster;
}

/* ---- what the slices come to ---- */

static size_t find(const struct cluster_endpoint *list, size_t n, const struct cluster_endpoint *one)
{
	size_t i = 0;
	while (i < n && !address_equal(&list[i].address, &one->address))
		i++;
	return i;
}

static void check_endpoints(const struct cluster_endpoint *list, size_t n)
{
	assert(n <= CLUSTER_MAX_ENDPOINTS);
	for (size_t i = 0; i < n; i++)
		assert(list[i].address.family && find(list, n, &list[i]) == i);
}

static uint16_t port_of(const struct gateway_spec *spec, const struct cluster_endpoint *endpoint)
{
	return !spec->port_given && endpoint->port ? endpoint->port : spec->port;
}

static void check_guard(const struct cluster *cluster)
{
	struct cluster_endpoint safe[CLUSTER_MAX_ENDPOINTS], evil[CLUSTER_MAX_ENDPOINTS];
	size_t n_safe = cluster_endpoints(cluster, "safe", "vpn", safe);
	size_t n = cluster_endpoints(cluster, "evil", "own", evil);
	struct gateway_spec theirs, own;
	struct guards guards = {0};
	struct failure why = {0};
	char text[512];
	check_endpoints(safe, n_safe);
	check_endpoints(evil, n);
	assert(n_safe <= cluster_count_endpoints(cluster, "safe", "vpn"));
	assert(!spec_read(cluster_service(cluster, "safe", "vpn"), &theirs, &why));
	assert(!spec_read(cluster_service(cluster, "evil", "own"), &own, &why));
	size_t left = guards_filter(&guards, cluster, &own, "evil", evil, n, text, sizeof(text));
	assert(left <= n && !*text == (left || !n));
	for (size_t i = 0; i < left; i++) {
		size_t at = find(safe, n_safe, &evil[i]);
		assert(at == n_safe || port_of(&theirs, &safe[at]) != port_of(&own, &evil[i]));
	}
	guards_free(&guards);
	spec_free(&theirs);
	spec_free(&own);
}

struct found {
	struct cluster_endpoint list[CLUSTER_MAX_ENDPOINTS];
	size_t n, all;
};

static void look(const struct cluster *cluster, const char *namespace, const char *name, struct found *out)
{
	out->n = cluster_endpoints(cluster, namespace, name, out->list);
	out->all = cluster_count_endpoints(cluster, namespace, name);
}

static void compare(const struct found *a, const struct found *b)
{
	assert(a->n == b->n && a->all == b->all);
	for (size_t i = 0; i < a->n && a->n < CLUSTER_MAX_ENDPOINTS; i++)
		assert(find(b->list, b->n, &a->list[i]) < b->n);
}

/* ---- the input ---- */

/* As watch.c hands them on. */
static bool is_object(const json_t *slice)
{
	return json_string_length(json_object_get(json_object_get(slice, "metadata"), "name")) > 0;
}

static void take_line(const struct cluster *cluster, const char *line)
{
	json_t *slice = json_loads(line + 1, 0, NULL);
	const struct watch *watch = watch_of("endpointslices");
	unsigned before = cluster_endpoints_version(cluster);
	json_t *all = json_deep_copy(cluster_objects(cluster, CLUSTER_SLICES));
	if (is_object(slice) && *line == '+')
		watch->callbacks.changed(watch->context, slice);
	if (is_object(slice) && *line == '-')
		watch->callbacks.deleted(watch->context, slice);
	/* Who keeps what he has found of them would not look again. */
	assert(cluster_endpoints_version(cluster) != before ||
	       json_equal(all, cluster_objects(cluster, CLUSTER_SLICES)));
	json_decref(all);
	json_decref(slice);
}

static json_t *list_of(const struct cluster *cluster)
{
	json_t *list = json_array(), *slice;
	const char *key;
	json_object_foreach((json_t *)cluster_objects(cluster, CLUSTER_SLICES), key, slice)
	{
		json_array_append(list, slice);
	}
	return list;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *none = json_array();
	struct cluster *cluster = cluster_of(none);
	char *text = strndup((const char *)data, size), *rest = NULL;
	for (const char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		take_line(cluster, line);
		check_guard(cluster);
	}
	struct found safe[2], evil[2];
	json_t *slices = list_of(cluster);
	for (int again = 0; again < 2; again++) {
		look(cluster, "safe", "vpn", &safe[again]);
		look(cluster, "evil", "own", &evil[again]);
		cluster_close(cluster);
		if (!again)
			cluster = cluster_of(slices);
	}
	compare(&safe[0], &safe[1]);
	compare(&evil[0], &evil[1]);
	json_decref(slices);
	json_decref(none);
	free(text);
	return 0;
}
