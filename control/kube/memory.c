/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - the gateways that the CNI configuration named */
#include "control/kube/memory.h"
#include "tap/base/directory.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A port's name, which podswitchd checked or names.c made, holds no '/'; the check costs nothing. */
static int path_of(const char *directory, const char *port, char out[static PATH_MAX])
{
	if (!*port || *port == '.' || strchr(port, '/'))
		return -EINVAL;
	return snprintf(out, PATH_MAX, "%s/%s", directory, port) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int write_file(const char *path, const char *text)
{
	size_t length = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int error = write(fd, text, length) == (ssize_t)length ? 0 : -EIO;
	close(fd);
	return error;
}

int memory_keep(const char *directory, const char *port, const char *gateway, struct failure *why)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	int error = path_of(directory, port, path);
	snprintf(fresh, sizeof(fresh), "%.4000s/.new", directory);
	if (!error)
		error = directory_make(directory, "gateway", why);
	if (!error)
		error = write_file(fresh, gateway);
	if (!error && rename(fresh, path))
		error = -errno;
	if (error)
		fail(why, error, NULL, "cannot keep the port's gateway in %.100s: %s", directory, strerror(-error));
	return error;
}

int memory_recall(const char *directory, const char *port, char *out, size_t size)
{
	char path[PATH_MAX], text[256];
	int error = path_of(directory, port, path);
	if (error)
		return error;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno != ENOENT)
		return -errno;
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	error = got < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (!error && (size_t)got >= size)
		error = -EIO;
	if (error)
		return error;
	memcpy(out, text, (size_t)got);
	out[got] = '\0';
	return 0;
}

void memory_drop(const char *directory, const char *port)
{
	char path[PATH_MAX];
	if (!path_of(directory, port, path))
		(void)unlink(path);
}
