/* SPDX-License-Identifier: Apache-2.0 */
/* method_gateway.c - gateway.add, set, list, show, remove */
#include "control/daemon/method.h"
#include "control/daemon/takeover.h"
#include "vswitch/handover.h"

#include <string.h>

json_t *gateway_config_json(const struct gateway_config *config)
{
	char text[ADDRESS_TEXT];
	json_t *remotes = json_array(), *allow = json_array();

	for (size_t i = 0; i < config->n_remotes; i++)
		json_array_append_new(remotes, json_string(endpoint_format(&config->remotes[i], text)));
	for (size_t i = 0; i < config->n_allow; i++)
		json_array_append_new(allow, json_string(prefix_format(&config->allow[i], text)));
	return json_pack("{s:s, s:i, s:o, s:i, s:s, s:i, s:b, s:b, s:b, s:o}", "name", config->name, "vni",
			 (int)config->vni, "remote", remotes, "port", config->port, "underlay",
			 underlay_words[config->underlay], "mtu", (int)config->mtu, "learning", config->learning,
			 "isolate", config->isolate, "clamp_mss", config->clamp_mss, "allow", allow);
}

/* ---- reports ---- */

static json_t *remotes_json(const struct gateway_status *status)
{
	char text[ADDRESS_TEXT];
	json_t *remotes = json_array();

	for (size_t i = 0; i < status->n_remotes; i++) {
		const struct remote_status *remote = &status->remotes[i];
		int port = remote->endpoint.port ? remote->endpoint.port : status->config->port;
		json_t *object = json_pack("{s:s, s:i, s:s, s:s}", "address",
					   address_format(&remote->endpoint.address, text), "port", port, "state",
					   remote->state, "egress", remote->by_tap ? "underlay_tap" : "sockets");
		if (remote->trains_off)
			json_object_set_new(object, "trains_off", json_string(strerror(remote->trains_off)));
		json_array_append_new(remotes, object);
	}
	return remotes;
}

json_t *gateway_counters_json(const struct gateway_counters *counters)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "encap_frames",
			 (json_int_t)counters->encap_frames, "encap_bytes", (json_int_t)counters->encap_bytes,
			 "tx_datagrams", (json_int_t)counters->tx_datagrams, "tx_bytes", (json_int_t)counters->tx_bytes,
			 "rx_datagrams", (json_int_t)counters->rx_datagrams, "rx_bytes", (json_int_t)counters->rx_bytes,
			 "held_moves", (json_int_t)counters->held_moves, "evicted_remotes",
			 (json_int_t)counters->evicted_remotes, "evicted_macs", (json_int_t)counters->evicted_macs,
			 "drops", drops_json(counters->drops));
}

json_t *silence_json(const struct silence_status *silence)
{
	char from[ADDRESS_TEXT];
	json_t *object = json_pack("{s:s, s:i, s:I, s:s}", "reason", silence->reason, "seconds", (int)silence->seconds,
				   "sent", (json_int_t)silence->sent, "text", silence->text);

	if (silence->from.family)
		json_object_set_new(object, "from", json_string(address_format(&silence->from, from)));
	if (!strcmp(silence->reason, "other_vni"))
		json_object_set_new(object, "vni", json_integer(silence->vni));
	if (silence->icmp[0])
		json_object_set_new(object, "icmp", json_string(silence->icmp));
	return object;
}

static void append_gateway_status(void *context, const struct gateway_status *status)
{
	const struct gateway_config *config = status->config;

	json_t *object =
		json_pack("{s:s, s:i, s:i, s:s, s:o, s:i, s:i, s:b, s:b, s:b}", "name", config->name, "vni",
			  (int)config->vni, "port", config->port, "underlay", status->pod_underlay ? "pod" : "host",
			  "remotes", remotes_json(status), "mtu", (int)status->mtu, "ports", (int)status->ports,
			  "learning", config->learning, "isolate", config->isolate, "clamp_mss", config->clamp_mss);
	json_object_set_new(object, "counters", gateway_counters_json(&status->counters));
	if (status->silence.reason)
		json_object_set_new(object, "silence", silence_json(&status->silence));
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

	int error = option_read_json(gateway_options, call->params, true, &config, why);
	if (error)
		return error;
	bool existed = switch_gateway_config(call->methods->vs, config.name), pod_underlay;
	error = takeover_has_gateway(call->methods->takeover, config.name, &pod_underlay)
			? handover_take_gateway(call->methods->vs, &config, pod_underlay, why)
			: switch_gateway_add(call->methods->vs, &config, why);
	if (error == -EEXIST && existed)
		call->code = JSONRPC_EXISTS;
	return error ? error : gateway_finish_change(call, config.name, why);
}

int method_gateway_set(struct call *call, struct failure *why)
{
	struct gateway_config config = GATEWAY_CONFIG_DEFAULT;
	int error = call_find_name(call, config.name, why);
	if (error)
		return error;
	const struct gateway_config *now = switch_gateway_config(call->methods->vs, config.name);
	if (!now)
		return gateway_not_found(config.name, why);
	config = *now;
	error = option_read_json(gateway_options, call->params, false, &config, why);
	if (!error)
		error = switch_gateway_set(call->methods->vs, &config, why);
	return error ? error : gateway_finish_change(call, config.name, why);
}

int method_gateway_list(struct call *call, struct failure *why)
{
	int error = call_no_params(call, why);

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

int method_gateway_remove(struct call *call, struct failure *why)
{
	struct gateway_removal removal = {0};

	int error = option_read_json(gateway_removal_options, call->params, true, &removal, why);
	if (!error)
		error = switch_gateway_remove(call->methods->vs, removal.name, removal.force, why);
	if (error == -ENOENT && call_waits(call, STATE_GATEWAY, removal.name))
		error = 0;
	if (error)
		return error;
	call->result = json_pack("{s:s}", "name", removal.name);
	error = call_forget(call, STATE_GATEWAY, removal.name, why);
	return error ? error : call_forget_entries(call, why);
}
