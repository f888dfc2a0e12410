/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_namespaces.h - keeps on disk what the plugin needs to know while nobody answers it (known.h)
 *
 * Written at most once a second, and only when it says something new. One thread, the agent's.
 */
#ifndef PODSWITCH_KNOWN_NAMESPACES_H
#define PODSWITCH_KNOWN_NAMESPACES_H

#include "control/kube/choose.h"
#include "control/kube/cluster.h"

struct known_namespaces {
	const char *path;
	const struct cluster *cluster;
	const struct choose_policy *policy;
	bool changed;    /* the cluster has, since the last look */
	uint64_t looked; /* ms */
	char *text;      /* as it was written last */
	bool complained; /* about a file that cannot be written */
};

/* `now` in ms. Does nothing before the cluster is known. */
void known_namespaces_turn(struct known_namespaces *known, uint64_t now);

/* Takes the file away, and its folder when that is empty then. */
void known_namespaces_remove(const struct known_namespaces *known);

void known_namespaces_free(struct known_namespaces *known);

#endif
