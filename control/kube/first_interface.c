/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first_interface.c - the networks that stay on pods' first interface, as they are in force for all pods of this node
 *
 * A change costs a request to podswitchd for every port, and a network that is missing for a moment costs connections:
 *
 *     more than before     in force at once
 *     less than before     after LINGER, if it is still so: a pod, a node or a watch that comes back changes nothing
 *     before the first     the objects that not every cluster has are waited for, until the server has answered or
 *                          PATIENCE is over, so that a restarted agent does not begin with less than it had
 *
 * In a cluster of thousands of nodes finding them takes milliseconds, and something changes all the time: it is done
 * again after PAUSE_SHARE times as long at the earliest.
 */
#include "control/kube/events.h"
#include "control/kube/reconciler_internal.h"
#include "tap/base/clock.h"
#include "tap/base/log.h"

#include <stdio.h>
#include <string.h>

#define LINGER 300000  /* ms */
#define PATIENCE 3000  /* ms */
#define PAUSE_SHARE 50 /* of one processor, finding takes a 50th at most */

static bool networks_changed(const struct reconciler *reconciler)
{
	const struct first_interface *first = &reconciler->first;
	return !first->found || first->version != cluster_networks_version(reconciler->config.cluster) ||
	       first->surveys != first->survey.version ||
	       (first->narrower && reconciler->now - first->narrower >= LINGER);
}

static void say_left_out(struct first_interface *first)
{
	char text[ADDRESS_TEXT];
	size_t n = first->kept.left_out;
	/* A node more or less is not worth a line. */
	if (n == first->said || (n && first->said && n < 2 * first->said && first->said < 2 * n))
		return;
	first->said = n;
	if (n)
		log_line(LOG_WARNING,
			 "%zu networks do not stay on pods' first interface, as there are too many or they are too "
			 "wide: %s, for one, of %s; name what pods have to reach of them in PODSWITCH_KEEP",
			 n, prefix_format(&first->kept.example, text), first->kept.what);
	else
		log_line(LOG_INFO, "all known networks of the cluster stay on pods' first interface again");
}

static bool is_same_list(const struct kept_networks *a, const struct kept_networks *b)
{
	return prefix_lists_equal(a->list, a->n, b->list, b->n);
}

/* Takes over what was found, or only its figures while what is in force has more. */
static void first_interface_adopt(struct reconciler *reconciler, const struct kept_networks *fresh)
{
	struct first_interface *first = &reconciler->first;
	bool same = is_same_list(&first->kept, fresh);
	if (!same && first->found && kept_networks_hold(&first->kept, fresh) &&
	    (!first->narrower || reconciler->now - first->narrower < LINGER)) {
		first->narrower = first->narrower ? first->narrower : reconciler->now;
		first->kept.left_out = fresh->left_out;
		first->kept.example = fresh->example;
		first->kept.what = fresh->what;
		return;
	}
	if (!same)
		log_line(LOG_INFO, "%zu networks stay on pods' first interface", fresh->n);
	first->kept = *fresh;
	first->narrower = 0;
	reconciler->pass_wanted = reconciler->pass_wanted || !same;
}

/* Whether something that will be known in a moment is not known yet. */
static bool first_interface_waits(const struct reconciler *reconciler)
{
	const struct first_interface *first = &reconciler->first;
	bool known = cluster_networks_answered(reconciler->config.cluster) && !first->survey.asking;
	return !first->found && !known && reconciler->now - first->began < PATIENCE;
}

static void survey_turn(struct reconciler *reconciler)
{
	struct first_interface *first = &reconciler->first;
	if (first->unnamed && cluster_networks_answered(reconciler->config.cluster))
		pod_survey_turn(&first->survey, reconciler->now,
				json_object_size(cluster_objects(reconciler->config.cluster, CLUSTER_NODES)));
}

void first_interface_turn(struct reconciler *reconciler)
{
	struct first_interface *first = &reconciler->first;
	const struct kept_networks_config config = {.node = reconciler->config.node,
						    .keep = reconciler->config.keep,
						    .n_keep = reconciler->config.n_keep,
						    .metadata = reconciler->config.keep_metadata,
						    .seen = &first->survey.seen};
	struct kept_networks fresh;
	survey_turn(reconciler);
	if (!networks_changed(reconciler) || reconciler->now < first->due)
		return;
	first->began = first->began ? first->began : reconciler->now;
	uint64_t before = clock_ms();
	if (kept_networks_find(reconciler->config.cluster, &config, &first->kept, &fresh)) {
		log_line(LOG_ERROR, "out of memory for the cluster's networks");
		return;
	}
	first->unnamed = fresh.n > fresh.n_named;
	survey_turn(reconciler);
	if (first_interface_waits(reconciler))
		return;
	first_interface_adopt(reconciler, &fresh);
	first->found = true;
	first->surveys = first->survey.version;
	first->version = cluster_networks_version(reconciler->config.cluster);
	first->due = reconciler->now + PAUSE_SHARE * (clock_ms() - before);
	say_left_out(first);
}

bool first_interface_is_known(const struct reconciler *reconciler)
{
	return reconciler->first.found;
}

/* By DHCP and without the annotation the lease says which network it is, and podswitchd looks at that. */
bool first_interface_refuses(const struct reconciler *reconciler, const struct choice *choice, char *out, size_t size)
{
	char theirs[ADDRESS_TEXT], ours[ADDRESS_TEXT];
	const struct gateway_spec *spec = choice->spec;
	const struct prefix *kept = kept_networks_overlap(&reconciler->first.kept, &spec->network);
	if (!kept || (!spec->network_given && spec->mode == SPEC_DHCP && !choice->has_address))
		return false;
	snprintf(out, size,
		 "gateway %s/%s has the network %s, and %s, which overlaps it, stays on the pod's first interface: "
		 "give the gateway another network (podswitch.io/network on its Service), or change PODSWITCH_KEEP if "
		 "that names it",
		 choice->namespace, choice->name, prefix_format(&spec->network, theirs), prefix_format(kept, ours));
	return true;
}

struct pod_check {
	const struct kept_networks *kept;
	struct prefix address; /* the first that is in no named network */
};

static void check_pod_address(void *context, const struct prefix *address)
{
	struct pod_check *check = context;
	if (!check->address.address.family && !kept_networks_of(check->kept, &address->address, true))
		check->address = *address;
}

void first_interface_check_pod(struct reconciler *reconciler, struct attachment *attachment)
{
	struct pod_check check = {.kept = &reconciler->first.kept};
	char text[400], address[ADDRESS_TEXT], around[ADDRESS_TEXT];
	const json_t *pod = attachment_pod(reconciler, attachment);
	if (attachment->told_not_kept || !pod)
		return;
	pod_addresses_each(pod, check_pod_address, &check);
	if (!check.address.address.family)
		return;
	const struct prefix *block = kept_networks_of(check.kept, &check.address.address, false);
	address_format(&check.address.address, address);
	if (block)
		snprintf(text, sizeof(text),
			 "the pod's own address %s is in none of the kept networks that the cluster names: of pods' "
			 "networks, only those around known pods (%s for this one) stay on its first interface; set "
			 "PODSWITCH_KEEP to the networks of all pods",
			 address, prefix_format(block, around));
	else
		snprintf(text, sizeof(text),
			 "the pod's own address %s is in none of the kept networks, so that it may not reach other "
			 "pods: set PODSWITCH_KEEP to the networks of all pods",
			 address);
	attachment->told_not_kept = true;
	log_line(LOG_WARNING, "%s/%s: %s: %s", attachment->namespace, attachment->pod, EVENT_NOT_KEPT, text);
	events_send(reconciler->config.kube, reconciler->config.node, pod, true, EVENT_NOT_KEPT, text);
}
