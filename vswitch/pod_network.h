/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod_network.h - what a port has inside its pod: addresses and routes, the lease, and being the only way out
 *
 * Control thread. Functions that say so expect the calling thread to be in the pod's network namespace; the others
 * enter it themselves.
 */
#ifndef PODSWITCH_POD_NETWORK_H
#define PODSWITCH_POD_NETWORK_H

#include "tap/gateway_client.h"
#include "vswitch/path/model.h"
#include "vswitch/switch.h"

#define POD_NETWORK_TURN 64 /* clients handled in one call */

/*
 * In the pod's namespace, with the TAP made and port->config.link complete: configures the interface or, with `adopt`,
 * keeps what it has. On error nothing of ours but the TAP is left in the pod.
 */
int pod_network_open(struct vswitch *vs, struct port *port, const struct gateway *gateway, bool adopt,
		     struct failure *why);

/*
 * In the pod's namespace: lets its kernel build no larger super-frame than fits one train at this MTU, so that each is
 * one send.
 */
void pod_network_limit_gso(const char *ifname, unsigned mtu);

/*
 * Changes the pod from port->config to `config`, whose link is complete. `gateway` is the port's gateway now. `moved`
 * says that it is another network than before: neighbours and lease are asked for again. On error the pod has what it
 * had.
 */
int pod_network_change(struct vswitch *vs, struct port *port, const struct port_config *config,
		       const struct gateway *gateway, bool moved, struct failure *why);

/*
 * Releases the lease and restores the pod's own default route. The TAP must still be forwarded, for the lease's server
 * to hear of it.
 */
void pod_network_close(struct vswitch *vs, struct port *port);

/* Goes on as a client of another process was. The interface has what that one gave it. */
void pod_network_resume(struct vswitch *vs, struct port *port, const struct gateway_client_status *was);

/* Closes the client without a word to the server; the pod keeps what it has. */
void pod_network_forget(struct port *port);

/*
 * Runs the clients that have something to do. Returns when the next one has, ms of the monotonic clock; UINT64_MAX:
 * none. From switch_tick(), which sets the alarm.
 */
uint64_t pod_network_turn(struct vswitch *vs);

void pod_network_report(const struct port *port, struct port_client *out);

#endif
