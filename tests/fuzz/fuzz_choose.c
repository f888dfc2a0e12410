/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_choose.c - any pod, namespace and Service, and what is decided of them
 *
 * The input is one JSON object {"pod", "namespace", "service", "configured", "default", "on", "off"}; "on": pods
 * without setGateway get the default gateway, "off": pods may not choose.
 */
#include "control/kube/choose.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
	const struct gateway_spec *spec; /* NULL: malformed */
	const char *error;
};

/* Whatever is asked for is the one that there is, so that not only inputs with equal names go on. */
static const struct gateway_spec *lookup(const char *namespace, const char *name, const char **error, void *context)
{
	const struct found *found = context;

	if (!name_is_label(namespace, strlen(namespace)) || !name_is_label(name, strlen(name)))
		abort();
	if (!found->spec && strcmp(name, "nosuch") != 0)
		*error = found->error;
	return strcmp(name, "nosuch") != 0 ? found->spec : NULL;
}

static void check_text(const char *text, size_t size)
{
	if (!memchr(text, '\0', size) || !*text)
		abort();
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			abort();
	}
}

static void check(const struct choice *out)
{
	struct prefix network;

	check_text(out->reason, sizeof(out->reason));
	check_text(choice_verdict_name(out->verdict), 16);
	if (!out->spec != (out->verdict != CHOICE_GATEWAY) || !out->key[0] != (out->verdict != CHOICE_MALFORMED))
		abort();
	if (!out->has_address)
		return;
	network = prefix_network(&out->address);
	if (!out->spec || !prefix_equal(&network, &out->spec->network) ||
	    address_equal(&out->address.address, &out->spec->router))
		abort();
}

static void decide(const json_t *input)
{
	struct failure why = {0};
	struct gateway_spec spec;
	struct found found = {.spec = &spec, .error = why.text};
	struct choose_policy policy = {
		.default_gateway = json_string_value(json_object_get(input, "default")),
		.set_gateway_default = json_is_true(json_object_get(input, "on")),
		.pod_annotations = !json_is_true(json_object_get(input, "off")),
		.cluster_domain = "cluster.local",
	};
	struct choose_input in = {
		.pod = json_object_get(input, "pod"),
		.namespace = json_object_get(input, "namespace"),
		.configured = json_string_value(json_object_get(input, "configured")),
		.lookup = lookup,
		.context = &found,
		.policy = &policy,
	};
	struct choice out;

	if (spec_read(json_object_get(input, "service"), &spec, &why)) {
		check_text(why.text, sizeof(why.text));
		found.spec = NULL;
	}
	memset(&out, 0x5a, sizeof(out));
	choose(&in, &out);
	check(&out);
	spec_free(&spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *input = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);

	decide(input);
	json_decref(input);
	return 0;
}
