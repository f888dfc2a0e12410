/* SPDX-License-Identifier: Apache-2.0 */
/* mounted.c - whether a folder of the node, mounted into our container, is still the one that the node has there */
#include "control/kube/mounted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is mounted on `folder`, "" for nothing. Of several, the last one is on top. */
static void mounted_source(const char *folder, char out[static PATH_MAX])
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;

	out[0] = '\0';
	while (file && getline(&line, &size, file) > 0) {
		char *rest = line, *field[5];
		for (size_t i = 0; i < 5; i++)
			field[i] = rest ? strsep(&rest, " ") : "";
		if (!strcmp(field[4], folder))
			snprintf(out, PATH_MAX, "%.4000s", field[3]);
	}
	free(line);
	if (file)
		fclose(file);
}

void mounted_note(struct mounted *mounted, const char *folder)
{
	if (!realpath(folder, mounted->folder))
		snprintf(mounted->folder, sizeof(mounted->folder), "%.4000s", folder);
	mounted_source(mounted->folder, mounted->source);
}

bool mounted_changed(const struct mounted *mounted)
{
	char source[PATH_MAX];

	if (!*mounted->source)
		return false;
	mounted_source(mounted->folder, source);
	return strcmp(source, mounted->source) != 0;
}
