/* SPDX-License-Identifier: Apache-2.0 */
/* method_fdb.c - fdb.list, add, remove, flush */
#include "control/daemon/method.h"

#include <stdio.h>
#include <string.h>

static void append_entry(void *context, const struct fdb_status *status)
{
	char mac[MAC_TEXT], remote[ADDRESS_TEXT];

	json_t *params = json_pack("{s:s, s:i, s:s, s:s, s:i}", "gateway", status->gateway, "vni", (int)status->vni,
				   "mac", mac_format(&status->mac, mac), "kind", status->kind, "age", (int)status->age);
	if (status->port)
		json_object_set_new(params, "port", json_string(status->port));
	else if (status->remote)
		json_object_set_new(params, "remote", json_string(endpoint_format(status->remote, remote)));
	json_array_append_new(context, params);
}

/* Reads what filters; *gateway is its name, or NULL for all. */
static int read_filter(const struct call *call, struct fdb_params *params, const char **gateway, struct failure *why)
{
	int error = option_read_json(fdb_filter_options, call->params, true, params, why);

	if (error)
		return error;
	*gateway = params->gateway[0] ? params->gateway : NULL;
	if (*gateway && !switch_gateway_config(call->methods->vs, *gateway))
		return fail(why, -ENOENT, "gateway", "gateway: there is no gateway '%s'", *gateway);
	return 0;
}

int method_fdb_list(struct call *call, struct failure *why)
{
	struct fdb_params params = {0};
	const char *gateway = NULL;

	int error = read_filter(call, &params, &gateway, why);
	if (error)
		return error;
	call->result = json_array();
	switch_visit_fdb(call->methods->vs, gateway, append_entry, call->result);
	return 0;
}

static json_t *entry_json(const struct fdb_params *params)
{
	char mac[MAC_TEXT], remote[ADDRESS_TEXT];

	json_t *object = json_pack("{s:s, s:s}", "gateway", params->gateway, "mac", mac_format(&params->mac, mac));
	if (params->port[0])
		json_object_set_new(object, "port", json_string(params->port));
	else if (params->remote.address.family)
		json_object_set_new(object, "remote", json_string(endpoint_format(&params->remote, remote)));
	return object;
}

static void entry_file(const struct fdb_params *params, char out[static SWITCH_NAME + MAC_TEXT])
{
	char mac[MAC_TEXT];

	snprintf(out, SWITCH_NAME + MAC_TEXT, "%s,%s", params->gateway, mac_format(&params->mac, mac));
}

int method_fdb_add(struct call *call, struct failure *why)
{
	struct fdb_params params = {0};
	char file[SWITCH_NAME + MAC_TEXT];

	int error = option_read_json(fdb_entry_options, call->params, true, &params, why);
	if (error)
		return error;
	bool port = params.port[0], remote = params.remote.address.family;
	if (port == remote)
		return fail(why, -EINVAL, port ? "remote" : "port", "%s: give either port or remote",
			    port ? "remote" : "port");
	error = switch_fdb_add(call->methods->vs, params.gateway, &params.mac, port ? params.port : NULL,
			       remote ? &params.remote : NULL, why);
	if (error == -EEXIST)
		call->code = JSONRPC_EXISTS;
	if (error)
		return error;
	call->methods->kept_entries++;
	call->result = entry_json(&params);
	entry_file(&params, file);
	return call_keep(call, STATE_FDB, file, entry_json(&params), why);
}

int method_fdb_remove(struct call *call, struct failure *why)
{
	struct fdb_params params = {0};
	char file[SWITCH_NAME + MAC_TEXT];

	int error = option_read_json(fdb_key_options, call->params, true, &params, why);
	if (error)
		return error;
	entry_file(&params, file);
	error = switch_fdb_remove(call->methods->vs, params.gateway, &params.mac, why);
	if (error == -ENOENT && call_waits(call, STATE_FDB, file))
		error = 0;
	if (error)
		return error;
	call->result = entry_json(&params);
	return call_forget(call, STATE_FDB, file, why);
}

int method_fdb_flush(struct call *call, struct failure *why)
{
	struct fdb_params params = {0};
	const char *gateway = NULL;

	int error = read_filter(call, &params, &gateway, why);
	if (error)
		return error;
	int flushed = switch_fdb_flush(call->methods->vs, gateway, why);
	if (flushed < 0)
		return flushed;
	call->result = json_pack("{s:i}", "flushed", flushed);
	return 0;
}
