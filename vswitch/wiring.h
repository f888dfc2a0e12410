/* SPDX-License-Identifier: Apache-2.0 */
/* wiring.h - which gateways of this node reach each other without the network, and whose datagrams are whose */
#ifndef PODSWITCH_WIRING_H
#define PODSWITCH_WIRING_H

#include "vswitch/path/model.h"

/*
 * Builds the demux again and finds out which remotes are hubs of this node. To be called after every change of
 * gateways, or of the ports of a hub. Parks the workers. -ENOMEM leaves everything as it was. Control thread.
 */
int switch_rewire(struct vswitch *vs, struct failure *why);

#endif
