/* SPDX-License-Identifier: Apache-2.0 */
/* conffile.h - one file with a network configuration: read whole, replaced whole. One thread. */
#ifndef PODSWITCH_CONFFILE_H
#define PODSWITCH_CONFFILE_H

#include "tap/base/failure.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#define CONFFILE_MAX (1UL << 20)            /* bytes that are read */
#define CONFFILE_TEMPORARY ".podswitch-tmp" /* ends the names of files that are being written */

struct conffile {
	char path[PATH_MAX]; /* behind all symbolic links */
	char *text;
	json_t *document; /* an object; integers are reals, since it is only compared and never printed */
	struct stat status;
};

/*
 * Reads dir/name. conffile_free() is needed also after an error: -ENOENT, -EBADMSG (not a JSON object), or another
 * negative errno.
 */
int conffile_read(const char *dir, const char *name, struct conffile *out, struct failure *why);

void conffile_free(struct conffile *file);

/*
 * Writes `text` to `path` in one step, with the mode and owner of `file`. -EAGAIN when `file` is not any more as it was
 * read. `path` may be that of `file`, or another one.
 */
int conffile_write(const struct conffile *file, const char *path, const char *text, struct failure *why);

/* Locks the directory against others of us until the descriptor is closed; -1: not possible, continue without. */
int conffile_lock(const char *dir);

/* The name of the temporary file for `path`. 0 or -ENAMETOOLONG. */
int conffile_temporary(const char *path, char out[PATH_MAX]);

#endif
