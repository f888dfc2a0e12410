/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patch.c - the JSON Patch that turns one document into another
 *
 * An array is walked once. Invariant after each operation: the elements before index j are as in `to`, those from j on
 * are the remaining ones of `from`. So the result is right however elements are matched; a better match only makes the
 * patch shorter.
 */
#include "control/webhook/patch.h"
#include "tap/base/buffer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct patch {
	json_t *operations;
	struct buffer path; /* of the present value, without NUL */
	int error;
};

/* ---- paths ---- */

static void path_append(struct patch *patch, const char *bytes, size_t length)
{
	int error = buffer_append(&patch->path, bytes, length);
	if (error)
		patch->error = error;
}

static void path_push_member(struct patch *patch, const char *key)
{
	path_append(patch, "/", 1);
	for (; *key; key++) {
		if (*key == '~' || *key == '/')
			path_append(patch, *key == '~' ? "~0" : "~1", 2);
		else
			path_append(patch, key, 1);
	}
}

static void path_push_index(struct patch *patch, size_t place)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "/%zu", place);
	path_append(patch, text, (size_t)length);
}

static size_t path_length(const struct patch *patch)
{
	return patch->path.end;
}

static void path_pop(struct patch *patch, size_t to)
{
	patch->path.end = to;
}

/* ---- operations ---- */

/* `value` is NULL for "remove". */
static void patch_add_operation(struct patch *patch, const char *operation, const json_t *value)
{
	json_t *entry = json_object();
	int error = patch->error;
	error |= json_object_set_new(entry, "op", json_string(operation));
	error |= json_object_set_new(entry, "path",
				     json_stringn(patch->path.data ? patch->path.data : "", path_length(patch)));
	if (value)
		error |= json_object_set_new(entry, "value", json_deep_copy(value));
	error |= json_array_append_new(patch->operations, entry);
	if (error)
		patch->error = -ENOMEM;
}

static void patch_compare(struct patch *patch, const json_t *from, const json_t *to);

static void compare_objects(struct patch *patch, const json_t *from, const json_t *to)
{
	size_t here = path_length(patch);
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)from, key, value)
	{
		const json_t *wanted = json_object_get(to, key);
		path_push_member(patch, key);
		if (wanted)
			patch_compare(patch, value, wanted);
		else
			patch_add_operation(patch, "remove", NULL);
		path_pop(patch, here);
	}
	json_object_foreach((json_t *)to, key, value)
	{
		if (json_object_get(from, key))
			continue;
		path_push_member(patch, key);
		patch_add_operation(patch, "add", value);
		path_pop(patch, here);
	}
}

static bool patch_is_same(const json_t *a, const json_t *b)
{
	const json_t *name = json_object_get(a, "name"), *other = json_object_get(b, "name");
	return json_is_string(name) && json_is_string(other) ? json_equal(name, other) : json_equal(a, b);
}

static bool is_among(const json_t *element, const json_t *list, size_t from)
{
	for (; from < json_array_size(list); from++)
		if (patch_is_same(json_array_get(list, from), element))
			return true;
	return false;
}

static void compare_arrays(struct patch *patch, const json_t *from, const json_t *to)
{
	size_t here = path_length(patch), i = 0, j = 0, size = json_array_size(from), wanted = json_array_size(to);
	while (i < size || j < wanted) {
		const json_t *old = json_array_get(from, i), *new = json_array_get(to, j);
		path_push_index(patch, j);
		if (new &&old && patch_is_same(old, new)) {
			patch_compare(patch, old, new);
			i++, j++;
		} else if (new && !(old && is_among(new, from, i))) {
			patch_add_operation(patch, "add", new);
			j++;
		} else {
			patch_add_operation(patch, "remove", NULL);
			i++;
		}
		path_pop(patch, here);
	}
}

static void patch_compare(struct patch *patch, const json_t *from, const json_t *to)
{
	if (json_equal(from, to))
		return;
	if (json_is_object(from) && json_is_object(to))
		compare_objects(patch, from, to);
	else if (json_is_array(from) && json_is_array(to))
		compare_arrays(patch, from, to);
	else
		patch_add_operation(patch, "replace", to);
}

json_t *patch_make(const json_t *from, const json_t *to)
{
	struct patch patch = {.operations = json_array()};
	if (!patch.operations)
		return NULL;
	patch_compare(&patch, from, to);
	buffer_free(&patch.path);
	if (!patch.error)
		return patch.operations;
	json_decref(patch.operations);
	return NULL;
}
