/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - podswitchd's settings: the command line over -c CONFIG.json over the defaults
 *
 * All of it for the thread that starts podswitchd, before it starts any other.
 */
#ifndef PODSWITCH_CONFIG_H
#define PODSWITCH_CONFIG_H

#include "control/daemon/options.h"
#include "tap/base/log.h"
#include "vswitch/switch.h"

#include <jansson.h>
#include <stdio.h>

#define CONFIG_PATH 1024 /* bytes of a path, with the NUL */

struct config {
	char socket[CONFIG_PATH];
	char state_dir[CONFIG_PATH];
	enum log_level log_level;
	struct switch_options options;
	const char *file; /* -c; NULL: none */
	char instance[INSTANCE_SIZE];
	bool takeover;   /* from the podswitchd that runs */
	bool standby;    /* only once the one that runs ends */
	bool then_waits; /* after another one has taken over: until it is stopped */
	unsigned linger; /* s at SIGTERM, until another one has taken over */
	bool seccomp;    /* make only the system calls of calls.h */
	bool help, version;
};

#define CONFIG_DEFAULT                                                                                                 \
	{                                                                                                              \
		.socket = "/run/podswitch/control.sock", .state_dir = "/run/podswitch/state", .log_level = LOG_INFO,   \
		.seccomp = true, .options = SWITCH_OPTIONS_DEFAULT                                                     \
	}

/* Reads a command line: NULL-terminated, without the program's name. -EINVAL: wrong usage; `config` is half changed. */
int config_read_line(struct config *config, char **words, struct failure *why);

/* Puts the settings of a JSON object over those in `config`; on error `config` is as it was. 0 or -EINVAL. */
int config_read_json(struct config *config, const json_t *object, struct failure *why);

/* The same for a file; errors name it and its line. */
int config_read_file(struct config *config, const char *path, struct failure *why);

void config_help(FILE *out);

#endif
