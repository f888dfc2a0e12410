/* SPDX-License-Identifier: Apache-2.0 */
/* json_patch.h - applying a JSON Patch, as an API server does, and what comes with it in a review's answer */
#ifndef PODSWITCH_JSON_PATCH_H
#define PODSWITCH_JSON_PATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next part of an RFC 6901 path, unescaped; false at the end, or when it is none. */
static inline bool pointer_next(const char **path, char *out, size_t size)
{
	size_t used = 0;

	if (**path != '/')
		return false;
	for ((*path)++; **path && **path != '/'; (*path)++) {
		char c = **path;
		if (c == '~') {
			(*path)++;
			if (**path != '0' && **path != '1')
				return false;
			c = **path == '0' ? '~' : '/';
		}
		if (used + 1 >= size)
			return false;
		out[used++] = c;
	}
	out[used] = '\0';
	return true;
}

static inline bool pointer_place(const char *text, size_t *out)
{
	char *end;

	if (*text < '0' || *text > '9' || (*text == '0' && text[1]))
		return false;
	*out = strtoul(text, &end, 10);
	return !*end;
}

static inline json_t *pointer_child(json_t *at, const char *part)
{
	size_t place;

	if (json_is_object(at))
		return json_object_get(at, part);
	return json_is_array(at) && pointer_place(part, &place) ? json_array_get(at, place) : NULL;
}

static inline bool patch_member(json_t *object, const char *key, const char *op, json_t *value)
{
	bool there = json_object_get(object, key);

	if (!strcmp(op, "remove"))
		return there && !json_object_del(object, key);
	if (!strcmp(op, "replace") && !there)
		return false;
	return value && !json_object_set_new(object, key, json_deep_copy(value));
}

static inline bool patch_element(json_t *array, const char *part, const char *op, json_t *value)
{
	size_t place, size = json_array_size(array);

	if (!strcmp(op, "add") && !strcmp(part, "-"))
		place = size;
	else if (!pointer_place(part, &place))
		return false;
	if (!strcmp(op, "remove"))
		return place < size && !json_array_remove(array, place);
	if (!value)
		return false;
	if (!strcmp(op, "replace"))
		return place < size && !json_array_set_new(array, place, json_deep_copy(value));
	return place <= size && !json_array_insert_new(array, place, json_deep_copy(value));
}

/* One operation on *document; false when it cannot be carried out. */
static inline bool patch_operation(json_t **document, const json_t *operation)
{
	const char *op = json_string_value(json_object_get(operation, "op"));
	const char *path = json_string_value(json_object_get(operation, "path"));
	json_t *value = json_object_get(operation, "value"), *at = *document;
	static char part[65536];

	if (!op || !path || (strcmp(op, "add") != 0 && strcmp(op, "remove") != 0 && strcmp(op, "replace") != 0))
		return false;
	if (!*path) {
		json_t *copy = json_deep_copy(value);
		if (!copy)
			return false;
		json_decref(*document);
		*document = copy;
		return true;
	}
	if (!pointer_next(&path, part, sizeof(part)))
		return false;
	while (*path) {
		at = pointer_child(at, part);
		if (!at || !pointer_next(&path, part, sizeof(part)))
			return false;
	}
	if (json_is_object(at))
		return patch_member(at, part, op, value);
	return json_is_array(at) && patch_element(at, part, op, value);
}

/* A copy of `document` with the patch applied; NULL when that is not possible. */
static inline json_t *patch_apply(const json_t *document, const json_t *patch)
{
	json_t *out = json_deep_copy(document);

	for (size_t i = 0; i < json_array_size(patch); i++) {
		if (patch_operation(&out, json_array_get(patch, i)))
			continue;
		json_decref(out);
		return NULL;
	}
	return out;
}

/* Decodes; a text to free, or NULL. Strict: no blanks, and padding where it belongs. */
static inline char *decode_base64(const char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t length = strlen(text), used = 0;
	char *out = malloc(length + 1);

	if (!out || length % 4)
		goto bad;
	for (size_t i = 0; i < length; i += 4) {
		unsigned bits = 0, have = 4;
		if (i + 4 == length && text[i + 3] == '=')
			have = text[i + 2] == '=' ? 2 : 3;
		for (size_t k = 0; k < 4; k++) {
			const char *digit = k < have ? memchr(digits, text[i + k], 64) : digits;
			if (!digit)
				goto bad;
			bits = bits << 6 | (unsigned)(digit - digits);
		}
		for (size_t k = 0; k + 1 < have; k++)
			out[used++] = (char)(bits >> (16 - 8 * k));
	}
	out[used] = '\0';
	return out;
bad:
	free(out);
	return NULL;
}

#endif
