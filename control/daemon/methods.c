/* SPDX-License-Identifier: Apache-2.0 */
/* methods.c - from a method's name to its function, from its errno to a code, and to the state directory and back */
#include "control/daemon/methods.h"
#include "control/daemon/method.h"
#include "control/daemon/standby.h"
#include "control/daemon/takeover.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *name;
	method *run;
} methods[] = {
	{"gateway.add", method_gateway_add},
	{"gateway.set", method_gateway_set},
	{"gateway.list", method_gateway_list},
	{"gateway.show", method_gateway_show},
	{"gateway.remove", method_gateway_remove},
	{"port.add", method_port_add},
	{"port.set", method_port_set},
	{"port.list", method_port_list},
	{"port.show", method_port_show},
	{"port.remove", method_port_remove},
	{"fdb.list", method_fdb_list},
	{"fdb.add", method_fdb_add},
	{"fdb.remove", method_fdb_remove},
	{"fdb.flush", method_fdb_flush},
	{"stats.get", method_stats_get},
	{"metrics.get", method_metrics_get},
	{"status.get", method_status_get},
	{"monitor.start", method_monitor_start},
	{"version.get", method_version_get},
	{TAKEOVER_METHOD, method_takeover_begin},
	{STANDBY_METHOD, method_takeover_wait},
	{STANDBY_NONE_METHOD, method_takeover_nobody},
};

static method *find_method(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (!strcmp(methods[i].name, name))
			return methods[i].run;
	}
	return NULL;
}

/* -ENOENT is about an object of ours only where the key is that of one; a missing namespace is the surroundings'. */
static bool is_object_key(const char *key)
{
	static const char *const keys[] = {"", "name", "gateway", "port", "mac"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!strcmp(keys[i], key))
			return true;
	}
	return false;
}

static int method_error_code(int error, const struct failure *why)
{
	switch (error) {
	case -EINVAL:
		return JSONRPC_INVALID_PARAMS;
	case -ENOENT:
		return is_object_key(why->key) ? JSONRPC_NOT_FOUND : JSONRPC_REFUSED;
	case -EBUSY:
		return JSONRPC_IN_USE;
	case -ENOMEM:
		return JSONRPC_INTERNAL;
	default:
		return JSONRPC_REFUSED;
	}
}

int methods_call(void *context, struct rpc_client *client, const char *name, json_t *params, json_t **result,
		 struct failure *why)
{
	struct call call = {.methods = context, .client = client, .params = params};
	method *run = find_method(name);

	if (!run) {
		fail(why, -ENOSYS, NULL, "there is no method '%.64s'", name);
		return JSONRPC_UNKNOWN_METHOD;
	}
	int error = run(&call, why);
	if (!error) {
		*result = call.result;
		return 0;
	}
	json_decref(call.result);
	return call.code ? call.code : method_error_code(error, why);
}

/* ---- the state directory ---- */

int call_keep(struct call *call, enum state_kind kind, const char *name, json_t *params, struct failure *why)
{
	int error = 0;

	if (call->methods->state && !call->restoring) {
		error = params ? state_put(call->methods->state, kind, name, params, why)
			       : fail(why, -ENOMEM, "state_dir", "state_dir: out of memory, '%s' is not kept", name);
		if (error) {
			call->code = JSONRPC_NOT_KEPT;
			call->methods->unkept = true;
			log_line(LOG_ERROR, "%s", why->text);
		}
	}
	json_decref(params);
	return error;
}

int call_forget(struct call *call, enum state_kind kind, const char *name, struct failure *why)
{
	if (!call->methods->state)
		return 0;
	int error = state_remove(call->methods->state, kind, name, why);
	if (error) {
		call->code = JSONRPC_NOT_KEPT;
		call->methods->unkept = true;
		log_line(LOG_ERROR, "%s", why->text);
	}
	return error;
}

bool call_waits(const struct call *call, enum state_kind kind, const char *name)
{
	return call->methods->state && state_waits(call->methods->state, kind, name);
}

static void note_static(void *context, const struct fdb_status *entry)
{
	char name[SWITCH_NAME + MAC_TEXT], text[MAC_TEXT];

	if (strcmp(entry->kind, "static") != 0)
		return;
	snprintf(name, sizeof(name), "%s,%s", entry->gateway, mac_format(&entry->mac, text));
	json_object_set_new(context, name, json_true());
}

static bool is_noted(void *context, const char *name)
{
	return json_object_get(context, name);
}

int call_forget_entries(struct call *call, struct failure *why)
{
	struct methods *m = call->methods;

	if (!m->state || !m->kept_entries)
		return 0;
	json_t *noted = json_object();
	if (!noted)
		return fail(why, -ENOMEM, NULL, "out of memory");
	switch_visit_fdb(m->vs, NULL, note_static, noted);
	int error = state_prune(m->state, STATE_FDB, is_noted, noted, why);
	m->kept_entries = (unsigned)json_object_size(noted);
	json_decref(noted);
	if (error) {
		call->code = JSONRPC_NOT_KEPT;
		call->methods->unkept = true;
		log_line(LOG_ERROR, "%s", why->text);
	}
	return error;
}

static int check_file_name(enum state_kind kind, const char *name, const json_t *params, struct failure *why)
{
	const char *inside = json_string_value(json_object_get(params, kind == STATE_FDB ? "gateway" : "name"));
	size_t length = kind == STATE_FDB ? strcspn(name, ",") : strlen(name);

	if (inside && strlen(inside) == length && !strncmp(inside, name, length))
		return 0;
	return fail(why, -EINVAL, NULL, "holds another object than its name says");
}

/* A port or an entry comes behind its gateway: without it, the port would be detached for good. */
static int check_gateway_waits(const struct methods *m, enum state_kind kind, const json_t *params, struct failure *why)
{
	const char *gateway = json_string_value(json_object_get(params, "gateway"));

	if (kind == STATE_GATEWAY || !gateway || !state_waits(m->state, STATE_GATEWAY, gateway))
		return 0;
	return fail(why, -EAGAIN, "gateway", "gateway: '%.64s' cannot be taken up yet", gateway);
}

/*
 * What a newer podswitchd has written and this one does not know. It stays in the file; an object without one of its
 * properties is better than none.
 */
static void pass_over_unknown(enum state_kind kind, const char *name, json_t *params)
{
	static const struct option_spec *const tables[STATE_KINDS] = {gateway_options, port_options, fdb_entry_options};
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(params, next, key, value)
	{
		if (option_knows_key(tables[kind], key))
			continue;
		log_line(LOG_WARNING, "state: '%.64s' of %.64s is of a newer version, and without effect", key, name);
		json_object_del(params, key);
	}
}

static int restore_one(void *context, enum state_kind kind, const char *name, json_t *params, struct failure *why)
{
	static method *const add[STATE_KINDS] = {method_gateway_add, method_port_add, method_fdb_add};
	pass_over_unknown(kind, name, params);
	struct call call = {.methods = context, .params = params, .restoring = true};

	int error = check_file_name(kind, name, params, why);
	if (!error)
		error = check_gateway_waits(context, kind, params, why);
	if (!error)
		error = add[kind](&call, why);
	json_decref(call.result);
	return error;
}

unsigned methods_restore(struct methods *m)
{
	return m->state ? state_load(m->state, restore_one, m) : 0;
}

void methods_retry(struct methods *m)
{
	unsigned count = m->state ? state_retry(m->state, restore_one, m) : 0;

	if (count)
		log_line(LOG_INFO, "took up %u object%s that could not be taken up before", count,
			 count == 1 ? "" : "s");
}

/* ---- what several methods need ---- */

int call_hold(struct call *call, uint64_t ending)
{
	rpc_hold(call->client, ending);
	call->result = json_null(); /* which nobody gets */
	return 0;
}

int call_no_params(const struct call *call, struct failure *why)
{
	static const struct option_spec none[] = {{0}};
	return option_read_json(none, call->params, true, NULL, why);
}

int call_name(const struct call *call, char out[static SWITCH_NAME], struct failure *why)
{
	return option_read_json(name_options, call->params, true, out, why);
}

int call_find_name(const struct call *call, char out[static SWITCH_NAME], struct failure *why)
{
	json_t *only_name = json_pack("{s:O*}", "name", json_object_get(call->params, "name"));
	int error = option_read_json(name_options, only_name, true, out, why);
	json_decref(only_name);
	return error;
}

json_t *drops_json(const uint64_t drops[static DROP_COUNT])
{
	json_t *object = json_object();

	for (int reason = 0; reason < DROP_COUNT; reason++)
		json_object_set_new(object, drop_name((enum drop)reason), json_integer((json_int_t)drops[reason]));
	return object;
}

void methods_event(void *context, const char *what, const char *name, const struct mac *mac)
{
	struct methods *m = context;
	struct timespec now;
	char text[MAC_TEXT];

	if (!m->rpc)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	json_t *params =
		json_pack("{s:s, s:s, s:s*, s:f}", "event", what, "name", name, "mac",
			  mac ? mac_format(mac, text) : NULL, "time", (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
	if (params)
		rpc_broadcast(m->rpc, params);
	json_decref(params);
}
