/* SPDX-License-Identifier: Apache-2.0 */
/* review.c - an AdmissionReview */
#include "control/webhook/review.h"
#include "control/base/json.h"
#include "control/webhook/base64.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST_UID 256

/* ---- reading ---- */

/* Not json_text(): a string with a NUL in it must not pass for the part before. NULL when there is none. */
static const char *review_text(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static bool review_says(const json_t *object, const char *key, const char *wanted)
{
	const char *text = review_text(object, key);
	return text && !strcmp(text, wanted);
}

/* A pod that is being created; `kubectl exec` and the like create subresources of one. */
static bool is_new_pod(const json_t *request)
{
	const json_t *resource = json_object_get(request, "resource");
	const char *sub = review_text(request, "subResource");
	return review_says(resource, "group", "") && review_says(resource, "version", "v1") &&
	       review_says(resource, "resource", "pods") && (!sub || !*sub) &&
	       review_says(request, "operation", "CREATE");
}

static int review_read_request(const json_t *request, struct review *out, struct failure *why)
{
	out->uid = review_text(request, "uid");
	if (!out->uid || !*out->uid || strlen(out->uid) > LONGEST_UID)
		return fail(why, -EINVAL, "uid", "the review's request has no uid");
	out->namespace = review_text(request, "namespace");
	if (!out->namespace)
		out->namespace = "";
	out->dry_run = json_is_true(json_object_get(request, "dryRun"));
	if (!is_new_pod(request))
		return 0;
	out->pod = json_object_get(request, "object");
	if (!json_is_object(out->pod))
		return fail(why, -EINVAL, "object", "the review's request has no object");
	return 0;
}

static int review_read_root(struct review *out, struct failure *why)
{
	const char *version = review_text(out->root, "apiVersion");
	if (!review_says(out->root, "kind", "AdmissionReview") || !version ||
	    (strcmp(version, "admission.k8s.io/v1") != 0 && strcmp(version, "admission.k8s.io/v1beta1") != 0))
		return fail(why, -EINVAL, "apiVersion",
			    "this is not an AdmissionReview of admission.k8s.io/v1 or admission.k8s.io/v1beta1");
	out->version = version;
	return review_read_request(json_object_get(out->root, "request"), out, why);
}

int review_read(const char *bytes, size_t length, struct review *out, struct failure *why)
{
	struct review review = {0};
	json_error_t where;
	if (length > REVIEW_MAX || json_exceeds(bytes, length, REVIEW_MAX_VALUES))
		return fail(why, -EMSGSIZE, NULL, "the review is longer than %u bytes, or has more than %d values",
			    REVIEW_MAX, REVIEW_MAX_VALUES);
	/* The API server decides whether a NUL is allowed in a pod; refusing it here would be a way around us. */
	review.root = json_loadb(bytes, length, JSON_ALLOW_NUL, &where);
	if (!review.root)
		return json_error_code(&where) == json_error_out_of_memory
			       ? fail(why, -ENOMEM, NULL, "out of memory")
			       : fail(why, -EINVAL, NULL, "this is not JSON: line %d, column %d: %.100s", where.line,
				      where.column, where.text);
	int error = review_read_root(&review, why);
	if (error)
		review_free(&review);
	else
		*out = review;
	return error;
}

void review_free(struct review *review)
{
	json_decref(review->root);
	*review = (struct review){0};
}

/* ---- answering ---- */

static int add_patch(json_t *response, const json_t *patch)
{
	char *text = json_dumps(patch, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	int error = json_object_set_new(response, "patchType", json_string("JSONPatch"));
	error |= json_object_set_new(response, "patch", base64_encode(text));
	free(text);
	return error;
}

static json_t *make_response(const struct review *review, const struct review_answer *answer)
{
	json_t *response = json_pack("{s:s, s:b}", "uid", review->uid, "allowed", !answer->denied);
	int error = response ? 0 : -ENOMEM;
	if (!error && answer->denied)
		error = json_object_set_new(response, "status",
					    json_pack("{s:s, s:s, s:s, s:i}", "status", "Failure", "reason",
						      answer->reason, "message", answer->message, "code",
						      answer->code));
	else if (!error && json_array_size(answer->patch))
		error = add_patch(response, answer->patch);
	if (!error && json_array_size(answer->warnings))
		error = json_object_set_new(response, "warnings", json_deep_copy(answer->warnings));
	if (!error)
		return response;
	json_decref(response);
	return NULL;
}

char *review_answer(const struct review *review, const struct review_answer *answer)
{
	json_t *response = make_response(review, answer);
	if (!response)
		return NULL;
	json_t *root = json_pack("{s:s, s:s, s:o}", "apiVersion", review->version, "kind", "AdmissionReview",
				 "response", response);
	char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}
