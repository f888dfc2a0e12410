/* SPDX-License-Identifier: Apache-2.0 */
/* own_list.c - the list of plugins in podswitch's own file: those of another file, and ours */
#include "control/cni/own_list.h"

#include "control/base/json.h"
#include "control/cni/plugin_list.h"
#include "control/cni/splice.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MADE_FROM "podswitch.io/made-from"

bool own_list_is(const json_t *document)
{
	return json_object_get(document, MADE_FROM);
}

const char *own_list_source(const json_t *document)
{
	return json_text(json_object_get(document, MADE_FROM), "file");
}

static const char *plugin_type(const json_t *plugins, size_t index)
{
	return json_text(json_array_get(plugins, index), "type");
}

static bool has_type(const json_t *plugins, const char *type)
{
	for (size_t i = 0; i < json_array_size(plugins); i++) {
		if (!strcmp(plugin_type(plugins, i), type))
			return true;
	}
	return false;
}

static bool has_string(const json_t *strings, const char *text)
{
	for (size_t i = 0; i < json_array_size(strings); i++) {
		const char *here = json_string_value(json_array_get(strings, i));
		if (here && !strcmp(here, text))
			return true;
	}
	return false;
}

/* Whether plugin number `index` of our list was put there by another program, and is not the primary's `plugins`'. */
static bool own_list_is_foreign(const json_t *own, size_t index, const json_t *plugins)
{
	const json_t *copied = json_object_get(json_object_get(own, MADE_FROM), "plugins");
	const char *type = plugin_type(json_object_get(own, "plugins"), index);

	return *type && strcmp(type, PLUGIN_LIST_TYPE) != 0 && !has_string(copied, type) && !has_type(plugins, type);
}

/* ---- making ---- */

/* Takes over `text`; NULL in, NULL out. */
static char *own_list_append(char *text, const char *plugin)
{
	char *longer = text && plugin ? plugin_list_put(text, SIZE_MAX, plugin) : NULL;

	free(text);
	return longer;
}

/* `text` without entries of ours. To be freed. */
static char *without_ours(const char *text)
{
	char *left = strdup(text);
	json_t *document = plugin_list_parse(text);

	for (size_t i;
	     left && (i = plugin_list_find_ours(document)) < json_array_size(json_object_get(document, "plugins"));) {
		char *shorter = plugin_list_remove(left, i);
		json_array_remove(json_object_get(document, "plugins"), i);
		free(left);
		left = shorter;
	}
	json_decref(document);
	return left;
}

static char *append_ours(char *text, const char *original, const char *old, const json_t *entry)
{
	const char *from = old ? old : original;
	json_t *document = plugin_list_parse(from), *merged = NULL;
	char *present = plugin_list_get(from, plugin_list_find_ours(document));

	plugin_list_merge(present, entry, &merged);
	char *merged_text = json_dumps(merged, 0);
	text = own_list_append(text, merged_text);
	free(merged_text);
	json_decref(merged);
	free(present);
	json_decref(document);
	return text;
}

static char *append_foreign(char *text, const char *old, const json_t *plugins)
{
	json_t *own = plugin_list_parse(old);

	for (size_t i = 0; i < json_array_size(json_object_get(own, "plugins")); i++) {
		if (!own_list_is_foreign(own, i, plugins))
			continue;
		char *plugin = plugin_list_get(old, i);
		text = own_list_append(text, plugin);
		free(plugin);
	}
	json_decref(own);
	return text;
}

/* The first member of our list, as a text with the comma behind it. */
static char *marker(const char *file, const json_t *plugins)
{
	json_t *types = json_array();
	char *out = NULL;

	for (size_t i = 0; i < json_array_size(plugins); i++)
		json_array_append_new(types, json_string(plugin_type(plugins, i)));
	json_t *value = json_pack("{s:s, s:o}", "file", file, "plugins", types);
	char *text = value ? json_dumps(value, 0) : NULL;
	if (text && asprintf(&out, "\n  \"" MADE_FROM "\": %s,", text) < 0)
		out = NULL;
	free(text);
	json_decref(value);
	return out;
}

static char *add_marker(char *text, const char *file, const json_t *plugins)
{
	char *first = text ? marker(file, plugins) : NULL, *marked = NULL;
	struct span all = text ? span_value(text) : (struct span){0};

	if (first && text[all.start] == '{')
		marked = splice_replace(text, (struct span){all.start + 1, all.start + 1}, first);
	free(first);
	free(text);
	return marked;
}

char *own_list_make(const char *text, const char *file, const json_t *entry, const char *old)
{
	char *made = without_ours(text);
	json_t *document = plugin_list_parse(made), *plugins = json_object_get(document, "plugins");

	made = append_ours(made, text, old, entry);
	if (old)
		made = append_foreign(made, old, plugins);
	made = add_marker(made, file, plugins);
	if (made && !own_list_is_fresh(made, text, file, entry)) {
		free(made);
		made = NULL;
	}
	json_decref(document);
	return made;
}

/* ---- comparing ---- */

static bool has_values(const json_t *object, const json_t *wanted)
{
	const char *key;
	json_t *value, *reals = plugin_list_with_reals(wanted);
	bool all = json_is_object(object);

	json_object_foreach(reals, key, value) all = all && json_equal(json_object_get(object, key), value);
	json_decref(reals);
	return all;
}

/* All members but the plugins and the marker. */
static bool same_head(const json_t *own, const json_t *document)
{
	json_t *a = json_copy((json_t *)own), *b = json_copy((json_t *)document);

	json_object_del(a, MADE_FROM);
	json_object_del(a, "plugins");
	json_object_del(b, "plugins");
	bool same = json_equal(a, b);
	json_decref(a);
	json_decref(b);
	return same;
}

/* The primary's plugins in their order, ours once with its values, and between them nothing but other programs'. */
static bool same_plugins(const json_t *own, const json_t *document, const json_t *entry)
{
	const json_t *mine = json_object_get(own, "plugins"), *theirs = json_object_get(document, "plugins");
	size_t next = 0, ours = 0;

	for (size_t i = 0; i < json_array_size(mine); i++) {
		const json_t *plugin = json_array_get(mine, i);
		while (plugin_list_is_ours(json_array_get(theirs, next)))
			next++;
		if (plugin_list_is_ours(plugin) && has_values(plugin, entry))
			ours++;
		else if (json_equal(plugin, json_array_get(theirs, next)))
			next++;
		else if (!own_list_is_foreign(own, i, theirs))
			return false;
	}
	while (plugin_list_is_ours(json_array_get(theirs, next)))
		next++;
	return ours == 1 && next && next == json_array_size(theirs);
}

bool own_list_is_fresh(const char *own, const char *text, const char *file, const json_t *entry)
{
	json_t *mine = plugin_list_parse(own), *theirs = plugin_list_parse(text);
	bool fresh = mine && theirs && !strcmp(own_list_source(mine), file) && same_head(mine, theirs) &&
		     same_plugins(mine, theirs, entry);

	json_decref(mine);
	json_decref(theirs);
	return fresh;
}
