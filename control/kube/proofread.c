/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proofread.c - tells the owners of this node's pods of annotations that mean nothing
 *
 * On the pod, on its namespace, and on the Service that it has as its gateway. Also for pods that have no gateway: they
 * may have none because of the misspelling.
 */
#include "control/base/json.h"
#include "control/kube/events.h"
#include "control/kube/reconciler_internal.h"
#include "control/kube/spelling.h"

#include <stdio.h>
#include <string.h>

#define SENTENCE 400

static void proofread_one(struct reconciler *reconciler, const json_t *pod, enum spelling_of of, const json_t *object)
{
	static const char *const topics[] = {
		[SPELLING_POD] = "/pod", [SPELLING_NAMESPACE] = "/namespace", [SPELLING_SERVICE] = "/service"};
	char text[SENTENCE];
	if (spelling_check(of, object, text, sizeof(text)))
		reconciler_tell(reconciler, pod, topics[of], true, EVENT_UNKNOWN_KEY, text);
}

/* "NAMESPACE/NAME" */
static const json_t *service_of(const struct reconciler *reconciler, const char *gateway)
{
	char namespace[KUBE_LABEL];
	const char *slash = strchr(gateway, '/');
	if (!slash)
		return NULL;
	snprintf(namespace, sizeof(namespace), "%.*s", (int)(slash - gateway), gateway);
	return cluster_service(reconciler->config.cluster, namespace, slash + 1);
}

void proofread_pods(struct reconciler *reconciler)
{
	const struct cluster *cluster = reconciler->config.cluster;
	const char *key;
	json_t *pod;
	json_object_foreach((json_t *)cluster_pods(cluster), key, pod)
	{
		if (json_is_true(json_object_get(json_object_get(pod, "spec"), "hostNetwork")))
			continue;
		const char *namespace = json_text(json_object_get(pod, "metadata"), "namespace");
		proofread_one(reconciler, pod, SPELLING_POD, pod);
		proofread_one(reconciler, pod, SPELLING_NAMESPACE, cluster_namespace(cluster, namespace));
	}
	for (struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next) {
		pod = (json_t *)attachment_pod(reconciler, attachment);
		if (pod)
			proofread_one(reconciler, pod, SPELLING_SERVICE, service_of(reconciler, attachment->gateway));
	}
}
