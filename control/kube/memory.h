/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - the gateways that CNI configurations named, kept for the agent's next start
 *
 * podswitchd keeps the ports, the API server the annotations; but what a configuration named, only the plugin says, and
 * only once. One file per port, with the port's name, that holds the gateway's name. One thread, the agent's.
 */
#ifndef PODSWITCH_MEMORY_H
#define PODSWITCH_MEMORY_H

#include "tap/base/failure.h"

#include <stddef.h>

/* Keeps the port's gateway, replacing an older one. Makes the directory if needed. 0 or a negative errno. */
int memory_keep(const char *directory, const char *port, const char *gateway, struct failure *why);

/* What was kept, or "". -EIO or another negative errno when that cannot be read; then *out is untouched. */
int memory_recall(const char *directory, const char *port, char *out, size_t size);

/* Forgets it; there may be nothing to forget. */
void memory_drop(const char *directory, const char *port);

#endif
