/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_lookup.h - a gateway's Service, read for choose()
 *
 * The agent and the webhook ask the same question of what their watches know, and must get the same answer. One thread.
 */
#ifndef PODSWITCH_GATEWAY_LOOKUP_H
#define PODSWITCH_GATEWAY_LOOKUP_H

#include "control/kube/choose.h"
#include "control/kube/cluster.h"

struct gateway_lookup {
	const struct cluster *cluster; /* borrowed */
	struct gateway_spec spec;      /* the last one found: good until the next look-up */
	char error[256];               /* why the last one could not be read */
};

/* Its context is a struct gateway_lookup. */
choose_lookup gateway_lookup_find;

/* Frees what the last look-up found; zeroes are accepted. */
void gateway_lookup_free(struct gateway_lookup *lookup);

#endif
