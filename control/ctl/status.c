/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - podswitchctl status and version: which podswitchd is running, and what it can use here */
#include "control/base/json.h"
#include "control/ctl/ctl.h"
#include "control/ctl/table.h"

static void add_features(struct table *table, json_t *features)
{
	const char *name;
	json_t *on;
	json_object_foreach(features, name, on)
	{
		char key[64];
		snprintf(key, sizeof(key), "feature %.50s", name);
		table_pair(table, key, "%s", json_is_true(on) ? "yes" : "no");
	}
}

/* What is off in some place only. */
static void add_refusals(struct table *table, json_t *refusals)
{
	size_t i;
	json_t *refusal;
	json_array_foreach(refusals, i, refusal)
	{
		table_pair(table, "off", "%.20s of %.300s: %.200s", json_text(refusal, "what"),
			   json_text(refusal, "where"), json_text(refusal, "why"));
	}
}

static void add_io(struct table *table, const json_t *io)
{
	if (io)
		table_pair(table, "io", "%.20s: %.255s", json_text(io, "backend"), json_text(io, "why"));
}

static int print_status(FILE *out, json_t *status)
{
	static const char *const keys[] = {"version", "pid",      "kernel", "socket",  "state_dir",
					   "workers", "gateways", "ports",  "standby", NULL};
	struct table table;
	table_open_pairs(&table);
	table_pair_members(&table, keys, status);
	add_io(&table, json_object_get(status, "io"));
	add_features(&table, json_object_get(status, "features"));
	add_refusals(&table, json_object_get(status, "refused"));
	return table_finish(&table, out);
}

/* podswitchd's version: the result itself, or its member "version". */
static const json_t *version_in(const json_t *result)
{
	return json_is_object(result) ? json_object_get(result, "version") : result;
}

static int print_versions(const struct ctl *ctl, const json_t *daemon, const struct failure *why)
{
	const char *version = json_string_value(daemon);
	fprintf(ctl->out, "podswitchctl  %s\n", PODSWITCH_VERSION);
	if (version)
		fprintf(ctl->out, "podswitchd    %s\n", version);
	else
		fprintf(ctl->out, "podswitchd    - (%s)\n", why->text);
	return 0;
}

/* Without a podswitchd it prints our own version. */
static int version(struct ctl *ctl, json_t *params, struct failure *why)
{
	json_t *result = NULL;
	struct failure absent = {.text = "it does not say"};
	if (!client_connect(&ctl->client, ctl->socket, &absent))
		client_call(&ctl->client, "version.get", params, &result, &absent);
	const json_t *daemon = version_in(result);
	int error = 0;
	if (ctl->json) {
		json_t *both = json_pack("{s:s, s:O?}", "client", PODSWITCH_VERSION, "daemon", daemon);
		if (both)
			ctl_print_json(ctl, both, true);
		else
			error = fail(why, -ENOMEM, NULL, "not enough memory");
		json_decref(both);
	} else {
		error = print_versions(ctl, daemon, &absent);
	}
	json_decref(result);
	return error;
}

const struct command status_commands[] = {
	{
		.object = "status",
		.method = "status.get",
		.help = "shows which podswitchd is running, and what it uses of this kernel",
		.options = instance_options,
		.print = print_status,
	},
	{0},
};

const struct command version_commands[] = {
	{
		.object = "version",
		.method = "version.get",
		.help = "prints the versions of podswitchctl and of podswitchd",
		.run = version,
	},
	{0},
};
