/* SPDX-License-Identifier: Apache-2.0 */
/* tombstones.c - ports whose pod was deleted while nobody answered */
#include "control/kube/tombstones.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

void tombstones_carry_out(const char *directory, bool (*bury)(void *context, const char *port), void *context)
{
	DIR *stones = opendir(directory);
	const struct dirent *stone;
	if (!stones)
		return;
	while ((stone = readdir(stones))) {
		if (stone->d_name[0] == '.')
			continue;
		if (bury(context, stone->d_name))
			unlinkat(dirfd(stones), stone->d_name, 0);
	}
	closedir(stones);
}
