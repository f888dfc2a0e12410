/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - small files that are read whole and replaced in one step, and the directories that hold them */
#include "tap/base/file.h"
#include "tap/base/buffer.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READ_AT_LEAST 4096 /* bytes */

/* ---- reading ---- */

static int read_to_end(int fd, size_t most, struct buffer *out)
{
	while (buffer_length(out) <= most) {
		int error = buffer_reserve(out, READ_AT_LEAST);
		if (error)
			return error;
		ssize_t got = read(fd, out->data + out->end, out->size - out->end);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		out->end += (size_t)got;
	}
	return -EFBIG;
}

int file_read(int directory, const char *name, int flags, size_t most, char **out, size_t *length, struct stat *status)
{
	struct buffer bytes = {0};
	int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | flags);

	if (fd < 0)
		return -errno;
	int error = status && fstat(fd, status) ? -errno : read_to_end(fd, most, &bytes);
	close(fd);
	if (!error)
		error = buffer_append(&bytes, "", 1);
	if (error) {
		buffer_free(&bytes);
		return error;
	}
	*length = buffer_length(&bytes) - 1;
	*out = bytes.data;
	return 0;
}

/* ---- writing ---- */

static int write_synced(int fd, const char *bytes, size_t size)
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

int file_write(int directory, const char *temporary, const void *bytes, size_t size, mode_t mode)
{
	unlinkat(directory, temporary, 0);
	int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int error = write_synced(fd, bytes, size);
	/* Not by open(2), whose mode the umask narrows. */
	if (!error && fchmod(fd, mode))
		error = -errno;
	close(fd);
	if (error)
		unlinkat(directory, temporary, 0);
	return error;
}

int file_beside(const char *path, const char *name, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');
	int length = slash ? (int)(slash - path) + 1 : 0;

	return (size_t)snprintf(out, size, "%.*s%s", length, path, name) < size ? 0 : -ENAMETOOLONG;
}

static int sync_parent(int directory, const char *name)
{
	char parent[PATH_MAX];
	int error = file_beside(name, ".", parent, sizeof(parent));
	int fd = error ? -1 : openat(directory, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return error ? error : -errno;
	error = fsync(fd) ? -errno : 0;
	close(fd);
	return error;
}

int file_commit(int directory, const char *temporary, const char *name)
{
	if (!renameat(directory, temporary, directory, name))
		return sync_parent(directory, name);
	int error = -errno;
	unlinkat(directory, temporary, 0);
	return error;
}

int file_replace(int directory, const char *temporary, const char *name, const void *bytes, size_t size, mode_t mode)
{
	int error = file_write(directory, temporary, bytes, size, mode);

	return error ? error : file_commit(directory, temporary, name);
}

bool file_unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* ---- directories ---- */

static int make_one_directory(const char *path, const char *key, struct failure *why)
{
	struct stat status;

	if (!mkdir(path, 0700))
		return 0;
	/* mkdir also fails with EROFS or EACCES on what exists. */
	int error = errno == EEXIST ? ENOTDIR : errno;
	if (!stat(path, &status) && S_ISDIR(status.st_mode))
		return 0;
	return fail(why, -error, key, "%s: cannot make the directory %.128s: %s", key, path, strerror(error));
}

int file_make_directory(const char *path, const char *key, struct failure *why)
{
	char part[PATH_MAX];
	size_t length = strlen(path);

	if (!length || length >= sizeof(part))
		return fail(why, -ENAMETOOLONG, key, "%s: give a path of 1 to %zu characters", key, sizeof(part) - 1);
	memcpy(part, path, length + 1);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int error = make_one_directory(part, key, why);
		if (error)
			return error;
		*slash = '/';
	}
	return make_one_directory(part, key, why);
}

int file_make_parent(const char *path, const char *key, struct failure *why)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return 0;
	if ((size_t)(slash - path) >= sizeof(parent))
		return fail(why, -ENAMETOOLONG, key, "%s: give a shorter path", key);
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	return file_make_directory(parent, key, why);
}
