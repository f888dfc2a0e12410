/* SPDX-License-Identifier: Apache-2.0 */
/*
 * running_pods.c - pods that run already and were not started through the CNI plugin
 *
 * Where the CNI configuration cannot be changed, and for pods that are annotated while they run. Their network
 * namespace is found by the control groups of their processes (find.h).
 *
 * A pod that had a gateway from the start and comes here has sent its first packets past it: its owner is told. So is
 * the owner of the node when pods start and the plugin is never called.
 */
#include "control/kube/events.h"
#include "control/kube/find.h"
#include "control/kube/reconciler_internal.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define TIME_TO_REPORT 15000   /* ms after our start in which the kubelet may still have to report a sandbox */
#define REMIND_UNCALLED 600000 /* ms between two Events that the plugin is not called */

static bool has_attachment(const struct reconciler *reconciler, const json_t *pod, const char *namespace,
			   const char *name)
{
	for (const struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		if (!strcmp(attachment->namespace, namespace) && !strcmp(attachment->pod, name) &&
		    pod_has_uid(pod, attachment->uid))
			return true;
	return false;
}

static const char *status_text(const json_t *pod, const char *key)
{
	const char *text = json_string_value(json_object_get(json_object_get(pod, "status"), key));
	return text ? text : "";
}

/*
 * A pod that is still being created belongs to the plugin. It has an address as soon as its sandbox is made, that is
 * after the plugin has answered, and before its init containers run.
 */
static bool pod_has_sandbox(const json_t *pod)
{
	const char *phase = status_text(pod, "phase");
	bool address = *status_text(pod, "podIP");
	return !pod_is_ending(pod) && (!strcmp(phase, "Running") || (!strcmp(phase, "Pending") && address));
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

/* ---- who was started without the plugin ---- */

/* A pod of this node, as the functions below need it. */
struct running_pod {
	const json_t *pod;
	char namespace[64];
	const char *name, *uid;
	struct choice choice;
};

static bool pod_seen(const struct reconciler *reconciler, const struct running_pod *running, enum seen what)
{
	return seen_pods_has(&reconciler->seen, running->namespace, running->name, running->uid, what);
}

static void note_seen(struct reconciler *reconciler, const struct running_pod *running, enum seen what)
{
	seen_pods_note(&reconciler->seen, running->namespace, running->name, running->uid, what);
}

static void say_once(struct reconciler *reconciler, const struct running_pod *running, const char *reason,
		     const char *message)
{
	if (pod_seen(reconciler, running, SEEN_BYPASSED))
		return;
	note_seen(reconciler, running, SEEN_BYPASSED);
	log_line(LOG_WARNING, "%s/%s: %s: %s", running->namespace, running->name, reason, message);
	events_send(reconciler->config.kube, reconciler->config.node, running->pod, true, reason, message);
}

/*
 * It has a gateway and no port. If it was seen without a gateway before, it was annotated while it ran; if it had a
 * port, that was lost: in both cases nothing went past us.
 */
static void report_bypass(struct reconciler *reconciler, const struct running_pod *running)
{
	static const char late[] = "the pod started before its gateway was known; what it sent until now went past the "
				   "gateway. Recreate the pod if that matters";
	static const char past[] =
		"the pod was not started through podswitch-cni, or was annotated while podswitch-agent was away; what "
		"it and its init containers sent until now went past its gateway. Recreate the pod, and see the Events "
		"of the node for what takes podswitch-cni out of its CNI configuration";
	if (pod_seen(reconciler, running, SEEN_HELD | SEEN_BYPASSED))
		return;
	reconciler->bypassed++;
	say_once(reconciler, running, EVENT_BYPASSED, pod_seen(reconciler, running, SEEN_CALLED) ? late : past);
}

/* It was seen before it had a sandbox, has one now, and the plugin has not asked for it. */
static void report_uncalled(struct reconciler *reconciler, const struct running_pod *running)
{
	if (!pod_seen(reconciler, running, SEEN_WAITING) ||
	    pod_seen(reconciler, running, SEEN_CALLED | SEEN_UNCALLED) ||
	    json_is_true(json_object_get(json_object_get(running->pod, "spec"), "hostNetwork")))
		return;
	note_seen(reconciler, running, SEEN_UNCALLED);
	reconciler->uncalled++;
	if (!reconciler->config.report ||
	    (reconciler->complained && reconciler->now - reconciler->complained < REMIND_UNCALLED))
		return;
	char text[600];
	reconciler->complained = reconciler->now;
	snprintf(
		text, sizeof(text),
		"pod %s/%.100s has started on this node, and podswitch-cni was not called for it%s: are the folders of "
		"the DaemonSet's volumes cni-conf and cni-bin those that the container runtime reads (see "
		"deploy/overlays), and does another file come first there?",
		running->namespace, running->name, reconciler->called ? "" : ", nor for any other one");
	log_line(LOG_ERROR, "%s", text);
	reconciler->config.report(reconciler->config.report_context, true, EVENT_CNI_NOT_CALLED, text);
}

/* ---- attaching ---- */

static void attach_running_pod(struct reconciler *reconciler, const struct running_pod *running)
{
	char id[NAMES_ID + 1], netns[sizeof(((struct attachment *)0)->netns)];
	if (port_id_of_uid(id, running->uid) || find_running_netns(reconciler, running->uid, netns, sizeof(netns)))
		return;
	report_bypass(reconciler, running);
	if (!reconciler->config.running)
		return;
	struct attachment *attachment = attachment_new(running->namespace, running->name, id, NAMES_DEFAULT_IFNAME);
	if (!attachment)
		return;
	attachment->by_agent = true;
	snprintf(attachment->uid, sizeof(attachment->uid), "%s", running->uid);
	memcpy(attachment->netns, netns, sizeof(netns));
	reconciler_add(reconciler, attachment);
	(void)reconcile(reconciler, attachment);
}

/* ---- namespaces that are not where they were ---- */

/* podswitchd has lost the port with the path to its namespace, as when the process is gone through which it led. */
static bool has_lost_namespace(const struct attachment *attachment)
{
	const char *state = json_string_value(json_object_get(attachment->status, "state"));
	bool lost = !attachment->exists || (state && !strcmp(state, "gone"));
	return lost && attachment->state != ATTACHMENT_NONE && !find_is_namespace(attachment->netns);
}

/* The pod runs, so there is a way by its processes. */
static void find_namespace_again(struct reconciler *reconciler, struct attachment *attachment)
{
	const json_t *pod = attachment_pod(reconciler, attachment);
	char netns[sizeof(attachment->netns)];
	if (!pod || attachment->superseded || !pod_has_sandbox(pod) ||
	    find_running_netns(reconciler, pod_uid(pod), netns, sizeof(netns)) || !strcmp(netns, attachment->netns) ||
	    podswitchd_ports_remove(&reconciler->ports, attachment->port, true, NULL))
		return;
	log_line(LOG_WARNING, "%s: its network namespace is not at %s any more, but at %s", attachment->port,
		 attachment->netns, netns);
	memcpy(attachment->netns, netns, sizeof(netns));
	free(attachment->applied);
	attachment->applied = NULL;
	attachment->exists = false;
	(void)reconcile(reconciler, attachment);
}

static void find_namespaces_again(struct reconciler *reconciler)
{
	for (struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		if (has_lost_namespace(attachment))
			find_namespace_again(reconciler, attachment);
}

static bool is_skipped(const struct reconciler *reconciler, const char *namespace)
{
	return reconciler->config.skip && names_list_has(reconciler->config.skip, namespace);
}

/* The plugin lets such pods through without asking us. */
static void look_at_skipped(struct reconciler *reconciler, const struct running_pod *running)
{
	enum choice_source source = running->choice.source;
	if (running->choice.verdict != CHOICE_NONE && (source == SOURCE_POD || source == SOURCE_NAMESPACE))
		say_once(reconciler, running, EVENT_SKIPPED,
			 "pods of this namespace get no gateway: take it out of PODSWITCH_SKIP_NAMESPACES if they "
			 "shall");
}

static void look_at_running(struct reconciler *reconciler, struct running_pod *running)
{
	reconciler_choose(reconciler, running->pod, running->namespace, NULL, &running->choice);
	enum choice_verdict verdict = running->choice.verdict;
	if (is_skipped(reconciler, running->namespace)) {
		look_at_skipped(reconciler, running);
		return;
	}
	report_uncalled(reconciler, running);
	if (verdict == CHOICE_NONE || has_attachment(reconciler, running->pod, running->namespace, running->name))
		note_seen(reconciler, running, SEEN_HELD);
	else if (verdict != CHOICE_UNDECIDED)
		attach_running_pod(reconciler, running);
}

static void note_beginning(struct reconciler *reconciler)
{
	time_t now = time(NULL);
	struct tm utc;
	if (*reconciler->looked_at)
		return;
	reconciler->looked = reconciler->now;
	gmtime_r(&now, &utc);
	strftime(reconciler->looked_at, sizeof(reconciler->looked_at), "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* Made after our start, so that the plugin has found us. Else its sandbox may only not have been reported yet. */
static bool is_new(const struct reconciler *reconciler, const json_t *pod)
{
	const char *made = json_string_value(json_object_get(json_object_get(pod, "metadata"), "creationTimestamp"));
	return reconciler->now - reconciler->looked >= TIME_TO_REPORT ||
	       (made && strcmp(made, reconciler->looked_at) > 0);
}

void attach_running_pods(struct reconciler *reconciler)
{
	const char *key;
	json_t *pod;
	note_beginning(reconciler);
	json_object_foreach((json_t *)cluster_pods(reconciler->config.cluster), key, pod)
	{
		struct running_pod running = {.pod = pod, .uid = pod_uid(pod)};
		const char *slash = strchr(key, '/');
		if (!slash || (size_t)(slash - key) >= sizeof(running.namespace))
			continue;
		snprintf(running.namespace, sizeof(running.namespace), "%.*s", (int)(slash - key), key);
		running.name = slash + 1;
		if (pod_has_sandbox(pod))
			look_at_running(reconciler, &running);
		else if (!strcmp(status_text(pod, "phase"), "Pending") && is_new(reconciler, pod))
			note_seen(reconciler, &running, SEEN_WAITING);
	}
	find_namespaces_again(reconciler);
	seen_pods_prune(&reconciler->seen, cluster_pods(reconciler->config.cluster));
}
