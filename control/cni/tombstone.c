/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tombstone.c - notes of attachments that were deleted while neither the agent nor podswitchd answered
 *
 * A DEL cannot wait for them, and a pod's port must not stay for ever. So the plugin writes down what to remove, one
 * file named after the port, in "tombstones" beside podswitchd's socket: on a tmpfs, as the ports themselves do not
 * survive a reboot. The agent carries the notes out and removes them.
 *
 * Names that begin with a dot are files being written, or left by a writer that was killed; readers skip them. Several
 * plugins may write at once: each temporary name has its writer's process id.
 */
#include "control/cni/tombstone.h"

#include "tap/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NOTE 65536 /* bytes */

static int folder_of(const char *socket, char out[PATH_MAX], struct failure *why)
{
	int error = file_beside(socket, "tombstones", out, PATH_MAX);

	return error ? fail(why, error, "socket", "socket: give a shorter path") : 0;
}

static int tombstone_write(int folder, const char *port, const char *text)
{
	char temporary[NAME_MAX + 1];

	snprintf(temporary, sizeof(temporary), ".%.191s.%ld", port, (long)getpid());
	return file_replace(folder, temporary, port, text, strlen(text), 0600);
}

static int open_folder(const char *path)
{
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return folder < 0 ? -errno : folder;
}

int tombstone_put(const char *socket, const char *port, const json_t *content, struct failure *why)
{
	char path[PATH_MAX];

	int error = folder_of(socket, path, why);
	if (!error)
		error = file_make_directory(path, "tombstones", why);
	if (error)
		return error;
	char *text = json_dumps(content, JSON_COMPACT);
	int folder = open_folder(path);
	if (folder < 0)
		error = folder;
	else
		error = text ? tombstone_write(folder, port, text) : -ENOMEM;
	if (folder >= 0)
		close(folder);
	free(text);
	return error ? fail(why, error, "tombstones", "cannot write into %.120s: %s", path, strerror(-error)) : 0;
}

/* NULL when it is not a note. */
static json_t *tombstone_read(int folder, const char *name)
{
	size_t length;
	char *text = NULL;

	if (file_read(folder, name, O_NOFOLLOW, MAX_NOTE, &text, &length, NULL))
		return NULL;
	json_t *content = json_loadb(text, length, 0, NULL);
	free(text);
	if (json_is_object(content))
		return content;
	json_decref(content);
	return NULL;
}

static int tombstone_each_in(int fd, int (*remove_attachment)(void *, const char *, const json_t *), void *context)
{
	int left = 0;
	DIR *stream = fdopendir(fd);

	if (!stream) {
		close(fd);
		return -ENOMEM;
	}
	for (struct dirent *entry; (entry = readdir(stream));) {
		if (entry->d_name[0] == '.')
			continue;
		json_t *content = tombstone_read(dirfd(stream), entry->d_name);
		if (content && remove_attachment(context, entry->d_name, content))
			left++;
		else
			unlinkat(dirfd(stream), entry->d_name, 0);
		json_decref(content);
	}
	closedir(stream);
	return left;
}

int tombstone_each(const char *socket, int (*remove_attachment)(void *, const char *, const json_t *), void *context)
{
	char path[PATH_MAX];
	int error = folder_of(socket, path, NULL);
	int folder = error ? error : open_folder(path);

	if (folder < 0)
		return folder == -ENOENT ? 0 : folder;
	return tombstone_each_in(folder, remove_attachment, context);
}

int tombstone_clear(const char *socket, struct failure *why)
{
	char path[PATH_MAX];
	int error = folder_of(socket, path, why);

	if (error)
		return error;
	int folder = open_folder(path);
	DIR *stream = folder < 0 ? NULL : fdopendir(folder);
	if (!stream)
		return folder == -ENOENT ? 0 : fail(why, -EIO, NULL, "cannot open %.120s: %s", path, strerror(errno));
	for (struct dirent *entry; (entry = readdir(stream));) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(stream), entry->d_name, 0);
	}
	closedir(stream);
	if (rmdir(path) && errno != ENOENT)
		return fail(why, -errno, NULL, "cannot remove %.120s: %s", path, strerror(errno));
	return 0;
}
