/* SPDX-License-Identifier: Apache-2.0 */
/* method_port.c - port.add, set, list, show, remove */
#include "control/daemon/method.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- parameters ---- */

static int parse_name(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	return param_name(key, value, config->name, why);
}

static int parse_gateway(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	return param_name(key, value, config->gateway, why);
}

static int parse_netns(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;
	long long pid = 0;

	if (json_is_string(value))
		return param_text(key, value, sizeof(config->netns), config->netns, why);
	if (!json_is_integer(value))
		return fail(why, -EINVAL, key, "%s: give a name under /run/netns, a path, or a process id", key);
	int error = param_integer(key, value, 1, 0x7fffffff, &pid, why);
	if (!error)
		snprintf(config->netns, sizeof(config->netns), "%lld", pid);
	return error;
}

/* As the kernel decides, and no '%', which it would replace by a number. */
static int parse_ifname(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;
	const char *text = json_string_value(value);

	if (!text)
		return fail(why, -EINVAL, key, "%s: must be a string", key);
	bool dots = !strcmp(text, ".") || !strcmp(text, "..");
	size_t length = strlen(text);
	for (const char *c = text; *c; c++)
		dots = dots || *c <= ' ' || *c == 0x7f || strchr("/:%", *c);
	if (!length || length >= sizeof(config->ifname) || dots)
		return fail(why, -EINVAL, key,
			    "%s: '%.32s' is not an interface name; give 1 to %d characters without blanks / : %%", key,
			    text, IFNAMSIZ - 1);
	memcpy(config->ifname, text, length + 1);
	return 0;
}

static int parse_mac(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	if (json_is_string(value) && !strcmp(json_string_value(value), "auto")) {
		config->has_mac = false;
		return 0;
	}
	int error = param_mac(key, value, &config->link.mac, why);
	if (!error)
		config->has_mac = true;
	return error;
}

static int add_address(const char *key, const char *text, void *into, struct failure *why)
{
	struct link_config *link = into;
	struct prefix address = {0};
	struct address bare;

	/* Without a length it would be a host's, which reaches nobody: forgotten rather than meant. */
	if (!strchr(text, '/') || prefix_parse(text, &address))
		return fail(why, -EINVAL, key, "%s: '%.64s' is not an address; give ADDRESS/LENGTH, as 172.16.0.10/24",
			    key, text);
	char plain[ADDRESS_TEXT];
	int error = param_address(key, address_format(&address.address, plain), &bare, why);
	if (error)
		return error;
	for (size_t i = 0; i < link->n_addresses; i++) {
		if (prefix_equal(&link->addresses[i], &address))
			return fail(why, -EINVAL, key, "%s: '%.64s' is given twice", key, text);
	}
	link->addresses[link->n_addresses++] = address;
	return 0;
}

static int parse_address(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	config->link.n_addresses = 0;
	return param_list(key, value, LINK_MAX_ADDRESSES, add_address, &config->link, why);
}

static int parse_default_via(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;
	const char *text = json_string_value(value);

	if (!text)
		return fail(why, -EINVAL, key, "%s: must be a string", key);
	if (!strcmp(text, "none")) {
		config->link.default_via = (struct address){0};
		return 0;
	}
	return param_address(key, text, &config->link.default_via, why);
}

static int add_route(const char *key, const char *text, void *into, struct failure *why)
{
	struct link_config *link = into;
	struct link_route route = {0};
	char to[ADDRESS_TEXT + 1];
	const char *comma = strchr(text, ',');
	size_t length = comma ? (size_t)(comma - text) : strlen(text);

	snprintf(to, sizeof(to), "%.*s", (int)(length < sizeof(to) ? length : sizeof(to)), text);
	if (length >= sizeof(to) || prefix_parse(to, &route.to))
		return fail(why, -EINVAL, key, "%s: '%.64s' is not a route; give ADDRESS/LENGTH or ADDRESS/LENGTH,VIA",
			    key, text);
	int error = comma ? param_address(key, comma + 1, &route.via, why) : 0;
	if (error)
		return error;
	if (comma && route.via.family != route.to.address.family)
		return fail(why, -EINVAL, key, "%s: '%.64s' mixes IPv4 and IPv6", key, text);
	link->routes[link->n_routes++] = route;
	return 0;
}

static int parse_route(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	config->link.n_routes = 0;
	return param_list(key, value, LINK_MAX_ROUTES, add_route, &config->link, why);
}

static int parse_mtu(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	int error = param_mtu(key, value, &config->link.mtu, why);
	if (!error)
		config->has_mtu = config->link.mtu;
	return error;
}

static int parse_dhcp(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	return param_switch(key, value, &config->dhcp, why);
}

/* As DHCP servers take it: they put it into DNS (RFC 1123, section 2.1). */
static int parse_hostname(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;
	const char *text = json_string_value(value);

	if (!text)
		return fail(why, -EINVAL, key, "%s: must be a string", key);
	size_t length = strlen(text);
	for (const char *c = text; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.')
			length = sizeof(config->hostname);
	}
	if (length >= sizeof(config->hostname))
		return fail(why, -EINVAL, key, "%s: '%.64s' is not a host name; give up to %zu of A-Z a-z 0-9 - .", key,
			    text, sizeof(config->hostname) - 1);
	memcpy(config->hostname, text, length + 1);
	return 0;
}

static int parse_probe(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	return param_unsigned(key, value, 0, PORT_MAX_PROBE, &config->probe, why);
}

static int parse_exclusive(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	return param_switch(key, value, &config->exclusive, why);
}

static int add_keep(const char *key, const char *text, void *into, struct failure *why)
{
	struct port_config *config = into;
	struct prefix network = {0};

	if (!strchr(text, '/') || prefix_parse(text, &network) || !network.length)
		return fail(why, -EINVAL, key, "%s: '%.64s' is not a network; give ADDRESS/LENGTH, as 10.244.0.0/16",
			    key, text);
	config->keep[config->n_keep++] = network;
	return 0;
}

static int parse_keep(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_config *config = into;

	config->n_keep = 0;
	return param_list(key, value, PORT_MAX_KEEP, add_keep, config, why);
}

static const struct param keys[] = {
	{"name", parse_name, "a name for it"},
	{"gateway", parse_gateway, "the gateway it belongs to"},
	{"netns", parse_netns, "a name under /run/netns, a path, or a process id"},
	{"ifname", parse_ifname, NULL},
	{"mac", parse_mac, NULL},
	{"address", parse_address, NULL},
	{"dhcp", parse_dhcp, NULL},
	{"hostname", parse_hostname, NULL},
	{"probe", parse_probe, NULL},
	{"exclusive", parse_exclusive, NULL},
	{"keep", parse_keep, NULL},
	{"default_via", parse_default_via, NULL},
	{"route", parse_route, NULL},
	{"mtu", parse_mtu, NULL},
	{0},
};

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

/* The parameters of port.add that make this configuration. */
static json_t *port_config_json(const struct port_config *config)
{
	char mac[MAC_TEXT], via[ADDRESS_TEXT];
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
	if (config->exclusive)
		json_object_set_new(object, "exclusive", json_true());
	if (config->n_keep)
		json_object_set_new(object, "keep", keep_json(config));
	return object;
}

static json_t *counters_json(const struct port_counters *counters)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:o}", "rx_frames", (json_int_t)counters->rx_frames, "rx_bytes",
			 (json_int_t)counters->rx_bytes, "tx_frames", (json_int_t)counters->tx_frames, "tx_bytes",
			 (json_int_t)counters->tx_bytes, "drops", drops_json(counters->drops));
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
	if (client->trouble[0])
		json_object_set_new(object, "trouble", json_string(client->trouble));
	return object;
}

static void append_port_status(void *context, const struct port_status *status)
{
	const struct port_config *config = status->config;
	char mac[MAC_TEXT];

	json_t *object =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:s, s:s, s:o, s:i}", "name", config->name, "gateway",
			  config->gateway, "netns", config->netns, "ifname", config->ifname, "mac",
			  mac_format(&config->link.mac, mac), "mtu", (int)config->link.mtu, "addresses",
			  addresses_json(status->live), "underlay", status->pod_underlay ? "pod" : "host", "state",
			  status->state, "counters", counters_json(&status->counters), "worker", (int)status->worker);
	json_object_set_new(object, "client", client_json(&status->client));
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

int method_port_add(struct call *call, struct failure *why)
{
	struct port_config config = PORT_CONFIG_DEFAULT;

	int error = params_read(keys, call->params, true, &config, why);
	if (error)
		return error;
	bool existed = switch_port_config(call->methods->vs, config.name);
	error = switch_port_add(call->methods->vs, &config, call->restoring, why);
	if (error == -EEXIST && existed)
		call->code = JSONRPC_EXISTS;
	return error ? error : port_finish_change(call, config.name, why);
}

int method_port_set(struct call *call, struct failure *why)
{
	struct port_config config = PORT_CONFIG_DEFAULT;
	static const struct param name[] = {{"name", parse_name, "the port to change"}, {0}};

	json_t *only_name = json_pack("{s:O*}", "name", json_object_get(call->params, "name"));
	int error = params_read(name, only_name, true, &config, why);
	json_decref(only_name);
	if (error)
		return error;
	const struct port_config *now = switch_port_config(call->methods->vs, config.name);
	if (!now)
		return port_not_found(config.name, why);
	config = *now;
	error = params_read(keys, call->params, false, &config, why);
	if (!error)
		error = switch_port_set(call->methods->vs, &config, why);
	if (!error)
		error = port_finish_change(call, config.name, why);
	return error ? error : call_forget_entries(call, why);
}

int method_port_list(struct call *call, struct failure *why)
{
	static const struct param no_keys[] = {{0}};

	int error = params_read(no_keys, call->params, true, NULL, why);
	if (error)
		return error;
	call->result = json_array();
	switch_visit_ports(call->methods->vs, NULL, append_port_status, call->result);
	return 0;
}

int method_port_show(struct call *call, struct failure *why)
{
	char name[SWITCH_NAME];

	int error = call_name(call, name, why);
	return error ? error : report_port(call, name, why);
}

struct port_removal {
	char name[SWITCH_NAME];
	bool closed;
};

static int parse_removed(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_removal *port_removal = into;

	return param_name(key, value, port_removal->name, why);
}

static int parse_closed(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct port_removal *port_removal = into;

	return param_switch(key, value, &port_removal->closed, why);
}

int method_port_remove(struct call *call, struct failure *why)
{
	static const struct param removal_keys[] = {
		{"name", parse_removed, "the name of one"}, {"closed", parse_closed, NULL}, {0}};
	struct port_removal port_removal = {0};

	int error = params_read(removal_keys, call->params, true, &port_removal, why);
	if (!error)
		error = switch_port_remove(call->methods->vs, port_removal.name, port_removal.closed, why);
	if (error)
		return error;
	call->result = json_pack("{s:s}", "name", port_removal.name);
	error = call_forget(call, STATE_PORT, port_removal.name, why);
	return error ? error : call_forget_entries(call, why);
}
