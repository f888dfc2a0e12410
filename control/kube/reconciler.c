/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconciler.c - the list of attachments, and the turns
 *
 * A turn takes podswitchd's events, each of which reconciles one attachment, and then makes a pass over all of them
 * when something in the cluster changed or RECONCILER_PERIOD is over. On a node with many pods a pass takes longer than
 * SHORT_PASS; the next one then waits PAUSE_FACTOR times as long, so that the plugin's questions get their turn.
 *
 *     start -> (cluster synced) -> adopt_ports() -> passes
 *                                       ^             |
 *                                       '-- new connection to podswitchd (its epoch changed)
 */
#include "control/kube/events.h"
#include "control/kube/reconciler_internal.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_PASS 20  /* ms: a pass that takes no longer is made at every change */
#define PAUSE_FACTOR 4 /* the pause after a longer pass, in multiples of what it took */

int reconciler_open(const struct reconciler_config *config, struct reconciler **out, struct failure *why)
{
	struct reconciler *reconciler = calloc(1, sizeof(*reconciler));
	if (!reconciler)
		return fail(why, -ENOMEM, NULL, "out of memory");
	reconciler->config = *config;
	reconciler->lookup.cluster = config->cluster;
	reconciler->ports = (struct podswitchd_ports){
		.podswitchd = config->podswitchd, .probe = config->probe, .networks = reconciler->networks};
	reconciler->pass_wanted = true;
	*out = reconciler;
	return 0;
}

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

void reconciler_close(struct reconciler *reconciler)
{
	if (!reconciler)
		return;
	while (reconciler->attachments)
		reconciler_drop(reconciler, reconciler->attachments);
	podswitchd_ports_close(&reconciler->ports);
	gateway_lookup_free(&reconciler->lookup);
	free(reconciler);
}

void reconciler_wake(struct reconciler *reconciler)
{
	reconciler->pass_wanted = true;
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

static void reconciler_read_networks(struct reconciler *reconciler)
{
	size_t n = 0;
	for (; n < reconciler->config.n_keep && n < PODSWITCHD_PORTS_MAX_KEEP; n++)
		reconciler->networks[n] = reconciler->config.keep[n];
	n += cluster_networks(reconciler->config.cluster, reconciler->networks + n, PODSWITCHD_PORTS_MAX_KEEP - n);
	reconciler->ports.n_networks = n;
}

/* Handles port.ready, port.lost and port.gone. */
static void reconciler_on_event(void *context, const json_t *event)
{
	struct reconciler *reconciler = context;
	const char *what = json_string_value(json_object_get(event, "event"));
	const char *name = json_string_value(json_object_get(event, "name"));
	struct attachment *attachment = name ? reconciler_find(reconciler, name) : NULL;
	if (!what || !attachment || strncmp(what, "port.", 5) != 0)
		return;
	if (podswitchd_ports_refresh(&reconciler->ports, attachment, NULL) != -ENOENT && attachment->exists)
		(void)reconcile(reconciler, attachment);
}

bool reconciler_waits(const struct reconciler *reconciler)
{
	return reconciler->pass_wanted && reconciler->adopted && reconciler->paused_until > clock_ms();
}

void reconciler_turn(struct reconciler *reconciler, uint64_t now)
{
	reconciler->now = now;
	bool synced = cluster_synced(reconciler->config.cluster),
	     period = now - reconciler->passed >= RECONCILER_PERIOD;
	if (synced &&
	    (!reconciler->adopted || period || reconciler->epoch != podswitchd_epoch(reconciler->config.podswitchd)))
		reconciler->adopted = adopt_ports(reconciler);
	if (!reconciler->adopted || !synced)
		return;
	podswitchd_take_events(reconciler->config.podswitchd, reconciler_on_event, reconciler);
	if (!period && (!reconciler->pass_wanted || reconciler_waits(reconciler)))
		return;
	reconciler->pass_wanted = false;
	uint64_t began = clock_ms();
	reconciler_read_networks(reconciler);
	for (struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		(void)reconcile(reconciler, attachment);
	if (reconciler->config.running)
		attach_running_pods(reconciler);
	if (period)
		reconciler_sweep(reconciler);
	reconciler->passed = period ? now : reconciler->passed;
	uint64_t ended = clock_ms();
	reconciler->paused_until = ended - began > SHORT_PASS ? ended + PAUSE_FACTOR * (ended - began) : 0;
}

bool reconciler_ready(const struct reconciler *reconciler, const char **reason)
{
	static const char *const missing = "the API server has not been read completely yet";
	*reason = !cluster_synced(reconciler->config.cluster)          ? missing
		  : !podswitchd_answers(reconciler->config.podswitchd) ? "podswitchd does not answer"
								       : "";
	return !**reason;
}

void reconciler_count(const struct reconciler *reconciler, struct reconciler_counters *out)
{
	*out = (struct reconciler_counters){.lost = reconciler->lost, .seconds = &reconciler->seconds};
	for (const struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next) {
		out->attachments++;
		out->ready += attachment->state == ATTACHMENT_READY;
		out->pending += attachment->state == ATTACHMENT_PENDING;
		out->refused += attachment->state == ATTACHMENT_REFUSED;
	}
}
