/* SPDX-License-Identifier: Apache-2.0 */
/* plugin.h - one CNI command, from its environment and standard input to what it prints */
#ifndef PODSWITCH_PLUGIN_H
#define PODSWITCH_PLUGIN_H

#include "control/cni/environment.h"

#include <stdio.h>

/*
 * Runs the command that `variables` name, with the configuration on `in`. The result or the refusal goes to `out`, a
 * line about a refusal to `err`. `stop_fd` (-1: none) becomes readable when an ADD has to stop. Returns the exit
 * status. One thread.
 */
int plugin_run(const struct variables *variables, int in, int stop_fd, FILE *out, FILE *err);

#endif
