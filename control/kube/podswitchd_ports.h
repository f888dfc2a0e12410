/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podswitchd_ports.h - what podswitchd is told so that a pod is where it is to be
 *
 * All verbs are idempotent: what podswitchd has already is not said again, unless it may have forgotten. Errors are
 * negative errno with `why` filled; -EREMOTEIO: podswitchd refuses. One thread, the agent's.
 */
#ifndef PODSWITCH_PODSWITCHD_PORTS_H
#define PODSWITCH_PODSWITCHD_PORTS_H

#include "control/kube/attachment.h"
#include "control/kube/choose.h"
#include "control/kube/cluster.h"
#include "control/kube/podswitchd.h"

#define PODSWITCHD_PORTS_MAX_KEEP 64 /* podswitchd's PORT_MAX_KEEP */

struct podswitchd_ports {
	struct podswitchd *podswitchd;
	unsigned probe;                /* seconds between questions whether the router is there */
	const struct prefix *networks; /* that stay on a pod's first interface */
	size_t n_networks;
	json_t *gateways;        /* name -> the parameters it was last given */
	unsigned gateways_epoch; /* daemon_epoch() at that time */
};

/*
 * Sees to it that the tenant's port is at this endpoint of its gateway; tenant->at, endpoint, applied and exists say
 * what is in force. `choice` is of the verdict CHOICE_GATEWAY.
 */
int podswitchd_ports_place(struct podswitchd_ports *podswitchd_ports, struct attachment *attachment,
			   const struct choice *choice, const struct cluster_endpoint *endpoint, struct failure *why);

/* Cuts the port off from any gateway; the pod's packets stay in. */
int podswitchd_ports_cut_off(struct podswitchd_ports *podswitchd_ports, struct attachment *attachment,
			     struct failure *why);

/*
 * Removes the port, if there is one; that there is none is no error. `closed`: whatever is left of the pod keeps no way
 * out, else its own default route comes back.
 */
int podswitchd_ports_remove(struct podswitchd_ports *podswitchd_ports, const char *port, bool closed,
			    struct failure *why);

/* Asks for the port's state. -ENOENT: podswitchd has no such port. */
int podswitchd_ports_refresh(struct podswitchd_ports *podswitchd_ports, struct attachment *attachment,
			     struct failure *why);

/* Removes the gateways of ours for which `used` says no. */
void podswitchd_ports_tidy_gateways(struct podswitchd_ports *podswitchd_ports,
				    bool (*used)(void *context, const char *gateway), void *context);

void podswitchd_ports_close(struct podswitchd_ports *podswitchd_ports);

#endif
