/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what podswitchd was told: the command line over -c CONFIG.json over the defaults
 *
 * Both are JSON objects with the same keys (socket, state_dir, workers, vtep, log_level, reserved, ageing,
 * fdb_gateway_limit, fdb_remote_limit); the command line is turned into one by config_option.
 */
#ifndef PODSWITCH_CONFIG_H
#define PODSWITCH_CONFIG_H

#include "tap/base/log.h"
#include "vswitch/switch.h"

#include <jansson.h>

#define CONFIG_PATH 1024 /* bytes of a path, with the NUL */

struct config {
	char socket[CONFIG_PATH];
	char state_dir[CONFIG_PATH];
	enum log_level log_level;
	struct switch_options options;
};

#define CONFIG_DEFAULT                                                                                                 \
	{                                                                                                              \
		.socket = "/run/podswitch/control.sock", .state_dir = "/run/podswitch/state", .log_level = LOG_INFO,   \
		.options = SWITCH_OPTIONS_DEFAULT                                                                      \
	}

/* Puts the settings of `object` over those in `config`; on error `config` is as it was. 0 or -EINVAL. */
int config_apply(struct config *config, const json_t *object, struct failure *why);

/* The same for a file; errors name it and its line. */
int config_load(struct config *config, const char *path, struct failure *why);

/*
 * Adds an option of the command line, `name` as it is written there ("log-level"), to `object`; a repeated "vtep"
 * makes a list, of others the last counts. 0 or -ENOMEM; wrong values are found by config_apply.
 */
int config_option(json_t *object, const char *name, const char *value);

/* "error" to "debug". */
const char *config_log_level(const struct config *config);

#endif
