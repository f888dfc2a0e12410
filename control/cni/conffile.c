/* SPDX-License-Identifier: Apache-2.0 */
/* conffile.c - one file with the configuration of a network: read whole, replaced whole */
#include "control/cni/conffile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MAX_FILE (1UL << 20) /* bytes */

/* `size` bytes, or what is there when it is less. NULL with errno. */
static char *read_bytes(int fd, size_t *size)
{
	char *bytes = malloc(*size + 1);
	size_t used = 0;

	while (bytes && used < *size) {
		ssize_t got = read(fd, bytes + used, *size - used);
		if (got < 0) {
			free(bytes);
			return NULL;
		}
		if (!got)
			break;
		used += (size_t)got;
	}
	if (bytes)
		bytes[used] = '\0';
	*size = used;
	return bytes;
}

char *conffile_bytes(const char *path, size_t most, size_t *size, struct stat *status)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char *bytes = NULL;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, status)) {
		*size = (size_t)status->st_size;
		errno = EFBIG;
		if (S_ISREG(status->st_mode) && *size <= most)
			bytes = read_bytes(fd, size);
	}
	int error = errno;
	close(fd);
	errno = error;
	return bytes;
}

int conffile_read(const char *dir, const char *name, struct conffile *out, struct failure *why)
{
	char path[PATH_MAX];
	json_error_t error;
	size_t size;

	*out = (struct conffile){0};
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return fail(why, -ENAMETOOLONG, "conf_dir", "conf_dir: give a shorter path");
	if (!realpath(path, out->path) || !(out->text = conffile_bytes(out->path, MAX_FILE, &size, &out->status)))
		return fail(why, -errno, NULL, "cannot read %.160s: %s", path, strerror(errno));
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

static int write_whole(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t written = write(fd, bytes, size);
		if (written < 0)
			return -errno;
		bytes += written;
		size -= (size_t)written;
	}
	return fsync(fd) ? -errno : 0;
}

static int sync_folder_of(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = fsync(fd) ? -errno : 0;
	close(fd);
	return error;
}

static int write_temporary(const char *temporary, const char *bytes, size_t size, mode_t mode)
{
	unlink(temporary); /* of one that was killed */
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int error = write_whole(fd, bytes, size);
	if (!error && fchmod(fd, mode & 07777))
		error = -errno;
	close(fd);
	if (error)
		unlink(temporary);
	return error;
}

int conffile_put(const char *path, const char *temporary, const char *bytes, size_t size, mode_t mode)
{
	int error = write_temporary(temporary, bytes, size, mode);

	if (error)
		return error;
	if (rename(temporary, path)) {
		error = -errno;
		unlink(temporary);
		return error;
	}
	return sync_folder_of(path);
}

static bool unchanged(const struct conffile *file)
{
	struct stat status;
	size_t size;
	char *now = conffile_bytes(file->path, MAX_FILE, &size, &status);
	bool same = now && size == strlen(file->text) && !memcmp(now, file->text, size);

	free(now);
	return same;
}

int conffile_write(const struct conffile *file, const char *path, const char *text, struct failure *why)
{
	char temporary[PATH_MAX];

	int error = conffile_temporary(path, temporary);
	if (!error)
		error = write_temporary(temporary, text, strlen(text), file->status.st_mode);
	if (error)
		return fail(why, error, NULL, "cannot write %.160s: %s", path, strerror(-error));
	/* Root's as a rule; who may not give a file away writes it as his own. */
	bool given = !lchown(temporary, file->status.st_uid, file->status.st_gid) || errno == EPERM;
	if (given && !unchanged(file))
		error = -EAGAIN;
	else if (!given || rename(temporary, path))
		error = -errno;
	if (!error)
		error = sync_folder_of(path);
	else
		unlink(temporary);
	if (error == -EAGAIN)
		return fail(why, error, NULL, "%.160s is being changed by another program", file->path);
	return error ? fail(why, error, NULL, "cannot replace %.160s: %s", path, strerror(-error)) : 0;
}
