/* SPDX-License-Identifier: Apache-2.0 */
/* plugin_list.c - the text of a network configuration, and our entry in its list of plugins */
#include "control/cni/plugin_list.h"

#include "control/base/json.h"
#include "control/cni/splice.h"
#include "tap/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool plugin_list_is_single(const char *file)
{
	return text_ends_with(file, ".conf") || text_ends_with(file, ".json");
}

json_t *plugin_list_parse(const char *text)
{
	return text ? json_loads(text, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
}

json_t *plugin_list_with_reals(const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);
	json_t *read = text ? json_loads(text, JSON_DECODE_INT_AS_REAL | JSON_DECODE_ANY, NULL) : NULL;

	free(text);
	return read;
}

bool plugin_list_reads_as(const char *text, const json_t *expected)
{
	json_t *got = plugin_list_parse(text);
	bool same = got && json_equal(got, expected);

	json_decref(got);
	return same;
}

bool plugin_list_is_ours(const json_t *plugin)
{
	return !strcmp(json_text(plugin, "type"), PLUGIN_LIST_TYPE);
}

size_t plugin_list_find_ours(const json_t *document)
{
	const json_t *plugins = json_object_get(document, "plugins");
	size_t index = 0;

	while (index < json_array_size(plugins) && !plugin_list_is_ours(json_array_get(plugins, index)))
		index++;
	return index;
}

/* The list of plugins in `text`, and where in it number `index` is. */
static bool plugin_list_span(const char *text, size_t index, struct span *plugins, struct span *there)
{
	return span_member(text, span_value(text), "plugins", plugins) && span_element(text, *plugins, index, there);
}

char *plugin_list_put(const char *text, size_t index, const char *entry)
{
	struct span plugins, there;

	if (plugin_list_span(text, index, &plugins, &there))
		return splice_replace(text, there, entry);
	if (!span_member(text, span_value(text), "plugins", &plugins))
		return NULL;
	return splice_append(text, plugins, entry);
}

char *plugin_list_remove(const char *text, size_t index)
{
	struct span plugins, there;

	return plugin_list_span(text, index, &plugins, &there) ? splice_remove(text, plugins, index) : NULL;
}

char *plugin_list_get(const char *text, size_t index)
{
	struct span plugins, there;

	return plugin_list_span(text, index, &plugins, &there) ? strndup(text + there.start, there.end - there.start)
							       : NULL;
}

char *plugin_list_of_single(const char *text)
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

bool plugin_list_merge(const char *present, const json_t *entry, json_t **out)
{
	/* With exact integers: this one is printed. */
	json_t *there = present ? json_loads(present, 0, NULL) : NULL;

	*out = there ? json_deep_copy(there) : json_object();
	json_object_update(*out, (json_t *)entry);
	bool same = there && json_equal(there, *out);
	json_decref(there);
	return same;
}
