/* SPDX-License-Identifier: Apache-2.0 */
/*
 * running_pods.c - pods that run already and were not started through the CNI plugin
 *
 * Where the CNI configuration cannot be changed, and for pods that are annotated while they run. Their network
 * namespace is found by the control groups of their processes (find.h).
 */
#include "control/kube/find.h"
#include "control/kube/reconciler_internal.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static bool has_attachment(const struct reconciler *reconciler, const json_t *pod, const char *namespace,
			   const char *name)
{
	for (const struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		if (!strcmp(attachment->namespace, namespace) && !strcmp(attachment->pod, name) &&
		    pod_has_uid(pod, attachment->uid))
			return true;
	return false;
}

/* A pod that is still being created belongs to the plugin. */
static bool pod_is_running(const json_t *pod)
{
	const char *phase = json_string_value(json_object_get(json_object_get(pod, "status"), "phase"));
	return phase && !strcmp(phase, "Running") && !pod_is_ending(pod);
}

/* Looks for the pod's network namespace, at most once in RECONCILER_PERIOD. */
static int find_running_netns(struct reconciler *reconciler, const char *uid, char *out, size_t size)
{
	uint64_t pod = XXH3_64bits(uid, strlen(uid));
	for (size_t i = 0; i < RECONCILER_UNFOUND; i++)
		if (reconciler->unfound[i].pod == pod && reconciler->unfound[i].until > reconciler->now)
			return -ENOENT;
	int error = find_netns(uid, out, size);
	if (error)
		reconciler->unfound[reconciler->next_unfound++ % RECONCILER_UNFOUND] =
			(struct unfound){pod, reconciler->now + RECONCILER_PERIOD};
	return error;
}

static void attach_running_pod(struct reconciler *reconciler, const json_t *pod, const char *namespace,
			       const char *name)
{
	struct choice choice;
	char id[NAMES_ID + 1], netns[sizeof(((struct attachment *)0)->netns)];
	reconciler_choose(reconciler, pod, namespace, NULL, &choice);
	if (choice.verdict == CHOICE_NONE || choice.verdict == CHOICE_UNDECIDED)
		return;
	if (port_id_of_uid(id, pod_uid(pod)) || find_running_netns(reconciler, pod_uid(pod), netns, sizeof(netns)))
		return;
	struct attachment *attachment = attachment_new(namespace, name, id, NAMES_DEFAULT_IFNAME);
	if (!attachment)
		return;
	attachment->by_agent = true;
	snprintf(attachment->uid, sizeof(attachment->uid), "%s", pod_uid(pod));
	memcpy(attachment->netns, netns, sizeof(netns));
	reconciler_add(reconciler, attachment);
	(void)reconcile(reconciler, attachment);
}

void attach_running_pods(struct reconciler *reconciler)
{
	const char *key;
	json_t *pod;
	char namespace[64];
	json_object_foreach((json_t *)cluster_pods(reconciler->config.cluster), key, pod)
	{
		const char *slash = strchr(key, '/');
		if (!slash || (size_t)(slash - key) >= sizeof(namespace) || !pod_is_running(pod))
			continue;
		snprintf(namespace, sizeof(namespace), "%.*s", (int)(slash - key), key);
		if (!has_attachment(reconciler, pod, namespace, slash + 1))
			attach_running_pod(reconciler, pod, namespace, slash + 1);
	}
}
