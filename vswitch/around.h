/* SPDX-License-Identifier: Apache-2.0 */
/*
 * around.h - an address of the overlay must not take what its pod and its tunnel stand on
 *
 * The longest prefix wins, and an address of the pod's own is answered in the pod: whoever gives a lease that contains
 * a remote has the tunnel go into itself, and with one around the first interface's network takes the kubelet's probes.
 * Control thread.
 */
#ifndef PODSWITCH_AROUND_H
#define PODSWITCH_AROUND_H

#include "vswitch/path/model.h"

/*
 * In the pod's namespace: 0, or -EINVAL when the network of `address` overlaps a remote of the gateway (NULL: none) or,
 * for an exclusive port, one that another interface of the pod is in. Link-local networks are everywhere. `what` begins
 * the text: "the lease 10.1.1.77/24 from 172.16.0.1". `key` may be NULL.
 */
int around_check(const struct port_config *config, const struct gateway *gateway, const struct prefix *address,
		 const char *what, const char *key, struct failure *why);

/* The same for each address that the port is to be given; the key is "address". */
int around_check_config(const struct port_config *config, const struct gateway *gateway, struct failure *why);

#endif
