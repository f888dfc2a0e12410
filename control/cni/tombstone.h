/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tombstone.h - attachments that were deleted while nobody was there to take them away
 *
 * A file each in the directory "tombstones" beside podswitchd's socket, written whole or not at all. The CNI plugin
 * puts them there, and the agent carries them out when it starts.
 */
#ifndef PODSWITCH_TOMBSTONE_H
#define PODSWITCH_TOMBSTONE_H

#include "tap/base/failure.h"

#include <jansson.h>

/*
 * Notes `content`, {container_id, ifname, namespace, pod}, under a port's name. `socket` is the path of podswitchd's.
 * 0 or a negative errno. Any process.
 */
int tombstone_put(const char *socket, const char *port, const json_t *content, struct failure *why);

/*
 * Calls `carry_out` for every note and removes those for which it returns 0, and what is no note. `port` is the name it
 * was put under, `content` an object, both borrowed. The number of notes that stay, or a negative errno.
 */
int tombstone_each(const char *socket, int (*carry_out)(void *context, const char *port, const json_t *content),
		   void *context);

/* Removes all notes and their directory, which may be missing. 0 or a negative errno. */
int tombstone_clear(const char *socket, struct failure *why);

#endif
