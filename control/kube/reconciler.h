/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reconciler.h - keeps each pod of this node at the gateway that its annotations name
 *
 * The way of an annotation, from the API server to podswitchd:
 *
 *     API server --watch event--> cluster --changed--> reconciler_wake()
 *                                                          |
 *     podswitch-cni --attachment.add--> agent_methods ---->|<---- podswitchd's events, and time
 *                                                          v
 *                                    reconcile(): choose() -> endpoint -> podswitchd_ports -> podswitchd
 *                                                          |
 *                                                          v
 *                                               Event on the pod, answer to the plugin
 *
 * It is level-triggered: whatever the trigger, reconcile() compares what the cluster says now with what is in force and
 * applies the difference. While something is unknown, because the API server or podswitchd is away, what is in force
 * stays.
 *
 * One thread, the agent's.
 */
#ifndef PODSWITCH_RECONCILER_H
#define PODSWITCH_RECONCILER_H

#include "control/kube/choose.h"
#include "control/kube/cluster.h"
#include "control/kube/podswitchd.h"
#include "tap/base/histogram.h"

struct reconciler;

/* All borrowed, for as long as the reconciler lives. */
struct reconciler_config {
	struct kube *kube;
	struct cluster *cluster;
	struct podswitchd *podswitchd;
	const char *node;
	const struct choose_policy *policy;
	const struct prefix *keep; /* networks that stay on pods' first interface besides the cluster's own */
	size_t n_keep;
	bool keep_metadata;   /* clouds' metadata addresses, too */
	const char *underlay; /* of gateways whose Service does not say: "pod", "host" or "auto" */
	unsigned probe;       /* seconds */
	const char *skip;     /* namespaces whose pods get no gateway, with commas or blanks between; NULL: none */
	/* Tells people of the node that the plugin is not called; NULL: it is not installed here. */
	void (*report)(void *context, bool warning, const char *reason, const char *message);
	void *report_context;
	bool running;       /* attach pods that were not started through the CNI plugin */
	const char *socket; /* podswitchd's; the plugin's tombstones are beside it */
	const char *memory; /* directory, for memory.h */
};

int reconciler_open(const struct reconciler_config *config, struct reconciler **out, struct failure *why);
void reconciler_close(struct reconciler *reconciler);

/* Something in the cluster changed: the next turn reconciles every attachment. */
void reconciler_wake(struct reconciler *reconciler);

/* Takes podswitchd's events and reconciles what needs it. After each sleep; `now` in ms of CLOCK_MONOTONIC. */
void reconciler_turn(struct reconciler *reconciler, uint64_t now);

/* Whether a change waits for a turn that is due soon: then the caller must not sleep for long. */
bool reconciler_waits(const struct reconciler *reconciler);

/* Whether a pass goes on in the next turn: then the caller must not sleep at all. */
bool reconciler_goes_on(const struct reconciler *reconciler);

struct reconciler_counters {
	unsigned attachments, ready, pending, refused;
	uint64_t bypassed;                /* pods with a gateway that were started without the plugin */
	uint64_t uncalled;                /* pods, with a gateway or without, that were */
	uint64_t lost;                    /* times a gateway stopped answering a pod */
	unsigned kept_networks, left_out; /* networks that stay on pods' first interface, and that should and do not */
	const struct histogram *seconds;  /* from the plugin's first question for a pod to its gateway's answer */
};
void reconciler_count(const struct reconciler *reconciler, struct reconciler_counters *out);

/* The ports of pods of this node, but for those of earlier sandboxes; `port` is its name in podswitchd. */
void reconciler_visit_ports(const struct reconciler *reconciler,
			    void (*visit)(void *context, const char *port, const char *namespace, const char *pod),
			    void *context);

/* The endpoints that are probed for all pods of the node, and have been judged. */
void reconciler_visit_paths(const struct reconciler *reconciler,
			    void (*visit)(void *context, const char *gateway, const struct address *endpoint, bool up),
			    void *context);

/* Whether podswitchd and the cluster are known well enough for new pods; else *reason says what is missing. */
bool reconciler_ready(const struct reconciler *reconciler, const char **reason);

#endif
