/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject.h - what goes into a pod once its gateway is known: variables, DNS, pod-gateway's own containers
 *
 * Idempotent, also after the API server filled in defaults and other webhooks added their own. No network, no clock.
 * Any thread.
 */
#ifndef PODSWITCH_INJECT_H
#define PODSWITCH_INJECT_H

#include "control/webhook/profile.h"

/* The annotation on pods that got pod-gateway's containers from us; its value is the gateway, NAMESPACE/NAME. */
#define INJECT_MARK "podswitch.io/injected"

#define INJECT_INIT "gateway-init"
#define INJECT_SIDECAR "gateway-sidecar"

struct inject_order {
	const struct profile *profile;
	const char *gateway_namespace, *gateway_name;
	const char *namespace;     /* the pod's */
	const char *domain;        /* "cluster.local" */
	const json_t *cluster_dns; /* the cluster's nameservers, for a profile that does not name them */
};

/*
 * Changes `pod` (a v1 Pod), and appends what the user should know to `warnings` (an array). 0, or -ENOMEM with the pod
 * half changed.
 */
int inject(json_t *pod, const struct inject_order *order, json_t *warnings);

/*
 * Whether pod-gateway's containers in the pod are from us. choose() leaves pods alone that bring such containers, so it
 * must see a pod without ours: inject_hide() removes them from a copy.
 */
bool inject_is_ours(const json_t *pod);
void inject_hide(json_t *pod);

#endif
