/* SPDX-License-Identifier: Apache-2.0 */
/* directory.c - directories made with their parents */
#include "tap/base/directory.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int make_one(const char *path, const char *key, struct failure *why)
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

int directory_make(const char *path, const char *key, struct failure *why)
{
	char part[PATH_MAX];
	size_t length = strlen(path);

	if (!length || length >= sizeof(part))
		return fail(why, -ENAMETOOLONG, key, "%s: give a path of 1 to %zu characters", key, sizeof(part) - 1);
	memcpy(part, path, length + 1);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int error = make_one(part, key, why);
		if (error)
			return error;
		*slash = '/';
	}
	return make_one(part, key, why);
}

int directory_make_for(const char *path, const char *key, struct failure *why)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return 0;
	if ((size_t)(slash - path) >= sizeof(parent))
		return fail(why, -ENAMETOOLONG, key, "%s: give a shorter path", key);
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	return directory_make(parent, key, why);
}
