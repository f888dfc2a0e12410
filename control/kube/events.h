/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - Kubernetes Events on pods: what happened to a pod's gateway, for `kubectl describe pod`
 *
 * Sent without waiting, and lost when the API server is away for long: they inform, nothing depends on them. One
 * thread, the agent's.
 */
#ifndef PODSWITCH_EVENTS_H
#define PODSWITCH_EVENTS_H

#include "control/kube/api.h"

#include <stdbool.h>

/* The reasons, as `kubectl get events` shows them. */
#define EVENT_ATTACHED "GatewayAttached"      /* the pod's traffic goes through its gateway, which has answered */
#define EVENT_DETACHED "GatewayDetached"      /* it does not any more, as nothing names one */
#define EVENT_NOT_FOUND "GatewayNotFound"     /* no such Service */
#define EVENT_NOT_ALLOWED "GatewayNotAllowed" /* the gateway does not take pods of this namespace */
#define EVENT_MALFORMED "GatewayMalformed"    /* an annotation cannot be read */
#define EVENT_NOT_READY "GatewayNotReady"     /* the Service has no ready endpoint, or it is silent: the pod waits */
#define EVENT_LOST "GatewayLost"              /* it stopped answering */
#define EVENT_RECOVERED "GatewayRecovered"    /* it answers again, or another endpoint of it does */

/* `pod` is a v1 Pod; `node` names the node in the Event. */
void events_send(struct kube *kube, const char *node, const json_t *pod, bool warning, const char *reason,
		 const char *message);

/*
 * The same of another program of ours, `component`, of which `instance` runs. A pod that has no name yet is called as
 * its generateName begins.
 */
void events_send_as(struct kube *kube, const char *component, const char *instance, const json_t *pod, bool warning,
		    const char *reason, const char *message);

#endif
