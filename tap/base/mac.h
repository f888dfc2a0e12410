/* SPDX-License-Identifier: Apache-2.0 */
/* mac.h - a MAC address made from a name. Any thread. */
#ifndef PODSWITCH_MAC_H
#define PODSWITCH_MAC_H

#include "tap/base/address.h"

/*
 * The same `seed`, a NUL-terminated text, gives the same locally administered unicast MAC on every node and after every
 * start, so that a DHCP server gives a pod its address again. Never change it: the MACs of running pods depend on it.
 */
struct mac mac_derive(const char *seed);

#endif
