/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconciler.c - the turns in which attachments are reconciled
 *
 * A turn takes podswitchd's events, each of which reconciles one attachment, and then makes a pass over all of them
 * when something in the cluster changed or RECONCILER_PERIOD is over. Where many pods get another gateway at once, a
 * pass makes or moves a hundred ports, which takes seconds: it stops after SLICE and goes on in the next turn, so that
 * the plugin, podswitchd's events and the kubelet's probes need not wait for all of them. On a node with many pods a
 * pass takes longer than SHORT_PASS; the next one then waits PAUSE_FACTOR times as long, but not longer than
 * LONGEST_PAUSE.
 *
 *     start -> (cluster synced) -> adopt_ports() -> first_interface_turn() -> passes
 *                                       ^                                       |
 *                                       '-- new connection to podswitchd (its epoch changed)
 */
#include "control/kube/reconciler_internal.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_PASS 20      /* ms: a pass that takes no longer is made at every change */
#define PAUSE_FACTOR 4     /* the pause after a longer pass, in multiples of what it took */
#define LONGEST_PAUSE 2000 /* ms */
#define SLICE 100          /* ms of a pass in one turn */

int reconciler_open(const struct reconciler_config *config, struct reconciler **out, struct failure *why)
{
	struct reconciler *reconciler = calloc(1, sizeof(*reconciler));
	if (!reconciler)
		return fail(why, -ENOMEM, NULL, "out of memory");
	reconciler->config = *config;
	reconciler->lookup.cluster = config->cluster;
	reconciler->ports = (struct podswitchd_ports){.podswitchd = config->podswitchd,
						      .underlay = config->underlay,
						      .probe = config->probe,
						      .kept = &reconciler->first.kept};
	reconciler->first.survey = (struct pod_survey){.kube = config->kube, .node = config->node};
	reconciler->told = json_object();
	reconciler->pass_wanted = true;
	reconciler->pass.slice = SLICE;
	*out = reconciler;
	return 0;
}

void reconciler_close(struct reconciler *reconciler)
{
	if (!reconciler)
		return;
	while (reconciler->attachments)
		reconciler_drop(reconciler, reconciler->attachments);
	gateway_path_free(reconciler);
	podswitchd_ports_close(&reconciler->ports);
	same_address_close(reconciler);
	pod_survey_close(&reconciler->first.survey);
	gateway_lookup_free(&reconciler->lookup);
	guards_free(&reconciler->guards);
	namespace_checks_close(reconciler);
	seen_pods_free(&reconciler->seen);
	json_decref(reconciler->told);
	free(reconciler);
}

void reconciler_wake(struct reconciler *reconciler)
{
	reconciler->pass_wanted = true;
}

/* What one pod has found out about its endpoint goes for the others at once, and not after the pause of a long pass. */
static void spread_verdicts(struct reconciler *reconciler)
{
	char at[NAMES_SIZE];
	while (gateway_path_next(reconciler, at))
		for (struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
			if (!strcmp(attachment->at, at))
				(void)reconcile(reconciler, attachment);
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
	spread_verdicts(reconciler);
}

bool reconciler_waits(const struct reconciler *reconciler)
{
	return reconciler->pass_wanted && reconciler->adopted && reconciler->paused_until > clock_ms();
}

bool reconciler_goes_on(const struct reconciler *reconciler)
{
	return reconciler->pass.begun;
}

/* Returns false when the slice is over. Attachments that come meanwhile are reconciled by whoever adds them. */
static bool pass_over_attachments(struct reconciler *reconciler, uint64_t began)
{
	for (struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next) {
		if (attachment->pass == reconciler->pass.number)
			continue;
		attachment->pass = reconciler->pass.number;
		(void)reconcile(reconciler, attachment);
		if (clock_ms() - began >= reconciler->pass.slice)
			return false;
	}
	return true;
}

static void pass_begin(struct reconciler *reconciler)
{
	reconciler->pass_wanted = false;
	reconciler->pass.number++;
	reconciler->pass.begun = true;
	reconciler->pass.period = false;
	reconciler->pass.took = 0;
}

/* What it goes by is not known any more. */
static void pass_give_up(struct reconciler *reconciler)
{
	reconciler->pass_wanted = reconciler->pass_wanted || reconciler->pass.begun;
	reconciler->pass.begun = false;
}

static void pass_end(struct reconciler *reconciler)
{
	uint64_t pause = PAUSE_FACTOR * reconciler->pass.took;
	reconciler->pass.begun = false;
	pause = pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE;
	reconciler->paused_until = reconciler->pass.took > SHORT_PASS ? clock_ms() + pause : 0;
}

/* Goes on with the pass that has begun. */
static void pass_turn(struct reconciler *reconciler)
{
	uint64_t began = clock_ms();
	bool over = pass_over_attachments(reconciler, began);
	if (over) {
		spread_verdicts(reconciler);
		attach_running_pods(reconciler);
		proofread_pods(reconciler);
		if (reconciler->pass.period)
			reconciler_sweep(reconciler);
	}
	reconciler->pass.took += clock_ms() - began;
	if (over)
		pass_end(reconciler);
}

void reconciler_turn(struct reconciler *reconciler, uint64_t now)
{
	reconciler->now = now;
	bool synced = cluster_synced(reconciler->config.cluster),
	     period = now - reconciler->passed >= RECONCILER_PERIOD;
	if (synced &&
	    (!reconciler->adopted || period || reconciler->epoch != podswitchd_epoch(reconciler->config.podswitchd)))
		reconciler->adopted = adopt_ports(reconciler);
	if (reconciler->adopted && synced)
		first_interface_turn(reconciler);
	if (!reconciler->adopted || !synced || !first_interface_is_known(reconciler)) {
		pass_give_up(reconciler);
		return;
	}
	podswitchd_take_events(reconciler->config.podswitchd, reconciler_on_event, reconciler);
	if (!reconciler->pass.begun && (period || (reconciler->pass_wanted && !reconciler_waits(reconciler))))
		pass_begin(reconciler);
	if (period) {
		reconciler->pass.period = true;
		reconciler->passed = now;
	}
	if (reconciler->pass.begun)
		pass_turn(reconciler);
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
	*out = (struct reconciler_counters){.lost = reconciler->lost,
					    .bypassed = reconciler->bypassed,
					    .uncalled = reconciler->uncalled,
					    .seconds = &reconciler->seconds,
					    .kept_networks = (unsigned)reconciler->first.kept.n,
					    .left_out = (unsigned)reconciler->first.kept.left_out};
	for (const struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next) {
		out->attachments++;
		out->ready += attachment->state == ATTACHMENT_READY;
		out->pending += attachment->state == ATTACHMENT_PENDING;
		out->refused += attachment->state == ATTACHMENT_REFUSED;
	}
}

void reconciler_visit_ports(const struct reconciler *reconciler,
			    void (*visit)(void *context, const char *port, const char *namespace, const char *pod),
			    void *context)
{
	for (const struct attachment *attachment = reconciler->attachments; attachment; attachment = attachment->next)
		if (!attachment->superseded)
			visit(context, attachment->port, attachment->namespace, attachment->pod);
}
