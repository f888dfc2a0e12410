/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confdir.h - our entry in the network configuration of a node, which belongs to somebody else
 *
 * A runtime reads the file whose name comes first among *.conf, *.conflist and *.json, whenever one of them changes. So
 * a file is replaced in one step, by a rename from a name that no runtime reads, and only the bytes of our entry are
 * ours: taken out again, the file is what it was. A *.conf or *.json holds one plugin and cannot be chained: a
 * *.conflist is made of it, and the file is moved aside with the suffix .podswitch-saved until our entry goes.
 *
 * Whoever changes a file at the same moment wins: our change then begins anew. Any process; one thread.
 */
#ifndef PODSWITCH_CONFDIR_H
#define PODSWITCH_CONFDIR_H

#include "tap/base/failure.h"

#include <jansson.h>

#define CONFDIR_TYPE "podswitch-cni" /* of our entry */

/*
 * Puts `entry` (an object with our type) behind the plugins of the first file in `dir`, or of `file` when that is not
 * NULL. An entry of ours that is there gets the values of `entry`, and keeps what else it holds. 0; -ENOENT: no
 * configuration is there yet; -EBADMSG: it is not JSON, perhaps not yet; -EAGAIN: others keep changing it; and what
 * else stands in the way.
 */
int confdir_chain(const char *dir, const char *file, const json_t *entry, struct failure *why);

/*
 * Takes our entries out of all files in `dir`, and moves back what was moved aside. Goes on after an error, and returns
 * the first. 0 also when nothing is there.
 */
int confdir_unchain(const char *dir, struct failure *why);

#endif
