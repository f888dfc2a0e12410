/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_verbs.c - adding, changing and removing gateways, with their configured remotes
 *
 * A gateway's configuration is replaced in place while the workers are parked, so its ports stay, and so do the FDB
 * entries of the remotes that it keeps.
 *
 *    add:     check -> choose underlay -> gateway_new() -> gateway_apply()    on error: gateway_discard()
 *    set:     check -> choose underlay -> gateway_apply(new)                  on error: gateway_apply(old)
 *             -> close unused sockets -> each port follows (MTU, routes, lease)
 *    remove:  detach the ports -> gateway_discard()
 *
 *    gateway_apply():  park; configuration, remotes; resume
 *                      rebind the ports, when underlay or UDP port change
 *                      switch_rewire()
 *
 * While ports are rebound one by one, some already have sockets of their own and others still send by the host's: so
 * gateway->host changes last when it goes away.
 *
 * Control thread. RFC 7348.
 */
#include "vswitch/gateway.h"

#include "tap/base/log.h"
#include "vswitch/handover.h"
#include "vswitch/host_underlay.h"
#include "vswitch/housekeeping.h"
#include "vswitch/path/parking.h"
#include "vswitch/path/remote.h"
#include "vswitch/port.h"
#include "vswitch/port_binding.h"
#include "vswitch/silence.h"
#include "vswitch/switch.h"
#include "vswitch/wiring.h"

#include <stdlib.h>
#include <string.h>

static int check_remote(const struct gateway_config *config, size_t i, struct failure *why)
{
	char text[ADDRESS_TEXT];
	const struct address *address = &config->remotes[i].address;
	bool group = address->family == AF_INET ? address->bytes[0] >= 224 : address->bytes[0] == 0xff;
	if (group || address_is_any(address))
		return fail(why, -EINVAL, "remote", "%s is not the address of a host", address_format(address, text));
	if (address->family == AF_INET6 && address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80)
		return fail(why, -EINVAL, "remote",
			    "%s is link-local, which does not say on which link; give a global address",
			    address_format(address, text));
	for (size_t j = 0; j < i; j++)
		if (address_equal(address, &config->remotes[j].address))
			return fail(why, -EINVAL, "remote", "%s is given twice", address_format(address, text));
	return 0;
}

static int gateway_check_config(const struct gateway_config *config, struct failure *why)
{
	if (switch_check_name(config->name, why))
		return -EINVAL;
	if (!strcmp(config->name, GATEWAY_NONE))
		return fail(why, -EINVAL, "name", "'%s' means that a port has no gateway; choose another name",
			    GATEWAY_NONE);
	if (config->vni > 0xffffff)
		return fail(why, -EINVAL, "vni", "a VNI is 0 to 16777215");
	if (!config->port)
		return fail(why, -EINVAL, "port", "a UDP port is 1 to 65535");
	if (config->n_allow && config->n_remotes)
		return fail(why, -EINVAL, "allow", "is only for a hub: a gateway without remotes");
	for (size_t i = 0; i < config->n_remotes; i++)
		if (check_remote(config, i, why))
			return why ? why->code : -EINVAL;
	return 0;
}

static bool same_remotes(const struct gateway_config *a, const struct gateway_config *b)
{
	if (a->n_remotes != b->n_remotes)
		return false;
	for (size_t i = 0; i < a->n_remotes; i++)
		if (!endpoint_equal(&a->remotes[i], &b->remotes[i]))
			return false;
	return true;
}

static bool gateway_config_equal(const struct gateway_config *a, const struct gateway_config *b)
{
	return !strcmp(a->name, b->name) && a->vni == b->vni && a->port == b->port && a->underlay == b->underlay &&
	       a->mtu == b->mtu && a->learning == b->learning && a->isolate == b->isolate &&
	       a->clamp_mss == b->clamp_mss && same_remotes(a, b) &&
	       prefix_lists_equal(a->allow, a->n_allow, b->allow, b->n_allow);
}

static bool remote_is_wanted(const struct gateway_config *config, const struct remote *remote)
{
	for (size_t i = 0; i < config->n_remotes; i++) {
		uint16_t port = config->remotes[i].port ? config->remotes[i].port : config->port;
		if (port == remote->endpoint.port &&
		    address_equal(&config->remotes[i].address, &remote->endpoint.address))
			return true;
	}
	return false;
}

/* A hub keeps remotes that it may still learn and those that static entries name; others keep what is configured. */
static bool keeps_remote(const struct gateway *gateway, const struct gateway_config *config,
			 const struct remote *remote)
{
	if (!gateway->is_hub)
		return remote_is_wanted(config, remote);
	return remote->endpoint.port == config->port &&
	       (!remote->learned || gateway_allows(config, &remote->endpoint.address));
}

/* Releases the remotes that the configuration no longer has and claims the new ones. Workers parked. */
static int set_remotes(struct vswitch *vs, struct gateway *gateway, struct failure *why)
{
	const struct gateway_config *config = &gateway->config;
	bool is_hub = config->n_remotes == 0;
	for (unsigned i = atomic_load(&gateway->n_remotes); i-- > 0;)
		if (is_hub != gateway->is_hub || !keeps_remote(gateway, config, gateway->remotes[i]))
			remote_release(vs, gateway->remotes[i]);
	gateway->is_hub = is_hub;
	for (size_t i = 0; i < config->n_remotes; i++)
		if (!gateway_find_remote(gateway, &config->remotes[i].address) &&
		    !remote_claim(vs, gateway, &config->remotes[i], false))
			return fail(why, -ENOSPC, "remote", "more than %d remotes altogether", MAX_REMOTES);
	return 0;
}

/* Gives the gateway this configuration and underlay. Ports are rebound one by one. */
static int gateway_apply(struct vswitch *vs, struct gateway *gateway, const struct gateway_config *config,
			 const struct underlay_choice *choice, struct failure *why)
{
	bool rebind = choice->pod != gateway->pod_underlay || config->port != gateway->config.port;
	workers_park(vs);
	gateway->config = *config;
	gateway->pod_underlay = choice->pod;
	/* Ports without sockets of their own send by the host's until they are rebound. */
	if (choice->host)
		gateway->host = choice->host;
	int error = set_remotes(vs, gateway, why);
	workers_resume(vs);
	/* From the last to the first: a port that moves changes places with the last one. */
	for (unsigned i = gateway->n_ports; !error && rebind && i-- > 0;)
		error = port_rebind(vs, gateway->ports[i], gateway, why);
	if (!error && gateway->host != choice->host) {
		workers_park(vs);
		gateway->host = choice->host;
		workers_resume(vs);
	}
	silence_forget(vs, gateway);
	return error ? error : switch_rewire(vs, why);
}

static bool is_of_gateway(void *context, const struct fdb_entry *entry)
{
	const struct gateway *gateway = context;
	return entry->gateway == gateway->id;
}

/* Removes a gateway that has no ports from everything, and frees it. */
static void gateway_discard(struct vswitch *vs, struct gateway *gateway)
{
	unsigned at = 0;
	while (vs->gateway_order[at] != gateway->id)
		at++;
	vs->n_gateways--;
	memmove(&vs->gateway_order[at], &vs->gateway_order[at + 1],
		(vs->n_gateways - at) * sizeof(vs->gateway_order[0]));
	struct failure why = {0};
	if (switch_rewire(vs, &why))
		log_line(LOG_ERROR, "%s", why.text);
	/* The demux no longer names it, so nothing can be learned for it after this. */
	workers_park(vs);
	fdb_purge(vs->fdb, is_of_gateway, gateway);
	while (atomic_load(&gateway->n_remotes))
		remote_release(vs, gateway->remotes[0]);
	vs->gateways[gateway->id] = NULL;
	workers_resume(vs);
	gateway_free(gateway);
	hosts_close_unused(vs);
}

/* With this underlay, whatever the configuration says. */
static int gateway_add_new(struct vswitch *vs, const struct gateway_config *config, enum underlay_mode underlay,
			   struct failure *why)
{
	struct underlay_choice choice;
	struct gateway_config decided = *config;
	decided.underlay = underlay;
	int error = gateway_check_config(config, why);
	if (!error)
		error = underlay_choose(vs, &decided, &choice, why);
	if (error)
		return error;
	struct gateway *gateway = gateway_new(vs);
	if (!gateway) {
		hosts_close_unused(vs);
		return fail(why, -ENOSPC, NULL, "no room for another gateway; there can be %d", MAX_GATEWAYS - 1);
	}
	gateway->is_hub = config->n_remotes == 0;
	gateway->config.port = config->port;
	gateway->pod_underlay = choice.pod;
	vs->gateways[gateway->id] = gateway;
	vs->gateway_order[vs->n_gateways++] = gateway->id;
	error = gateway_apply(vs, gateway, config, &choice, why);
	if (error) {
		gateway_discard(vs, gateway);
		return error;
	}
	switch_notify(vs, "gateway.added", config->name, NULL);
	return 0;
}

int switch_gateway_add(struct vswitch *vs, const struct gateway_config *config, struct failure *why)
{
	const struct gateway *old = gateway_find(vs, config->name);
	if (old && gateway_config_equal(&old->config, config))
		return 0;
	if (old)
		return fail(why, -EEXIST, "name", "gateway '%s' exists with other settings; use gateway set",
			    config->name);
	return gateway_add_new(vs, config, config->underlay, why);
}

int handover_take_gateway(struct vswitch *vs, const struct gateway_config *config, bool pod_underlay,
			  struct failure *why)
{
	return gateway_add_new(vs, config, pod_underlay ? UNDERLAY_POD : UNDERLAY_HOST, why);
}

/* Applies the configuration, or goes back to what worked. */
static int gateway_replace(struct vswitch *vs, struct gateway *gateway, const struct gateway_config *config,
			   const struct underlay_choice *choice, struct failure *why)
{
	struct gateway_config before = gateway->config;
	struct underlay_choice was = {.pod = gateway->pod_underlay, .host = gateway->host};
	struct failure again = {0};
	int error = gateway_apply(vs, gateway, config, choice, why);
	if (error && gateway_apply(vs, gateway, &before, &was, &again))
		log_line(LOG_ERROR, "gateway %s: a change failed, and undoing it failed too: %s", before.name,
			 again.text);
	hosts_close_unused(vs);
	return error;
}

int gateway_change_underlay(struct vswitch *vs, struct gateway *gateway, bool pod, struct failure *why)
{
	struct underlay_choice choice;
	struct gateway_config config = gateway->config;
	config.underlay = pod ? UNDERLAY_POD : UNDERLAY_HOST;
	int error = underlay_choose(vs, &config, &choice, why);
	config.underlay = gateway->config.underlay;
	if (!error)
		error = gateway_replace(vs, gateway, &config, &choice, why);
	for (unsigned i = 0; !error && i < gateway->n_ports; i++)
		(void)port_follow_gateway(vs, gateway->ports[i], false);
	if (!error)
		switch_notify(vs, "gateway.changed", config.name, NULL);
	return error;
}

int switch_gateway_set(struct vswitch *vs, const struct gateway_config *config, struct failure *why)
{
	struct underlay_choice choice;
	struct gateway *gateway = gateway_find(vs, config->name);
	if (!gateway)
		return fail(why, -ENOENT, "name", "there is no gateway '%s'", config->name);
	if (gateway_config_equal(&gateway->config, config))
		return 0;
	int error = gateway_check_config(config, why);
	if (!error)
		error = underlay_choose(vs, config, &choice, why);
	if (error)
		return error;
	const struct gateway_config before = gateway->config;
	error = gateway_replace(vs, gateway, config, &choice, why);
	if (error)
		return error;
	/* With another VNI, UDP port or remote it is another network, or one that does not know our pods. */
	bool moved = before.vni != config->vni || before.port != config->port || !same_remotes(&before, config);
	for (unsigned i = 0; i < gateway->n_ports; i++)
		(void)port_follow_gateway(vs, gateway->ports[i], moved);
	switch_notify(vs, "gateway.changed", config->name, NULL);
	return 0;
}

int switch_gateway_remove(struct vswitch *vs, const char *name, bool force, struct failure *why)
{
	struct gateway *gateway = gateway_find(vs, name);
	if (!gateway)
		return fail(why, -ENOENT, "name", "there is no gateway '%s'", name);
	if (gateway->n_ports && !force)
		return fail(why, -EBUSY, "name", "%u port%s gateway '%s'; move or remove them first, or use --force",
			    gateway->n_ports, gateway->n_ports == 1 ? " uses" : "s use", name);
	while (gateway->n_ports)
		port_detach(vs, gateway->ports[0]);
	char copy[SWITCH_NAME];
	memcpy(copy, gateway->config.name, sizeof(copy));
	gateway_discard(vs, gateway);
	switch_notify(vs, "gateway.removed", copy, NULL);
	return 0;
}
