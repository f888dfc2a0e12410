/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confdir.c - our entry in the network configuration of a node, which belongs to somebody else
 *
 * Runtimes watch the directory and read the file whose name comes first, at any moment. So at every moment there must
 * be a complete configuration, and nothing but our entry may change:
 *
 *   00-podswitch.conflist   Ours: made from the first file's text (own_list.h), which stays as it is.
 *
 *   10-x.conflist   Where ours cannot be first. The text is spliced (splice.h), parsed again and compared with the
 *                   expected tree; only then it is renamed over the old file. Anything unexpected: "edit it by hand".
 *
 *   10-x.conf, 10-x.json   The same, but one plugin, which cannot be chained. chain_single() goes through these states:
 *
 *       10-x.conf                                       what the runtime reads
 *       10-x.conf  10-x.conflist                        still 10-x.conf, which sorts first
 *       10-x.conf.podswitch-saved  10-x.conflist        the list, with our entry
 *
 *     and confdir_restore() goes back the same way, when the list without our entry is still the one we made.
 *
 * From one of the two ways to the other, and from earlier versions, which had only the second: first the new place,
 * then the old one is cleared, so that a runtime finds the entry at every moment.
 *
 * A program that was killed between two steps leaves one of these states; chaining again goes on from each of them.
 * Another program that changes a file while we edit it wins: conffile_write() returns -EAGAIN and the caller reads it
 * again. Several of us take turns by a lock on the directory.
 *
 * Any process; one thread.
 */
#include "control/cni/confdir.h"

#include "control/cni/conffile.h"
#include "control/cni/own_list.h"
#include "control/cni/refusal.h"
#include "tap/base/file.h"
#include "tap/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAVED ".podswitch-saved"

/* A folder that is being edited, or only looked at. */
struct confdir_edit {
	const char *dir;
	const json_t *entry;
	bool only_look;
	bool changed; /* or would be, when it is only looked at */
};

static int edit_write(struct confdir_edit *edit, const struct conffile *file, const char *path, const char *text,
		      struct failure *why)
{
	edit->changed = true;
	return edit->only_look ? 0 : conffile_write(file, path, text, why);
}

static int edit_rename(struct confdir_edit *edit, const char *from, const char *to, struct failure *why)
{
	edit->changed = true;
	if (!edit->only_look && rename(from, to))
		return fail(why, -errno, NULL, "cannot move %.160s to %.160s: %s", from, to, strerror(errno));
	return 0;
}

static int edit_remove(struct confdir_edit *edit, const char *name, struct failure *why)
{
	char path[PATH_MAX];

	edit->changed = true;
	if (snprintf(path, sizeof(path), "%s/%s", edit->dir, name) >= (int)sizeof(path))
		return fail(why, -ENAMETOOLONG, "conf_dir", "conf_dir: give a shorter path");
	if (!edit->only_look && unlink(path) && errno != ENOENT)
		return fail(why, -errno, NULL, "cannot remove %.160s: %s", path, strerror(errno));
	return 0;
}

/* ---- chaining ---- */

static int confdir_check_version(const struct conffile *file, struct failure *why)
{
	const char *version = json_string_value(json_object_get(file->document, "cniVersion"));

	for (unsigned i = 0; version && i < CNI_VERSIONS; i++) {
		if (!strcmp(version, cni_versions[i]))
			return 0;
	}
	/* With an entry that cannot speak that version, the runtime would fail every pod of the node. */
	return fail(
		why, -EPROTONOSUPPORT, "cniVersion",
		"%.120s has cniVersion %.16s; podswitch-cni can follow plugins of 0.3.1, 0.4.0, 1.0.0 and 1.1.0 only",
		file->path, version ? version : "(none)");
}

static int check_plugins(const struct conffile *file, const json_t *document, struct failure *why)
{
	const json_t *plugins = json_object_get(document, "plugins");

	if (!json_is_array(plugins) || !json_array_size(plugins))
		return fail(why, -EBADMSG, "plugins", "%.160s has no plugins", file->path);
	if (plugin_list_is_ours(json_array_get(plugins, 0)))
		return fail(why, -EEXIST, "plugins",
			    "%.120s has podswitch-cni as its first plugin: put the plugin that makes the pods' network "
			    "before "
			    "it",
			    file->path);
	return 0;
}

static int edit_by_hand(const struct conffile *file, struct failure *why)
{
	return fail(why, -EPROTO, "plugins", "%.120s cannot be edited safely: edit it by hand", file->path);
}

/* Does to the tree what plugin_list_put() does to the text. */
static void put_into_tree(json_t *document, size_t index, const json_t *entry)
{
	json_t *plugins = json_object_get(document, "plugins"), *read = plugin_list_with_reals(entry);

	if (index < json_array_size(plugins))
		json_array_set_new(plugins, index, read);
	else
		json_array_append_new(plugins, read);
}

/* Writes `text` with our entry added to `path`. `text` is that of `file`, or the list made of it. */
static int chain_text(struct confdir_edit *edit, const struct conffile *file, const char *path, const char *text,
		      struct failure *why)
{
	json_t *document = plugin_list_parse(text), *merged = NULL;
	size_t index = plugin_list_find_ours(document);
	char *present = plugin_list_get(text, index);

	int error = check_plugins(file, document, why);
	bool done = !error && plugin_list_merge(present, edit->entry, &merged) && !strcmp(path, file->path);
	if (!error && !done) {
		char *entry_text = json_dumps(merged, 0);
		char *chained = entry_text ? plugin_list_put(text, index, entry_text) : NULL;
		put_into_tree(document, index, merged);
		error = plugin_list_reads_as(chained, document) ? edit_write(edit, file, path, chained, why)
								: edit_by_hand(file, why);
		free(chained);
		free(entry_text);
	}
	free(present);
	json_decref(merged);
	json_decref(document);
	return error;
}

/* dir/NAME.conflist for a file dir/NAME.conf, and dir/NAME.conf.podswitch-saved. */
static int paths_beside(const char *path, char list_path[PATH_MAX], char saved[PATH_MAX], struct failure *why)
{
	int stem = (int)(strrchr(path, '.') - path);

	if (snprintf(list_path, PATH_MAX, "%.*s.conflist", stem, path) >= PATH_MAX ||
	    snprintf(saved, PATH_MAX, "%s" SAVED, path) >= PATH_MAX)
		return fail(why, -ENAMETOOLONG, "conf_dir", "conf_dir: give a shorter path");
	return 0;
}

/*
 * A list that is there already is ours when it is the one made of this file (we were stopped before the rename), or
 * when a saved file lies beside it (the owner wrote the single file again).
 */
static bool list_is_ours(const char *list_path, const char *saved, const char *text)
{
	size_t size;
	char *there = NULL;
	int error = file_read(AT_FDCWD, list_path, 0, CONFFILE_MAX, &there, &size, NULL);
	json_t *document = error ? NULL : json_loads(there, 0, NULL);
	char *without = document ? plugin_list_remove(there, plugin_list_find_ours(document)) : NULL;
	bool same = without && (!strcmp(without, text) || !access(saved, F_OK));

	free(without);
	json_decref(document);
	free(there);
	return same;
}

static int chain_single(struct confdir_edit *edit, const char *name, const struct conffile *file, struct failure *why)
{
	char path[PATH_MAX], list_path[PATH_MAX], saved[PATH_MAX];

	/* Not file->path, which is behind symbolic links: here the link itself is moved aside. */
	int error = snprintf(path, sizeof(path), "%s/%s", edit->dir, name) < (int)sizeof(path) ? 0 : -ENAMETOOLONG;
	if (!error)
		error = paths_beside(path, list_path, saved, why);
	if (error)
		return error;
	char *text = plugin_list_of_single(file->text);
	if (!text)
		error = fail(why, -EBADMSG, "name", "%.160s has no name", path);
	else if (!access(list_path, F_OK) && !list_is_ours(list_path, saved, text))
		error = fail(why, -EEXIST, "conf_dir",
			     "%.120s is in the way of a list made of %.60s: remove one of the two", list_path, name);
	else
		error = chain_text(edit, file, list_path, text, why);
	/* Until this rename runtimes read the old file, whose name sorts first. */
	if (!error)
		error = edit_rename(edit, path, saved, why);
	free(text);
	return error;
}

/* ---- our own list ---- */

/* The text of `file` as a list, to be freed, when we can follow it. */
static int confdir_list_text(const struct conffile *file, const char *name, char **out, struct failure *why)
{
	int error = confdir_check_version(file, why);
	char *text = NULL;
	if (!error)
		text = plugin_list_is_single(name) ? plugin_list_of_single(file->text) : strdup(file->text);
	if (!error && !text)
		error = fail(why, -EBADMSG, "name", "%.160s has no name", file->path);
	json_t *document = plugin_list_parse(text);
	if (!error)
		error = check_plugins(file, document, why);
	json_decref(document);
	if (error)
		free(text);
	else
		*out = text;
	return error;
}

static int write_own(struct confdir_edit *edit, const struct conf_scan *scan, const struct conffile *file,
		     const char *text, struct failure *why)
{
	char path[PATH_MAX];
	struct conffile old = {0};

	if (snprintf(path, sizeof(path), "%s/%s", edit->dir, scan->list) >= (int)sizeof(path))
		return fail(why, -ENAMETOOLONG, "conf_dir", "conf_dir: give a shorter path");
	/* A damaged one is written anew. */
	bool readable = *scan->own && !conffile_read(edit->dir, scan->own, &old, NULL);
	bool there = readable && !strcmp(scan->own, scan->list);
	int error = 0;
	if (!there || !own_list_is_fresh(old.text, text, scan->primary, edit->entry)) {
		char *made = own_list_make(text, scan->primary, edit->entry, readable ? old.text : NULL);
		error = made ? edit_write(edit, file, path, made, why) : edit_by_hand(file, why);
		free(made);
	}
	conffile_free(&old);
	return error;
}

static int chain_own(struct confdir_edit *edit, const struct conf_scan *scan, struct failure *why)
{
	struct conffile file;
	char *text = NULL;

	int error = conffile_read(edit->dir, scan->primary, &file, why);
	if (!error)
		error = confdir_list_text(&file, scan->primary, &text, why);
	if (!error)
		error = write_own(edit, scan, &file, text, why);
	free(text);
	conffile_free(&file);
	return error;
}

/* Lists of ours with other names than `keep`. */
static int remove_own(struct confdir_edit *edit, const char *keep, struct failure *why)
{
	struct dirent **names;
	int count = conf_scan_list(edit->dir, NULL, &names, why), error = 0;

	for (int i = 0; i < count; i++) {
		bool ours = conf_scan_is_own(edit->dir, names[i]->d_name);
		if (ours && strcmp(names[i]->d_name, keep) != 0 && !error)
			error = edit_remove(edit, names[i]->d_name, why);
	}
	if (count >= 0)
		conf_scan_free(names, count);
	return count < 0 ? count : error;
}

/* ---- taking out ---- */

/* The saved file that a list was made of, with the path it had; NULL when there is none. */
static const char *saved_of(const char *list_path, char single[PATH_MAX], char saved[PATH_MAX])
{
	static const char *const suffixes[] = {".conf", ".json"};
	int stem = (int)(strrchr(list_path, '.') - list_path);

	for (size_t i = 0; i < 2; i++) {
		if (snprintf(single, PATH_MAX, "%.*s%s", stem, list_path, suffixes[i]) < PATH_MAX &&
		    snprintf(saved, PATH_MAX, "%s" SAVED, single) < PATH_MAX && !access(saved, F_OK))
			return saved;
	}
	return NULL;
}

static bool list_is_made_of(const char *saved, const char *text)
{
	size_t size;
	char *original = NULL;
	int error = file_read(AT_FDCWD, saved, 0, CONFFILE_MAX, &original, &size, NULL);
	char *list_text = error ? NULL : plugin_list_of_single(original);
	bool same = list_text && !strcmp(list_text, text);

	free(list_text);
	free(original);
	return same;
}

/* Our entry is out of `text`, the list of `file`. */
static int confdir_restore(struct confdir_edit *edit, const struct conffile *file, const char *text,
			   struct failure *why)
{
	char single[PATH_MAX], saved[PATH_MAX];

	if (!saved_of(file->path, single, saved) || !list_is_made_of(saved, text) || !access(single, F_OK))
		return edit_write(edit, file, file->path, text, why);
	/* In this order there is a complete configuration at every moment. */
	int error = edit_rename(edit, saved, single, why);
	if (!error && !edit->only_look && unlink(file->path))
		error = fail(why, -errno, NULL, "cannot remove %.160s: %s", file->path, strerror(errno));
	return error;
}

static int unchain_file(struct confdir_edit *edit, const char *name, struct failure *why)
{
	struct conffile file;

	int error = conffile_read(edit->dir, name, &file, why);
	json_t *plugins = json_object_get(file.document, "plugins");
	size_t index = plugin_list_find_ours(file.document);
	/* We only chain behind others, so an entry that is alone is not from us. */
	bool ours = !error && index < json_array_size(plugins) && json_array_size(plugins) > 1;
	if (ours) {
		char *text = plugin_list_remove(file.text, index);
		json_array_remove(plugins, index);
		error = plugin_list_reads_as(text, file.document) ? confdir_restore(edit, &file, text, why)
								  : edit_by_hand(&file, why);
		free(text);
	} else if (!file.text || !strstr(file.text, PLUGIN_LIST_TYPE)) {
		error = 0; /* a file that cannot be parsed, without our name in it, has no entry of ours */
	}
	conffile_free(&file);
	return error;
}

/* Again when another program changed the file meanwhile. */
static int unchain_retrying(struct confdir_edit *edit, const char *name, struct failure *why)
{
	int error = -EAGAIN;

	for (unsigned i = 0; i < 10 && error == -EAGAIN; i++)
		error = unchain_file(edit, name, why);
	return error;
}

/* The list is gone, removed by somebody: its saved file comes back, unless there is another in its place. */
static void restore_saved(const char *dir, const char *saved)
{
	char from[PATH_MAX], single[PATH_MAX], list_path[PATH_MAX], scrap[PATH_MAX];

	if (snprintf(from, sizeof(from), "%s/%s", dir, saved) >= (int)sizeof(from))
		return;
	snprintf(single, sizeof(single), "%.*s", (int)(strlen(from) - strlen(SAVED)), from);
	if (!plugin_list_is_single(single) || paths_beside(single, list_path, scrap, NULL))
		return;
	if (access(single, F_OK) && access(list_path, F_OK))
		rename(from, single);
}

static void restore_all_saved(const char *dir)
{
	struct dirent **names;
	int count = conf_scan_list(dir, SAVED, &names, NULL);

	for (int i = 0; i < count; i++)
		restore_saved(dir, names[i]->d_name);
	if (count >= 0)
		conf_scan_free(names, count);
}

/* Our list as Cilium has renamed it: nobody else would take that away. */
static void remove_taken(struct confdir_edit *edit)
{
	struct conf_scan scan;

	(void)conf_scan(edit->dir, NULL, &scan, NULL);
	if (*scan.taken)
		(void)edit_remove(edit, scan.taken, NULL);
}

/*
 * Multus has found our list first, and calls it by its name: it would start no pod any more. So the file stays, with
 * what we made it from. *keep: its name, or "".
 */
static int leave_for_multus(struct confdir_edit *edit, char keep[static CONF_SCAN_NAME], struct failure *why)
{
	struct conf_scan scan;
	struct conffile file = {0};
	char path[PATH_MAX], *text = NULL;

	keep[0] = '\0';
	int error = conf_scan(edit->dir, NULL, &scan, NULL);
	if (error || !*scan.multus || !*scan.list)
		return 0;
	if (snprintf(path, sizeof(path), "%s/%s", edit->dir, scan.own) >= (int)sizeof(path))
		return fail(why, -ENAMETOOLONG, "conf_dir", "conf_dir: give a shorter path");
	error = conffile_read(edit->dir, scan.primary, &file, why);
	if (!error)
		error = confdir_list_text(&file, scan.primary, &text, why);
	if (!error)
		error = edit_write(edit, &file, path, text, why);
	memcpy(keep, scan.own, CONF_SCAN_NAME);
	free(text);
	conffile_free(&file);
	return error;
}

int confdir_unchain(const char *dir, struct failure *why)
{
	struct confdir_edit edit = {.dir = dir};
	struct failure further;
	struct dirent **names;
	int locked = conffile_lock(dir);
	/* Ours last, so that every file that a runtime finds first is complete. */
	int count = conf_scan_list(dir, NULL, &names, why), first = 0;

	for (int i = count - 1; i >= 0; i--) {
		int error = conf_scan_is_own(dir, names[i]->d_name)
				    ? 0
				    : unchain_retrying(&edit, names[i]->d_name, first ? &further : why);
		first = first ? first : error;
	}
	if (count >= 0) {
		conf_scan_free(names, count);
		restore_all_saved(dir);
		char keep[CONF_SCAN_NAME];
		int error = leave_for_multus(&edit, keep, first ? &further : why);
		first = first ? first : error;
		error = remove_own(&edit, keep, first ? &further : why);
		first = first ? first : error;
		remove_taken(&edit);
	}
	if (locked >= 0)
		close(locked);
	return count < 0 ? count : first;
}

/* ---- putting in ---- */

static int chain_in_place(struct confdir_edit *edit, const char *name, struct failure *why)
{
	struct conffile file;

	int error = conffile_read(edit->dir, name, &file, why);
	if (!error)
		error = confdir_check_version(&file, why);
	if (!error && plugin_list_is_single(name))
		error = chain_single(edit, name, &file, why);
	else if (!error)
		error = chain_text(edit, &file, file.path, file.text, why);
	conffile_free(&file);
	return error;
}

static int chain_folder(struct confdir_edit *edit, const struct conf_scan *scan, struct failure *why)
{
	bool own = *scan->list;
	int error = own ? chain_own(edit, scan, why) : chain_in_place(edit, scan->primary, why);

	if (!error && own)
		error = unchain_file(edit, scan->primary, why);
	return error ? error : remove_own(edit, scan->list, why);
}

/* Whether pods that a runtime starts by this file have our plugin. By one that it cannot read it starts none. */
static bool starts_with_us(const char *dir, const char *name)
{
	struct conffile file;

	bool with = conffile_read(dir, name, &file, NULL) ||
		    plugin_list_find_ours(file.document) < json_array_size(json_object_get(file.document, "plugins"));
	conffile_free(&file);
	return with;
}

static bool confdir_in_force(const char *dir, const struct conf_scan *scan)
{
	bool behind_own = *scan->list || !*scan->primary;

	if (!*scan->own && !*scan->primary)
		return true; /* without a network nothing starts */

	if (*scan->own && behind_own && (!*scan->primary || strcmp(scan->own, scan->primary) < 0))
		return starts_with_us(dir, scan->own);
	return *scan->primary && !scan->multus_copy && starts_with_us(dir, scan->primary);
}

int confdir_look(const char *dir, const char *file, const json_t *entry, struct confdir_look *out, struct failure *why)
{
	struct confdir_edit edit = {.dir = dir, .entry = entry, .only_look = true};

	*out = (struct confdir_look){0};
	int error = conf_scan(dir, file, &out->scan, why);
	out->in_force = confdir_in_force(dir, &out->scan);
	if (!error)
		error = chain_folder(&edit, &out->scan, why);
	out->fresh = !error && !edit.changed;
	return error;
}

int confdir_chain(const char *dir, const char *file, const json_t *entry, struct failure *why)
{
	struct confdir_edit edit = {.dir = dir, .entry = entry, .changed = true};
	struct conf_scan scan;
	int locked = conffile_lock(dir), error = 0;

	/* Once more after a saved file came back, from which the list is then made. */
	for (unsigned i = 0; i < 3 && !error && edit.changed; i++) {
		edit.changed = false;
		error = conf_scan(dir, file, &scan, why);
		if (!error)
			error = chain_folder(&edit, &scan, why);
	}
	if (locked >= 0)
		close(locked);
	return error;
}
