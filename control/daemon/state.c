/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c - the configuration, kept in files so that a restart restores it
 *
 *   state_put     .NAME.tmp --write, fsync--> rename to NAME.json --fsync of the directory--> done
 *   state_load    NAME.json --parse--> restore() --refused or damaged--> NAME.json.bad
 *
 * Invariants: a file is complete or not there, also after a power cut; when state_put() returns, the object is on disk.
 * One bad file costs one object: it is set aside for a person to look at, and the others are restored. Leftover .tmp
 * files are removed at the next load.
 *
 * The lock is flock(2) on a file in the directory: the kernel releases it however the process ends. The id in it is
 * only for the message.
 *
 * One thread, that of the control socket.
 */
#include "control/daemon/state.h"
#include "tap/base/file.h"
#include "tap/base/log.h"
#include "tap/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".json"
#define MAX_FILE (1 << 20) /* bytes; ours have a few thousand */

struct state {
	int directory;
	int lock;
	char path[PATH_MAX];
};

static const char *const kinds[] = {"gateways", "ports", "fdb"};
_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == STATE_KINDS, "a directory for every kind");

/* ---- opening ---- */

static int refuse_second(int lock, const char *path, struct failure *why)
{
	char pid[16] = "";

	ssize_t got = pread(lock, pid, sizeof(pid) - 1, 0);
	pid[got > 0 ? got : 0] = '\0';
	pid[strspn(pid, "0123456789")] = '\0';
	return fail(why, -EBUSY, "state_dir",
		    "state_dir: %.128s is in use by podswitchd with process id %s; stop it or give another directory",
		    path, pid[0] ? pid : "unknown");
}

static int take_lock(struct state *state, struct failure *why)
{
	state->lock = openat(state->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (state->lock < 0)
		return fail(why, -errno, "state_dir", "state_dir: cannot make %.128s/lock: %s", state->path,
			    strerror(errno));
	if (flock(state->lock, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK)
			return refuse_second(state->lock, state->path, why);
		return fail(why, -errno, "state_dir", "state_dir: cannot lock %.128s: %s", state->path,
			    strerror(errno));
	}
	if (ftruncate(state->lock, 0) || dprintf(state->lock, "%ld\n", (long)getpid()) < 0)
		return fail(why, -errno, "state_dir", "state_dir: cannot write %.128s/lock: %s", state->path,
			    strerror(errno));
	return 0;
}

int state_open(const char *path, struct state **out, struct failure *why)
{
	int error = file_make_directory(path, "state_dir", why);
	if (error)
		return error;
	struct state *state = calloc(1, sizeof(*state));
	if (!state)
		return fail(why, -ENOMEM, NULL, "out of memory");
	state->lock = -1;
	snprintf(state->path, sizeof(state->path), "%s", path);
	state->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->directory < 0)
		error = fail(why, -errno, "state_dir", "state_dir: cannot open %.128s: %s", path, strerror(errno));
	else
		error = take_lock(state, why);
	if (error) {
		state_close(state);
		return error;
	}
	*out = state;
	return 0;
}

void state_close(struct state *state)
{
	if (!state)
		return;
	if (state->lock >= 0)
		close(state->lock);
	if (state->directory >= 0)
		close(state->directory);
	free(state);
}

/* Opened for each use, so that we go on after somebody has emptied the state directory. */
static int open_kind(const struct state *state, enum state_kind kind)
{
	int unmade = mkdirat(state->directory, kinds[kind], 0700) ? errno : 0;
	int fd = openat(state->directory, kinds[kind], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		return fd;
	return errno == ENOENT && unmade ? -unmade : -errno;
}

/* ---- writing ---- */

static int state_write(int directory, const char *name, const char *text)
{
	char file[NAME_MAX + 1], temporary[NAME_MAX + 1];

	snprintf(file, sizeof(file), "%.230s" SUFFIX, name);
	snprintf(temporary, sizeof(temporary), ".%.230s.tmp", name);
	return file_replace(directory, temporary, file, text, strlen(text), 0600);
}

int state_put(struct state *state, enum state_kind kind, const char *name, const json_t *params, struct failure *why)
{
	char *text = json_dumps(params, JSON_INDENT(1));
	int directory = open_kind(state, kind);
	int error = directory < 0 ? directory : 0;

	if (!error)
		error = text ? state_write(directory, name, text) : -ENOMEM;
	if (directory >= 0)
		close(directory);
	free(text);
	if (!error)
		return 0;
	return fail(why, error, "state_dir",
		    "state_dir: cannot write %.80s/%s/%.64s: %s; it is in force, but a restart will not know it",
		    state->path, kinds[kind], name, strerror(-error));
}

int state_remove(struct state *state, enum state_kind kind, const char *name, struct failure *why)
{
	char file[NAME_MAX + 1];
	int directory = open_kind(state, kind);
	int error = directory < 0 ? directory : 0;

	snprintf(file, sizeof(file), "%.230s" SUFFIX, name);
	if (!error && unlinkat(directory, file, 0) && errno != ENOENT)
		error = -errno;
	if (!error && fsync(directory))
		error = -errno;
	if (directory >= 0)
		close(directory);
	if (!error || error == -ENOENT)
		return 0;
	return fail(why, error, "state_dir",
		    "state_dir: cannot remove %.80s/%s/%.64s: %s; it is gone, but a restart will bring it back",
		    state->path, kinds[kind], name, strerror(-error));
}

/* ---- reading ---- */

struct names {
	char **list;
	size_t count;
};

static int state_compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_add(struct names *names, const char *file, size_t length)
{
	char **list = realloc(names->list, (names->count + 1) * sizeof(*list));

	if (!list)
		return;
	names->list = list;
	list[names->count] = strndup(file, length);
	if (list[names->count])
		names->count++;
}

static void names_free(struct names *names)
{
	while (names->count)
		free(names->list[--names->count]);
	free(names->list);
}

/* The names of all objects of a kind, sorted. Removes leftovers of killed writes. Takes over `directory`. */
static struct names list_names(int directory)
{
	struct names names = {0};
	DIR *stream = fdopendir(directory);

	if (!stream) {
		close(directory);
		return names;
	}
	for (struct dirent *entry; (entry = readdir(stream));) {
		const char *name = entry->d_name;
		if (*name == '.' && text_ends_with(name, ".tmp"))
			unlinkat(directory, name, 0);
		else if (*name != '.' && text_ends_with(name, SUFFIX))
			names_add(&names, name, strlen(name) - strlen(SUFFIX));
	}
	closedir(stream);
	if (names.count)
		qsort(names.list, names.count, sizeof(*names.list), state_compare_names);
	return names;
}

static int state_read(int directory, const char *name, json_t **out, struct failure *why)
{
	char file[NAME_MAX + 1], *text = NULL;
	json_error_t where;
	size_t length;

	snprintf(file, sizeof(file), "%s" SUFFIX, name);
	int error = file_read(directory, file, O_NOFOLLOW, MAX_FILE, &text, &length, NULL);
	if (error)
		return fail(why, error, NULL, "cannot be read: %s", strerror(-error));
	json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	free(text);
	if (!json_is_object(value)) {
		json_decref(value);
		return fail(why, -EINVAL, NULL, "is damaged: %s", value ? "not an object" : where.text);
	}
	*out = value;
	return 0;
}

static void state_set_aside(int directory, const char *kind, const char *name, const struct failure *why)
{
	char file[NAME_MAX + 1], bad[NAME_MAX + 1];

	snprintf(file, sizeof(file), "%.230s" SUFFIX, name);
	snprintf(bad, sizeof(bad), "%.230s" SUFFIX ".bad", name);
	int error = renameat(directory, file, directory, bad) ? errno : 0;
	log_line(LOG_WARNING, "state: %s/%s" SUFFIX " %s%s; %s%s", kind, name, why->key[0] ? "is refused: " : "",
		 why->text, error ? "it cannot be set aside: " : "set aside as .bad, the rest goes on",
		 error ? strerror(error) : "");
}

static unsigned load_kind(struct state *state, enum state_kind kind, state_restore *restore, void *context)
{
	unsigned count = 0;
	int directory = open_kind(state, kind);

	if (directory < 0) {
		log_line(LOG_WARNING, "state: cannot open %s/%s: %s", state->path, kinds[kind], strerror(-directory));
		return 0;
	}
	struct names names = list_names(dup(directory));
	for (size_t i = 0; i < names.count; i++) {
		struct failure why = {0};
		json_t *params = NULL;
		int error = state_read(directory, names.list[i], &params, &why);
		if (!error)
			error = restore(context, kind, names.list[i], params, &why);
		json_decref(params);
		if (error)
			state_set_aside(directory, kinds[kind], names.list[i], &why);
		else
			count++;
	}
	names_free(&names);
	close(directory);
	return count;
}

unsigned state_load(struct state *state, state_restore *restore, void *context)
{
	unsigned count = 0;

	for (int kind = 0; kind < STATE_KINDS; kind++)
		count += load_kind(state, (enum state_kind)kind, restore, context);
	return count;
}

int state_prune(struct state *state, enum state_kind kind, bool (*keep)(void *context, const char *name), void *context,
		struct failure *why)
{
	int first = 0;
	int directory = open_kind(state, kind);

	if (directory < 0)
		return 0;
	struct names names = list_names(directory);
	for (size_t i = 0; i < names.count; i++) {
		int error = keep(context, names.list[i]) ? 0 : state_remove(state, kind, names.list[i], why);
		first = first ? first : error;
	}
	names_free(&names);
	return first;
}
