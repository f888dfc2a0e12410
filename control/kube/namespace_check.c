/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namespace_check.c - what the API server says of a namespace now, before a pod of it starts without a gateway
 *
 * Pods and namespaces come by two streams, and one may trail the other: a pod that was made right after its namespace
 * was annotated may be known while the annotation is not. So the namespace is read from the server itself, in a request
 * that was sent after the plugin had asked, and a read without a resourceVersion is as new as the last write.
 *
 *     plugin                 agent                              API server
 *       | -- attachment.add -> | (nothing asks for a gateway)        |
 *       |                      | -- GET the namespace -------------> |
 *       | <---- pending ------ |                                     |
 *       |                      | <---------------- its annotations - |
 *       | -- attachment.add -> | choose() again, with these          |
 *       | <------ none ------- | or pending, until the stream has said so, too
 *
 * What comes is never put into the cluster's store: the stream would take it back, event by event, and a pod's port
 * with it. One answer is for all pods of the namespace that were asked for before it was sent. A server that does not
 * answer, while the stream of pods is up, holds a pod up for PATIENCE; then what is known counts, as when all of the
 * server is away.
 */
#include "control/kube/reconciler_internal.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_TIMEOUT 3000   /* ms for one request */
#define CHECK_PATIENCE 10000 /* ms without an answer, until what is known counts */
#define CHECK_AGAIN 500      /* ms until the server is asked again about what the stream has not said yet, or failed */
#define CHECK_LIFE 60000     /* ms for which an answer is kept; longer than any pod waits for one */

struct namespace_check {
	struct namespace_check *next;
	char namespace[KUBE_LABEL];
	bool asked;     /* a request is under way */
	uint64_t sent;  /* ms, when that was made, or the last one */
	uint64_t since; /* ms, since when there has been no answer; 0: there was one */
	uint64_t read;  /* ms, when the request was made that `object` answers */
	json_t *object; /* the namespace; NULL: not read yet, or there is none by now */
	bool answered;  /* ever */
};

static void namespace_check_answered(void *context, long status, json_t *answer, const char *text)
{
	struct namespace_check *check = context;
	check->asked = false;
	if (status != 200 && status != 404) {
		log_line(LOG_DEBUG, "namespace %s cannot be read: %ld %s", check->namespace, status, text);
		return;
	}
	json_decref(check->object);
	check->object = status == 200 ? json_incref(answer) : NULL;
	check->answered = true;
	check->read = check->sent;
	check->since = 0;
}

static void namespace_check_send(struct reconciler *reconciler, struct namespace_check *check)
{
	char path[128];
	const struct kube_request request = {.method = "GET",
					     .path = path,
					     .done = namespace_check_answered,
					     .context = check,
					     .timeout_ms = CHECK_TIMEOUT};
	snprintf(path, sizeof(path), "/api/v1/namespaces/%s", check->namespace);
	check->sent = reconciler->now;
	check->since = check->since ? check->since : reconciler->now;
	check->asked = true;
	if (kube_request(reconciler->config.kube, &request, NULL))
		check->asked = false; /* the queue is full: again soon */
}

static void namespace_check_free(const struct reconciler *reconciler, struct namespace_check *check)
{
	if (check->asked)
		kube_cancel(reconciler->config.kube, check);
	json_decref(check->object);
	free(check);
}

static void namespace_checks_expire(struct reconciler *reconciler)
{
	for (struct namespace_check **at = &reconciler->checks; *at;) {
		struct namespace_check *check = *at;
		if (reconciler->now - check->sent < CHECK_LIFE) {
			at = &check->next;
			continue;
		}
		*at = check->next;
		namespace_check_free(reconciler, check);
	}
}

static struct namespace_check *namespace_check_of(struct reconciler *reconciler, const char *namespace)
{
	struct namespace_check *check = reconciler->checks;
	while (check && strcmp(check->namespace, namespace) != 0)
		check = check->next;
	if (check)
		return check;
	check = calloc(1, sizeof(*check));
	if (!check)
		return NULL;
	snprintf(check->namespace, sizeof(check->namespace), "%s", namespace);
	check->next = reconciler->checks;
	reconciler->checks = check;
	return check;
}

/* Whether the pod has no gateway by what the server said, either. */
static bool namespace_check_agrees(struct reconciler *reconciler, const struct namespace_check *check,
				   const struct attachment *attachment, const json_t *pod)
{
	struct choice choice;
	if (!check->object)
		return true; /* it is gone, and the pod with it */
	reconciler_choose_in(reconciler, pod, check->object, attachment->configured, &choice);
	return choice.verdict == CHOICE_NONE;
}

static bool is_decided_by_pod(struct reconciler *reconciler, const struct attachment *attachment, const json_t *pod)
{
	struct choice choice;
	reconciler_choose(reconciler, pod, attachment->namespace, attachment->configured, &choice);
	return choice.verdict == CHOICE_NONE && choice.source == SOURCE_POD;
}

bool namespace_check_none(struct reconciler *reconciler, const struct attachment *attachment)
{
	const json_t *pod = attachment_pod(reconciler, attachment);
	if (!reconciler->config.kube || !cluster_watches_pods(reconciler->config.cluster) || !pod ||
	    is_decided_by_pod(reconciler, attachment, pod))
		return true;
	namespace_checks_expire(reconciler);
	struct namespace_check *check = namespace_check_of(reconciler, attachment->namespace);
	if (!check)
		return false;
	bool fresh = check->answered && check->read >= attachment->began;
	if (fresh && namespace_check_agrees(reconciler, check, attachment, pod))
		return true;
	if (!check->asked &&
	    (!check->sent || check->sent < attachment->began || reconciler->now - check->sent >= CHECK_AGAIN))
		namespace_check_send(reconciler, check);
	return !fresh && check->since && reconciler->now - check->since >= CHECK_PATIENCE;
}

void namespace_checks_close(struct reconciler *reconciler)
{
	while (reconciler->checks) {
		struct namespace_check *check = reconciler->checks;
		reconciler->checks = check->next;
		namespace_check_free(reconciler, check);
	}
}
