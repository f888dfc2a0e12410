/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - the gateways that the CNI configuration named, for the agent that is started after this one
 *
 * podswitchd keeps the ports, the API server all annotations; this alone only the plugin says, once. A file for each
 * port, named as it, with the gateway's name as its text. One thread, the agent's.
 */
#ifndef PODSWITCH_MEMORY_H
#define PODSWITCH_MEMORY_H

#include "tap/base/failure.h"

#include <stddef.h>

/* Keeps it, in place of what was kept for the port. The directory is made when missing. 0 or a negative errno. */
int memory_keep(const char *directory, const char *port, const char *gateway, struct failure *why);

/* What was kept, "" when nothing was. -EIO or another errno when that cannot be said; *out is untouched then. */
int memory_recall(const char *directory, const char *port, char *out, size_t size);

/* That there is nothing is no error. */
void memory_drop(const char *directory, const char *port);

#endif
