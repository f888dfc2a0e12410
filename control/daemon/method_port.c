/* SPDX-License-Identifier: Apache-2.0 */
/* method_port.c - port.add, set, list, show, remove */
#include "control/daemon/method.h"
#include "control/daemon/takeover.h"
#include "vswitch/handover.h"

#include <string.h>

/* ---- reports ---- */

static json_t *addresses_json(const struct link_config *link)
{
	char text[ADDRESS_TEXT];
	json_t *addresses = json_array();

	for (size_t i = 0; i < link->n_addresses; i++)
		json_array_append_new(addresses, json_string(prefix_format(&link->addresses[i], text)));
	return addresses;
}

static json_t *keep_json(const struct port_config *config)
{
	char text[ADDRESS_TEXT];
	json_t *networks = json_array();

	for (size_t i = 0; i < config->n_keep; i++)
		json_array_append_new(networks, json_string(prefix_format(&config->keep[i], text)));
	return networks;
}

static json_t *routes_json(const struct link_config *link)
{
	char to[ADDRESS_TEXT], via[ADDRESS_TEXT];
	json_t *routes = json_array();

	for (size_t i = 0; i < link->n_routes; i++) {
		address_format(&link->routes[i].via, via);
		json_array_append_new(
			routes, json_sprintf("%s%s%s", prefix_format(&link->routes[i].to, to), via[0] ? "," : "", via));
	}
	return routes;
}

json_t *port_config_json(const struct port_config *config)
{
	char mac[MAC_TEXT], via[ADDRESS_TEXT], network[ADDRESS_TEXT], expected[ADDRESS_TEXT], target[PATH_TARGET_TEXT];
	const struct link_config *link = &config->link;

	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "name", config->name, "gateway", config->gateway,
				   "netns", config->netns, "ifname", config->ifname, "address", addresses_json(link),
				   "route", routes_json(link));
	if (config->has_mac)
		json_object_set_new(object, "mac", json_string(mac_format(&link->mac, mac)));
	if (link->default_via.family)
		json_object_set_new(object, "default_via", json_string(address_format(&link->default_via, via)));
	if (config->has_mtu)
		json_object_set_new(object, "mtu", json_integer(link->mtu));
	if (config->dhcp)
		json_object_set_new(object, "dhcp", json_true());
	if (config->hostname[0])
		json_object_set_new(object, "hostname", json_string(config->hostname));
	if (config->probe)
		json_object_set_new(object, "probe", json_integer(config->probe));
	if (config->probe_interval)
		json_object_set_new(object, "probe_interval", json_integer(config->probe_interval));
	if (config->probe_target.kind != PATH_NONE)
		json_object_set_new(object, "probe_target",
				    json_string(path_target_format(&config->probe_target, target)));
	if (config->exclusive)
		json_object_set_new(object, "exclusive", json_true());
	if (config->gateway_names)
		json_object_set_new(object, "dns", json_string("gateway"));
	if (config->inbound)
		json_object_set_new(object, "inbound", json_true());
	if (config->own_addresses)
		json_object_set_new(object, "own_addresses", json_true());
	if (config->network.address.family)
		json_object_set_new(object, "network", json_string(prefix_format(&config->network, network)));
	if (config->expect_router.family)
		json_object_set_new(object, "expect_router",
				    json_string(address_format(&config->expect_router, expected)));
	if (config->n_keep)
		json_object_set_new(object, "keep", keep_json(config));
	return object;
}

json_t *port_counters_json(const struct port_counters *counters)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:o}", "rx_frames", (json_int_t)counters->rx_frames, "rx_bytes",
			 (json_int_t)counters->rx_bytes, "tx_frames", (json_int_t)counters->tx_frames, "tx_bytes",
			 (json_int_t)counters->tx_bytes, "drops", drops_json(counters->drops));
}

/* What is asked behind the router. */
static json_t *path_json(const struct port_client *client)
{
	char target[PATH_TARGET_TEXT];
	json_t *object = json_pack("{s:s, s:s}", "target", path_target_format(&client->target, target), "state",
				   client->path_state);

	if (client->path_has_answered) {
		json_object_set_new(object, "answered", json_integer(client->path_answered));
		json_object_set_new(object, "rtt_us", json_integer((json_int_t)client->path_took));
	}
	return object;
}

/* What the port has as a client of its gateway. */
static json_t *client_json(const struct port_client *client)
{
	char router[ADDRESS_TEXT], server[ADDRESS_TEXT];
	json_t *object = json_pack("{s:s}", "state", client->state);

	if (client->router.family)
		json_object_set_new(object, "router", json_string(address_format(&client->router, router)));
	if (client->server.family)
		json_object_set_new(object, "server", json_string(address_format(&client->server, server)));
	if (client->lease) {
		json_object_set_new(object, "lease", json_integer(client->lease));
		json_object_set_new(object, "expires_in", json_integer(client->expires_in));
	}
	if (client->has_answered)
		json_object_set_new(object, "answered", json_integer(client->answered));
	if (client->lacks)
		json_object_set_new(object, "lacks", json_string(client->lacks));
	if (client->target.kind != PATH_NONE)
		json_object_set_new(object, "probe", path_json(client));
	if (client->checking)
		json_object_set_new(object, "checking", json_true());
	if (client->trouble[0])
		json_object_set_new(object, "trouble", json_string(client->trouble));
	return object;
}

static json_t *way_out_json(const struct port_way_out *way_out)
{
	json_t *object = json_pack("{s:s, s:i, s:b}", "state", way_out->state, "repairs", (int)way_out->repairs,
				   "filtered", !way_out->unfiltered[0]);

	json_object_set_new(object, "checked", json_integer(way_out->checked));
	if (way_out->repairs)
		json_object_set_new(object, "repaired", json_integer(way_out->repaired));
	if (way_out->trouble[0])
		json_object_set_new(object, "trouble", json_string(way_out->trouble));
	if (way_out->unfiltered[0])
		json_object_set_new(object, "unfiltered", json_string(way_out->unfiltered));
	return object;
}

static void append_port_status(void *context, const struct port_status *status)
{
	const struct port_config *config = status->config;
	char mac[MAC_TEXT];

	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:s, s:s, s:o, s:i, s:i}", "name", config->name,
				   "gateway", config->gateway, "netns", config->netns, "ifname", config->ifname, "mac",
				   mac_format(&config->link.mac, mac), "mtu", (int)config->link.mtu, "addresses",
				   addresses_json(status->live), "underlay", status->pod_underlay ? "pod" : "host",
				   "state", status->state, "counters", port_counters_json(&status->counters), "worker",
				   (int)status->worker, "queues", (int)status->queues);
	if (status->pod_underlay)
		json_object_set_new(object, "egress", json_string(status->by_tap ? "underlay_tap" : "sockets"));
	json_object_set_new(object, "client", client_json(&status->client));
	if (status->way_out.exclusive)
		json_object_set_new(object, "way_out", way_out_json(&status->way_out));
	if (status->silence.reason)
		json_object_set_new(object, "silence", silence_json(&status->silence));
	json_object_set_new(object, "config", port_config_json(config));
	json_array_append_new(context, object);
}

static int port_not_found(const char *name, struct failure *why)
{
	return fail(why, -ENOENT, "name", "name: there is no port '%s'", name);
}

static int report_port(struct call *call, const char *name, struct failure *why)
{
	json_t *list = json_array();

	switch_count_overruns(call->methods->vs, name);
	switch_visit_ports(call->methods->vs, name, append_port_status, list);
	call->result = json_incref(json_array_get(list, 0));
	json_decref(list);
	return call->result ? 0 : port_not_found(name, why);
}

/* ---- methods ---- */

static int port_finish_change(struct call *call, const char *name, struct failure *why)
{
	const struct port_config *now = switch_port_config(call->methods->vs, name);

	int error = now ? call_keep(call, STATE_PORT, name, port_config_json(now), why) : 0;
	return error ? error : report_port(call, name, why);
}

static int read_port_params(const struct call *call, bool complete, struct port_config *config, struct failure *why)
{
	int error = option_read_json(port_options, call->params, complete, config, why);
	/* What is not given is derived, and must not be taken for given. */
	if (!error && json_object_get(call->params, "mtu"))
		config->has_mtu = config->link.mtu;
	return error;
}

int method_port_add(struct call *call, struct failure *why)
{
	struct prefix keep[PORT_MAX_KEEP];
	struct port_config config = PORT_CONFIG_DEFAULT;
	config.keep = keep;

	int error = read_port_params(call, true, &config, why);
	if (error)
		return error;
	uint64_t ending = call->restoring ? 0 : switch_port_waits_for(call->methods->vs, &config);
	if (ending)
		return call_hold(call, ending);
	bool existed = switch_port_config(call->methods->vs, config.name);
	struct handed_port *handed = takeover_find_port(call->methods->takeover, config.name);
	error = handed ? handover_take_port(call->methods->vs, &config, handed, why)
		       : switch_port_add(call->methods->vs, &config, call->restoring, why);
	if (error == -EEXIST && existed)
		call->code = JSONRPC_EXISTS;
	return error ? error : port_finish_change(call, config.name, why);
}

int method_port_set(struct call *call, struct failure *why)
{
	struct prefix keep[PORT_MAX_KEEP];
	struct port_config config = PORT_CONFIG_DEFAULT;
	int error = call_find_name(call, config.name, why);
	if (error)
		return error;
	const struct port_config *now = switch_port_config(call->methods->vs, config.name);
	if (!now)
		return port_not_found(config.name, why);
	config = *now;
	config.keep = keep;
	prefix_list_copy(keep, now->keep, now->n_keep);
	error = read_port_params(call, false, &config, why);
	if (!error)
		error = switch_port_set(call->methods->vs, &config, why);
	if (!error)
		error = port_finish_change(call, config.name, why);
	return error ? error : call_forget_entries(call, why);
}

int method_port_list(struct call *call, struct failure *why)
{
	int error = call_no_params(call, why);
	if (error)
		return error;
	call->result = json_array();
	switch_count_overruns(call->methods->vs, NULL);
	switch_visit_ports(call->methods->vs, NULL, append_port_status, call->result);
	return 0;
}

int method_port_show(struct call *call, struct failure *why)
{
	char name[SWITCH_NAME];

	int error = call_name(call, name, why);
	return error ? error : report_port(call, name, why);
}

static int call_removed(struct call *call, const char *name)
{
	call->result = json_pack("{s:s}", "name", name);
	return 0;
}

/*
 * The answer comes when the pod has no TAP any more, and others are served meanwhile. In the state directory the port
 * is gone at once: TAP and file both go, however we end.
 */
int method_port_remove(struct call *call, struct failure *why)
{
	struct port_removal removal = {0};
	bool removed = rpc_held(call->client);
	uint64_t ending = 0;

	int error = option_read_json(port_removal_options, call->params, true, &removal, why);
	if (!error && removed)
		return call_removed(call, removal.name);
	if (!error)
		error = switch_port_remove(call->methods->vs, removal.name, removal.closed, &ending, why);
	if (error == -ENOENT && call_waits(call, STATE_PORT, removal.name))
		error = 0;
	if (error)
		return error;
	error = call_forget(call, STATE_PORT, removal.name, why);
	if (!error)
		error = call_forget_entries(call, why);
	if (error)
		return error;
	return ending ? call_hold(call, ending) : call_removed(call, removal.name);
}
