/* SPDX-License-Identifier: Apache-2.0 */
/* port_binding.h - a port's place on its gateway: membership, and the sockets of the pod underlay. Control thread. */
#ifndef PODSWITCH_PORT_BINDING_H
#define PODSWITCH_PORT_BINDING_H

#include "vswitch/path/model.h"

/* Takes the port off its gateway, if it has one, with every FDB entry that names it. Workers parked. */
void port_leave_gateway(struct vswitch *vs, struct port *port);

/* Puts the port, which has no gateway, on `gateway`, and its MAC into the FDB. 0 or -ENOMEM. Workers parked. */
int port_join_gateway(struct vswitch *vs, struct port *port, struct gateway *gateway);

/* Starts, or ends, reading the port's own underlay sockets; without such sockets nothing happens. */
void port_watch_underlay(struct port *port);
void port_unwatch_underlay(struct port *port);

/*
 * Moves the port to `gateway`, or, when it is there already, to the underlay that the gateway now has. On error the
 * port stays where it was.
 */
int port_rebind(struct vswitch *vs, struct port *port, struct gateway *gateway, struct failure *why);

/* Takes the port off its gateway: it stays, and drops everything. */
void port_detach(struct vswitch *vs, struct port *port);

/* In the pod's namespace: opens the sockets of the pod underlay if `gateway` wants them, else *out is NULL. */
int pod_underlay_open(const struct vswitch *vs, const struct gateway *gateway, struct underlay **out,
		      struct failure *why);

#endif
