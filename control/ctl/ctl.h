/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.h - podswitchctl as a whole: its commands, and what they share
 */
#ifndef PODSWITCH_CTL_H
#define PODSWITCH_CTL_H

#include "control/base/client.h"
#include "control/ctl/command_line.h"

#include <stdbool.h>
#include <stdio.h>

struct ctl {
	const char *socket;
	bool json;
	FILE *out;
	struct client client; /* connected, except for `version` */
};

/* One array per file, each ended by an entry without an object. */
extern const struct command gateway_commands[];
extern const struct command port_commands[];
extern const struct command fdb_commands[];
extern const struct command stats_commands[];
extern const struct command status_commands[];
extern const struct command monitor_commands[];
extern const struct command version_commands[];

/* The whole program; `argv` without the program's name. Returns the exit status. */
int ctl_main(char **argv, FILE *out, FILE *err);

/* From here on every wait of ctl->client ends on a stop signal, and when the reader of our output goes away. */
int ctl_stop_on_signals(struct ctl *ctl, struct failure *why);

/* One JSON text and a newline; on one line, or (pretty) indented. */
void ctl_print_json(const struct ctl *ctl, const json_t *value, bool pretty);

/* Flushes the output. 0, -EPIPE when nobody reads it any more, or another negative errno of writing. */
int ctl_flush(const struct ctl *ctl, struct failure *why);

#endif
