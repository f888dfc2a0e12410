/* SPDX-License-Identifier: Apache-2.0 */
/* conf_scan.c - whose the files in a node's folder of network configurations are, and where our entry belongs */
#include "control/cni/conf_scan.h"

#include "control/base/json.h"
#include "control/cni/conffile.h"
#include "control/cni/own_list.h"
#include "control/cni/plugin_list.h"
#include "tap/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CILIUM_SUFFIX ".cilium_bak" /* what Cilium adds to the names of others' files */

/* Our list's name: the first of these that comes before the primary's. */
static const char *const own_names[] = {"00-podswitch.conflist", "0-podswitch.conflist", "!podswitch.conflist"};

enum conf_owner { OWNER_PRIMARY, OWNER_US, OWNER_MULTUS, OWNER_LOOPBACK, OWNER_UNREADABLE };

struct conf_entry {
	enum conf_owner owner;
	char name[CONF_SCAN_NAME];
	char network[CONF_SCAN_NAME]; /* "name" in it */
};

/* ---- the folder ---- */

static int is_configuration(const struct dirent *entry)
{
	if (entry->d_type == DT_DIR)
		return false;
	return plugin_list_is_single(entry->d_name) || text_ends_with(entry->d_name, ".conflist");
}

/* By bytes, as runtimes sort; not by the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int keep_suffix(struct dirent **names, int count, const char *suffix)
{
	int kept = 0;

	for (int i = 0; i < count; i++) {
		if (text_ends_with(names[i]->d_name, suffix))
			names[kept++] = names[i];
		else
			free(names[i]);
	}
	return kept;
}

int conf_scan_list(const char *dir, const char *suffix, struct dirent ***out, struct failure *why)
{
	int count = scandir(dir, out, suffix ? NULL : is_configuration, by_name);

	if (count < 0)
		return fail(why, -errno, "conf_dir", "conf_dir: cannot read %.160s: %s", dir, strerror(errno));
	return suffix ? keep_suffix(*out, count, suffix) : count;
}

void conf_scan_free(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

/* ---- one file ---- */

/* A list with one plugin is about that plugin. */
static const json_t *only_plugin(const json_t *document)
{
	const json_t *plugins = json_object_get(document, "plugins");

	return plugins && json_array_size(plugins) == 1 ? json_array_get(plugins, 0) : document;
}

static bool is_multus(const json_t *plugin)
{
	return !strncmp(json_text(plugin, "type"), "multus", 6);
}

/* Multus itself, or the list that it is in. */
static const json_t *multus_plugin(const json_t *document)
{
	const json_t *plugins = json_object_get(document, "plugins");

	if (is_multus(document))
		return document;
	for (size_t i = 0; i < json_array_size(plugins); i++) {
		if (is_multus(json_array_get(plugins, i)))
			return json_array_get(plugins, i);
	}
	return NULL;
}

static bool is_own_name(const char *name)
{
	for (size_t i = 0; i < sizeof(own_names) / sizeof(*own_names); i++) {
		if (!strcmp(name, own_names[i]))
			return true;
	}
	return false;
}

static enum conf_owner owner_of(const json_t *document)
{
	if (multus_plugin(document))
		return OWNER_MULTUS;
	return !strcmp(json_text(only_plugin(document), "type"), "loopback") ? OWNER_LOOPBACK : OWNER_PRIMARY;
}

/* What a delegate of Multus is called: a file, or a network. */
struct delegate {
	char file[CONF_SCAN_NAME], network[CONF_SCAN_NAME];
	bool copied; /* its list stands in Multus's file */
	bool ours;   /* and we are in it */
};

static void read_delegate(const json_t *document, struct delegate *out)
{
	const json_t *multus = multus_plugin(document);
	const json_t *first = json_array_get(json_object_get(multus, "delegates"), 0);
	const char *named = json_text(multus, "clusterNetwork"), *slash = strrchr(named, '/');

	snprintf(out->file, sizeof(out->file), "%.255s", slash ? slash + 1 : named);
	snprintf(out->network, sizeof(out->network), "%.255s", *named ? named : json_text(first, "name"));
	out->copied = json_is_object(first) && !*named;
	out->ours = plugin_list_find_ours(first) < json_array_size(json_object_get(first, "plugins"));
}

static void read_entry(const char *dir, const char *name, struct conf_entry *out, struct delegate *delegate)
{
	struct conffile file;

	*out = (struct conf_entry){.owner = OWNER_UNREADABLE};
	snprintf(out->name, sizeof(out->name), "%s", name);
	if (!conffile_read(dir, name, &file, NULL)) {
		out->owner = owner_of(file.document);
		snprintf(out->network, sizeof(out->network), "%.255s", json_text(file.document, "name"));
	} else if (strstr(name, "multus")) {
		out->owner =
			OWNER_MULTUS; /* it empties its file before it writes it, and some leave it empty for a boot */
	}
	/* By its name, whatever another program has made of it. */
	if (is_own_name(name) || own_list_is(file.document))
		out->owner = OWNER_US;
	if (out->owner == OWNER_MULTUS && !*delegate->file && !*delegate->network)
		read_delegate(file.document, delegate);
	conffile_free(&file);
}

/* ---- what it means ---- */

static const struct conf_entry *first_of(const struct conf_entry *entries, int count, enum conf_owner owner)
{
	for (int i = 0; i < count; i++) {
		if (entries[i].owner == owner)
			return &entries[i];
	}
	return NULL;
}

static const struct conf_entry *named(const struct conf_entry *entries, int count, const char *name)
{
	for (int i = 0; i < count; i++) {
		if (*name && !strcmp(entries[i].name, name))
			return &entries[i];
	}
	return NULL;
}

/* The file that Multus calls for each pod's first network; else the first one, which it takes when it starts. */
static const struct conf_entry *delegate_of(const struct conf_entry *entries, int count,
					    const struct delegate *delegate)
{
	const struct conf_entry *found = named(entries, count, delegate->file);

	if (found && (found->owner == OWNER_PRIMARY || found->owner == OWNER_US))
		return found;
	for (int i = 0; i < count; i++) {
		if (entries[i].owner == OWNER_PRIMARY && *delegate->network &&
		    !strcmp(entries[i].network, delegate->network))
			return &entries[i];
	}
	return first_of(entries, count, OWNER_PRIMARY);
}

static const char *choose_name(const char *primary)
{
	for (size_t i = 0; i < sizeof(own_names) / sizeof(*own_names); i++) {
		if (strcmp(own_names[i], primary) < 0)
			return own_names[i];
	}
	return "";
}

/* Multus is in front. Our list stays where Multus calls it; else our entry goes into the file that it calls. */
static void settle_behind_multus(const struct conf_entry *entries, int count, const struct delegate *delegate,
				 struct conf_scan *out)
{
	const struct conf_entry *called = delegate_of(entries, count, delegate);
	bool kept = *out->own && strcmp(out->multus, out->own) < 0 &&
		    ((called && called->owner == OWNER_US) || (delegate->copied && delegate->ours));

	if (kept)
		called = first_of(entries, count, OWNER_PRIMARY);
	snprintf(out->primary, sizeof(out->primary), "%s", called ? called->name : "");
	snprintf(out->list, sizeof(out->list), "%s", kept ? out->own : "");
	out->multus_copy = delegate->copied && !delegate->ours;
}

static void settle(const struct conf_entry *entries, int count, const struct delegate *delegate, const char *file,
		   struct conf_scan *out)
{
	const struct conf_entry *own = first_of(entries, count, OWNER_US),
				*multus = first_of(entries, count, OWNER_MULTUS),
				*first = first_of(entries, count, OWNER_PRIMARY),
				*primary = file ? named(entries, count, file) : first;

	snprintf(out->own, sizeof(out->own), "%s", own ? own->name : "");
	if (multus && (!first || multus < first))
		snprintf(out->multus, sizeof(out->multus), "%s", multus->name);
	if (*out->multus && !file) {
		settle_behind_multus(entries, count, delegate, out);
		return;
	}
	snprintf(out->primary, sizeof(out->primary), "%s", primary ? primary->name : "");
	if (primary && primary == first && !*out->multus)
		snprintf(out->list, sizeof(out->list), "%s", choose_name(primary->name));
}

bool conf_scan_is_own(const char *dir, const char *name)
{
	struct conf_entry entry;
	struct delegate ignored = {0};

	read_entry(dir, name, &entry, &ignored);
	return entry.owner == OWNER_US;
}

static void find_taken(const char *dir, struct conf_scan *out)
{
	struct dirent **names;
	int count = conf_scan_list(dir, CILIUM_SUFFIX, &names, NULL);

	for (int i = 0; i < count; i++) {
		if (strstr(names[i]->d_name, "podswitch.conflist"))
			snprintf(out->taken, sizeof(out->taken), "%s", names[i]->d_name);
	}
	if (count >= 0)
		conf_scan_free(names, count);
}

/* A file that comes before the primary's and cannot be read may be a primary's that is being written. */
static int refuse_unreadable(const char *dir, const struct conf_entry *entries, int count, const char *file,
			     const struct conf_scan *out, struct failure *why)
{
	const struct conf_entry *bad = first_of(entries, count, OWNER_UNREADABLE);
	struct conffile ignored;

	if (!file && bad && (!*out->primary || strcmp(bad->name, out->primary) < 0)) {
		int error = conffile_read(dir, bad->name, &ignored, why);
		conffile_free(&ignored);
		return error ? error : -EAGAIN;
	}
	if (!*out->primary)
		return fail(why, -ENOENT, "conf_dir", "no network configuration is in %.160s", dir);
	return 0;
}

int conf_scan(const char *dir, const char *file, struct conf_scan *out, struct failure *why)
{
	struct delegate delegate = {0};
	struct dirent **names;
	int count = conf_scan_list(dir, NULL, &names, why);

	*out = (struct conf_scan){0};
	if (count < 0)
		return count;
	struct conf_entry *entries = calloc((size_t)count + 1, sizeof(*entries));
	if (!entries) {
		conf_scan_free(names, count);
		return fail(why, -ENOMEM, NULL, "out of memory");
	}
	for (int i = 0; i < count; i++)
		read_entry(dir, names[i]->d_name, &entries[i], &delegate);
	settle(entries, count, &delegate, file, out);
	find_taken(dir, out);
	int error = refuse_unreadable(dir, entries, count, file, out, why);
	free(entries);
	conf_scan_free(names, count);
	return error;
}
