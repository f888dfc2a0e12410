/* SPDX-License-Identifier: Apache-2.0 */
/* podswitchd_ports.c - requests to podswitchd that put a pod's port where it belongs */
#include "control/kube/podswitchd_ports.h"
#include "tap/base/mac.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- gateways ---- */

static json_t *gateway_params(const struct podswitchd_ports *ports, const char *name, const struct gateway_spec *spec,
			      const char *remote, uint16_t port)
{
	const char *const underlays[] = {[SPEC_UNDERLAY_UNSET] = ports->underlay,
					 [SPEC_UNDERLAY_AUTO] = "auto",
					 [SPEC_UNDERLAY_HOST] = "host",
					 [SPEC_UNDERLAY_POD] = "pod"};
	return json_pack("{s:s, s:i, s:i, s:[s], s:s, s:i}", "name", name, "vni", (int)spec->vni, "port", (int)port,
			 "remote", remote, "underlay", underlays[spec->underlay], "mtu", (int)spec->mtu);
}

/* After a new connection podswitchd may have none of them. The call in between may have made that connection. */
static void forget_gateways(struct podswitchd_ports *ports)
{
	if (ports->gateways_epoch != podswitchd_epoch(ports->podswitchd))
		json_object_clear(ports->gateways);
	ports->gateways_epoch = podswitchd_epoch(ports->podswitchd);
}

/* Adds or changes the gateway. Takes the reference to `params`. */
static int ensure_gateway(struct podswitchd_ports *ports, const char *name, json_t *params, struct failure *why)
{
	int code = 0, error = 0;
	forget_gateways(ports);
	if (!ports->gateways)
		ports->gateways = json_object();
	if (!json_equal(json_object_get(ports->gateways, name), params)) {
		error = podswitchd_call(ports->podswitchd, "gateway.add", json_incref(params), NULL, &code, why);
		if (error == -EREMOTEIO && code == JSONRPC_EXISTS)
			error = podswitchd_call(ports->podswitchd, "gateway.set", json_incref(params), NULL, &code,
						why);
		forget_gateways(ports);
		if (!error)
			json_object_set(ports->gateways, name, params);
	}
	json_decref(params);
	return error;
}

static bool gateway_is_ours(const char *gateway)
{
	return strchr(gateway, '@');
}

void podswitchd_ports_tidy_gateways(struct podswitchd_ports *ports, bool (*used)(void *context, const char *gateway),
				    void *context)
{
	json_t *list = NULL;
	size_t i;
	const json_t *gateway;
	if (podswitchd_call(ports->podswitchd, "gateway.list", NULL, &list, NULL, NULL))
		return;
	json_array_foreach(list, i, gateway)
	{
		const char *name = json_string_value(json_object_get(gateway, "name"));
		if (!name || !gateway_is_ours(name) || json_integer_value(json_object_get(gateway, "ports")) ||
		    used(context, name))
			continue;
		(void)podswitchd_call(ports->podswitchd, "gateway.remove", json_pack("{s:s}", "name", name), NULL, NULL,
				      NULL);
		json_object_del(ports->gateways, name);
	}
	json_decref(list);
}

void podswitchd_ports_close(struct podswitchd_ports *ports)
{
	json_decref(ports->gateways);
	ports->gateways = NULL;
}

/* ---- ports ---- */

/* Made from the pod's name, so that DHCP gives it the same address on every node and after every restart. */
static const char *mac_of(const struct attachment *attachment, char out[static MAC_TEXT])
{
	char seed[400];
	snprintf(seed, sizeof(seed), "%s/%s/%s", attachment->namespace, attachment->pod, attachment->ifname);
	struct mac mac = mac_derive(seed);
	return mac_format(&mac, out);
}

/*
 * Of breadth.h's shares, the Service has one and the setting one; what is found of the cluster has less than two: 48
 * ranges of a /8 or a /32, and single addresses. So podswitchd never refuses a list for its breadth.
 */
static json_t *keep_list(const struct podswitchd_ports *ports, const struct gateway_spec *spec)
{
	char text[ADDRESS_TEXT];
	json_t *keep = json_array();
	static_assert(SPEC_MAX_NOT_ROUTED + KEPT_NETWORKS_MAX <= PODSWITCHD_PORTS_MAX_KEEP, "both lists fit");
	for (size_t i = 0; i < spec->n_not_routed; i++)
		json_array_append_new(keep, json_string(prefix_format(&spec->not_routed[i], text)));
	for (size_t i = 0; i < ports->kept->n; i++)
		json_array_append_new(keep, json_string(prefix_format(&ports->kept->list[i], text)));
	return keep;
}

/* One pod of the node asks often, and behind the router; the others see for themselves, as the agent's setting says. */
static void put_probes(const struct podswitchd_ports *ports, const struct attachment *attachment,
		       const struct gateway_spec *spec, json_t *params)
{
	char target[PATH_TARGET_TEXT] = "none";
	unsigned interval = spec->probe_interval;
	if (!attachment->prober && interval < ports->probe * 1000)
		interval = 0;
	if (attachment->prober)
		path_target_format(&spec->probe_target, target);
	json_object_set_new(params, "probe_interval", json_integer(interval));
	json_object_set_new(params, "probe_target", json_string(target));
}

static json_t *port_params(const struct podswitchd_ports *ports, const struct attachment *attachment,
			   const struct choice *choice, const char *gateway)
{
	char mac[MAC_TEXT], address[ADDRESS_TEXT], router[ADDRESS_TEXT], network[ADDRESS_TEXT];
	json_t *params = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:o, s:s}", "name", attachment->port, "gateway",
				   gateway, "netns", attachment->netns, "ifname", attachment->ifname, "mac",
				   mac_of(attachment, mac), "exclusive", true, "probe", (int)ports->probe, "keep",
				   keep_list(ports, choice->spec), "hostname", attachment->hostname);
	put_probes(ports, attachment, choice->spec, params);
	json_object_set_new(params, "dhcp", json_boolean(!choice->has_address));
	json_object_set_new(params, "dns", json_string(choice->gateway_names ? "gateway" : "cluster"));
	json_object_set_new(params, "inbound", json_boolean(choice->inbound));
	json_object_set_new(params, "own_addresses", json_boolean(choice->own_addresses));
	json_object_set_new(
		params, "network",
		json_string(choice->spec->network_given ? prefix_format(&choice->spec->network, network) : "none"));
	json_object_set_new(params, "expect_router",
			    json_string(choice->has_address ? "none" : address_format(&choice->spec->router, router)));
	json_object_set_new(params, "address",
			    json_string(choice->has_address ? prefix_format(&choice->address, address) : "none"));
	json_object_set_new(params, "default_via",
			    json_string(choice->has_address ? address_format(&choice->spec->router, router) : "none"));
	return params;
}

static int add_port(struct podswitchd_ports *ports, struct attachment *attachment, json_t *params, struct failure *why)
{
	int code = 0;
	json_decref(attachment->status);
	attachment->status = NULL;
	int error =
		podswitchd_call(ports->podswitchd, "port.add", json_incref(params), &attachment->status, &code, why);
	if (error == -EREMOTEIO && code == JSONRPC_EXISTS)
		error = podswitchd_call(ports->podswitchd, "port.set", json_incref(params), &attachment->status, &code,
					why);
	return error;
}

static int set_port(struct podswitchd_ports *ports, struct attachment *attachment, json_t *params, struct failure *why)
{
	int code = 0;
	json_decref(attachment->status);
	attachment->status = NULL;
	int error =
		podswitchd_call(ports->podswitchd, "port.set", json_incref(params), &attachment->status, &code, why);
	if (error == -EREMOTEIO && code == JSONRPC_NOT_FOUND) {
		attachment->exists = false;
		error = add_port(ports, attachment, params, why);
	}
	return error;
}

/* Adds or changes the port. Takes the reference to `params`. */
static int ensure_port(struct podswitchd_ports *ports, struct attachment *attachment, json_t *params,
		       struct failure *why)
{
	int error = 0;
	char *text = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
	if (!attachment->exists)
		error = add_port(ports, attachment, params, why);
	else if (!attachment->applied || !text || strcmp(attachment->applied, text) != 0)
		error = set_port(ports, attachment, params, why);
	json_decref(params);
	free(error ? text : attachment->applied);
	if (error)
		return error;
	attachment->applied = text;
	attachment->exists = true;
	return 0;
}

int podswitchd_ports_place(struct podswitchd_ports *ports, struct attachment *attachment, const struct choice *choice,
			   const struct cluster_endpoint *endpoint, struct failure *why)
{
	const struct gateway_spec *spec = choice->spec;
	char name[NAMES_SIZE], address[ADDRESS_TEXT];
	uint16_t port = !spec->port_given && endpoint->port ? endpoint->port : spec->port;
	address_format(&endpoint->address, address);
	int error = gateway_name(name, spec->namespace, spec->name, address);
	if (error)
		return fail(why, error, "gateway", "'%.80s' cannot be a gateway's name", spec->name);
	error = ensure_gateway(ports, name, gateway_params(ports, name, spec, address, port), why);
	if (!error)
		error = ensure_port(ports, attachment, port_params(ports, attachment, choice, name), why);
	/* Somebody may have removed the gateway: the next try adds it again. */
	if (error == -EREMOTEIO)
		json_object_del(ports->gateways, name);
	if (error)
		return error;
	if (strcmp(attachment->at, name) != 0)
		attachment->attached = attachment->lost = false;
	memcpy(attachment->at, name, sizeof(attachment->at));
	attachment->endpoint = endpoint->address;
	return 0;
}

int podswitchd_ports_cut_off(struct podswitchd_ports *ports, struct attachment *attachment, struct failure *why)
{
	int error = 0;
	if (attachment->exists && strcmp(attachment->at, "none") != 0)
		error = podswitchd_call(ports->podswitchd, "port.set",
					json_pack("{s:s, s:s}", "name", attachment->port, "gateway", "none"), NULL,
					NULL, why);
	if (error)
		return error;
	free(attachment->applied);
	attachment->applied = NULL;
	attachment->attached = attachment->lost = false;
	snprintf(attachment->at, sizeof(attachment->at), "none");
	return 0;
}

int podswitchd_ports_remove(struct podswitchd_ports *ports, const char *port, bool closed, struct failure *why)
{
	int code = 0;
	int error = podswitchd_call(ports->podswitchd, "port.remove",
				    json_pack("{s:s, s:b}", "name", port, "closed", closed), NULL, &code, why);
	return error == -EREMOTEIO && code == JSONRPC_NOT_FOUND ? 0 : error;
}

int podswitchd_ports_refresh(struct podswitchd_ports *ports, struct attachment *attachment, struct failure *why)
{
	int code = 0;
	json_t *status = NULL;
	int error = podswitchd_call(ports->podswitchd, "port.show", json_pack("{s:s}", "name", attachment->port),
				    &status, &code, why);
	if (error == -EREMOTEIO && code == JSONRPC_NOT_FOUND) {
		attachment->exists = false;
		return -ENOENT;
	}
	if (error)
		return error;
	json_decref(attachment->status);
	attachment->status = status;
	return 0;
}
