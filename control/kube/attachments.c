/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attachments.c - the attachments of this node, and what the reconciler's files ask about them
 */
#include "control/base/json.h"
#include "control/kube/events.h"
#include "control/kube/reconciler_internal.h"
#include "tap/base/log.h"
#include "tap/base/text.h"

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

/*
 * Whether the pod's owner has not been told this last. Kept by pod, as the kubelet makes one sandbox after the other
 * for a pod that cannot start, each of which is an attachment of its own.
 */
static bool is_news(struct reconciler *reconciler, const char *pod, const char *text)
{
	if (!strcmp(json_text(reconciler->told, pod), text))
		return false;
	json_object_set_new(reconciler->told, pod, json_string(text));
	return true;
}

void reconciler_tell(struct reconciler *reconciler, const json_t *pod, const char *topic, bool warning,
		     const char *reason, const char *message)
{
	char event[1024], key[128];
	snprintf(event, sizeof(event), "%s: %s", reason, message);
	text_to_ascii(event);
	snprintf(key, sizeof(key), "%.63s%.40s", pod_uid(pod), topic);
	if (!is_news(reconciler, key, event))
		return;
	const json_t *metadata = json_object_get(pod, "metadata");
	log_line(warning ? LOG_WARNING : LOG_INFO, "%s/%s: %.700s", json_text(metadata, "namespace"),
		 json_text(metadata, "name"), event);
	events_send(reconciler->config.kube, reconciler->config.node, pod, warning, reason, message);
}

void reconciler_report(struct reconciler *reconciler, struct attachment *attachment, bool warning, const char *reason,
		       const char *message)
{
	const json_t *pod = cluster_pod(reconciler->config.cluster, attachment->namespace, attachment->pod);
	if (pod)
		reconciler_tell(reconciler, pod, "", warning, reason, message);
	else
		log_line(warning ? LOG_WARNING : LOG_INFO, "%s: %s: %.700s", attachment->port, reason, message);
}

void reconciler_forget_told(struct reconciler *reconciler)
{
	const char *key;
	json_t *pod, *value;
	void *next;
	json_t *uids = json_object();
	json_object_foreach((json_t *)cluster_pods(reconciler->config.cluster), key, pod)
	{
		json_object_set_new(uids, pod_uid(pod), json_true());
	}
	json_object_foreach_safe(reconciler->told, next, key, value)
	{
		char uid[64];
		snprintf(uid, sizeof(uid), "%.*s", (int)strcspn(key, "/"), key);
		if (!json_object_get(uids, uid))
			json_object_del(reconciler->told, key);
	}
	json_decref(uids);
}

void reconciler_choose_in(struct reconciler *reconciler, const json_t *pod, const json_t *namespace,
			  const char *configured, struct choice *out)
{
	const struct choose_input input = {
		.pod = pod,
		.namespace = namespace,
		.configured = configured,
		.lookup = gateway_lookup_find,
		.context = &reconciler->lookup,
		.policy = reconciler->config.policy,
	};
	choose(&input, out);
}

void reconciler_choose(struct reconciler *reconciler, const json_t *pod, const char *namespace, const char *configured,
		       struct choice *out)
{
	reconciler_choose_in(reconciler, pod, cluster_namespace(reconciler->config.cluster, namespace), configured,
			     out);
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

/* A ReplicaSet is called as its Deployment, with the hash of the pod's template behind it. */
static size_t owner_length(const json_t *pod, const char *owner)
{
	const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
	const char *hash = json_text(labels, "pod-template-hash");
	char end[80];
	snprintf(end, sizeof(end), "-%.70s", hash);
	return strlen(owner) - (*hash && text_ends_with(owner, end) ? strlen(end) : 0);
}

void pod_hostname(const json_t *pod, char out[static 64])
{
	const json_t *metadata = json_object_get(pod, "metadata");
	const json_t *owner = json_array_get(json_object_get(metadata, "ownerReferences"), 0);
	const char *name = json_text(json_object_get(pod, "spec"), "hostname");
	size_t length = strlen(name);
	/* A static pod is owned by its node. */
	if (!length && strcmp(json_text(owner, "kind"), "Node") != 0) {
		name = json_text(owner, "name");
		length = owner_length(pod, name);
	}
	if (!length) {
		name = json_text(metadata, "name");
		length = strlen(name);
	}
	size_t label = strcspn(name, ".");
	snprintf(out, 64, "%.*s", (int)(label < length ? label : length), name);
}
