/* SPDX-License-Identifier: Apache-2.0 */
/* method_gateway.c - gateway.add, set, list, show, remove */
#include "control/daemon/method.h"

#include <string.h>

static const char *const underlays[] = {"auto", "host", "pod", NULL};

/* ---- parameters ---- */

static int parse_name(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_config *config = into;

	return param_name(key, value, config->name, why);
}

static int parse_vni(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_config *config = into;
	unsigned vni = 0;

	/* 0 is a VNI like others, to RFC 7348 and to the kernel's vxlan device. */
	int error = param_unsigned(key, value, 0, 0xffffff, &vni, why);
	if (!error)
		config->vni = vni;
	return error;
}

static int add_remote(const char *key, const char *text, void *into, struct failure *why)
{
	struct gateway_config *config = into;
	struct endpoint remote;

	int error = param_endpoint(key, text, &remote, why);
	if (error)
		return error;
	for (size_t i = 0; i < config->n_remotes; i++) {
		if (endpoint_equal(&config->remotes[i], &remote))
			return fail(why, -EINVAL, key, "%s: '%.64s' is given twice", key, text);
	}
	config->remotes[config->n_remotes++] = remote;
	return 0;
}

static int parse_remote(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_config *config = into;

	config->n_remotes = 0;
	return param_list(key, value, GATEWAY_MAX_REMOTES, add_remote, config, why);
}

static int parse_port(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_config *config = into;
	unsigned port = 0;

	int error = param_unsigned(key, value, 1, 65535, &port, why);
	if (!error)
		config->port = (uint16_t)port;
	return error;
}

static int parse_underlay(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_config *config = into;
	unsigned choice = 0;

	int error = param_choice(key, value, underlays, &choice, why);
	if (!error)
		config->underlay = (enum underlay_mode)choice;
	return error;
}

static int parse_mtu(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_config *config = into;

	return param_mtu(key, value, &config->mtu, why);
}

static int parse_learning(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_config *config = into;

	return param_switch(key, value, &config->learning, why);
}

static int parse_isolate(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_config *config = into;

	return param_switch(key, value, &config->isolate, why);
}

static int add_allow(const char *key, const char *text, void *into, struct failure *why)
{
	struct gateway_config *config = into;
	struct prefix allow = {0};

	if (prefix_parse(text, &allow))
		return fail(why, -EINVAL, key, "%s: '%.64s' is not a prefix; give ADDRESS/LENGTH or ADDRESS", key,
			    text);
	config->allow[config->n_allow++] = allow;
	return 0;
}

static int parse_allow(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_config *config = into;

	config->n_allow = 0;
	return param_list(key, value, GATEWAY_MAX_ALLOW, add_allow, config, why);
}

static const struct param keys[] = {
	{"name", parse_name, "a name for it"}, {"vni", parse_vni, "its VXLAN network identifier, 0 to 16777215"},
	{"remote", parse_remote, NULL},        {"port", parse_port, NULL},
	{"underlay", parse_underlay, NULL},    {"mtu", parse_mtu, NULL},
	{"learning", parse_learning, NULL},    {"isolate", parse_isolate, NULL},
	{"allow", parse_allow, NULL},          {0},
};

/* The parameters of gateway.add that make this configuration. */
static json_t *gateway_config_json(const struct gateway_config *config)
{
	char text[ADDRESS_TEXT];
	json_t *remotes = json_array(), *allow = json_array();

	for (size_t i = 0; i < config->n_remotes; i++)
		json_array_append_new(remotes, json_string(endpoint_format(&config->remotes[i], text)));
	for (size_t i = 0; i < config->n_allow; i++)
		json_array_append_new(allow, json_string(prefix_format(&config->allow[i], text)));
	return json_pack("{s:s, s:i, s:o, s:i, s:s, s:i, s:b, s:b, s:o}", "name", config->name, "vni", (int)config->vni,
			 "remote", remotes, "port", config->port, "underlay", underlays[config->underlay], "mtu",
			 (int)config->mtu, "learning", config->learning, "isolate", config->isolate, "allow", allow);
}

/* ---- reports ---- */

static json_t *remotes_json(const struct gateway_status *status)
{
	char text[ADDRESS_TEXT];
	json_t *remotes = json_array();

	for (size_t i = 0; i < status->n_remotes; i++) {
		const struct remote_status *remote = &status->remotes[i];
		int port = remote->endpoint.port ? remote->endpoint.port : status->config->port;
		json_array_append_new(remotes,
				      json_pack("{s:s, s:i, s:s, s:s}", "address",
						address_format(&remote->endpoint.address, text), "port", port, "state",
						remote->state, "egress", remote->by_tap ? "underlay_tap" : "sockets"));
	}
	return remotes;
}

json_t *gateway_counters_json(const struct gateway_counters *counters)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "encap_frames", (json_int_t)counters->encap_frames,
			 "encap_bytes", (json_int_t)counters->encap_bytes, "tx_datagrams",
			 (json_int_t)counters->tx_datagrams, "tx_bytes", (json_int_t)counters->tx_bytes, "rx_datagrams",
			 (json_int_t)counters->rx_datagrams, "rx_bytes", (json_int_t)counters->rx_bytes, "drops",
			 drops_json(counters->drops));
}

static void append_gateway_status(void *context, const struct gateway_status *status)
{
	const struct gateway_config *config = status->config;

	json_t *object =
		json_pack("{s:s, s:i, s:i, s:s, s:o, s:i, s:i, s:b, s:b}", "name", config->name, "vni",
			  (int)config->vni, "port", config->port, "underlay", status->pod_underlay ? "pod" : "host",
			  "remotes", remotes_json(status), "mtu", (int)status->mtu, "ports", (int)status->ports,
			  "learning", config->learning, "isolate", config->isolate);
	json_object_set_new(object, "counters", gateway_counters_json(&status->counters));
	json_object_set_new(object, "config", gateway_config_json(config));
	json_array_append_new(context, object);
}

static int gateway_not_found(const char *name, struct failure *why)
{
	return fail(why, -ENOENT, "name", "name: there is no gateway '%s'", name);
}

static int report_gateway(struct call *call, const char *name, struct failure *why)
{
	json_t *list = json_array();

	switch_visit_gateways(call->methods->vs, name, append_gateway_status, list);
	call->result = json_incref(json_array_get(list, 0));
	json_decref(list);
	return call->result ? 0 : gateway_not_found(name, why);
}

/* ---- methods ---- */

static int gateway_finish_change(struct call *call, const char *name, struct failure *why)
{
	const struct gateway_config *now = switch_gateway_config(call->methods->vs, name);

	int error = now ? call_keep(call, STATE_GATEWAY, name, gateway_config_json(now), why) : 0;
	return error ? error : report_gateway(call, name, why);
}

int method_gateway_add(struct call *call, struct failure *why)
{
	struct gateway_config config = GATEWAY_CONFIG_DEFAULT;

	int error = params_read(keys, call->params, true, &config, why);
	if (error)
		return error;
	bool existed = switch_gateway_config(call->methods->vs, config.name);
	error = switch_gateway_add(call->methods->vs, &config, why);
	if (error == -EEXIST && existed)
		call->code = JSONRPC_EXISTS;
	return error ? error : gateway_finish_change(call, config.name, why);
}

int method_gateway_set(struct call *call, struct failure *why)
{
	struct gateway_config config = GATEWAY_CONFIG_DEFAULT;
	static const struct param name[] = {{"name", parse_name, "the gateway to change"}, {0}};

	json_t *only_name = json_pack("{s:O*}", "name", json_object_get(call->params, "name"));
	int error = params_read(name, only_name, true, &config, why);
	json_decref(only_name);
	if (error)
		return error;
	const struct gateway_config *now = switch_gateway_config(call->methods->vs, config.name);
	if (!now)
		return gateway_not_found(config.name, why);
	config = *now;
	error = params_read(keys, call->params, false, &config, why);
	if (!error)
		error = switch_gateway_set(call->methods->vs, &config, why);
	return error ? error : gateway_finish_change(call, config.name, why);
}

static const struct param no_keys[] = {{0}};

int method_gateway_list(struct call *call, struct failure *why)
{
	int error = params_read(no_keys, call->params, true, NULL, why);

	if (error)
		return error;
	call->result = json_array();
	switch_visit_gateways(call->methods->vs, NULL, append_gateway_status, call->result);
	return 0;
}

int method_gateway_show(struct call *call, struct failure *why)
{
	char name[SWITCH_NAME];

	int error = call_name(call, name, why);
	return error ? error : report_gateway(call, name, why);
}

struct gateway_removal {
	char name[SWITCH_NAME];
	bool force;
};

static int parse_removed(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_removal *gateway_removal = into;

	return param_name(key, value, gateway_removal->name, why);
}

static int parse_force(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct gateway_removal *gateway_removal = into;

	return param_switch(key, value, &gateway_removal->force, why);
}

int method_gateway_remove(struct call *call, struct failure *why)
{
	static const struct param removal_keys[] = {
		{"name", parse_removed, "the gateway to remove"}, {"force", parse_force, NULL}, {0}};
	struct gateway_removal gateway_removal = {0};

	int error = params_read(removal_keys, call->params, true, &gateway_removal, why);
	if (!error)
		error = switch_gateway_remove(call->methods->vs, gateway_removal.name, gateway_removal.force, why);
	if (error)
		return error;
	call->result = json_pack("{s:s}", "name", gateway_removal.name);
	error = call_forget(call, STATE_GATEWAY, gateway_removal.name, why);
	return error ? error : call_forget_entries(call, why);
}
