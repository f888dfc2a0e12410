/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_path.c - whether an endpoint of a gateway forwards, as one pod of this node has found out
 *
 * Of all pods of the node at one endpoint of a gateway whose Service has podswitch.io/probe or probe-interval, one is
 * elected: its port gets the target and the short interval, and what comes of it counts for all of them.
 *
 *     gateway_path_elect()     before a port is placed: is it the one?
 *     gateway_path_note()      its report: the verdict, and whether that is news
 *     gateway_path_next()      endpoints of which there is news: their pods are to be reconciled
 *
 *     unknown --answered--> up <--> down     the others are ready only while it is up
 *
 * Who is elected stays that, whatever comes, while it answers. A pod may have a fault of its own; so another one, whose
 * router does answer, takes over from one that has been silent for a while. A verdict stands until the next one.
 *
 * When all have left an endpoint that is down, nobody asks there any more. For PATH_SUSPICION pods go elsewhere; then
 * it is as good as one that nothing is known of. The metric shows it for a while longer. After an agent's start, the
 * port that has the target already is the one.
 */
#include "control/kube/reconciler_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SUSPICION 15000 /* ms for which an endpoint that was found down is left alone */
#define OFFICE_SHORT 2000    /* ms for which a prober has time for its router's answer */
#define OFFICE_LONG 15000    /* ms for which one whose router does answer has time for the target's */

bool gateway_path_is_watched(const struct gateway_spec *spec)
{
	return spec->probe_target.kind != PATH_NONE || spec->probe_interval;
}

const struct gateway_path *gateway_path_find(const struct reconciler *reconciler, const char *at)
{
	const struct gateway_path *path = reconciler->paths;
	while (path && strcmp(path->at, at) != 0)
		path = path->next;
	return path;
}

/* The port that an earlier agent elected has a target or an interval of its own. */
static bool was_elected(const struct attachment *attachment)
{
	const json_t *config = json_object_get(attachment->status, "config");
	return json_object_get(config, "probe_target") || json_integer_value(json_object_get(config, "probe_interval"));
}

static struct gateway_path *gateway_path_new(struct reconciler *reconciler, const char *at)
{
	struct gateway_path *path = calloc(1, sizeof(*path));
	if (!path)
		return NULL;
	snprintf(path->at, sizeof(path->at), "%s", at);
	path->next = reconciler->paths;
	reconciler->paths = path;
	for (const struct attachment *one = reconciler->attachments; one; one = one->next)
		if (!strcmp(one->at, at) && one->exists && was_elected(one)) {
			memcpy(path->prober, one->port, sizeof(path->prober));
			gateway_path_note(reconciler, one);
			path->news = false;
		}
	return path;
}

static void gateway_path_drop(struct reconciler *reconciler, const struct gateway_path *path)
{
	struct gateway_path **at = &reconciler->paths;
	while (*at != path)
		at = &(*at)->next;
	*at = path->next;
	free((void *)path);
}

/* Whether the port that asks has to leave it to another one, whose router answers. */
static bool has_failed(const struct reconciler *reconciler, const struct gateway_path *path,
		       const struct attachment *prober)
{
	uint64_t office = reconciler->now - path->elected;
	bool router = strcmp(attachment_client(prober, "lacks"), "path") != 0;
	return strcmp(attachment_client(prober, "state"), "ready") != 0 &&
	       office >= (router ? OFFICE_SHORT : OFFICE_LONG);
}

static bool may_take_over(const struct reconciler *reconciler, const struct gateway_path *path,
			  const struct attachment *attachment)
{
	const struct attachment *prober = reconciler_find(reconciler, path->prober);
	if (!prober || strcmp(prober->at, path->at) != 0 || !prober->exists || prober->superseded)
		return true;
	return !strcmp(attachment->at, path->at) && !strcmp(attachment_client(attachment, "state"), "ready") &&
	       has_failed(reconciler, path, prober);
}

/* The endpoint's entry, with what its Service says now; NULL: it is not watched, or there is no memory. */
static struct gateway_path *gateway_path_of(struct reconciler *reconciler, const char *at,
					    const struct gateway_spec *spec, const struct address *endpoint)
{
	struct gateway_path *path = (struct gateway_path *)gateway_path_find(reconciler, at);
	if (!gateway_path_is_watched(spec)) {
		if (path)
			gateway_path_drop(reconciler, path);
		return NULL;
	}
	path = path ? path : gateway_path_new(reconciler, at);
	if (!path)
		return NULL;
	path_target_format(&spec->probe_target, path->target);
	snprintf(path->gateway, sizeof(path->gateway), "%s/%s", spec->namespace, spec->name);
	path->endpoint = *endpoint;
	return path;
}

bool gateway_path_elect(struct reconciler *reconciler, const struct attachment *attachment,
			const struct gateway_spec *spec, const struct address *endpoint)
{
	char at[NAMES_SIZE], address[ADDRESS_TEXT];
	if (gateway_name(at, spec->namespace, spec->name, address_format(endpoint, address)))
		return false;
	struct gateway_path *path = gateway_path_of(reconciler, at, spec, endpoint);
	if (!path)
		return false;
	if (strcmp(path->prober, attachment->port) != 0 && may_take_over(reconciler, path, attachment)) {
		/* The one before is to be told: at the next pass. */
		reconciler->pass_wanted = reconciler->pass_wanted || reconciler_find(reconciler, path->prober);
		memcpy(path->prober, attachment->port, sizeof(path->prober));
		path->elected = reconciler->now;
	}
	return !strcmp(path->prober, attachment->port);
}

void gateway_path_note(struct reconciler *reconciler, const struct attachment *attachment)
{
	const char *state = attachment_client(attachment, "state");
	struct gateway_path *path = (struct gateway_path *)gateway_path_find(reconciler, attachment->at);
	if (!path || strcmp(path->prober, attachment->port) != 0)
		return;
	enum path_verdict was = path->verdict;
	if (!strcmp(state, "ready"))
		path->verdict = PATH_UP;
	if (!strcmp(state, "lost")) {
		path->verdict = PATH_DOWN;
		path->lacks_router = strcmp(attachment_client(attachment, "lacks"), "path") != 0;
		path->down_at = reconciler->now;
	}
	path->news = path->news || path->verdict != was;
}

bool gateway_path_next(struct reconciler *reconciler, char at[static NAMES_SIZE])
{
	struct gateway_path *path = reconciler->paths;
	while (path && !path->news)
		path = path->next;
	if (!path)
		return false;
	memcpy(at, path->at, NAMES_SIZE);
	path->news = false;
	return true;
}

enum path_verdict gateway_path_verdict(const struct reconciler *reconciler, const struct gateway_spec *spec,
				       const struct address *endpoint)
{
	char at[NAMES_SIZE], address[ADDRESS_TEXT];
	if (gateway_name(at, spec->namespace, spec->name, address_format(endpoint, address)))
		return PATH_UNKNOWN;
	const struct gateway_path *path = gateway_path_find(reconciler, at);
	if (!path || (path->verdict == PATH_DOWN && reconciler->now - path->down_at >= PATH_SUSPICION))
		return PATH_UNKNOWN;
	return path->verdict;
}

static bool gateway_path_is_used(const struct reconciler *reconciler, const struct gateway_path *path)
{
	const struct attachment *attachment = reconciler->attachments;
	while (attachment && strcmp(attachment->at, path->at) != 0)
		attachment = attachment->next;
	return attachment;
}

void gateway_path_sweep(struct reconciler *reconciler)
{
	for (struct gateway_path *path = reconciler->paths, *next; path; path = next) {
		next = path->next;
		if (!gateway_path_is_used(reconciler, path) &&
		    (path->verdict != PATH_DOWN || reconciler->now - path->down_at >= ATTACHMENT_SUSPICION))
			gateway_path_drop(reconciler, path);
	}
}

void gateway_path_free(struct reconciler *reconciler)
{
	while (reconciler->paths)
		gateway_path_drop(reconciler, reconciler->paths);
}

void reconciler_visit_paths(const struct reconciler *reconciler,
			    void (*visit)(void *context, const char *gateway, const struct address *endpoint, bool up),
			    void *context)
{
	for (const struct gateway_path *path = reconciler->paths; path; path = path->next)
		if (path->verdict != PATH_UNKNOWN)
			visit(context, path->gateway, &path->endpoint, path->verdict == PATH_UP);
}
