/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conffile.c - one file with a network configuration: read whole, replaced whole
 *
 * A write goes to ".NAME.podswitch-tmp", which no runtime reads, gets the mode and owner of the original, and is
 * renamed only if the original still has the bytes that were read. A change between that last look and the rename would
 * be lost; nothing but a lock that all programs share could prevent that, and there is none.
 *
 * One thread.
 */
#include "control/cni/conffile.h"

#include "tap/base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int conffile_read(const char *dir, const char *name, struct conffile *out, struct failure *why)
{
	char path[PATH_MAX];
	json_error_t error;
	size_t size = 0;

	*out = (struct conffile){0};
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return fail(why, -ENAMETOOLONG, "conf_dir", "conf_dir: give a shorter path");
	int failed = realpath(path, out->path)
			     ? file_read(AT_FDCWD, out->path, 0, CONFFILE_MAX, &out->text, &size, &out->status)
			     : -errno;
	if (failed)
		return fail(why, failed, NULL, "cannot read %.160s: %s", path, strerror(-failed));
	out->document = json_loadb(out->text, size, JSON_DECODE_INT_AS_REAL, &error);
	if (json_is_object(out->document))
		return 0;
	return fail(why, -EBADMSG, NULL, "%.120s is not a network configuration: %.80s", path,
		    out->document ? "not an object" : error.text);
}

void conffile_free(struct conffile *file)
{
	free(file->text);
	json_decref(file->document);
	file->text = NULL;
	file->document = NULL;
}

int conffile_temporary(const char *path, char out[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path) + 1 : 0;

	if (snprintf(out, PATH_MAX, "%.*s.%s" CONFFILE_TEMPORARY, folder, path, path + folder) >= PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

int conffile_lock(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

static bool conffile_unchanged(const struct conffile *file)
{
	size_t size = 0;
	char *now = NULL;
	int error = file_read(AT_FDCWD, file->path, 0, CONFFILE_MAX, &now, &size, NULL);
	bool same = !error && size == strlen(file->text) && !memcmp(now, file->text, size);

	free(now);
	return same;
}

int conffile_write(const struct conffile *file, const char *path, const char *text, struct failure *why)
{
	char temporary[PATH_MAX];

	int error = conffile_temporary(path, temporary);
	if (!error)
		error = file_write(AT_FDCWD, temporary, text, strlen(text), file->status.st_mode & 07777);
	if (error)
		return fail(why, error, NULL, "cannot write %.160s: %s", path, strerror(-error));
	/* We run as root as a rule; a user who may not chown (EPERM) writes the file as its own. */
	if (lchown(temporary, file->status.st_uid, file->status.st_gid) && errno != EPERM)
		error = -errno;
	else if (!conffile_unchanged(file))
		error = -EAGAIN;
	if (error)
		unlink(temporary);
	else
		error = file_commit(AT_FDCWD, temporary, path);
	if (error == -EAGAIN)
		return fail(why, error, NULL, "%.160s is being changed by another program", file->path);
	return error ? fail(why, error, NULL, "cannot replace %.160s: %s", path, strerror(-error)) : 0;
}
