/* SPDX-License-Identifier: Apache-2.0 */
/*
 * same_address.c - a pod of another node that has the same static address behind the same gateway
 *
 * podswitchd refuses the second one on this node. Of other nodes nothing is watched. So the pod's namespace is looked
 * through once, when the pod has its gateway: who writes an address into a Deployment's template gives it to all of its
 * pods. Both pods are told, each by its own node's agent, whichever comes last; and neither is stopped, as the earlier
 * one may be about to end. Pods of other namespaces are not looked for.
 */
#include "control/base/json.h"
#include "control/kube/events.h"
#include "control/kube/explain.h"
#include "control/kube/reconciler_internal.h"

#include <stdio.h>
#include <string.h>

#define PAGE 500 /* pods that are looked at */

/* Whether `other` has, or is to have, the attachment's address. */
static bool has_same_address(struct reconciler *reconciler, const struct attachment *attachment,
			     const struct address *address, const json_t *other)
{
	struct choice choice;
	char gateway[sizeof(attachment->gateway)];
	if (pod_is_ending(other) || !*json_text(json_object_get(other, "spec"), "nodeName"))
		return false;
	reconciler_choose(reconciler, other, attachment->namespace, "", &choice);
	if (choice.verdict != CHOICE_GATEWAY || !choice.has_address)
		return false;
	snprintf(gateway, sizeof(gateway), "%s/%s", choice.namespace, choice.name);
	return !strcmp(gateway, attachment->gateway) && address_equal(&choice.address.address, address);
}

static void tell_same_address(struct reconciler *reconciler, const struct attachment *attachment, const json_t *pod,
			      const struct address *address, const json_t *other)
{
	char text[EXPLAIN_SIZE], word[ADDRESS_TEXT];
	snprintf(text, sizeof(text),
		 "podswitch.io/address: pod %s on node %s has the address %s of %s, too: answers reach one of the two. "
		 "Give each pod its own; one in the template of a Deployment is for replicas: 1 and strategy Recreate",
		 json_text(json_object_get(other, "metadata"), "name"),
		 json_text(json_object_get(other, "spec"), "nodeName"), address_format(address, word),
		 attachment->gateway);
	reconciler_tell(reconciler, pod, "/address", true, EVENT_SAME_ADDRESS, text);
}

/* Looks among the `others`, pods of the attachment's namespace on other nodes. */
static void look_for_same_address(struct reconciler *reconciler, const struct attachment *attachment,
				  const json_t *others)
{
	const json_t *pod = attachment_pod(reconciler, attachment), *other;
	struct choice choice;
	size_t i;
	if (!pod || !*attachment->gateway)
		return;
	reconciler_choose(reconciler, pod, attachment->namespace, attachment->configured, &choice);
	if (choice.verdict != CHOICE_GATEWAY || !choice.has_address)
		return;
	const struct address address = choice.address.address;
	json_array_foreach(others, i, other)
	{
		if (!has_same_address(reconciler, attachment, &address, other))
			continue;
		tell_same_address(reconciler, attachment, pod, &address, other);
		return;
	}
}

static void same_address_answered(void *context, long status, json_t *answer, const char *text)
{
	struct reconciler *reconciler = context;
	const json_t *others = json_object_get(answer, "items"), *first = json_array_get(others, 0);
	const char *namespace = json_text(json_object_get(first, "metadata"), "namespace");
	(void)text; /* without an answer nothing is said */
	if (status != 200)
		return;
	for (const struct attachment *one = reconciler->attachments; one; one = one->next)
		if (one->attached && !strcmp(one->namespace, namespace))
			look_for_same_address(reconciler, one, others);
}

void same_address_ask(struct reconciler *reconciler, const struct attachment *attachment)
{
	char path[384];
	const struct kube_request request = {
		.method = "GET", .path = path, .done = same_address_answered, .context = reconciler};
	snprintf(path, sizeof(path), "/api/v1/namespaces/%.63s/pods?limit=%d&fieldSelector=spec.nodeName%%21%%3D%.200s",
		 attachment->namespace, PAGE, reconciler->config.node);
	if (reconciler->config.kube)
		(void)kube_request(reconciler->config.kube, &request, NULL);
}

void same_address_close(struct reconciler *reconciler)
{
	if (reconciler->config.kube)
		kube_cancel(reconciler->config.kube, reconciler);
}
