/* SPDX-License-Identifier: Apache-2.0 */
/* fdb_verbs.c - static entries of the forwarding database, and forgetting learned ones */
#include "tap/base/clock.h"
#include "vswitch/gateway.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/remote.h"
#include "vswitch/port.h"
#include "vswitch/switch.h"

static struct remote *find_remote(const struct gateway *gateway, const struct endpoint *endpoint)
{
	unsigned n = atomic_load(&gateway->n_remotes);
	for (unsigned i = 0; i < n; i++)
		if (address_equal(&gateway->remotes[i]->endpoint.address, &endpoint->address) &&
		    (!endpoint->port || gateway->remotes[i]->endpoint.port == endpoint->port))
			return gateway->remotes[i];
	return NULL;
}

/* The remote that a static entry names; a hub gets a new one, which does not age. */
static struct remote *static_remote(struct vswitch *vs, struct gateway *gateway, const struct endpoint *endpoint)
{
	struct remote *remote = find_remote(gateway, endpoint);
	if (!gateway->is_hub)
		return remote;
	workers_park(vs);
	if (!remote)
		remote = find_remote(gateway, endpoint);
	if (!remote)
		remote = remote_claim(vs, gateway, endpoint, false);
	if (remote)
		remote->learned = false;
	workers_resume(vs);
	return remote;
}

static int resolve_place(struct vswitch *vs, struct gateway *gateway, const char *port_name,
			 const struct endpoint *endpoint, struct fdb_place *out, struct failure *why)
{
	char text[ADDRESS_TEXT];
	if (port_name) {
		const struct port *port = port_find(vs, port_name);
		if (!port || port->gateway != gateway)
			return fail(why, -ENOENT, "port", "gateway '%s' has no port '%s'", gateway->config.name,
				    port_name);
		*out = (struct fdb_place){.is_port = true, .index = port->id};
		return 0;
	}
	const struct remote *remote = static_remote(vs, gateway, endpoint);
	if (!remote)
		return fail(why, -ENOENT, "remote", "%s is not a remote of gateway '%s'; add it with gateway set",
			    endpoint_format(endpoint, text), gateway->config.name);
	*out = (struct fdb_place){.index = remote->id};
	return 0;
}

/* A static entry for the MAC of a port here would cut that port off. */
static bool is_local(const struct vswitch *vs, const struct gateway *gateway, const struct mac *mac)
{
	struct fdb_entry entry;
	return fdb_lookup(vs->fdb, gateway->id, mac->bytes, clock_seconds(), &entry) && entry.kind == FDB_LOCAL;
}

int switch_fdb_add(struct vswitch *vs, const char *gateway_name, const struct mac *mac, const char *port,
		   const struct endpoint *remote, struct failure *why)
{
	struct gateway *gateway = gateway_find(vs, gateway_name);
	struct fdb_place place = {0};
	char text[MAC_TEXT];
	if (!gateway)
		return fail(why, -ENOENT, "gateway", "there is no gateway '%s'", gateway_name);
	if (!mac_is_unicast(mac))
		return fail(why, -EINVAL, "mac", "%s is a group address or zero; entries are unicast",
			    mac_format(mac, text));
	if (is_local(vs, gateway, mac))
		return fail(why, -EEXIST, "mac", "%s is the MAC of a port here", mac_format(mac, text));
	int error = resolve_place(vs, gateway, port, remote, &place, why);
	if (error)
		return error;
	error = fdb_set(vs->fdb, gateway->id, mac->bytes, FDB_STATIC, place);
	if (error == -ENOSPC) {
		workers_park(vs);
		error = fdb_reserve(vs->fdb);
		workers_resume(vs);
		if (!error)
			error = fdb_set(vs->fdb, gateway->id, mac->bytes, FDB_STATIC, place);
	}
	return error ? fail(why, error, NULL, "out of memory") : 0;
}

int switch_fdb_remove(struct vswitch *vs, const char *gateway_name, const struct mac *mac, struct failure *why)
{
	struct gateway *gateway = gateway_find(vs, gateway_name);
	char text[MAC_TEXT];
	if (!gateway)
		return fail(why, -ENOENT, "gateway", "there is no gateway '%s'", gateway_name);
	if (is_local(vs, gateway, mac))
		return fail(why, -EBUSY, "mac", "%s is the MAC of a port; it goes with the port",
			    mac_format(mac, text));
	if (!fdb_remove(vs->fdb, gateway->id, mac->bytes))
		return fail(why, -ENOENT, "mac", "gateway '%s' has no entry %s", gateway_name, mac_format(mac, text));
	return 0;
}

static bool is_learned(void *context, const struct fdb_entry *entry)
{
	const struct gateway *only = context;
	return entry->kind == FDB_LEARNED && (!only || entry->gateway == only->id);
}

int switch_fdb_flush(struct vswitch *vs, const char *gateway_name, struct failure *why)
{
	struct gateway *gateway = NULL;
	if (gateway_name) {
		gateway = gateway_find(vs, gateway_name);
		if (!gateway)
			return fail(why, -ENOENT, "gateway", "there is no gateway '%s'", gateway_name);
	}
	return (int)fdb_purge(vs->fdb, is_learned, gateway);
}
