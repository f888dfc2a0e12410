/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confdir.h - our entry in the network configuration of a node, which belongs to somebody else
 *
 * As a rule it is in a list file of our own, which comes first, holds the primary's plugins and ours, and survives a
 * reboot; the primary's file is left alone (own_list.h). Where our file cannot be first, or Multus is (conf_scan.h),
 * the entry goes behind the plugins of the primary's own file: when it is taken out again, that file is byte for byte
 * what it was. A *.conf or *.json holds one plugin and cannot be chained: we make a *.conflist of it, and move it aside
 * with the suffix .podswitch-saved until our entry goes.
 *
 * A runtime reads the first file whenever one of them changes. So files are replaced in one step, by a rename from a
 * name that no runtime reads. A program that changes a file at the same moment wins; we then start over. Any process;
 * one thread.
 */
#ifndef PODSWITCH_CONFDIR_H
#define PODSWITCH_CONFDIR_H

#include "control/cni/conf_scan.h"
#include "control/cni/plugin_list.h"
#include "tap/base/failure.h"

#include <jansson.h>

/* How a folder is found, before anything in it is changed. */
struct confdir_look {
	struct conf_scan scan;
	bool in_force; /* a pod that starts now is started with our plugin, or not at all */
	bool fresh;    /* there is nothing to change */
};

/*
 * Looks whether confdir_chain() would change anything. 0, or the error that it would return; *out is filled in both
 * cases.
 */
int confdir_look(const char *dir, const char *file, const json_t *entry, struct confdir_look *out, struct failure *why);

/*
 * Puts `entry` (an object with our type) behind the plugins of the first file in `dir`, or of `file` when that is not
 * NULL. An entry of ours that is there already gets the values of `entry` and keeps its other keys. 0, -ENOENT (there
 * is no configuration yet), -EBADMSG (it is not JSON, perhaps not yet), -EAGAIN (others keep changing it), or another
 * negative errno.
 */
int confdir_chain(const char *dir, const char *file, const json_t *entry, struct failure *why);

/*
 * Removes our list, and our entries from all files in `dir`, and moves saved files back. Continues after an error and
 * returns the first one. 0 also when there is nothing to do.
 */
int confdir_unchain(const char *dir, struct failure *why);

#endif
