/* SPDX-License-Identifier: Apache-2.0 */
/*
 * environment.h - the CNI_* variables, checked before anything is named after them
 *
 * Any thread.
 */
#ifndef PODSWITCH_ENVIRONMENT_H
#define PODSWITCH_ENVIRONMENT_H

#include "control/cni/refusal.h"

#include <limits.h>

enum cni_command { CNI_ADD, CNI_DEL, CNI_CHECK, CNI_GC, CNI_STATUS, CNI_VERSION, CNI_COMMANDS };

/* As getenv() returns them; NULL: not set. */
struct variables {
	const char *command;
	const char *container_id;
	const char *netns;
	const char *ifname;
	const char *args;
};

/* Variables that are not given are "". */
struct environment {
	enum cni_command command;
	char container_id[256];
	char netns[PATH_MAX];
	char ifname[16];
	char namespace[64]; /* of the pod; from CNI_ARGS, as are the next two */
	char pod[254];
	char uid[64];
};

/*
 * 0, or CNI_BAD_ENVIRONMENT with all missing variables, or the one that is wrong, in the text. A DEL needs only a
 * container and an interface; other variables that are wrong then count as not given. GC, STATUS and VERSION need none.
 */
enum cni_code environment_read(const struct variables *variables, struct environment *out, struct refusal *why);

#endif
