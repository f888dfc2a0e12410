/* SPDX-License-Identifier: Apache-2.0 */
/* find.c - the network namespace of a pod that is running already, found by its processes */
#include "control/kube/find.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define RUNTIME_DIRECTORY "/run/netns"
#define LONGEST_CGROUPS 8192 /* bytes of /proc/PID/cgroup that we read */

/* The kubelet writes "pod" and the UID: as it is (cgroupfs), or with '_' for '-' (systemd). */
static bool names_pod(const char *cgroups, const char *uid)
{
	size_t length = strlen(uid);
	for (const char *at = strstr(cgroups, "pod"); at; at = strstr(at + 1, "pod")) {
		size_t i = 0;
		while (i < length && at[3 + i] && (at[3 + i] == uid[i] || (at[3 + i] == '_' && uid[i] == '-')))
			i++;
		if (i == length)
			return true;
	}
	return false;
}

static bool is_of_pod(const char *pid, const char *uid)
{
	char path[64], cgroups[LONGEST_CGROUPS];
	snprintf(path, sizeof(path), "/proc/%.20s/cgroup", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	size_t got = fread(cgroups, 1, sizeof(cgroups) - 1, file);
	fclose(file);
	cgroups[got] = '\0';
	return names_pod(cgroups, uid);
}

static bool find_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The runtime's own name for the namespace, if there is one. */
static bool find_name(const struct stat *wanted, char *out, size_t size)
{
	DIR *directory = opendir(RUNTIME_DIRECTORY);
	const struct dirent *entry;
	bool found = false;
	while (directory && !found && (entry = readdir(directory))) {
		char path[sizeof(RUNTIME_DIRECTORY) + 257];
		struct stat here;
		snprintf(path, sizeof(path), RUNTIME_DIRECTORY "/%s", entry->d_name);
		if (entry->d_name[0] == '.' || stat(path, &here) || !find_same_file(&here, wanted))
			continue;
		found = strlen(path) < size;
		if (found)
			memcpy(out, path, strlen(path) + 1);
	}
	if (directory)
		closedir(directory);
	return found;
}

int find_netns(const char *uid, char *out, size_t size)
{
	DIR *proc = *uid ? opendir("/proc") : NULL;
	const struct dirent *entry;
	struct stat own, theirs;
	bool named = false, found = false;
	if (!proc || stat("/proc/self/ns/net", &own)) {
		if (proc)
			closedir(proc);
		return -ENOENT;
	}
	/* A pod's processes may be in further namespaces of their own; the one that the runtime names is the pod's. */
	while (!named && (entry = readdir(proc))) {
		char path[64];
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || !is_of_pod(entry->d_name, uid))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/ns/net", entry->d_name);
		if (stat(path, &theirs) || find_same_file(&own, &theirs))
			continue;
		named = find_name(&theirs, out, size);
		if (!named && !found)
			found = (size_t)snprintf(out, size, "%s", path) < size;
	}
	closedir(proc);
	return named || found ? 0 : -ENOENT;
}

bool find_is_namespace(const char *path)
{
	struct statfs file_system;
	return !statfs(path, &file_system) && file_system.f_type == NSFS_MAGIC;
}

/* `path` as process `pid` sees it; "" when that is no namespace. */
static void path_of_process(int pid, const char *path, char out[static PATH_MAX])
{
	if (pid <= 0 || snprintf(out, PATH_MAX, "/proc/%d/root%s", pid, path) >= PATH_MAX || !find_is_namespace(out))
		out[0] = '\0';
}

void find_netns_of_runtime(const char *path, int runtime, char *out, size_t size)
{
	char first[PATH_MAX], theirs[PATH_MAX];
	struct stat a, b;
	const char *found = path;
	if (!find_is_namespace(path)) {
		path_of_process(1, path, first);
		path_of_process(runtime, path, theirs);
		/* The runtime knows which one it means. */
		if (*first && (!*theirs || (!stat(first, &a) && !stat(theirs, &b) && find_same_file(&a, &b))))
			found = first;
		else if (*theirs)
			found = theirs;
	}
	snprintf(out, size, "%s", strlen(found) < size ? found : path);
}
