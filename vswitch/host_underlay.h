/* SPDX-License-Identifier: Apache-2.0 */
/* host_underlay.h - whose sockets a gateway's datagrams take, and the node's own, which gateways share. Control thread.
 */
#ifndef PODSWITCH_HOST_UNDERLAY_H
#define PODSWITCH_HOST_UNDERLAY_H

#include "vswitch/path/model.h"

struct underlay_choice {
	bool pod;
	struct underlay *host; /* NULL with pod */
};

/*
 * Decides what UNDERLAY_AUTO means for a gateway with this configuration, and opens the host underlay of its UDP port
 * when that is the choice. -EEXIST (another gateway has this VNI there; key "vni" or "remote"), -EADDRINUSE (the port
 * is somebody else's; key "port"), -ENOSPC.
 */
int underlay_choose(struct vswitch *vs, const struct gateway_config *config, struct underlay_choice *out,
		    struct failure *why);

/* Closes the host underlays that no gateway uses any more. */
void hosts_close_unused(struct vswitch *vs);

#endif
