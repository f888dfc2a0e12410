/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leftovers.c - what podswitch has made beside its sockets on a node
 *
 *     x.sock, agent.sock                      the sockets
 *     cni-installed                           the agent's note that the plugin was there; .new: while it is written
 *     configured/PORT                         memory.h
 *     tombstones/PORT                         tombstone.h, which removes them
 *     state/lock, state/gateways/NAME.json    state.h: podswitchd's; also ports, fdb, and the names while they are
 *                                             written, or when they are damaged
 *
 * The socket can be anywhere, also in a folder of everybody's. So nothing is removed for being there: a file needs one
 * of these names, and a folder must be empty by then. Symbolic links are not followed.
 */
#include "control/kube/leftovers.h"
#include "tap/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "NAMESPACE.POD@ID", or the name while it is written. */
static bool is_of_memory(const char *name)
{
	return (*name != '.' && strchr(name, '@')) || !strcmp(name, ".new");
}

static bool is_of_state(const char *name)
{
	return *name == '.' ? text_ends_with(name, ".tmp")
			    : text_ends_with(name, ".json") || text_ends_with(name, ".json.bad");
}

static int leftovers_open(int folder, const char *name)
{
	return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Removes the files that are ours out of a folder, and the folder when nothing else is in it. */
static void remove_files(int in, const char *folder, bool (*is_ours)(const char *name))
{
	int fd = leftovers_open(in, folder);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (!stream) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(stream));)
		if (is_ours(entry->d_name))
			(void)unlinkat(dirfd(stream), entry->d_name, 0);
	closedir(stream);
	(void)unlinkat(in, folder, AT_REMOVEDIR);
}

static void remove_state(int in)
{
	static const char *const kinds[] = {"gateways", "ports", "fdb"};
	int fd = leftovers_open(in, "state");
	if (fd < 0)
		return;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		remove_files(fd, kinds[i], is_of_state);
	(void)unlinkat(fd, "lock", 0);
	close(fd);
	(void)unlinkat(in, "state", AT_REMOVEDIR);
}

/* And the name that it has while it is made, if its maker was killed. */
static void remove_socket(const char *path)
{
	char made[PATH_MAX];
	(void)unlink(path);
	if (snprintf(made, sizeof(made), "%s.new", path) < PATH_MAX)
		(void)unlink(made);
}

void leftovers_remove(const char *socket, const char *agent_socket, bool podswitchd_runs)
{
	char copy[PATH_MAX];
	remove_socket(agent_socket);
	if (!podswitchd_runs)
		remove_socket(socket);
	snprintf(copy, sizeof(copy), "%s", socket);
	int in = leftovers_open(AT_FDCWD, dirname(copy));
	if (in < 0)
		return;
	(void)unlinkat(in, "cni-installed", 0);
	(void)unlinkat(in, "cni-installed.new", 0);
	remove_files(in, "configured", is_of_memory);
	if (!podswitchd_runs)
		remove_state(in);
	close(in);
}
