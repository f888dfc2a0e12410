/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_folders.c - the folders that this node's containerd reads its CNI configuration and plugins from */
#include "control/kube/runtime_folders.h"
#include "tap/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LONGEST_CMDLINE 65536      /* bytes of /proc/PID/cmdline that we read */
#define LONGEST_CONFIG (1UL << 20) /* bytes of containerd's configuration */
#define USUAL_CONFIG "/etc/containerd/config.toml"

static bool same_inode(const char *a, const char *b)
{
	struct stat left, right;

	return !stat(a, &left) && !stat(b, &right) && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

/* One in our own network namespace, which is the node's: on some machines there are several nodes. */
static bool is_our_containerd(const char *pid)
{
	char path[64], *name = NULL;
	size_t length;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	if (file_read(AT_FDCWD, path, 0, 64, &name, &length, NULL))
		return false;
	bool containerd = !strcmp(name, "containerd\n");
	free(name);
	snprintf(path, sizeof(path), "/proc/%.20s/ns/net", pid);
	return containerd && same_inode(path, "/proc/self/ns/net");
}

static bool find_containerd(char pid[static 32])
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	bool found = false;

	while (proc && !found && (entry = readdir(proc))) {
		found = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_our_containerd(entry->d_name);
		if (found)
			snprintf(pid, 32, "%.31s", entry->d_name);
	}
	if (proc)
		closedir(proc);
	return found;
}

/* The file that a command line names by --config FILE, --config=FILE or -c FILE. Words end in NUL. */
static const char *config_of(const char *words, size_t length)
{
	bool next = false;

	for (const char *word = words; word < words + length; word += strlen(word) + 1) {
		if (next)
			return word;
		if (!strncmp(word, "--config=", 9))
			return word + 9;
		next = !strcmp(word, "--config") || !strcmp(word, "-c");
	}
	return USUAL_CONFIG;
}

/* The first text of `key = "text"` or `key = ["text"`; else `usual`. As much of TOML as these files have. */
static void read_toml(const char *text, const char *key, const char *usual, char *out, size_t size)
{
	size_t length = strlen(key);

	if (usual != out)
		snprintf(out, size, "%s", usual);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, " \t\r\n");
		const char *value = line + length;
		if (strncmp(line, key, length) != 0)
			continue;
		value += strspn(value, " \t");
		if (*value != '=')
			continue;
		value += 1 + strspn(value + 1, " \t[\r\n");
		if (*value == '"' || *value == '\'')
			snprintf(out, size, "%.*s", (int)strcspn(value + 1, "\"'\n"), value + 1);
	}
}

struct folders {
	char root[64]; /* of the process */
	char conf[PATH_MAX / 2], bin[PATH_MAX / 2];
};

static bool read_folders(const char *pid, struct folders *out)
{
	char path[PATH_MAX], *words = NULL, *text = NULL;
	size_t length;

	snprintf(out->root, sizeof(out->root), "/proc/%.20s/root", pid);
	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	if (file_read(AT_FDCWD, path, 0, LONGEST_CMDLINE, &words, &length, NULL))
		return false;
	snprintf(path, sizeof(path), "%s%.4000s", out->root, config_of(words, length));
	free(words);
	if (file_read(AT_FDCWD, path, 0, LONGEST_CONFIG, &text, &length, NULL))
		return false;
	read_toml(text, "conf_dir", "/etc/cni/net.d", out->conf, sizeof(out->conf));
	read_toml(text, "bin_dir", "/opt/cni/bin", out->bin, sizeof(out->bin));
	read_toml(text, "bin_dirs", out->bin, out->bin, sizeof(out->bin));
	free(text);
	return true;
}

static bool folder_is(const struct folders *folders, const char *theirs, const char *ours)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%.4000s", folders->root, theirs);
	return same_inode(path, ours);
}

bool runtime_is_containerd(void)
{
	char pid[32];

	return find_containerd(pid);
}

bool runtime_folders_differ(const char *conf_dir, const char *bin_dir, char *out, size_t size)
{
	struct folders folders;
	char pid[32];

	if (!find_containerd(pid) || !read_folders(pid, &folders))
		return false;
	bool conf = folder_is(&folders, folders.conf, conf_dir), bin = folder_is(&folders, folders.bin, bin_dir);
	snprintf(out, size,
		 "containerd reads its CNI configuration in %.200s and its plugins in %.200s, and the DaemonSet has "
		 "another "
		 "folder for %s: podswitch-cni is not called. Give the volume that path (see deploy/overlays)",
		 folders.conf, folders.bin, !conf ? "the first (volume cni-conf)" : "the second (volume cni-bin)");
	return !conf || !bin;
}
