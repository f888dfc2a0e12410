/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlap.c - an address of the overlay must not take what stays on the first interface
 *
 * The longest prefix wins in the pod's routes. A lease of 10.96.0.9/28 would bring a route to 10.96.0.0/28 with it, and
 * so the questions to the cluster's DNS at 10.96.0.10 to whoever gave the lease.
 */
#include "vswitch/overlap.h"

#include <stdio.h>

bool overlap_of(const struct prefix *a, const struct prefix *b)
{
	return prefix_contains(a, &b->address) || prefix_contains(b, &a->address);
}

int overlap_check(const struct port_config *config, const struct prefix *address, const char *what, const char *key,
		  struct failure *why)
{
	char text[ADDRESS_TEXT];

	for (size_t i = 0; config->exclusive && i < config->n_keep; i++) {
		struct prefix kept = prefix_network(&config->keep[i]);
		if (overlap_of(&kept, address))
			return fail(why, -EINVAL, key, "%s overlaps %s, which stays on the first interface", what,
				    prefix_format(&kept, text));
	}
	return 0;
}

const char *overlap_lease_format(const struct dhcp_lease *lease, char out[static OVERLAP_LEASE_TEXT])
{
	char address[ADDRESS_TEXT], server[ADDRESS_TEXT];

	snprintf(out, OVERLAP_LEASE_TEXT, "the lease %s from %s", prefix_format(&lease->address, address),
		 address_format(&lease->server, server));
	return out;
}

int overlap_check_lease(const struct port_config *config, const struct dhcp_lease *lease, struct failure *why)
{
	char text[ADDRESS_TEXT], what[OVERLAP_LEASE_TEXT];

	(void)overlap_lease_format(lease, what);
	if (config->network.address.family && !prefix_contains(&config->network, &lease->address.address))
		return fail(why, -EINVAL, "network", "%s is not in %s, the network that is expected", what,
			    prefix_format(&config->network, text));
	return overlap_check(config, &lease->address, what, NULL, why);
}
