/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patch.c - the JSON Patch that makes one document another
 *
 * An array is gone through once: before place j the document is already what it shall be, from j on it is what is left
 * of the old one. That holds after each operation, whatever is taken for the same as what; how good the guess is
 * decides only how short the patch gets.
 */
#include "control/webhook/patch.h"
#include "tap/base/buffer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct patch {
	json_t *operations;
	struct buffer path; /* of what is looked at, without NUL */
	int error;
};

/* ---- paths ---- */

static void push(struct patch *patch, const char *bytes, size_t length)
{
	int error = buffer_append(&patch->path, bytes, length);
	if (error)
		patch->error = error;
}

static void push_member(struct patch *patch, const char *key)
{
	push(patch, "/", 1);
	for (; *key; key++) {
		if (*key == '~' || *key == '/')
			push(patch, *key == '~' ? "~0" : "~1", 2);
		else
			push(patch, key, 1);
	}
}

static void push_place(struct patch *patch, size_t place)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "/%zu", place);
	push(patch, text, (size_t)length);
}

static size_t depth(const struct patch *patch)
{
	return patch->path.end;
}

static void pop(struct patch *patch, size_t to)
{
	patch->path.end = to;
}

/* ---- operations ---- */

/* `value` is NULL for "remove". */
static void operate(struct patch *patch, const char *operation, const json_t *value)
{
	json_t *entry = json_object();
	int error = patch->error;
	error |= json_object_set_new(entry, "op", json_string(operation));
	error |= json_object_set_new(entry, "path",
				     json_stringn(patch->path.data ? patch->path.data : "", depth(patch)));
	if (value)
		error |= json_object_set_new(entry, "value", json_deep_copy(value));
	error |= json_array_append_new(patch->operations, entry);
	if (error)
		patch->error = -ENOMEM;
}

static void patch_compare(struct patch *patch, const json_t *from, const json_t *to);

static void compare_objects(struct patch *patch, const json_t *from, const json_t *to)
{
	size_t here = depth(patch);
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)from, key, value)
	{
		const json_t *wanted = json_object_get(to, key);
		push_member(patch, key);
		if (wanted)
			patch_compare(patch, value, wanted);
		else
			operate(patch, "remove", NULL);
		pop(patch, here);
	}
	json_object_foreach((json_t *)to, key, value)
	{
		if (json_object_get(from, key))
			continue;
		push_member(patch, key);
		operate(patch, "add", value);
		pop(patch, here);
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
	size_t here = depth(patch), i = 0, j = 0, size = json_array_size(from), wanted = json_array_size(to);
	while (i < size || j < wanted) {
		const json_t *old = json_array_get(from, i), *new = json_array_get(to, j);
		push_place(patch, j);
		if (new &&old && patch_is_same(old, new)) {
			patch_compare(patch, old, new);
			i++, j++;
		} else if (new && !(old && is_among(new, from, i))) {
			operate(patch, "add", new);
			j++;
		} else {
			operate(patch, "remove", NULL);
			i++;
		}
		pop(patch, here);
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
		operate(patch, "replace", to);
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
