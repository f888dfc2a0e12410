/* SPDX-License-Identifier: Apache-2.0 */
/* method_fdb.c - fdb.list, add, remove, flush */
#include "control/daemon/method.h"

#include <stdio.h>
#include <string.h>

/* The parameters of all four; each takes some of them. */
struct fdb_params {
	char gateway[SWITCH_NAME];
	struct mac mac;
	char port[SWITCH_NAME];
	struct endpoint remote;
};

static int parse_gateway(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct fdb_params *fdb_params = into;

	return param_name(key, value, fdb_params->gateway, why);
}

static int parse_mac(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct fdb_params *fdb_params = into;

	return param_mac(key, value, &fdb_params->mac, why);
}

static int parse_port(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct fdb_params *fdb_params = into;

	return param_name(key, value, fdb_params->port, why);
}

static int parse_remote(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct fdb_params *fdb_params = into;

	if (!json_is_string(value))
		return fail(why, -EINVAL, key, "%s: must be a string: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT", key);
	return param_endpoint(key, json_string_value(value), &fdb_params->remote, why);
}

static const struct param filter_keys[] = {{"gateway", parse_gateway, NULL}, {0}};

static const struct param remove_keys[] = {
	{"gateway", parse_gateway, "the gateway it belongs to"}, {"mac", parse_mac, "its MAC address"}, {0}};

static const struct param add_keys[] = {
	{"gateway", parse_gateway, "the gateway it belongs to"},
	{"mac", parse_mac, "its MAC address"},
	{"port", parse_port, NULL},
	{"remote", parse_remote, NULL},
	{0},
};

static void append_entry(void *context, const struct fdb_status *status)
{
	char mac[MAC_TEXT], remote[ADDRESS_TEXT];

	json_t *fdb_params =
		json_pack("{s:s, s:i, s:s, s:s, s:i}", "gateway", status->gateway, "vni", (int)status->vni, "mac",
			  mac_format(&status->mac, mac), "kind", status->kind, "age", (int)status->age);
	if (status->port)
		json_object_set_new(fdb_params, "port", json_string(status->port));
	else if (status->remote)
		json_object_set_new(fdb_params, "remote", json_string(endpoint_format(status->remote, remote)));
	json_array_append_new(context, fdb_params);
}

/* Reads what filters; *gateway is its name, or NULL for all. */
static int read_filter(const struct call *call, struct fdb_params *fdb_params, const char **gateway,
		       struct failure *why)
{
	int error = params_read(filter_keys, call->params, true, fdb_params, why);

	if (error)
		return error;
	*gateway = fdb_params->gateway[0] ? fdb_params->gateway : NULL;
	if (*gateway && !switch_gateway_config(call->methods->vs, *gateway))
		return fail(why, -ENOENT, "gateway", "gateway: there is no gateway '%s'", *gateway);
	return 0;
}

int method_fdb_list(struct call *call, struct failure *why)
{
	struct fdb_params fdb_params = {0};
	const char *gateway = NULL;

	int error = read_filter(call, &fdb_params, &gateway, why);
	if (error)
		return error;
	call->result = json_array();
	switch_visit_fdb(call->methods->vs, gateway, append_entry, call->result);
	return 0;
}

static json_t *entry_json(const struct fdb_params *fdb_params)
{
	char mac[MAC_TEXT], remote[ADDRESS_TEXT];

	json_t *object =
		json_pack("{s:s, s:s}", "gateway", fdb_params->gateway, "mac", mac_format(&fdb_params->mac, mac));
	if (fdb_params->port[0])
		json_object_set_new(object, "port", json_string(fdb_params->port));
	else if (fdb_params->remote.address.family)
		json_object_set_new(object, "remote", json_string(endpoint_format(&fdb_params->remote, remote)));
	return object;
}

static void entry_file(const struct fdb_params *fdb_params, char out[static SWITCH_NAME + MAC_TEXT])
{
	char mac[MAC_TEXT];

	snprintf(out, SWITCH_NAME + MAC_TEXT, "%s,%s", fdb_params->gateway, mac_format(&fdb_params->mac, mac));
}

int method_fdb_add(struct call *call, struct failure *why)
{
	struct fdb_params fdb_params = {0};
	char file[SWITCH_NAME + MAC_TEXT];

	int error = params_read(add_keys, call->params, true, &fdb_params, why);
	if (error)
		return error;
	bool port = fdb_params.port[0], remote = fdb_params.remote.address.family;
	if (port == remote)
		return fail(why, -EINVAL, port ? "remote" : "port", "%s: give either port or remote",
			    port ? "remote" : "port");
	error = switch_fdb_add(call->methods->vs, fdb_params.gateway, &fdb_params.mac, port ? fdb_params.port : NULL,
			       remote ? &fdb_params.remote : NULL, why);
	if (error == -EEXIST)
		call->code = JSONRPC_EXISTS;
	if (error)
		return error;
	call->methods->kept_entries++;
	call->result = entry_json(&fdb_params);
	entry_file(&fdb_params, file);
	return call_keep(call, STATE_FDB, file, entry_json(&fdb_params), why);
}

int method_fdb_remove(struct call *call, struct failure *why)
{
	struct fdb_params fdb_params = {0};
	char file[SWITCH_NAME + MAC_TEXT];

	int error = params_read(remove_keys, call->params, true, &fdb_params, why);
	if (!error)
		error = switch_fdb_remove(call->methods->vs, fdb_params.gateway, &fdb_params.mac, why);
	if (error)
		return error;
	call->result = entry_json(&fdb_params);
	entry_file(&fdb_params, file);
	return call_forget(call, STATE_FDB, file, why);
}

int method_fdb_flush(struct call *call, struct failure *why)
{
	struct fdb_params fdb_params = {0};
	const char *gateway = NULL;

	int error = read_filter(call, &fdb_params, &gateway, why);
	if (error)
		return error;
	int flushed = switch_fdb_flush(call->methods->vs, gateway, why);
	if (flushed < 0)
		return flushed;
	call->result = json_pack("{s:i}", "flushed", flushed);
	return 0;
}
