/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconcile.c - one attachment: from what the cluster says to what podswitchd has
 *
 *     choose() says          what happens                                      the plugin's answer
 *     a gateway              port at its best endpoint; podswitchd's report    ready, or pending with the reason
 *                            of the port's client decides the state
 *     no gateway             the port is removed, the pod's default route      none
 *                            comes back
 *     not allowed            the port is cut off: it stays and drops           refused
 *     malformed, or its      the port stays as it is                           refused
 *     network is kept
 *     not found, undecided   the port stays as it is                           pending
 *
 * Only something known takes away what is in force: a pod that opted out, that may not use its gateway any more, or
 * that is gone. A gateway that cannot be found leaves a running pod behind the gateway that it was given before: its
 * traffic never goes around.
 */
#include "control/kube/events.h"
#include "control/kube/explain.h"
#include "control/kube/reconciler_internal.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define REFUSED_LIMIT 3000 /* ms until somebody is told that podswitchd refuses the port */
#define SILENCE_LIMIT 8000 /* ms without an answer before another endpoint is tried */
#define LEASE_LIMIT 30000  /* ms without a lease, from a gateway that answers ARP */

/* Rendezvous hashing: each pod has its own order of endpoints. They share the pods, and a pod moves only if it must. */
static uint64_t endpoint_rank(const struct attachment *attachment, const struct cluster_endpoint *endpoint)
{
	char text[ADDRESS_TEXT];
	address_format(&endpoint->address, text);
	return XXH3_64bits_withSeed(text, strlen(text), XXH3_64bits(attachment->pod, strlen(attachment->pod)));
}

/* What is known of an endpoint, from the worst on. */
enum standing {
	STANDING_BAD,  /* it did not answer lately, or forwards nothing */
	STANDING_FAIR, /* it did not answer this pod lately, and forwards for another one of this node */
	STANDING_GOOD,
};

static enum standing endpoint_standing(const struct reconciler *reconciler, const struct attachment *attachment,
				       const struct gateway_spec *spec, const struct address *address)
{
	enum path_verdict path = gateway_path_verdict(reconciler, spec, address);
	if (path == PATH_DOWN)
		return STANDING_BAD;
	if (!attachment_suspects(attachment, address, reconciler->now))
		return STANDING_GOOD;
	return path == PATH_UP ? STANDING_FAIR : STANDING_BAD;
}

/* Stays at its endpoint while that is ready and none is better; else the best one, by its rank among equals. */
static const struct cluster_endpoint *endpoint_pick(const struct reconciler *reconciler,
						    const struct attachment *attachment,
						    const struct gateway_spec *spec,
						    const struct cluster_endpoint *list, size_t n)
{
	const struct cluster_endpoint *best = NULL, *present = NULL;
	enum standing best_is = STANDING_BAD, present_is = STANDING_BAD;
	for (size_t i = 0; i < n; i++) {
		enum standing is = endpoint_standing(reconciler, attachment, spec, &list[i].address);
		if (address_equal(&list[i].address, &attachment->endpoint)) {
			present = &list[i];
			present_is = is;
		}
		if (best && (is < best_is ||
			     (is == best_is && endpoint_rank(attachment, &list[i]) <= endpoint_rank(attachment, best))))
			continue;
		best = &list[i];
		best_is = is;
	}
	return present && present_is >= best_is ? present : best;
}

/* Whether the pod that asks for all of the node has no answer, so that a ready port must not be used; says why then. */
static bool lacks_path(const struct reconciler *reconciler, const struct attachment *attachment,
		       char out[static EXPLAIN_SIZE])
{
	char endpoint[ADDRESS_TEXT];
	const struct gateway_path *path = gateway_path_find(reconciler, attachment->at);
	if (!path || path->verdict == PATH_UP)
		return false;
	address_format(&attachment->endpoint, endpoint);
	if (path->verdict == PATH_UNKNOWN)
		snprintf(out, EXPLAIN_SIZE, "whether gateway %s at %s forwards is being asked, by %s: %s",
			 attachment->gateway, endpoint, path->prober, path->target);
	else if (path->lacks_router)
		snprintf(out, EXPLAIN_SIZE, "gateway %s at %s does not answer another pod of this node, %s",
			 attachment->gateway, endpoint, path->prober);
	else
		explain_path(attachment, path->target, out);
	return true;
}

/* Says that the pod has its gateway, when that is new, and when the address is: what talks to the old one breaks. */
static void report_ready(struct reconciler *reconciler, struct attachment *attachment, const char *address,
			 const char *text)
{
	bool other = *attachment->address && strcmp(attachment->address, address) != 0;
	char event[EXPLAIN_SIZE + 100];
	if (!attachment->attached || attachment->lost || other) {
		snprintf(event, sizeof(event), other ? "%s; before, the pod had %s" : "%s", text, attachment->address);
		reconciler_report(reconciler, attachment, false, attachment->lost ? EVENT_RECOVERED : EVENT_ATTACHED,
				  event);
	}
	snprintf(attachment->address, sizeof(attachment->address), "%s", address);
}

/* Derives the state from podswitchd's report of the port's client, and sends the Events that go with it. */
static enum attachment_state reconcile_status(struct reconciler *reconciler, struct attachment *attachment,
					      const struct choice *choice)
{
	char text[EXPLAIN_SIZE], endpoint[ADDRESS_TEXT];
	const char *client = attachment_client(attachment, "state");
	const char *address = json_string_value(json_array_get(json_object_get(attachment->status, "addresses"), 0));
	address_format(&attachment->endpoint, endpoint);
	if (!strcmp(client, "ready") && !lacks_path(reconciler, attachment, text)) {
		address = address ? address : "?";
		snprintf(text, sizeof(text), "%s %s through %s at %s (%s)%s", address,
			 choice->has_address ? "as annotated" : "by DHCP", attachment->gateway, endpoint,
			 choice->reason,
			 choice->spec->port_guessed && !choice->spec->port_given
				 ? "; its Service has several UDP ports: the first is taken, call another one vxlan"
				 : "");
		report_ready(reconciler, attachment, address, text);
		if (!attachment->attached && choice->has_address)
			same_address_ask(reconciler, attachment);
		attachment->attached = true;
		attachment->lost = false;
		return attachment_set_state(attachment, ATTACHMENT_READY, text);
	}
	if (strcmp(client, "ready") != 0)
		explain_waiting(reconciler->config.cluster, attachment, choice, text);
	return attachment_set_state(attachment, ATTACHMENT_PENDING, text);
}

static void report_lost(struct reconciler *reconciler, struct attachment *attachment)
{
	char text[EXPLAIN_SIZE], endpoint[ADDRESS_TEXT];
	const struct gateway_path *path = gateway_path_find(reconciler, attachment->at);
	if (path && path->verdict == PATH_DOWN && !path->lacks_router)
		explain_path(attachment, path->target, text);
	else
		snprintf(text, sizeof(text), "%s at %s does not answer any more; the pod's traffic waits",
			 attachment->gateway, address_format(&attachment->endpoint, endpoint));
	reconciler_report(reconciler, attachment, true, EVENT_LOST, text);
	attachment->lost = true;
	reconciler->lost++;
}

/* The gateway is there. Its server may be busy: dnsmasq pings each address for 3 s before it gives it, one by one. */
static bool waits_for_lease(const struct attachment *attachment)
{
	return !strcmp(attachment_client(attachment, "state"), "waiting") && attachment_is_heard(attachment);
}

/*
 * Since when it is silent. A lease may come after a while, and then ARP is asked for the first time from its address:
 * that has a time of its own, once, or whoever was served late would leave just when it is served.
 */
static uint64_t silent_since(struct attachment *attachment, const char *client, uint64_t now)
{
	bool leased = !strcmp(client, "probing");
	if (!attachment->silent || (leased && !attachment->silent_leased))
		attachment->silent = now;
	attachment->silent_leased = attachment->silent_leased || leased;
	return attachment->silent;
}

static void end_silence(struct attachment *attachment)
{
	attachment->silent = 0;
	attachment->silent_leased = false;
}

/*
 * Suspects an endpoint that stopped answering, or that has been silent since the port came to it. Goes by podswitchd's
 * report and not by its events, which may be missed.
 */
static void check_silence(struct reconciler *reconciler, struct attachment *attachment)
{
	const char *client = attachment_client(attachment, "state");
	const struct gateway_path *path = gateway_path_find(reconciler, attachment->at);
	bool lost = !strcmp(client, "lost") || (path && path->verdict == PATH_DOWN);
	if (!lost && strcmp(client, "waiting") != 0 && strcmp(client, "probing") != 0) {
		/* Else it would leave an endpoint that has come back for one that is merely forgiven. */
		if (!strcmp(client, "ready"))
			attachment_trust(attachment);
		end_silence(attachment);
		return;
	}
	uint64_t since = silent_since(attachment, client, reconciler->now);
	if (!lost && reconciler->now - since < (waits_for_lease(attachment) ? LEASE_LIMIT : SILENCE_LIMIT))
		return;
	/* What was found for all pods is remembered for all, and less long. */
	if (!path || path->verdict != PATH_DOWN)
		attachment_suspect(attachment, reconciler->now);
	if (attachment->attached && !attachment->lost)
		report_lost(reconciler, attachment);
}

/* Asks for the report of a port that waits. For one that is ready, events and the periodic list are enough. */
static void refresh_status(struct reconciler *reconciler, struct attachment *attachment)
{
	if (!attachment->exists || !strcmp(attachment->at, "none"))
		return;
	if (attachment->state != ATTACHMENT_READY || !attachment->status)
		(void)podswitchd_ports_refresh(&reconciler->ports, attachment, NULL);
	if (!attachment->exists)
		return;
	gateway_path_note(reconciler, attachment);
	check_silence(reconciler, attachment);
}

/* Whoever asks for what cannot be had hears of it; not for what a sandbox that is about to go leaves for a moment. */
static enum attachment_state reconcile_unplaced(struct reconciler *reconciler, struct attachment *attachment,
						const struct choice *choice, int error, const struct failure *why)
{
	char text[EXPLAIN_SIZE];
	bool refused = error == -EREMOTEIO;
	if (refused)
		explain_refused(choice, why->text, text);
	else
		snprintf(text, sizeof(text), "podswitchd does not answer: %s", why->text);
	if (refused && reconciler->now - attachment->began >= REFUSED_LIMIT &&
	    !pod_is_ending(attachment_pod(reconciler, attachment)))
		reconciler_report(reconciler, attachment, true, EVENT_NOT_READY, text);
	return attachment_set_state(attachment, ATTACHMENT_PENDING, text);
}

/* The list of the gateway, or of another Service that leads to it, does not name the pod's namespace. */
static enum attachment_state reconcile_not_allowed(struct reconciler *reconciler, struct attachment *attachment,
						   const char *text)
{
	struct failure why = {0};
	reconciler_report(reconciler, attachment, true, EVENT_NOT_ALLOWED, text);
	if (podswitchd_ports_cut_off(&reconciler->ports, attachment, &why))
		log_line(LOG_ERROR, "%s: cannot be cut off: %s", attachment->port, why.text);
	return attachment_set_state(attachment, ATTACHMENT_REFUSED, text);
}

static enum attachment_state reconcile_gateway(struct reconciler *reconciler, struct attachment *attachment,
					       const struct choice *choice)
{
	struct cluster_endpoint list[CLUSTER_MAX_ENDPOINTS];
	struct failure why = {0};
	char text[EXPLAIN_SIZE];
	if (first_interface_refuses(reconciler, choice, text, sizeof(text))) {
		reconciler_report(reconciler, attachment, true, EVENT_OVERLAPS, text);
		return attachment_set_state(attachment, ATTACHMENT_REFUSED, text);
	}
	const struct cluster *cluster = reconciler->config.cluster;
	size_t n = cluster_endpoints(cluster, choice->namespace, choice->name, list);
	n = guards_filter(&reconciler->guards, cluster, choice->spec, attachment->namespace, list, n, text,
			  sizeof(text));
	if (*text)
		return reconcile_not_allowed(reconciler, attachment, text);
	refresh_status(reconciler, attachment);
	const struct cluster_endpoint *endpoint = endpoint_pick(reconciler, attachment, choice->spec, list, n);
	char gateway[sizeof(attachment->gateway)], at[sizeof(attachment->at)];
	snprintf(gateway, sizeof(gateway), "%s/%s", choice->namespace, choice->name);
	memcpy(at, attachment->at, sizeof(at));
	if (!endpoint) {
		explain_no_endpoint(reconciler->config.cluster, choice, text);
		reconciler_report(reconciler, attachment, true, attachment->attached ? EVENT_LOST : EVENT_NOT_READY,
				  text);
		attachment->lost = attachment->attached;
		return attachment_set_state(attachment, ATTACHMENT_PENDING, text);
	}
	bool was_lost = attachment->lost && !strcmp(attachment->gateway, gateway);
	memcpy(attachment->gateway, gateway, sizeof(gateway));
	attachment->prober = gateway_path_elect(reconciler, attachment, choice->spec, &endpoint->address);
	int error = podswitchd_ports_place(&reconciler->ports, attachment, choice, endpoint, &why);
	if (error)
		return reconcile_unplaced(reconciler, attachment, choice, error, &why);
	first_interface_check_pod(reconciler, attachment);
	attachment->lost = attachment->lost || was_lost;
	if (strcmp(attachment->at, at) != 0)
		end_silence(attachment);
	if (!attachment->status)
		(void)podswitchd_ports_refresh(&reconciler->ports, attachment, NULL);
	gateway_path_note(reconciler, attachment);
	return reconcile_status(reconciler, attachment, choice);
}

/* The pod has no gateway any more: removes its port, which gives it its own default route back. */
static enum attachment_state reconcile_none(struct reconciler *reconciler, struct attachment *attachment,
					    const struct choice *choice)
{
	struct failure why = {0};
	if (attachment->exists && podswitchd_ports_remove(&reconciler->ports, attachment->port, false, &why))
		return attachment_set_state(attachment, ATTACHMENT_PENDING, why.text);
	if (attachment->exists)
		reconciler_report(reconciler, attachment, false, EVENT_DETACHED, choice->reason);
	attachment->exists = attachment->attached = attachment->lost = false;
	attachment->at[0] = attachment->gateway[0] = '\0';
	attachment->endpoint = (struct address){0};
	return attachment_set_state(attachment, ATTACHMENT_NONE, choice->reason);
}

/* Nothing is known that takes away what the pod has: a running one stays behind the gateway that it had. */
static enum attachment_state reconcile_stay(struct reconciler *reconciler, struct attachment *attachment,
					    const char *event, const char *reason)
{
	char text[EXPLAIN_SIZE];
	bool stays = attachment->exists && *attachment->gateway && strcmp(attachment->at, "none") != 0;
	snprintf(text, sizeof(text), stays ? "%s; until then the pod stays behind the gateway that it has, %s" : "%s",
		 reason, attachment->gateway);
	reconciler_report(reconciler, attachment, true, event, text);
	return attachment_set_state(attachment, ATTACHMENT_PENDING, text);
}

/* There is no gateway to be had: says why. An existing port stays, unless the pod may not use its gateway any more. */
static enum attachment_state reconcile_refusal(struct reconciler *reconciler, struct attachment *attachment,
					       const struct choice *choice)
{
	switch (choice->verdict) {
	case CHOICE_NOT_ALLOWED:
		return reconcile_not_allowed(reconciler, attachment, choice->reason);
	case CHOICE_MALFORMED:
		reconciler_report(reconciler, attachment, true, EVENT_MALFORMED, choice->reason);
		return attachment_set_state(attachment, ATTACHMENT_REFUSED, choice->reason);
	case CHOICE_NOT_FOUND:
		return reconcile_stay(reconciler, attachment, EVENT_NOT_FOUND, choice->reason);
	case CHOICE_UNREADABLE:
		return reconcile_stay(reconciler, attachment, EVENT_MALFORMED, choice->reason);
	case CHOICE_NONE:
	case CHOICE_GATEWAY:
	case CHOICE_UNDECIDED:
		break;
	}
	return attachment_set_state(attachment, ATTACHMENT_PENDING, choice->reason);
}

enum attachment_state reconcile(struct reconciler *reconciler, struct attachment *attachment)
{
	struct choice choice;
	char text[200];
	if (!cluster_synced(reconciler->config.cluster)) {
		snprintf(text, sizeof(text), "podswitch-agent has not read the %s from the API server yet",
			 cluster_missing(reconciler->config.cluster));
		return attachment_set_state(
			attachment, attachment->state == ATTACHMENT_READY ? ATTACHMENT_READY : ATTACHMENT_PENDING,
			text);
	}
	if (attachment->superseded)
		return attachment_set_state(attachment, ATTACHMENT_REFUSED, "there is a later sandbox of the pod");
	const json_t *pod = attachment_pod(reconciler, attachment);
	if (!pod) {
		attachment->orphaned = attachment->orphaned ? attachment->orphaned : reconciler->now;
		return attachment_set_state(attachment, ATTACHMENT_PENDING,
					    "the API server has not reported the pod to this node yet");
	}
	attachment->orphaned = 0;
	pod_hostname(pod, attachment->hostname);
	reconciler_choose(reconciler, pod, attachment->namespace, attachment->configured, &choice);
	if (choice.verdict == CHOICE_NONE)
		return reconcile_none(reconciler, attachment, &choice);
	if (choice.verdict == CHOICE_GATEWAY)
		return reconcile_gateway(reconciler, attachment, &choice);
	return reconcile_refusal(reconciler, attachment, &choice);
}
