/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - what podswitchd was told */
#include "control/daemon/config.h"
#include "control/daemon/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const levels[] = {"error", "warning", "info", "debug", NULL};

static int parse_socket(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct config *config = into;

	return param_text(key, value, sizeof(config->socket), config->socket, why);
}

static int parse_state_dir(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct config *config = into;

	return param_text(key, value, sizeof(config->state_dir), config->state_dir, why);
}

static int parse_workers(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct config *config = into;

	return param_unsigned(key, value, 1, SWITCH_MAX_WORKERS, &config->options.workers, why);
}

static int add_vtep(const char *key, const char *text, void *into, struct failure *why)
{
	struct config *config = into;
	struct address *vtep = config->options.vtep, address;

	int error = param_address(key, text, &address, why);
	if (error)
		return error;
	if (vtep[0].family == address.family)
		return fail(why, -EINVAL, key, "%s: give at most one IPv4 and one IPv6 address", key);
	vtep[vtep[0].family ? 1 : 0] = address;
	return 0;
}

static int parse_vtep(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct config *config = into;

	memset(config->options.vtep, 0, sizeof(config->options.vtep));
	return param_list(key, value, 2, add_vtep, config, why);
}

static int parse_log_level(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct config *config = into;
	unsigned level;

	int error = param_choice(key, value, levels, &level, why);
	if (!error)
		config->log_level = (enum log_level)level;
	return error;
}

static int parse_reserved(const char *key, const json_t *value, void *into, struct failure *why)
{
	static const char *const words[] = {"drop", "ignore", NULL};
	struct config *config = into;
	unsigned choice;

	int error = param_choice(key, value, words, &choice, why);
	if (!error)
		config->options.ignore_reserved = choice;
	return error;
}

static int parse_ageing(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct config *config = into;

	return param_unsigned(key, value, 1, 1000000, &config->options.ageing, why);
}

static int parse_gateway_limit(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct config *config = into;

	return param_unsigned(key, value, 1, 1000000, &config->options.fdb_gateway_limit, why);
}

static int parse_remote_limit(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct config *config = into;

	return param_unsigned(key, value, 1, 1000000, &config->options.fdb_remote_limit, why);
}

static int parse_spin(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct config *config = into;

	return param_unsigned(key, value, 0, 1000, &config->options.spin, why);
}

/* One function for all the knobs: their names say where they are. */
static int parse_offload(const char *key, const json_t *value, void *into, struct failure *why)
{
	struct switch_offloads *offloads = &((struct config *)into)->options.offloads;
	const struct {
		const char *key;
		bool *knob;
	} knobs[] = {
		{"tap_gso", &offloads->tap_gso}, {"udp_gso", &offloads->udp_gso},
		{"udp_gro", &offloads->udp_gro}, {"trains", &offloads->trains},
		{"tap_gro", &offloads->tap_gro}, {"underlay_tap", &offloads->underlay_tap},
	};

	for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
		if (!strcmp(knobs[i].key, key))
			return param_switch(key, value, knobs[i].knob, why);
	return fail(why, -EINVAL, key, "%s: no such knob", key);
}

static const struct param keys[] = {
	{"socket", parse_socket, NULL},
	{"state_dir", parse_state_dir, NULL},
	{"workers", parse_workers, NULL},
	{"vtep", parse_vtep, NULL},
	{"log_level", parse_log_level, NULL},
	{"reserved", parse_reserved, NULL},
	{"ageing", parse_ageing, NULL},
	{"fdb_gateway_limit", parse_gateway_limit, NULL},
	{"fdb_remote_limit", parse_remote_limit, NULL},
	{"spin", parse_spin, NULL},
	{"tap_gso", parse_offload, NULL},
	{"udp_gso", parse_offload, NULL},
	{"udp_gro", parse_offload, NULL},
	{"trains", parse_offload, NULL},
	{"tap_gro", parse_offload, NULL},
	{"underlay_tap", parse_offload, NULL},
	{0},
};

int config_apply(struct config *config, const json_t *object, struct failure *why)
{
	struct config wanted = *config;

	int error = params_read(keys, object, false, &wanted, why);
	if (!error)
		*config = wanted;
	return error;
}

int config_load(struct config *config, const char *path, struct failure *why)
{
	json_error_t error;
	struct failure inner = {0};

	FILE *file = fopen(path, "re");
	if (!file)
		return fail(why, -errno, "config", "config: cannot open %.128s: %s", path, strerror(errno));
	json_t *object = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
	fclose(file);
	if (!object)
		return fail(why, -EINVAL, "config", "config: %.128s: line %d: %s", path, error.line, error.text);
	int code = -EINVAL;
	if (!json_is_object(object))
		fail(why, code, "config", "config: %.128s: must hold one object with keys such as \"socket\"", path);
	else if ((code = config_apply(config, object, &inner)))
		fail(why, code, inner.key, "%.100s: %.150s", path, inner.text);
	json_decref(object);
	return code;
}

static bool is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && digits <= 18 && !text[digits];
}

int config_option(json_t *object, const char *name, const char *value)
{
	char key[32];
	bool path = !strcmp(name, "socket") || !strcmp(name, "state-dir");

	snprintf(key, sizeof(key), "%s", name);
	for (char *dash = strchr(key, '-'); dash; dash = strchr(dash, '-'))
		*dash = '_';
	json_t *element = !path && is_number(value) ? json_integer(strtoll(value, NULL, 10)) : json_string(value);
	if (strcmp(key, "vtep") != 0)
		return json_object_set_new(object, key, element) ? -ENOMEM : 0;
	if (!json_object_get(object, key))
		json_object_set_new(object, key, json_array());
	return json_array_append_new(json_object_get(object, key), element) ? -ENOMEM : 0;
}

const char *config_log_level(const struct config *config)
{
	return levels[config->log_level];
}
