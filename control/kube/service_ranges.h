/* SPDX-License-Identifier: Apache-2.0 */
/* service_ranges.h - the networks that Services' addresses come from. One thread, that of the cluster. */
#ifndef PODSWITCH_SERVICE_RANGES_H
#define PODSWITCH_SERVICE_RANGES_H

#include "control/kube/cluster.h"

/*
 * Visits them. Where the API has ServiceCIDR objects (Kubernetes 1.31 as beta, 1.33 for all) they say; else it is the
 * smallest network that starts where the Service `kubernetes` does and has all Services, at least a /16 (IPv6: /112).
 */
void service_ranges_each(const struct cluster *cluster, void (*visit)(void *context, const struct prefix *range),
			 void *context);

/* Visits the networks or addresses in a JSON array of texts; when that is empty, the one in `one`. What is none of the
 * two ("None", "") is skipped. */
void prefixes_each(const json_t *list, const json_t *one, void (*visit)(void *context, const struct prefix *prefix),
		   void *context);

#endif
