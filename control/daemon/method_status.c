/* SPDX-License-Identifier: Apache-2.0 */
/* method_status.c - stats.get, status.get, version.get, monitor.start */
#include "control/daemon/method.h"
#include "control/daemon/standby.h"

#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- stats ---- */

static json_t *workers_json(const struct switch_status *status)
{
	json_t *workers = json_array();

	for (unsigned i = 0; i < status->workers && i < SWITCH_MAX_WORKERS; i++) {
		const struct worker_status *worker = &status->worker[i];
		json_array_append_new(workers,
				      json_pack("{s:I, s:I, s:I}", "rounds", (json_int_t)worker->rounds, "events",
						(json_int_t)worker->events, "starved", (json_int_t)worker->starved));
	}
	return workers;
}

static void set_gateway(void *context, const struct gateway_status *status)
{
	json_object_set_new(context, status->config->name, gateway_counters_json(&status->counters));
}

int method_stats_get(struct call *call, struct failure *why)
{
	struct switch_status status = {0};

	int error = call_no_params(call, why);
	if (error)
		return error;
	json_t *gateways = json_object();
	switch_count_overruns(call->methods->vs, NULL);
	switch_visit_gateways(call->methods->vs, NULL, set_gateway, gateways);
	switch_report(call->methods->vs, &status);
	call->result =
		json_pack("{s:f, s:o, s:o, s:o, s:I, s:I}", "uptime", status.uptime, "workers", workers_json(&status),
			  "drops", drops_json(status.drops), "gateways", gateways, "fdb_entries",
			  (json_int_t)status.fdb_entries, "fdb_refused", (json_int_t)status.fdb_refused);
	return 0;
}

/* ---- status ---- */

static json_t *features_json(const struct vswitch *vs)
{
	json_t *features = json_object();

	for (const struct switch_feature *feature = switch_features(vs); feature && feature->name; feature++)
		json_object_set_new(features, feature->name, json_boolean(feature->on));
	return features;
}

static void append_refusal(void *context, const struct refusal_status *status)
{
	json_array_append_new(context, json_pack("{s:s, s:s, s:s, s:i}", "what", status->what, "where", status->where,
						 "why", status->why, "seconds", (int)status->seconds));
}

static json_t *refusals_json(const struct vswitch *vs)
{
	json_t *refusals = json_array();

	switch_visit_refusals(vs, append_refusal, refusals);
	return refusals;
}

static json_t *io_json(const struct switch_status *status)
{
	return json_pack("{s:s, s:s}", "backend", status->io, "why", status->io_why);
}

static json_t *vtep_json(const struct switch_options *options)
{
	char text[ADDRESS_TEXT];
	json_t *vtep = json_array();

	for (int i = 0; i < 2; i++) {
		if (options->vtep[i].family)
			json_array_append_new(vtep, json_string(address_format(&options->vtep[i], text)));
	}
	return vtep;
}

static void add_config(json_t *result, const struct config *config)
{
	const struct switch_options *options = &config->options;

	json_t *settings =
		json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:i, s:i, s:i}", "socket", config->socket, "state_dir",
			  config->state_dir, "log_level", log_levels[config->log_level], "reserved",
			  options->ignore_reserved ? "ignore" : "drop", "ageing", (int)options->ageing, "vtep",
			  vtep_json(options), "workers", (int)options->workers, "fdb_gateway_limit",
			  (int)options->fdb_gateway_limit, "fdb_remote_limit", (int)options->fdb_remote_limit);
	json_object_update(result, settings);
	json_decref(settings);
}

/*
 * Of two podswitchds, of which one takes over from the other, either may answer on the socket: whoever asks whether one
 * of them is up yet must not take the other's answer for it. One that waits for that here is up.
 */
static int check_instance(const struct call *call, struct failure *why)
{
	char asked[INSTANCE_SIZE] = "";
	const char *ours = call->methods->config->instance;

	int error = option_read_json(instance_options, call->params, true, asked, why);
	const struct standby *standby = call->methods->standby;
	if (error || !*asked || !strcmp(asked, ours) || (standby && standby_is(standby, asked)))
		return error;
	return fail(why, -ESRCH, "instance", "instance: the podswitchd that answers is '%s', not '%s'", ours, asked);
}

int method_status_get(struct call *call, struct failure *why)
{
	const struct methods *m = call->methods;
	struct switch_status status = {0};
	struct utsname kernel = {0};

	int error = check_instance(call, why);
	if (error)
		return error;
	uname(&kernel);
	switch_report(m->vs, &status);
	call->result = json_pack("{s:s, s:i, s:s, s:o, s:o, s:f, s:i, s:i, s:I, s:i}", "version", PODSWITCH_VERSION,
				 "pid", (int)getpid(), "kernel", kernel.release, "features", features_json(m->vs),
				 "refused", refusals_json(m->vs), "uptime", status.uptime, "gateways",
				 (int)status.gateways, "ports", (int)status.ports, "fdb_entries",
				 (json_int_t)status.fdb_entries, "clients", m->rpc ? (int)rpc_clients(m->rpc) : 0);
	json_object_set_new(call->result, "io", io_json(&status));
	json_object_set_new(call->result, "instance", json_string(m->config->instance));
	if (m->standby && m->standby->connection >= 0)
		json_object_set_new(call->result, "standby", json_string(m->standby->instance));
	add_config(call->result, m->config);
	return 0;
}

int method_version_get(struct call *call, struct failure *why)
{
	int error = call_no_params(call, why);

	if (!error)
		call->result = json_pack("{s:s}", "version", PODSWITCH_VERSION);
	return error;
}

int method_monitor_start(struct call *call, struct failure *why)
{
	int error = call_no_params(call, why);

	if (error)
		return error;
	if (call->client)
		rpc_subscribe(call->client);
	call->result = json_pack("{s:b}", "monitoring", 1);
	return 0;
}
