/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_review.c - any bytes as an AdmissionReview, in a cluster where every gateway exists
 *
 * The patch must be one that can be applied, the answer JSON, and the pod that comes of it be left alone the next time.
 */
#include "control/webhook/admit.h"

#include "tests/unit/json_patch.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char config[] =
	"{\"default\":{\"dns\":{\"nameservers\":[\"172.16.0.1\"],\"policy\":\"None\"},\"classic\":{\"initImage\":\"i\","
	"\"sidecarImage\":\"s\",\"sidecarCmd\":\"/s\",\"configmapName\":\"c\",\"initMountPoint\":\"/c\"}},"
	"\"gateways\":{\"a/plain\":{\"dns\":{\"policy\":\"ClusterFirst\"},\"classic\":{\"sidecarAsInit\":true}},"
	"\"a/warn\":{\"on_error\":\"warn\",\"env\":[\"app\"],\"env_conflict\":\"keep\"}}}";

static struct gateway_spec spec;
static json_t *the_namespace, *cluster_dns;
static struct profiles *profiles;

static const struct gateway_spec *lookup(const char *namespace, const char *name, const char **error, void *context)
{
	(void)namespace;
	(void)error;
	(void)context;
	return strcmp(name, "nosuch") != 0 ? &spec : NULL;
}

static const json_t *namespace_of(const char *name, void *context)
{
	(void)context;
	return strcmp(name, "unseen") != 0 ? the_namespace : NULL;
}

static void begin(void)
{
	struct failure why = {0};
	json_t *root = json_loads(config, 0, NULL);

	the_namespace = json_loads("{\"metadata\":{\"name\":\"a\",\"annotations\":{\"podswitch.io/gateway\":\"vpn\"}}}",
				   0, NULL);
	cluster_dns = json_pack("[s]", "10.96.0.10");
	if (profiles_read(root, &profiles, &why))
		abort();
	json_decref(root);
}

static void check(const struct admit_context *context, const struct review *review, bool again)
{
	struct admission out;

	if (admit(context, review, &out))
		abort();
	char *text = review_answer(review, &out.answer);
	json_t *answer = text ? json_loads(text, 0, NULL) : NULL;
	if (!answer || (out.answer.denied && out.patch) || (again && json_array_size(out.patch)))
		abort();
	json_decref(answer);
	free(text);
	if (json_array_size(out.patch) && !again) {
		struct review next = *review;
		json_t *pod = patch_apply(review->pod, out.patch);
		if (!pod)
			abort();
		next.pod = pod;
		check(context, &next, true);
		json_decref(pod);
	}
	admission_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct choose_policy policy = {.default_gateway = "vpn.a", .pod_annotations = true};
	struct review review;
	struct failure why = {0};

	if (!profiles)
		begin();
	const struct admit_context context = {
		.policy = &policy,
		.profiles = profiles,
		.cluster_dns = cluster_dns,
		.namespace = namespace_of,
		.lookup = lookup,
	};
	if (review_read((const char *)data, size, &review, &why)) {
		if (!why.text[0])
			abort();
		return 0;
	}
	check(&context, &review, false);
	review_free(&review);
	return 0;
}
