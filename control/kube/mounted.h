/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounted.h - whether a folder of the node, mounted into our container, is still the one that the node has there
 *
 * A mount holds the folder that was there when the container started. When the node puts another in its place, the
 * mount goes on showing the old one, under its new name or deleted; the kernel says so in mountinfo. Any thread.
 */
#ifndef PODSWITCH_MOUNTED_H
#define PODSWITCH_MOUNTED_H

#include <limits.h>
#include <stdbool.h>

struct mounted {
	char folder[PATH_MAX];
	char source[PATH_MAX]; /* what is mounted there; "": it is no mount */
};

void mounted_note(struct mounted *mounted, const char *folder);
bool mounted_changed(const struct mounted *mounted);

#endif
