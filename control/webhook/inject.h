/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject.h - what a pod becomes once its gateway is known: variables, DNS, pod-gateway's own containers
 *
 * Doing it again changes nothing, also after the API server has filled in defaults and other webhooks have added what
 * is theirs. No network, no clock. Any thread.
 */
#ifndef PODSWITCH_INJECT_H
#define PODSWITCH_INJECT_H

#include "control/webhook/profile.h"

/* On pods that got pod-gateway's containers from us: the gateway they are for, NAMESPACE/NAME. */
#define INJECT_MARK "podswitch.io/injected"

#define INJECT_INIT "gateway-init"
#define INJECT_SIDECAR "gateway-sidecar"

struct inject_order {
	const struct profile *profile;
	const char *gateway_namespace, *gateway_name;
	const char *namespace;     /* the pod's */
	const char *domain;        /* "cluster.local" */
	const json_t *cluster_dns; /* the cluster's nameservers, where the profile does not say them */
};

/*
 * Changes `pod` (a v1 Pod). What the user should know is appended to `warnings`, an array. 0 or -ENOMEM; then the pod
 * is half changed.
 */
int inject(json_t *pod, const struct inject_order *order, json_t *warnings);

/*
 * Whether pod-gateway's containers in the pod are ours. Then choose() is to be asked about a pod without them, as it
 * leaves alone those that brought their own: inject_hide takes them out of a copy.
 */
bool inject_is_ours(const json_t *pod);
void inject_hide(json_t *pod);

#endif
