/* SPDX-License-Identifier: Apache-2.0 */
/* switch_metrics.h - podswitchd's figures in Prometheus' text format, with pods where podswitchd has ports */
#ifndef PODSWITCH_SWITCH_METRICS_H
#define PODSWITCH_SWITCH_METRICS_H

#include "control/kube/reconciler.h"

#include <stdio.h>

/*
 * Asks podswitchd, once, in a short answer. One that does not answer is said to be down, and one of before metrics.get
 * has its drops alone. A pod or gateway that is gone has no line any more. The agent's thread.
 */
void switch_metrics_write(FILE *out, struct podswitchd *podswitchd, const struct reconciler *reconciler);

#endif
