/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf_scan.h - whose the files in a node's folder of network configurations are, and where our entry belongs
 *
 * A runtime takes the file whose name comes first by bytes among *.conf, *.conflist and *.json. The primary's is the
 * first of those that are neither ours, nor Multus's, nor the loopback interface's.
 *
 *   10-primary.conflist                                  -> 00-podswitch.conflist, made from it
 *   00-podswitch.conflist 10-primary.conflist            -> the same, kept up to date
 *   00-multus.conf 10-primary.conflist                   -> into 10-primary.conflist: Multus calls what that names
 *   00-multus.conf (for our list) 00-podswitch.conflist  -> our list stays, as Multus has found it first
 *   05-other.conflist 10-named.conflist (--conf-file)    -> into 10-named.conflist: the runtime reads another
 *
 * Any thread.
 */
#ifndef PODSWITCH_CONF_SCAN_H
#define PODSWITCH_CONF_SCAN_H

#include "tap/base/failure.h"

#include <dirent.h>
#include <stdbool.h>

#define CONF_SCAN_NAME 256 /* bytes of a file's name, with the NUL */

/* Names in the folder; "" where there is none. */
struct conf_scan {
	char own[CONF_SCAN_NAME];     /* our list, as it is now */
	char list[CONF_SCAN_NAME];    /* our list, as it is to be called; "": the entry goes into the primary's file */
	char primary[CONF_SCAN_NAME]; /* whose plugins ours follows */
	char multus[CONF_SCAN_NAME];  /* Multus's, when the runtime reads it before the primary's */
	char taken[CONF_SCAN_NAME];   /* our list, as Cilium has renamed it */
	bool multus_copy;             /* Multus's file holds a copy of its delegate's list, and we are not in it */
};

/*
 * Looks at the folder; `file` (may be NULL) is the primary's file, as the administrator says. 0, -ENOENT (no
 * configuration yet), -EBADMSG (the first file is empty or half written), or another negative errno. *out is filled as
 * far as possible in each case.
 */
int conf_scan(const char *dir, const char *file, struct conf_scan *out, struct failure *why);

/* Whether that file is a list of ours, even a damaged one. */
bool conf_scan_is_own(const char *dir, const char *name);

/*
 * All configurations in the folder; or the files that end in `suffix`, when that is not NULL. Sorted by bytes. Their
 * number, with *out to be freed by conf_scan_free(); or a negative errno.
 */
int conf_scan_list(const char *dir, const char *suffix, struct dirent ***out, struct failure *why);
void conf_scan_free(struct dirent **names, int count);

#endif
