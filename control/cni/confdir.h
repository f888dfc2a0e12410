/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confdir.h - our entry in the network configuration of a node, which belongs to somebody else
 *
 * A runtime reads the file whose name comes first among *.conf, *.conflist and *.json, whenever one of them changes. So
 * files are replaced in one step, by a rename from a name that no runtime reads. Only our entry is ours: when it is
 * taken out again, the file is byte for byte what it was. A *.conf or *.json holds one plugin and cannot be chained: we
 * make a *.conflist of it, and move it aside with the suffix .podswitch-saved until our entry goes.
 *
 * A program that changes a file at the same moment wins; we then start over. Any process; one thread.
 */
#ifndef PODSWITCH_CONFDIR_H
#define PODSWITCH_CONFDIR_H

#include "tap/base/failure.h"

#include <jansson.h>

#define CONFDIR_TYPE "podswitch-cni" /* of our entry */

/*
 * Adds `entry` (an object with our type) after the plugins of the first file in `dir`, or of `file` when that is not
 * NULL. An entry of ours that is there already gets the values of `entry` and keeps its other keys. 0, -ENOENT (there
 * is no configuration yet), -EBADMSG (it is not JSON, perhaps not yet), -EAGAIN (others keep changing it), or another
 * negative errno.
 */
int confdir_chain(const char *dir, const char *file, const json_t *entry, struct failure *why);

/*
 * Removes our entries from all files in `dir`, and moves saved files back. Continues after an error and returns the
 * first one. 0 also when there is nothing to do.
 */
int confdir_unchain(const char *dir, struct failure *why);

#endif
