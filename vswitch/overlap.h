/* SPDX-License-Identifier: Apache-2.0 */
/* overlap.h - an address of the overlay must not take what stays on the first interface. Any thread. */
#ifndef PODSWITCH_OVERLAP_H
#define PODSWITCH_OVERLAP_H

#include "tap/base/failure.h"
#include "tap/dhcp.h"
#include "vswitch/base/switch_config.h"

/*
 * 0, or -EINVAL when `address` or the network that it is in overlaps one that an exclusive port keeps. `what` begins
 * the text: "the lease 10.96.0.9/28 from 172.16.0.1". `key` may be NULL.
 */
int overlap_check(const struct port_config *config, const struct prefix *address, const char *what, const char *key,
		  struct failure *why);

/* Whether the networks of the two, whatever their host bits are, have addresses in common. */
bool overlap_of(const struct prefix *a, const struct prefix *b);

/* "the lease 10.96.0.9/28 from 172.16.0.1" */
#define OVERLAP_LEASE_TEXT (2 * ADDRESS_TEXT + 32)
const char *overlap_lease_format(const struct dhcp_lease *lease, char out[static OVERLAP_LEASE_TEXT]);

/* 0, or -EINVAL for a lease that overlaps, or whose address is outside of the network that the port expects. */
int overlap_check_lease(const struct port_config *config, const struct dhcp_lease *lease, struct failure *why);

#endif
