/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confdir.c - our entry in the network configuration of a node, which belongs to somebody else
 *
 * Runtimes watch the directory and read the file whose name comes first, at any moment. So at every moment there must
 * be a complete configuration, and nothing but our entry may change:
 *
 *   10-x.conflist   The text is spliced (splice.h), parsed again and compared with the expected tree; only then it is
 *                   renamed over the old file. Anything unexpected: "edit it by hand".
 *
 *   10-x.conf, 10-x.json   One plugin, which cannot be chained. chain_single() goes through these states:
 *
 *       10-x.conf                                       what the runtime reads
 *       10-x.conf  10-x.conflist                        still 10-x.conf, which sorts first
 *       10-x.conf.podswitch-saved  10-x.conflist        the list, with our entry
 *
 *     and confdir_restore() goes back the same way, when the list without our entry is still the one we made.
 *
 * A program that was killed between two steps leaves one of these states; chaining again goes on from each of them.
 * Another program that changes a file while we edit it wins: conffile_write() returns -EAGAIN and the caller reads it
 * again. Several of us take turns by a lock on the directory.
 *
 * Any process; one thread.
 */
#include "control/cni/confdir.h"

#include "control/base/json.h"
#include "control/cni/conffile.h"
#include "control/cni/refusal.h"
#include "control/cni/splice.h"
#include "tap/base/file.h"
#include "tap/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAVED ".podswitch-saved"

static bool is_single(const char *name)
{
	return text_ends_with(name, ".conf") || text_ends_with(name, ".json");
}

static int is_configuration(const struct dirent *entry)
{
	if (entry->d_type == DT_DIR)
		return false;
	return is_single(entry->d_name) || text_ends_with(entry->d_name, ".conflist");
}

static int is_saved(const struct dirent *entry)
{
	return text_ends_with(entry->d_name, SAVED);
}

/* By bytes, as runtimes sort; not by the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int list(const char *dir, int (*wanted)(const struct dirent *), struct dirent ***out, struct failure *why)
{
	int count = scandir(dir, out, wanted, by_name);

	if (count < 0)
		return fail(why, -errno, "conf_dir", "conf_dir: cannot read %.160s: %s", dir, strerror(errno));
	return count;
}

static void free_list(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

/* ---- texts ---- */

static bool plugin_is_ours(const json_t *plugin)
{
	return !strcmp(json_text(plugin, "type"), CONFDIR_TYPE);
}

/* The index of our entry; the number of plugins when there is none. */
static size_t find_ours(const json_t *document)
{
	const json_t *plugins = json_object_get(document, "plugins");
	size_t index = 0;

	while (index < json_array_size(plugins) && !plugin_is_ours(json_array_get(plugins, index)))
		index++;
	return index;
}

/* A configuration of the loopback interface alone; that of the pods' network is still to come. */
static bool confdir_is_loopback(const json_t *document)
{
	const json_t *plugins = json_object_get(document, "plugins");
	const json_t *only = plugins && json_array_size(plugins) == 1 ? json_array_get(plugins, 0) : document;

	return !strcmp(json_text(only, "type"), "loopback");
}

/* Whether a parser reads `expected` in `text`. */
static bool text_is_json(const char *text, const json_t *expected)
{
	json_t *got = text ? json_loads(text, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
	bool same = got && json_equal(got, expected);

	json_decref(got);
	return same;
}

/* `value` with its integers as reals, as conffile_read() parses them. */
static json_t *with_reals(const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);
	json_t *read = text ? json_loads(text, JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, NULL) : NULL;

	free(text);
	return read;
}

/* `text` with `entry` (a text) as plugin number `index`: it replaces the one there, or comes after the last. */
static char *confdir_put_entry(const char *text, size_t index, const char *entry)
{
	struct span plugins, there;

	if (!span_member(text, span_value(text), "plugins", &plugins))
		return NULL;
	if (span_element(text, plugins, index, &there))
		return splice_replace(text, there, entry);
	return splice_append(text, plugins, entry);
}

static char *confdir_remove_entry(const char *text, size_t index)
{
	struct span plugins;

	return span_member(text, span_value(text), "plugins", &plugins) ? splice_remove(text, plugins, index) : NULL;
}

/* Plugin number `index` as a tree with exact integers; NULL when there is none. */
static json_t *present_entry(const char *text, size_t index)
{
	struct span plugins, there;

	if (!span_member(text, span_value(text), "plugins", &plugins) || !span_element(text, plugins, index, &there))
		return NULL;
	return json_loadb(text + there.start, there.end - there.start, 0, NULL);
}

/* The list that means the same as a single-plugin file. NULL when that has no name, or without memory. */
static char *list_of_single(const char *text)
{
	struct span all = span_value(text), name, version;
	char *out = NULL;

	if (!span_member(text, all, "name", &name) || !span_member(text, all, "cniVersion", &version))
		return NULL;
	if (asprintf(&out, "{\n  \"cniVersion\": %.*s,\n  \"name\": %.*s,\n  \"plugins\": [\n    %.*s\n  ]\n}\n",
		     (int)(version.end - version.start), text + version.start, (int)(name.end - name.start),
		     text + name.start, (int)(all.end - all.start), text + all.start) < 0)
		return NULL;
	return out;
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
	if (plugin_is_ours(json_array_get(plugins, 0)))
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

/* *out: our entry at `index`, if there is one, with the values of `entry`. Returns whether it has them already. */
static bool confdir_merge(const char *text, size_t index, const json_t *entry, json_t **out)
{
	json_t *present = present_entry(text, index);

	*out = present ? json_deep_copy(present) : json_object();
	json_object_update(*out, (json_t *)entry);
	bool same = present && json_equal(present, *out);
	json_decref(present);
	return same;
}

/* Does to the tree what confdir_put_entry() does to the text. */
static void put_into_tree(json_t *document, size_t index, const json_t *entry)
{
	json_t *plugins = json_object_get(document, "plugins"), *read = with_reals(entry);

	if (index < json_array_size(plugins))
		json_array_set_new(plugins, index, read);
	else
		json_array_append_new(plugins, read);
}

/* Writes `text` with our entry added to `path`. `text` is that of `file`, or the list made of it. */
static int chain_text(const struct conffile *file, const char *path, const char *text, const json_t *entry,
		      struct failure *why)
{
	json_t *document = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL), *merged = NULL;
	size_t index = find_ours(document);

	int error = check_plugins(file, document, why);
	bool done = !error && confdir_merge(text, index, entry, &merged) && !strcmp(path, file->path);
	if (!error && !done) {
		char *entry_text = json_dumps(merged, 0);
		char *chained = entry_text ? confdir_put_entry(text, index, entry_text) : NULL;
		put_into_tree(document, index, merged);
		error = text_is_json(chained, document) ? conffile_write(file, path, chained, why)
							: edit_by_hand(file, why);
		free(chained);
		free(entry_text);
	}
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
	char *without = document ? confdir_remove_entry(there, find_ours(document)) : NULL;
	bool same = without && (!strcmp(without, text) || !access(saved, F_OK));

	free(without);
	json_decref(document);
	free(there);
	return same;
}

static int chain_single(const char *dir, const char *name, const struct conffile *file, const json_t *entry,
			struct failure *why)
{
	char path[PATH_MAX], list_path[PATH_MAX], saved[PATH_MAX];

	/* Not file->path, which is behind symbolic links: here the link itself is moved aside. */
	int error = snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path) ? 0 : -ENAMETOOLONG;
	if (!error)
		error = paths_beside(path, list_path, saved, why);
	if (error)
		return error;
	char *text = list_of_single(file->text);
	if (!text)
		error = fail(why, -EBADMSG, "name", "%.160s has no name", path);
	else if (!access(list_path, F_OK) && !list_is_ours(list_path, saved, text))
		error = fail(why, -EEXIST, "conf_dir",
			     "%.120s is in the way of a list made of %.60s: remove one of the two", list_path, name);
	else
		error = chain_text(file, list_path, text, entry, why);
	/* Until this rename runtimes read the old file, whose name sorts first. */
	if (!error && rename(path, saved))
		error = fail(why, -errno, NULL, "cannot move %.160s aside: %s", path, strerror(errno));
	free(text);
	return error;
}

static int chain_file(const char *dir, const char *name, const json_t *entry, struct failure *why)
{
	struct conffile file;

	int error = conffile_read(dir, name, &file, why);
	if (!error && confdir_is_loopback(file.document))
		error = -ENOENT;
	if (!error)
		error = confdir_check_version(&file, why);
	if (!error && is_single(name))
		error = chain_single(dir, name, &file, entry, why);
	else if (!error)
		error = chain_text(&file, file.path, file.text, entry, why);
	conffile_free(&file);
	return error;
}

static int chain_first(const char *dir, const json_t *entry, struct failure *why)
{
	struct dirent **names;
	int count = list(dir, is_configuration, &names, why);

	if (count < 0)
		return count;
	int error = -ENOENT;
	for (int i = 0; i < count && error == -ENOENT; i++)
		error = chain_file(dir, names[i]->d_name, entry, why);
	free_list(names, count);
	if (error != -ENOENT)
		return error;
	return fail(why, -ENOENT, "conf_dir", "no network configuration is in %.160s", dir);
}

int confdir_chain(const char *dir, const char *file, const json_t *entry, struct failure *why)
{
	int locked = conffile_lock(dir);
	int error = file ? chain_file(dir, file, entry, why) : chain_first(dir, entry, why);

	if (locked >= 0)
		close(locked);
	return error;
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
	char *list_text = error ? NULL : list_of_single(original);
	bool same = list_text && !strcmp(list_text, text);

	free(list_text);
	free(original);
	return same;
}

/* Our entry is out of `text`, the list of `file`. */
static int confdir_restore(const struct conffile *file, const char *text, struct failure *why)
{
	char single[PATH_MAX], saved[PATH_MAX];

	if (!saved_of(file->path, single, saved) || !list_is_made_of(saved, text) || !access(single, F_OK))
		return conffile_write(file, file->path, text, why);
	/* In this order there is a complete configuration at every moment. */
	if (rename(saved, single) || unlink(file->path))
		return fail(why, -errno, NULL, "cannot bring %.160s back: %s", single, strerror(errno));
	return 0;
}

static int unchain_file(const char *dir, const char *name, struct failure *why)
{
	struct conffile file;

	int error = conffile_read(dir, name, &file, why);
	json_t *plugins = json_object_get(file.document, "plugins");
	size_t index = find_ours(file.document);
	/* We only chain behind others, so an entry that is alone is not from us. */
	bool ours = !error && index < json_array_size(plugins) && json_array_size(plugins) > 1;
	if (ours) {
		char *text = confdir_remove_entry(file.text, index);
		json_array_remove(plugins, index);
		error = text_is_json(text, file.document) ? confdir_restore(&file, text, why)
							  : edit_by_hand(&file, why);
		free(text);
	} else if (!file.text || !strstr(file.text, CONFDIR_TYPE)) {
		error = 0; /* a file that cannot be parsed, without our name in it, has no entry of ours */
	}
	conffile_free(&file);
	return error;
}

/* Again when another program changed the file meanwhile. */
static int unchain_retrying(const char *dir, const char *name, struct failure *why)
{
	int error = -EAGAIN;

	for (unsigned i = 0; i < 10 && error == -EAGAIN; i++)
		error = unchain_file(dir, name, why);
	return error;
}

/* The list is gone, removed by somebody: its saved file comes back, unless there is another in its place. */
static void restore_saved(const char *dir, const char *saved)
{
	char from[PATH_MAX], single[PATH_MAX], list_path[PATH_MAX], scrap[PATH_MAX];

	if (snprintf(from, sizeof(from), "%s/%s", dir, saved) >= (int)sizeof(from))
		return;
	snprintf(single, sizeof(single), "%.*s", (int)(strlen(from) - strlen(SAVED)), from);
	if (!is_single(single) || paths_beside(single, list_path, scrap, NULL))
		return;
	if (access(single, F_OK) && access(list_path, F_OK))
		rename(from, single);
}

int confdir_unchain(const char *dir, struct failure *why)
{
	struct failure further;
	struct dirent **names;
	int locked = conffile_lock(dir), first = 0;
	int count = list(dir, is_configuration, &names, why);

	for (int i = 0; i < count; i++) {
		int error = unchain_retrying(dir, names[i]->d_name, first ? &further : why);
		first = first ? first : error;
	}
	if (count >= 0)
		free_list(names, count);
	int saved = count < 0 ? count : list(dir, is_saved, &names, &further);
	for (int i = 0; i < saved; i++)
		restore_saved(dir, names[i]->d_name);
	if (saved >= 0)
		free_list(names, saved);
	if (locked >= 0)
		close(locked);
	return count < 0 ? count : first;
}
