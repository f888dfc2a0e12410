/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admit.c - the decision on one review
 *
 *   review -> pod as choose() sees it -> choose() -> CHOICE_NONE       admitted as it is
 *                                                    CHOICE_GATEWAY    inject.c changes a copy, patch.c compares
 *                                                    NOT_FOUND, UNDECIDED   may change: the caller may ask again
 *                                                    NOT_ALLOWED, MALFORMED
 *                                                       `- refused, or admitted with a warning (on_error)
 *
 * The pod's namespace is the review's: the object itself may not have one yet. pod-gateway's containers that we added
 * ourselves are hidden from choose(), which leaves pods alone that bring their own.
 */
#include "control/webhook/admit.h"
#include "control/webhook/inject.h"
#include "control/webhook/patch.h"

#include <assert.h>
#include <string.h>

static json_t *pod_for_choose(const struct review *review)
{
	json_t *pod = json_copy((json_t *)review->pod);
	json_t *metadata = json_copy(json_object_get(review->pod, "metadata"));
	json_t *spec = NULL;
	if (!json_is_object(metadata)) {
		json_decref(metadata);
		metadata = json_object();
	}
	int error = json_object_set_new(metadata, "namespace", json_string(review->namespace));
	error |= json_object_set_new(pod, "metadata", metadata);
	if (!error && inject_is_ours(review->pod)) {
		spec = json_deep_copy(json_object_get(pod, "spec"));
		error = spec ? json_object_set_new(pod, "spec", spec) : 0;
		inject_hide(pod);
	}
	if (!error)
		return pod;
	json_decref(pod);
	return NULL;
}

static int choose_gateway(const struct admit_context *context, const struct review *review, struct choice *out)
{
	json_t *pod = pod_for_choose(review);
	if (!pod)
		return -ENOMEM;
	const struct choose_input input = {
		.pod = pod,
		.namespace = context->namespace(review->namespace, context->context),
		.lookup = context->lookup,
		.context = context->context,
		.policy = context->policy,
	};
	choose(&input, out);
	json_decref(pod);
	return 0;
}

/* ---- the answer ---- */

static int admit_inject(const struct admit_context *context, const struct review *review, struct admission *out)
{
	const struct choice *choice = &out->choice;
	const char *domain = context->policy->cluster_domain;
	const struct inject_order order = {
		.profile = profiles_find(context->profiles, choice->namespace, choice->name),
		.gateway_namespace = choice->namespace,
		.gateway_name = choice->name,
		.namespace = review->namespace,
		.domain = domain ? domain : "cluster.local",
		.cluster_dns = context->cluster_dns,
	};
	json_t *pod = json_deep_copy(review->pod);
	int error = pod ? inject(pod, &order, out->warnings) : -ENOMEM;
	if (!error) {
		out->patch = patch_make(review->pod, pod);
		error = out->patch ? 0 : -ENOMEM;
	}
	json_decref(pod);
	out->verdict = json_array_size(out->patch) ? ADMIT_CHANGED : ADMIT_UNTOUCHED;
	return error;
}

static void settle_code(const struct choice *choice, struct review_answer *answer)
{
	answer->code = 403;
	answer->reason = "Forbidden";
	/* Not 422: for that kubectl prints the list of causes, which is empty here, and not the message. */
	if (choice->verdict == CHOICE_MALFORMED) {
		answer->code = 400;
		answer->reason = "BadRequest";
	} else if (choice->verdict == CHOICE_UNDECIDED) {
		answer->code = 503;
		answer->reason = "ServiceUnavailable";
	}
}

static int admission_refuse(const struct admit_context *context, struct admission *out)
{
	const struct choice *choice = &out->choice;
	bool warn = profiles_find(context->profiles, choice->namespace, choice->name)->warn;
	out->may_change = choice->verdict == CHOICE_UNDECIDED || choice->verdict == CHOICE_NOT_FOUND ||
			  choice->verdict == CHOICE_UNREADABLE;
	out->verdict = warn ? ADMIT_WARNED : ADMIT_DENIED;
	if (warn)
		return json_array_append_new(out->warnings, json_string(choice->reason)) ? -ENOMEM : 0;
	out->answer.denied = true;
	out->answer.message = choice->reason;
	settle_code(choice, &out->answer);
	return 0;
}

static int admission_decide(const struct admit_context *context, const struct review *review, struct admission *out)
{
	int error = choose_gateway(context, review, &out->choice);
	if (error)
		return error;
	switch (out->choice.verdict) {
	case CHOICE_NONE:
		return 0;
	case CHOICE_GATEWAY:
		return admit_inject(context, review, out);
	case CHOICE_NOT_FOUND:
	case CHOICE_UNREADABLE:
	case CHOICE_NOT_ALLOWED:
	case CHOICE_MALFORMED:
	case CHOICE_UNDECIDED:
		break;
	}
	return admission_refuse(context, out);
}

int admit(const struct admit_context *context, const struct review *review, struct admission *out)
{
	*out = (struct admission){.verdict = ADMIT_UNTOUCHED, .warnings = json_array()};
	int error = out->warnings ? 0 : -ENOMEM;
	if (!error && review->pod)
		error = admission_decide(context, review, out);
	if (error) {
		admission_free(out);
		return error;
	}
	out->answer.patch = out->patch;
	out->answer.warnings = out->warnings;
	return 0;
}

void admission_free(struct admission *admission)
{
	json_decref(admission->patch);
	json_decref(admission->warnings);
	*admission = (struct admission){0};
}

const char *admit_verdict_name(enum admit_verdict verdict)
{
	static const char *const names[] = {"untouched", "changed", "warned", "denied"};
	static_assert(sizeof(names) / sizeof(names[0]) == ADMIT_VERDICTS, "every verdict has a name");
	return names[verdict];
}
