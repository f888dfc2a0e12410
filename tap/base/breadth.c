/* SPDX-License-Identifier: Apache-2.0 */
/* breadth.c - how much of the address space a list of networks takes up */
#include "tap/base/breadth.h"

static const struct prefix private_space[] = {{{{10}, AF_INET}, 8},          {{{172, 16}, AF_INET}, 12},
					      {{{192, 168}, AF_INET}, 16},   {{{100, 64}, AF_INET}, 10},
					      {{{169, 254}, AF_INET}, 16},   {{{0xfc}, AF_INET6}, 7},
					      {{{0xfe, 0x80}, AF_INET6}, 10}};

static const struct prefix nat64 = {{{0, 0x64, 0xff, 0x9b}, AF_INET6}, 96};

bool network_is_private(const struct prefix *network)
{
	for (size_t i = 0; i < sizeof(private_space) / sizeof(private_space[0]); i++)
		if (prefix_holds(&private_space[i], network))
			return true;
	return false;
}

/* In another one of the list. Two networks are disjoint or nested, so what is left over adds up. */
static bool is_nested(const struct prefix *list, size_t n, size_t which)
{
	for (size_t i = 0; i < n; i++) {
		bool same = list[i].length == list[which].length;
		if (i != which && prefix_holds(&list[i], &list[which]) && (!same || i < which))
			return true;
	}
	return false;
}

/* In units of a /32 of IPv4, and of a /48 of IPv6: smaller networks of IPv6 count as one. */
static uint64_t breadth_units(const struct prefix *network)
{
	unsigned bits = network->address.family == AF_INET6 ? 48 : 32;
	return network->length >= bits ? 1 : UINT64_C(1) << (bits - network->length);
}

/* What it is of IPv4 by way of NAT64. */
static uint64_t breadth_translated(const struct prefix *network)
{
	if (prefix_holds(network, &nat64))
		return UINT64_C(1) << 32;
	return prefix_holds(&nat64, network) ? UINT64_C(1) << (128 - network->length) : 0;
}

bool breadth_exceeds(const struct prefix *list, size_t n, unsigned shares)
{
	uint64_t sum4 = 0, sum6 = 0;
	for (size_t i = 0; i < n; i++) {
		if (network_is_private(&list[i]) || is_nested(list, n, i))
			continue;
		*(list[i].address.family == AF_INET6 ? &sum6 : &sum4) += breadth_units(&list[i]);
		sum4 += list[i].address.family == AF_INET6 ? breadth_translated(&list[i]) : 0;
	}
	return sum4 > shares * (UINT64_C(1) << (32 - BREADTH_BITS4)) ||
	       sum6 > shares * (UINT64_C(1) << (48 - BREADTH_BITS6));
}
