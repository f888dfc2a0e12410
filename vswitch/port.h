/* SPDX-License-Identifier: Apache-2.0 */
/* port.h - ports, as the rest of the switch uses them. Control thread. */
#ifndef PODSWITCH_PORT_H
#define PODSWITCH_PORT_H

#include "vswitch/path/model.h"

/* NULL when there is no port of this name. */
struct port *port_find(const struct vswitch *vs, const char *name);

/* Closes what a port held whose namespace or TAP vanished; the port stays, in state "gone". */
void port_gone(struct vswitch *vs, struct port *port, const char *reason);

/*
 * After a change of its gateway: gives a port without an MTU of its own the gateway's, and renews the routes to the
 * remotes. `moved`: the gateway is another network now, so neighbours and lease are asked for again. 0, or a negative
 * errno when the pod's interface refuses, which is logged.
 */
int port_follow_gateway(struct vswitch *vs, struct port *port, bool moved);

/* Frees what belongs to the object alone; NULL is accepted. */
void port_free(struct port *port);

#endif
