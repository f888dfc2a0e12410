/* SPDX-License-Identifier: Apache-2.0 */
/* directory.h - directories made with their parents */
#ifndef PODSWITCH_DIRECTORY_H
#define PODSWITCH_DIRECTORY_H

#include "tap/base/failure.h"

/*
 * Makes `path` and what lacks above it, each for the owner alone (0700); what exists is left as it is. 0 or a negative
 * errno with `key`.
 */
int directory_make(const char *path, const char *key, struct failure *why);

/* The same for the directory that the file `path` lies in. */
int directory_make_for(const char *path, const char *key, struct failure *why);

#endif
