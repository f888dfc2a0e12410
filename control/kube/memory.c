/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c - the gateways that CNI configurations named, kept for the agent's next start */
#include "control/kube/memory.h"
#include "tap/base/file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A port's name has no '/', as podswitchd checks and names.c makes it; checking here as well costs nothing. */
static int path_of(const char *directory, const char *port, char out[static PATH_MAX])
{
	if (!*port || *port == '.' || strchr(port, '/'))
		return -EINVAL;
	return snprintf(out, PATH_MAX, "%s/%s", directory, port) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int memory_keep(const char *directory, const char *port, const char *gateway, struct failure *why)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	int error = path_of(directory, port, path);
	snprintf(fresh, sizeof(fresh), "%.4000s/.new", directory);
	if (!error)
		error = file_make_directory(directory, "gateway", why);
	if (!error)
		error = file_replace(AT_FDCWD, fresh, path, gateway, strlen(gateway), 0600);
	if (error)
		fail(why, error, NULL, "cannot keep the port's gateway in %.100s: %s", directory, strerror(-error));
	return error;
}

int memory_recall(const char *directory, const char *port, char *out, size_t size)
{
	char path[PATH_MAX], *text = NULL;
	size_t length;
	int error = path_of(directory, port, path);
	if (!error)
		error = file_read(AT_FDCWD, path, O_NOFOLLOW, size - 1, &text, &length, NULL);
	if (error == -ENOENT)
		*out = '\0';
	if (error)
		return error == -ENOENT ? 0 : error == -EFBIG ? -EIO : error;
	memcpy(out, text, length + 1);
	free(text);
	return 0;
}

void memory_drop(const char *directory, const char *port)
{
	char path[PATH_MAX];
	if (!path_of(directory, port, path))
		(void)unlink(path);
}
