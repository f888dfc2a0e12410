/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - small files that are read whole and replaced in one step, and the directories that hold them
 *
 * Names are relative to an open directory; AT_FDCWD with a path works too. Any thread.
 */
#ifndef PODSWITCH_FILE_H
#define PODSWITCH_FILE_H

#include "tap/base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/*
 * Reads the whole file and never blocks, not even on a FIFO. `flags` are added to those of open(2), as O_NOFOLLOW.
 * 0 and *out with `*length` bytes and a NUL behind them, to be freed; or a negative errno: -EFBIG when the file has
 * more than `most` bytes. `status` (may be NULL) is the file's, taken before reading.
 */
int file_read(int directory, const char *name, int flags, size_t most, char **out, size_t *length, struct stat *status);

/*
 * Writes `size` bytes to `temporary` and syncs it. What has that name already is a leftover of a writer that was
 * killed, and is removed. 0 or a negative errno, with no temporary file left behind.
 */
int file_write(int directory, const char *temporary, const void *bytes, size_t size, mode_t mode);

/*
 * Renames `temporary` to `name`, in the same directory, and syncs that: a crash leaves the old file or the new one. 0
 * or a negative errno; the temporary file is gone then, too.
 */
int file_commit(int directory, const char *temporary, const char *name);

/* Both in one go. */
int file_replace(int directory, const char *temporary, const char *name, const void *bytes, size_t size, mode_t mode);

/* Writes the path of `name` in the directory of the file `path`. 0 or -ENAMETOOLONG. */
int file_beside(const char *path, const char *name, char *out, size_t size);

/* Whether two looks at a path saw the same file with the same contents, as far as stat(2) can tell. */
bool file_unchanged(const struct stat *a, const struct stat *b);

/*
 * Makes the directory `path` and its missing parents, each for the owner alone (0700); existing ones stay as they are.
 * 0 or a negative errno with `key`.
 */
int file_make_directory(const char *path, const char *key, struct failure *why);

/* The same for the directory that the file `path` lies in. */
int file_make_parent(const char *path, const char *key, struct failure *why);

#endif
