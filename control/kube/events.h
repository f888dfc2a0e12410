/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - Kubernetes Events on pods and our node: what happened to a pod's gateway, for `kubectl describe pod`
 *
 * Sent without waiting, and lost when the API server is away for long: nothing depends on them. One thread, that of
 * kube_turn().
 */
#ifndef PODSWITCH_EVENTS_H
#define PODSWITCH_EVENTS_H

#include "control/kube/api.h"

#include <stdbool.h>

/* The reasons, as `kubectl get events` shows them. */
#define EVENT_ATTACHED "GatewayAttached"      /* the pod's traffic goes through its gateway, which answered */
#define EVENT_DETACHED "GatewayDetached"      /* not any more: nothing names a gateway for it */
#define EVENT_NOT_FOUND "GatewayNotFound"     /* no such Service */
#define EVENT_NOT_ALLOWED "GatewayNotAllowed" /* the gateway does not allow pods of this namespace */
#define EVENT_MALFORMED "GatewayMalformed"    /* an annotation cannot be read */
#define EVENT_UNKNOWN_KEY "AnnotationUnknown" /* an annotation under podswitch.io/ that means nothing */
#define EVENT_NOT_READY "GatewayNotReady"     /* no ready endpoint, or it is silent: the pod waits */
#define EVENT_LOST "GatewayLost"              /* it stopped answering */
#define EVENT_RECOVERED "GatewayRecovered"    /* it, or another endpoint of it, answers again */
#define EVENT_OVERLAPS "NetworkOverlaps"      /* its gateway's network is one that stays on the first interface */
#define EVENT_SAME_ADDRESS "AddressShared"    /* a pod of another node has the same static address */
#define EVENT_NOT_KEPT "NetworkNotKept"       /* its own address is in none of the networks that stay there */

#define EVENT_BYPASSED "GatewayBypassed"        /* the pod was started without our plugin, and attached later */
#define EVENT_SKIPPED "GatewayNamespaceSkipped" /* its namespace is one whose pods get no gateway */

/* On a Node. */
#define EVENT_CNI_CONTESTED "CNIConfigContested"  /* another program takes our plugin out of the configuration */
#define EVENT_CNI_SETTLED "CNIConfigSettled"      /* not any more */
#define EVENT_CNI_NOT_CALLED "CNIPluginNotCalled" /* pods start, and the plugin is never called */

/* `pod` is a v1 Pod; `node` names the node in the Event. */
void events_send(struct kube *kube, const char *node, const json_t *pod, bool warning, const char *reason,
		 const char *message);

/*
 * The same from another program of ours, `component`, running as `instance`. A pod without a name yet is named by its
 * generateName.
 */
void events_send_as(struct kube *kube, const char *component, const char *instance, const json_t *pod, bool warning,
		    const char *reason, const char *message);

/* On the node, for `kubectl describe node`. */
void events_send_node(struct kube *kube, const char *node, bool warning, const char *reason, const char *message);

#endif
