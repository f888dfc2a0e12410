/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breadth.h - how much of the address space a list of networks takes up
 *
 * What stays on a pod's first interface goes around its gateway, so such a list must not come to nearly everything, be
 * it as 0.0.0.0/0, as two halves, or as many small pieces. Values, any thread.
 *
 * The rule. Each of what a gateway's Service and what the agent's setting keep may come to one share: an eighth of
 * IPv4, which is as much as a /3, and as much of IPv6 as one /12, which is what a registry of the world gives addresses
 * from. Space for private use is not counted. The well-known prefix of NAT64, 64:ff9b::/96, leads to
 * all of IPv4 and is counted there. podswitchd gets both lists, and what is found of the cluster, as one; it takes
 * BREADTH_ALL shares.
 */
#ifndef PODSWITCH_BREADTH_H
#define PODSWITCH_BREADTH_H

#include "tap/base/address.h"

#define BREADTH_BITS4 3  /* of IPv4, one share is as much as a network of this length */
#define BREADTH_BITS6 12 /* of IPv6 */
#define BREADTH_ALL 4    /* shares that all lists of one port may come to together */

/* Whether all of it is for private use: RFC 1918, 100.64.0.0/10, 169.254.0.0/16, fc00::/7, fe80::/10. */
bool network_is_private(const struct prefix *network);

/* Whether the `n` networks (host bits do not count, they may overlap) come to more than `shares` of either family. */
bool breadth_exceeds(const struct prefix *list, size_t n, unsigned shares);

#endif
