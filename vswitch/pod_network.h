/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_network.h - what a port has inside its pod: addresses and routes, the lease, and being the only way out
 *
 * All for the control thread. The functions that say so want the calling thread to be in the pod's network namespace;
 * the others enter it by themselves.
 */
#ifndef PODSWITCH_POD_NETWORK_H
#define PODSWITCH_POD_NETWORK_H

#include "vswitch/path/model.h"
#include "vswitch/switch.h"

#define POD_NETWORK_TURN 64 /* clients looked after before other work gets its turn */

/*
 * In the pod's namespace, with the TAP there and port->config.link complete: gives the interface what it is to have, or
 * (`adopt`) takes up what it has. On error nothing of ours is left in the pod but the TAP.
 */
int pod_network_open(struct vswitch *vs, struct port *port, const struct gateway *gateway, bool adopt,
		     struct failure *why);

/*
 * From what the pod has to what `config` asks for, its link complete; `gateway` is the one the port is at by now.
 * `moved`: that is another one than before, so that neighbours and lease are asked for anew. On error the pod has what
 * it had.
 */
int pod_network_change(struct vswitch *vs, struct port *port, const struct port_config *config,
		       const struct gateway *gateway, bool moved, struct failure *why);

/* Gives the lease and the pod's own default route back. The TAP is still served, so that the server hears of it. */
void pod_network_close(struct vswitch *vs, struct port *port);

/* Lets go of the client without a word to anybody; the pod keeps what it has. */
void pod_network_forget(struct port *port);

/* Does what clients have to do now; after switch_wakeup_fd has become readable. */
void pod_network_turn(struct vswitch *vs);

void pod_network_report(const struct port *port, struct port_client *out);

#endif
