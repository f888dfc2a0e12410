/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.c - the configuration, kept in files so that a restart restores it
 *
 *   state_put     .NAME.tmp --write, fsync--> rename to NAME.json --fsync of the directory--> done
 *   state_load    NAME.json --parse--> restore() --refused or damaged--> NAME.json.bad
 *                                               '--anything else--> waiting --> state_retry
 *
 * Invariants: a file is complete or not there, also after a power cut; when state_put() returns, the object is on disk.
 * One bad file costs one object: it is set aside for a person to look at, and the others are restored. What fails for
 * a reason that may pass, as for want of memory, is not bad: its file stays, and it is tried again, so that a shortage
 * at the start does not cost the configuration. What is missing (-ENOENT), as an entry's gateway, may be waiting
 * itself. Leftover .tmp files are removed at the next load.
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

struct names {
	char **list;
	size_t count;
};

struct state {
	int directory;
	int lock;
	char path[PATH_MAX];
	struct names waiting[STATE_KINDS]; /* to be restored */
	bool unread[STATE_KINDS];          /* the directory could not be read: all of it is */
};

static const char *const kinds[] = {"gateways", "ports", "fdb"};
_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == STATE_KINDS, "a directory for every kind");

/* ---- names ---- */

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

static void names_drop(struct names *names, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->list[i], name) != 0)
			names->list[n++] = names->list[i];
		else
			free(names->list[i]);
	}
	names->count = n;
}

static void names_free(struct names *names)
{
	while (names->count)
		free(names->list[--names->count]);
	free(names->list);
	names->list = NULL;
}

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
	return state_own(state, why);
}

int state_own(struct state *state, struct failure *why)
{
	if (ftruncate(state->lock, 0) || lseek(state->lock, 0, SEEK_SET) ||
	    dprintf(state->lock, "%ld\n", (long)getpid()) < 0)
		return fail(why, -errno, "state_dir", "state_dir: cannot write %.128s/lock: %s", state->path,
			    strerror(errno));
	return 0;
}

/* The lock that was handed to us must be that of this directory. */
static int keep_lock(struct state *state, int lock, struct failure *why)
{
	struct stat ours, theirs;

	state->lock = lock;
	if (fstat(lock, &theirs))
		return fail(why, -errno, "state_dir", "state_dir: cannot examine the lock: %s", strerror(errno));
	if (fstatat(state->directory, "lock", &ours, AT_SYMLINK_NOFOLLOW))
		ours = (struct stat){0}; /* a directory that is nobody's */
	if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
		return fail(
			why, -EXDEV, "state_dir",
			"state_dir: %.128s is not the directory of the podswitchd that is taken over from; give that "
			"one",
			state->path);
	return 0;
}

/* `lock` is -1, or a descriptor that holds the lock already. */
static int state_open_with(const char *path, int lock, struct state **out, struct failure *why)
{
	int error = file_make_directory(path, "state_dir", why);
	struct state *state = error ? NULL : calloc(1, sizeof(*state));
	if (!state) {
		if (lock >= 0)
			close(lock);
		return error ? error : fail(why, -ENOMEM, NULL, "out of memory");
	}
	state->lock = -1;
	snprintf(state->path, sizeof(state->path), "%s", path);
	state->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->directory < 0 && lock >= 0)
		close(lock);
	if (state->directory < 0)
		error = fail(why, -errno, "state_dir", "state_dir: cannot open %.128s: %s", path, strerror(errno));
	else
		error = lock < 0 ? take_lock(state, why) : keep_lock(state, lock, why);
	if (error) {
		state_close(state);
		return error;
	}
	*out = state;
	return 0;
}

int state_open(const char *path, struct state **out, struct failure *why)
{
	return state_open_with(path, -1, out, why);
}

int state_open_locked(const char *path, int lock, struct state **out, struct failure *why)
{
	return state_open_with(path, lock, out, why);
}

int state_lock_fd(const struct state *state)
{
	return state->lock;
}

void state_close(struct state *state)
{
	if (!state)
		return;
	if (state->lock >= 0)
		close(state->lock);
	if (state->directory >= 0)
		close(state->directory);
	for (int kind = 0; kind < STATE_KINDS; kind++)
		names_free(&state->waiting[kind]);
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
	names_drop(&state->waiting[kind], name);
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

	names_drop(&state->waiting[kind], name);
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

/* The names of all objects of a kind, sorted. Removes leftovers of killed writes. 0 or a negative errno. */
static int list_names(const struct state *state, enum state_kind kind, struct names *names)
{
	int directory = open_kind(state, kind);
	DIR *stream = directory < 0 ? NULL : fdopendir(directory);

	if (!stream) {
		int error = directory < 0 ? directory : -errno;
		if (directory >= 0)
			close(directory);
		return error;
	}
	for (struct dirent *entry; (entry = readdir(stream));) {
		const char *name = entry->d_name;
		if (*name == '.' && text_ends_with(name, ".tmp"))
			unlinkat(directory, name, 0);
		else if (*name != '.' && text_ends_with(name, SUFFIX))
			names_add(names, name, strlen(name) - strlen(SUFFIX));
	}
	closedir(stream);
	if (names->count)
		qsort(names->list, names->count, sizeof(*names->list), state_compare_names);
	return 0;
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

/* What cannot be understood, now or later: damaged, no file of ours, or refused for what it says. */
static bool is_bad(const struct state *state, int error)
{
	bool waiting = false;

	for (int kind = 0; kind < STATE_KINDS; kind++)
		waiting = waiting || state->waiting[kind].count || state->unread[kind];
	return error == -EINVAL || error == -EFBIG || error == -ELOOP || error == -EISDIR ||
	       (error == -ENOENT && !waiting);
}

/* 0: it is restored, or its file is gone. */
static int restore_file(struct state *state, enum state_kind kind, const char *name, state_restore *restore,
			void *context, struct failure *why)
{
	int directory = open_kind(state, kind);
	json_t *params = NULL;

	if (directory < 0)
		return fail(why, directory, NULL, "cannot be read: %s", strerror(-directory));
	int error = state_read(directory, name, &params, why);
	if (!error)
		error = restore(context, kind, name, params, why);
	json_decref(params);
	if (error && is_bad(state, error))
		state_set_aside(directory, kinds[kind], name, why);
	close(directory);
	return error;
}

/* Takes over the list. What fails and is not bad goes to `waiting`; the log has it the first time. */
static unsigned restore_names(struct state *state, enum state_kind kind, struct names *names, bool again,
			      state_restore *restore, void *context)
{
	unsigned count = 0;

	for (size_t i = 0; i < names->count; i++) {
		struct failure why = {0};
		const char *name = names->list[i];
		int error = restore_file(state, kind, name, restore, context, &why);
		if (error && !is_bad(state, error)) {
			names_add(&state->waiting[kind], name, strlen(name));
			log_line(again ? LOG_DEBUG : LOG_WARNING,
				 "state: %s/%s" SUFFIX " cannot be taken up yet: %s; it stays, and is tried again",
				 kinds[kind], name, why.text);
		} else if (!error) {
			count++;
		}
	}
	names_free(names);
	return count;
}

static unsigned load_kind(struct state *state, enum state_kind kind, state_restore *restore, void *context)
{
	struct names names = {0};
	int error = list_names(state, kind, &names);

	if (error && !state->unread[kind])
		log_line(LOG_WARNING, "state: cannot open %s/%s: %s", state->path, kinds[kind], strerror(-error));
	state->unread[kind] = error && error != -ENOENT && error != -ENOTDIR && error != -ELOOP;
	return restore_names(state, kind, &names, false, restore, context);
}

unsigned state_load(struct state *state, state_restore *restore, void *context)
{
	unsigned count = 0;

	for (int kind = 0; kind < STATE_KINDS; kind++)
		count += load_kind(state, (enum state_kind)kind, restore, context);
	return count;
}

unsigned state_retry(struct state *state, state_restore *restore, void *context)
{
	unsigned count = 0;

	for (int kind = 0; kind < STATE_KINDS; kind++) {
		struct names names = state->waiting[kind];
		state->waiting[kind] = (struct names){0};
		count += state->unread[kind]
				 ? load_kind(state, (enum state_kind)kind, restore, context)
				 : restore_names(state, (enum state_kind)kind, &names, true, restore, context);
		if (names.list)
			names_free(&names);
	}
	return count;
}

bool state_waits(const struct state *state, enum state_kind kind, const char *name)
{
	for (size_t i = 0; i < state->waiting[kind].count; i++)
		if (!strcmp(state->waiting[kind].list[i], name))
			return true;
	return state->unread[kind];
}

int state_prune(struct state *state, enum state_kind kind, bool (*keep)(void *context, const char *name), void *context,
		struct failure *why)
{
	struct names names = {0};
	int first = 0;

	if (list_names(state, kind, &names))
		return 0;
	for (size_t i = 0; i < names.count; i++) {
		bool stays = state_waits(state, kind, names.list[i]) || keep(context, names.list[i]);
		int error = stays ? 0 : state_remove(state, kind, names.list[i], why);
		first = first ? first : error;
	}
	names_free(&names);
	return first;
}
