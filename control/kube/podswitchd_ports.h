/* SPDX-License-Identifier: Apache-2.0 */
/*
 * podswitchd_ports.h - requests to podswitchd that put a pod's port where it belongs
 *
 * All verbs are idempotent. What podswitchd has already is not sent again, unless it may have been restarted. Errors
 * are negative errno with `why` filled; -EREMOTEIO: podswitchd refuses. One thread, the agent's.
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
	const char *underlay;          /* of gateways whose Service does not say: "pod", "host" or "auto" */
	unsigned probe;                /* seconds between questions whether the router is there */
	const struct prefix *networks; /* that pods reach by their first interface */
	size_t n_networks;
	json_t *gateways;        /* name -> the parameters last sent */
	unsigned gateways_epoch; /* podswitchd_epoch() at that time */
};

/*
 * Puts the attachment's port at this endpoint of its gateway; its members at, endpoint, applied and exists then say
 * what is in force. `choice` has the verdict CHOICE_GATEWAY.
 */
int podswitchd_ports_place(struct podswitchd_ports *ports, struct attachment *attachment, const struct choice *choice,
			   const struct cluster_endpoint *endpoint, struct failure *why);

/* Detaches the port from its gateway: it stays, and drops what the pod sends. */
int podswitchd_ports_cut_off(struct podswitchd_ports *ports, struct attachment *attachment, struct failure *why);

/*
 * Removes the port; 0 also when there is none. `closed`: what is left of the pod gets no way out, else its own default
 * route comes back.
 */
int podswitchd_ports_remove(struct podswitchd_ports *ports, const char *port, bool closed, struct failure *why);

/* Fetches the port's report. -ENOENT: podswitchd has no such port. */
int podswitchd_ports_refresh(struct podswitchd_ports *ports, struct attachment *attachment, struct failure *why);

/* Removes the agent's gateways that have no port and for which `used` returns false. */
void podswitchd_ports_tidy_gateways(struct podswitchd_ports *ports, bool (*used)(void *context, const char *gateway),
				    void *context);

void podswitchd_ports_close(struct podswitchd_ports *ports);

#endif
