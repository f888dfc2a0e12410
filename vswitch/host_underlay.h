/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_underlay.h - the node's own sockets, which gateways share, and the choice between them and a pod's. Control
 * thread.
 */
#ifndef PODSWITCH_HOST_UNDERLAY_H
#define PODSWITCH_HOST_UNDERLAY_H

#include "vswitch/path/model.h"

struct underlay_choice {
	bool pod;
	struct underlay *host; /* NULL with pod */
};

/*
 * Decides whether a gateway with this configuration has the host or the pod underlay, and opens the sockets of its UDP
 * port on the host underlay if need be. -EEXIST (another gateway has this VNI there; key "vni" or "remote"),
 * -EADDRINUSE (the port is taken; key "port"), -ENOSPC.
 */
int underlay_choose(struct vswitch *vs, const struct gateway_config *config, struct underlay_choice *out,
		    struct failure *why);

/* Sockets that another process had opened, for gateways to come. They are taken in any case. 0, -ENOSPC or -ENOMEM. */
int host_adopt(struct vswitch *vs, struct underlay *underlay, struct failure *why);

/* Closes the host underlays that no gateway uses any more. */
void hosts_close_unused(struct vswitch *vs);

/* The same, and those that were adopted get what they lack: a receiver for each worker. */
void hosts_settle(struct vswitch *vs);

#endif
