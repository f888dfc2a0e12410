/* SPDX-License-Identifier: Apache-2.0 */
/* around.c - an address of the overlay must not take what its pod and its tunnel stand on */
#include "vswitch/around.h"

#include "tap/link.h"
#include "vswitch/overlap.h"

#include <net/if.h>
#include <stdio.h>

#define OTHERS 64 /* addresses of other interfaces that are looked at; a pod that has more takes from itself alone */

static bool is_everywhere(const struct prefix *network)
{
	const uint8_t *bytes = network->address.bytes;
	return network->address.family == AF_INET ? bytes[0] == 169 && bytes[1] == 254
						  : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

static int check_remotes(const struct gateway *gateway, const struct prefix *address, const char *what, const char *key,
			 struct failure *why)
{
	char text[ADDRESS_TEXT];
	for (size_t i = 0; i < gateway->config.n_remotes; i++) {
		const struct address *remote = &gateway->config.remotes[i].address;
		if (prefix_contains(address, remote))
			return fail(why, -EINVAL, key, "%s overlaps %s, a remote of gateway %s", what,
				    address_format(remote, text), gateway->config.name);
	}
	return 0;
}

static int check_others(const struct port_config *config, const struct prefix *address, const char *what,
			const char *key, struct failure *why)
{
	struct link_address others[OTHERS];
	char text[ADDRESS_TEXT], name[IF_NAMESIZE] = "?";
	int n = link_list_others(config->ifname, others, OTHERS, why);
	for (int i = 0; i < n; i++) {
		if (is_everywhere(&others[i].address) || !overlap_of(&others[i].address, address))
			continue;
		(void)if_indextoname((unsigned)others[i].ifindex, name);
		return fail(why, -EINVAL, key, "%s overlaps %s, which the pod has on %s", what,
			    prefix_format(&others[i].address, text), name);
	}
	return n < 0 ? n : 0;
}

int around_check(const struct port_config *config, const struct gateway *gateway, const struct prefix *address,
		 const char *what, const char *key, struct failure *why)
{
	int error = 0;
	if (gateway && (config->exclusive || gateway->pod_underlay))
		error = check_remotes(gateway, address, what, key, why);
	if (!error && config->exclusive)
		error = check_others(config, address, what, key, why);
	return error;
}

int around_check_config(const struct port_config *config, const struct gateway *gateway, struct failure *why)
{
	char text[ADDRESS_TEXT], what[ADDRESS_TEXT + 16];
	int error = 0;
	for (size_t i = 0; !error && i < config->link.n_addresses; i++) {
		const struct prefix *address = &config->link.addresses[i];
		snprintf(what, sizeof(what), "address: %s", prefix_format(address, text));
		error = around_check(config, gateway, address, what, "address", why);
	}
	return error;
}
