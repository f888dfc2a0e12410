/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.h - why a pod waits for its gateway, in one sentence that says what to change
 *
 * For Events, the plugin's errors and the log. podswitchd says what it has found out about a gateway that is silent
 * (vswitch/silence.h); here that becomes the annotation or the setting to change. No state. One thread, the agent's.
 */
#ifndef PODSWITCH_EXPLAIN_H
#define PODSWITCH_EXPLAIN_H

#include "control/kube/attachment.h"
#include "control/kube/choose.h"
#include "control/kube/cluster.h"

#define EXPLAIN_SIZE 768 /* bytes, with the NUL: attachment's `reason` */

/* The Service has no ready endpoint: it cannot have any, selects no pod, or its pods are not ready. */
void explain_no_endpoint(const struct cluster *cluster, const struct choice *choice, char out[static EXPLAIN_SIZE]);

/* The router there answers, and what is asked behind it, `target`, does not. */
void explain_path(const struct attachment *attachment, const char *target, char out[static EXPLAIN_SIZE]);

/* podswitchd does not take the gateway or the port, and says why: `refusal`. A pod that runs stays as it was. */
void explain_refused(const struct choice *choice, const char *refusal, char out[static EXPLAIN_SIZE]);

/*
 * The port is at its gateway's endpoint, and is not ready. From podswitchd's report, attachment->status; `choice` has
 * the verdict CHOICE_GATEWAY.
 */
void explain_waiting(const struct cluster *cluster, const struct attachment *attachment, const struct choice *choice,
		     char out[static EXPLAIN_SIZE]);

#endif
