/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - the agent's metrics in Prometheus' text format */
#ifndef PODSWITCH_METRICS_H
#define PODSWITCH_METRICS_H

#include "control/kube/chain.h"
#include "control/kube/health.h"
#include "control/kube/reconciler.h"

#include <stdio.h>

/* With podswitchd's figures (switch_metrics.h). */
void metrics_write(FILE *out, const struct reconciler *reconciler, const struct cluster *cluster,
		   const struct kube *kube, struct podswitchd *podswitchd);

/* How the plugin's place on the node is; nothing where there is none to keep. */
void metrics_write_chain(FILE *out, const struct chain_counters *counters);

/* Who is connected to what serves this. */
void metrics_write_health(FILE *out, const struct health_counters *counters);

#endif
