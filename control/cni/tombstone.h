/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tombstone.h - notes of attachments that were deleted while neither the agent nor podswitchd answered
 *
 * One file per note in the directory "tombstones" beside podswitchd's socket, complete or not there. The CNI plugin
 * writes them; the agent removes what they name, as soon as it runs again.
 */
#ifndef PODSWITCH_TOMBSTONE_H
#define PODSWITCH_TOMBSTONE_H

#include "tap/base/failure.h"

#include <jansson.h>

/*
 * Writes `content`, {container_id, ifname, namespace, pod}, under the port's name. `socket` is the path of
 * podswitchd's. 0 or a negative errno. Any process.
 */
int tombstone_put(const char *socket, const char *port, const json_t *content, struct failure *why);

/*
 * Calls `remove_attachment` for every note, and removes the note when that returns 0, or when the note cannot be read.
 * `port` and `content` (an object) are borrowed. Returns how many notes stay, or a negative errno.
 */
int tombstone_each(const char *socket, int (*remove_attachment)(void *context, const char *port, const json_t *content),
		   void *context);

/* Removes all notes and their directory. 0, also when there is none, or a negative errno. */
int tombstone_clear(const char *socket, struct failure *why);

#endif
