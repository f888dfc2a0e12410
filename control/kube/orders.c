/* SPDX-License-Identifier: Apache-2.0 */
/* orders.c - what podswitchd is told so that a pod is where it is to be */
#include "control/kube/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define LOCALLY_ADMINISTERED 0x02
#define GROUP 0x01

/* ---- gateways ---- */

static json_t *gateway_params(const char *name, const struct gateway_spec *spec, const char *remote, uint16_t port)
{
	static const char *const underlays[] = {
		[SPEC_UNDERLAY_AUTO] = "auto", [SPEC_UNDERLAY_HOST] = "host", [SPEC_UNDERLAY_POD] = "pod"};
	return json_pack("{s:s, s:i, s:i, s:[s], s:s, s:i}", "name", name, "vni", (int)spec->vni, "port", (int)port,
			 "remote", remote, "underlay", underlays[spec->underlay], "mtu", (int)spec->mtu);
}

/* After a new connection podswitchd may have none of them; also when it is this call that made it. */
static void forget_gateways(struct orders *orders)
{
	if (orders->gateways_epoch != daemon_epoch(orders->daemon))
		json_object_clear(orders->gateways);
	orders->gateways_epoch = daemon_epoch(orders->daemon);
}

/* Adds it, or changes it to be so. Takes the reference. */
static int ensure_gateway(struct orders *orders, const char *name, json_t *params, struct failure *why)
{
	int code = 0, error = 0;
	forget_gateways(orders);
	if (!orders->gateways)
		orders->gateways = json_object();
	if (!json_equal(json_object_get(orders->gateways, name), params)) {
		error = daemon_call(orders->daemon, "gateway.add", json_incref(params), NULL, &code, why);
		if (error == -EREMOTEIO && code == JSONRPC_EXISTS)
			error = daemon_call(orders->daemon, "gateway.set", json_incref(params), NULL, &code, why);
		forget_gateways(orders);
		if (!error)
			json_object_set(orders->gateways, name, params);
	}
	json_decref(params);
	return error;
}

static bool is_ours(const char *gateway)
{
	return strchr(gateway, '@');
}

void orders_tidy(struct orders *orders, bool (*used)(void *context, const char *gateway), void *context)
{
	json_t *list = NULL;
	size_t i;
	const json_t *gateway;
	if (daemon_call(orders->daemon, "gateway.list", NULL, &list, NULL, NULL))
		return;
	json_array_foreach(list, i, gateway)
	{
		const char *name = json_string_value(json_object_get(gateway, "name"));
		if (!name || !is_ours(name) || json_integer_value(json_object_get(gateway, "ports")) ||
		    used(context, name))
			continue;
		(void)daemon_call(orders->daemon, "gateway.remove", json_pack("{s:s}", "name", name), NULL, NULL, NULL);
		json_object_del(orders->gateways, name);
	}
	json_decref(list);
}

void orders_close(struct orders *orders)
{
	json_decref(orders->gateways);
	orders->gateways = NULL;
}

/* ---- ports ---- */

/* The same for a pod of this name on every node and in every life of it, so that DHCP gives it its address again. */
static const char *mac_of(const struct tenant *tenant, char out[static MAC_TEXT])
{
	char seed[400];
	struct mac mac;
	snprintf(seed, sizeof(seed), "%s/%s/%s", tenant->namespace, tenant->pod, tenant->ifname);
	uint64_t hash = XXH3_64bits(seed, strlen(seed));
	memcpy(mac.bytes, &hash, sizeof(mac.bytes));
	mac.bytes[0] = (uint8_t)((mac.bytes[0] & ~GROUP) | LOCALLY_ADMINISTERED);
	return mac_format(&mac, out);
}

static json_t *keep_list(const struct orders *orders, const struct gateway_spec *spec)
{
	char text[ADDRESS_TEXT];
	json_t *keep = json_array();
	for (size_t i = 0; i < spec->n_not_routed && json_array_size(keep) < ORDERS_MAX_KEEP; i++)
		json_array_append_new(keep, json_string(prefix_format(&spec->not_routed[i], text)));
	for (size_t i = 0; i < orders->n_networks && json_array_size(keep) < ORDERS_MAX_KEEP; i++)
		json_array_append_new(keep, json_string(prefix_format(&orders->networks[i], text)));
	return keep;
}

static json_t *port_params(const struct orders *orders, const struct tenant *tenant, const struct choice *choice,
			   const char *gateway)
{
	char mac[MAC_TEXT], address[ADDRESS_TEXT], router[ADDRESS_TEXT], hostname[64];
	snprintf(hostname, sizeof(hostname), "%.*s", (int)strcspn(tenant->pod, "."), tenant->pod);
	json_t *params = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:o, s:s}", "name", tenant->port, "gateway",
				   gateway, "netns", tenant->netns, "ifname", tenant->ifname, "mac",
				   mac_of(tenant, mac), "exclusive", true, "probe", (int)orders->probe, "keep",
				   keep_list(orders, choice->spec), "hostname", hostname);
	json_object_set_new(params, "dhcp", json_boolean(!choice->has_address));
	json_object_set_new(params, "address",
			    json_string(choice->has_address ? prefix_format(&choice->address, address) : "none"));
	json_object_set_new(params, "default_via",
			    json_string(choice->has_address ? address_format(&choice->spec->router, router) : "none"));
	return params;
}

static int add_port(struct orders *orders, struct tenant *tenant, json_t *params, struct failure *why)
{
	int code = 0;
	json_decref(tenant->status);
	tenant->status = NULL;
	int error = daemon_call(orders->daemon, "port.add", json_incref(params), &tenant->status, &code, why);
	if (error == -EREMOTEIO && code == JSONRPC_EXISTS)
		error = daemon_call(orders->daemon, "port.set", json_incref(params), &tenant->status, &code, why);
	return error;
}

static int set_port(struct orders *orders, struct tenant *tenant, json_t *params, struct failure *why)
{
	int code = 0;
	json_decref(tenant->status);
	tenant->status = NULL;
	int error = daemon_call(orders->daemon, "port.set", json_incref(params), &tenant->status, &code, why);
	if (error == -EREMOTEIO && code == JSONRPC_NOT_FOUND) {
		tenant->exists = false;
		error = add_port(orders, tenant, params, why);
	}
	return error;
}

/* Takes the reference. */
static int ensure_port(struct orders *orders, struct tenant *tenant, json_t *params, struct failure *why)
{
	int error = 0;
	char *text = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
	if (!tenant->exists)
		error = add_port(orders, tenant, params, why);
	else if (!tenant->applied || !text || strcmp(tenant->applied, text) != 0)
		error = set_port(orders, tenant, params, why);
	json_decref(params);
	free(error ? text : tenant->applied);
	if (error)
		return error;
	tenant->applied = text;
	tenant->exists = true;
	return 0;
}

int orders_place(struct orders *orders, struct tenant *tenant, const struct choice *choice,
		 const struct cluster_endpoint *endpoint, struct failure *why)
{
	const struct gateway_spec *spec = choice->spec;
	char name[NAMES_SIZE], address[ADDRESS_TEXT];
	uint16_t port = !spec->port_given && endpoint->port ? endpoint->port : spec->port;
	address_format(&endpoint->address, address);
	int error = gateway_name(name, spec->namespace, spec->name, address);
	if (error)
		return fail(why, error, "gateway", "'%.80s' cannot be a gateway's name", spec->name);
	error = ensure_gateway(orders, name, gateway_params(name, spec, address, port), why);
	if (!error)
		error = ensure_port(orders, tenant, port_params(orders, tenant, choice, name), why);
	/* It may be that somebody has removed the gateway: it is given again with the next try. */
	if (error == -EREMOTEIO)
		json_object_del(orders->gateways, name);
	if (error)
		return error;
	if (strcmp(tenant->at, name) != 0)
		tenant->attached = tenant->lost = false;
	memcpy(tenant->at, name, sizeof(tenant->at));
	tenant->endpoint = endpoint->address;
	return 0;
}

int orders_cut(struct orders *orders, struct tenant *tenant, struct failure *why)
{
	int error = 0;
	if (tenant->exists && strcmp(tenant->at, "none") != 0)
		error = daemon_call(orders->daemon, "port.set",
				    json_pack("{s:s, s:s}", "name", tenant->port, "gateway", "none"), NULL, NULL, why);
	if (error)
		return error;
	free(tenant->applied);
	tenant->applied = NULL;
	tenant->attached = tenant->lost = false;
	snprintf(tenant->at, sizeof(tenant->at), "none");
	return 0;
}

int orders_remove(struct orders *orders, const char *port, bool closed, struct failure *why)
{
	int code = 0;
	int error = daemon_call(orders->daemon, "port.remove", json_pack("{s:s, s:b}", "name", port, "closed", closed),
				NULL, &code, why);
	return error == -EREMOTEIO && code == JSONRPC_NOT_FOUND ? 0 : error;
}

int orders_look(struct orders *orders, struct tenant *tenant, struct failure *why)
{
	int code = 0;
	json_t *status = NULL;
	int error =
		daemon_call(orders->daemon, "port.show", json_pack("{s:s}", "name", tenant->port), &status, &code, why);
	if (error == -EREMOTEIO && code == JSONRPC_NOT_FOUND) {
		tenant->exists = false;
		return -ENOENT;
	}
	if (error)
		return error;
	json_decref(tenant->status);
	tenant->status = status;
	return 0;
}
