/* SPDX-License-Identifier: Apache-2.0 */
/* remote.h - a gateway's remotes: taking a slot of the switch's table for one, and giving it back */
#ifndef PODSWITCH_REMOTE_H
#define PODSWITCH_REMOTE_H

#include "vswitch/path/model.h"

/*
 * Claims a slot for a remote of `gateway` and publishes it there; port 0 in `endpoint` means the gateway's. NULL when
 * the gateway, or the switch, has as many as it may have. From a worker that holds `learning`, or with the workers
 * parked.
 */
struct remote *remote_claim(struct vswitch *vs, struct gateway *gateway, const struct endpoint *endpoint, bool learned);

/* Takes the remote off its gateway, with every FDB entry behind it, and frees the slot. Workers parked. */
void remote_release(struct vswitch *vs, struct remote *remote);

/* The same for all remotes of `gateway` that are `leaving`. Workers parked. */
void remote_release_leaving(struct vswitch *vs, struct gateway *gateway);

#endif
