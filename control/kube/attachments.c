/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attachments.c - the attachments of this node, and what the reconciler's files ask about them
 */
#include "control/kube/events.h"
#include "control/kube/reconciler_internal.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <string.h>

void reconciler_add(struct reconciler *reconciler, struct attachment *attachment)
{
	attachment->began = reconciler->now;
	attachment->next = reconciler->attachments;
	reconciler->attachments = attachment;
}

void reconciler_drop(struct reconciler *reconciler, struct attachment *attachment)
{
	struct attachment **at = &reconciler->attachments;
	while (*at != attachment)
		at = &(*at)->next;
	*at = attachment->next;
	attachment_free(attachment);
}

struct attachment *reconciler_find(const struct reconciler *reconciler, const char *port)
{
	struct attachment *attachment = reconciler->attachments;
	while (attachment && strcmp(attachment->port, port) != 0)
		attachment = attachment->next;
	return attachment;
}

/* Sends an Event when it says something new, and logs it. */
void reconciler_report(struct reconciler *reconciler, struct attachment *attachment, bool warning, const char *reason,
		       const char *message)
{
	char event[sizeof(attachment->event)];
	snprintf(event, sizeof(event), "%s: %s", reason, message);
	if (!strcmp(event, attachment->event))
		return;
	memcpy(attachment->event, event, sizeof(event));
	log_line(warning ? LOG_WARNING : LOG_INFO, "%s/%s: %.300s", attachment->namespace, attachment->pod, event);
	const json_t *pod = cluster_pod(reconciler->config.cluster, attachment->namespace, attachment->pod);
	if (pod)
		events_send(reconciler->config.kube, reconciler->config.node, pod, warning, reason, message);
}

void reconciler_choose(struct reconciler *reconciler, const json_t *pod, const char *namespace, const char *configured,
		       struct choice *out)
{
	const struct choose_input input = {
		.pod = pod,
		.namespace = cluster_namespace(reconciler->config.cluster, namespace),
		.configured = configured,
		.lookup = gateway_lookup_find,
		.context = &reconciler->lookup,
		.policy = reconciler->config.policy,
	};
	choose(&input, out);
}

const char *pod_uid(const json_t *pod)
{
	const char *uid = json_string_value(json_object_get(json_object_get(pod, "metadata"), "uid"));
	return uid ? uid : "";
}

/*
 * Whether the runtime's pod with that UID ("": not known) is this one. A static pod has another UID on the node than
 * its mirror in the API; the mirror's annotation has the node's.
 */
bool pod_has_uid(const json_t *pod, const char *uid)
{
	const json_t *annotations = json_object_get(json_object_get(pod, "metadata"), "annotations");
	const char *mirrored = json_string_value(json_object_get(annotations, "kubernetes.io/config.mirror"));
	return !*uid || !strcmp(uid, pod_uid(pod)) || (mirrored && !strcmp(uid, mirrored));
}

const json_t *attachment_pod(const struct reconciler *reconciler, const struct attachment *attachment)
{
	const json_t *pod = cluster_pod(reconciler->config.cluster, attachment->namespace, attachment->pod);
	return pod && pod_has_uid(pod, attachment->uid) ? pod : NULL;
}

bool pod_is_ending(const json_t *pod)
{
	return json_object_get(json_object_get(pod, "metadata"), "deletionTimestamp");
}
