/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - what an API server sends: pages of lists, and events one per line
 *
 * JSON_ALLOW_NUL: users choose the text of annotations, and one string with a NUL in it must not stop the news of all
 * other objects.
 */
#include "control/kube/decode.h"
#include "control/base/json.h"
#include "tap/base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static json_t *load(const char *bytes, size_t length, int *error)
{
	json_error_t where;
	json_t *json = json_loadb(bytes, length, JSON_ALLOW_NUL, &where);

	*error = json ? 0 : json_error_code(&where) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	return json;
}

/* A resourceVersion goes into a URL and back to the server, so it has to be short and without NUL; else NULL. */
static const char *version_of(const json_t *metadata)
{
	const json_t *version = json_object_get(metadata, "resourceVersion");
	const char *text = json_string_value(version);
	size_t length = json_string_length(version);

	return text && length && length <= DECODE_MAX_VERSION && strlen(text) == length ? text : NULL;
}

static bool has_name(const json_t *object)
{
	return *json_text(json_object_get(object, "metadata"), "name");
}

/* As long as the rest of the object, and of no use to us. */
static void drop_managed_fields(const json_t *object)
{
	json_object_del(json_object_get(object, "metadata"), "managedFields");
}

/* ---- lists ---- */

/* Some servers, written in Go, send an empty list of items as null. */
static int take_items(json_t *root, struct page *page)
{
	json_t *items = json_object_get(root, "items"), *item;
	size_t i;

	if (json_is_null(items))
		page->items = json_array();
	else if (json_is_array(items))
		page->items = json_incref(items);
	else
		return -EBADMSG;
	if (!page->items)
		return -ENOMEM;
	json_array_foreach(page->items, i, item)
	{
		if (!has_name(item))
			return -EBADMSG;
		drop_managed_fields(item);
	}
	return 0;
}

static int take_metadata(const json_t *root, struct page *page)
{
	const json_t *metadata = json_object_get(root, "metadata");
	const json_t *next = json_object_get(metadata, "continue");
	const char *version = version_of(metadata);

	if (!version || (next && !json_is_string(next)))
		return -EBADMSG;
	page->version = strdup(version);
	if (!page->version)
		return -ENOMEM;
	if (!json_string_length(next))
		return 0;
	page->next = strdup(json_string_value(next));
	return page->next ? 0 : -ENOMEM;
}

int page_decode(const char *bytes, size_t length, struct page *out)
{
	struct page page = {0};
	int error;

	json_t *root = load(bytes, length, &error);
	if (!error)
		error = take_items(root, &page);
	if (!error)
		error = take_metadata(root, &page);
	json_decref(root);
	if (error)
		page_free(&page);
	else
		*out = page;
	return error;
}

void page_free(struct page *page)
{
	json_decref(page->items);
	free(page->version);
	free(page->next);
	*page = (struct page){0};
}

/* ---- events ---- */

static enum event_kind kind_of(const char *type)
{
	if (!strcmp(type, "ADDED") || !strcmp(type, "MODIFIED"))
		return EVENT_CHANGED;
	if (!strcmp(type, "DELETED"))
		return EVENT_DELETED;
	if (!strcmp(type, "BOOKMARK"))
		return EVENT_BOOKMARK;
	return strcmp(type, "ERROR") ? EVENT_UNKNOWN : EVENT_ERROR;
}

static bool is_whole(const struct event *event)
{
	switch (event->kind) {
	case EVENT_CHANGED:
	case EVENT_DELETED:
		return event->version && has_name(event->object);
	case EVENT_BOOKMARK:
		return event->version;
	case EVENT_ERROR:
	case EVENT_UNKNOWN:
		break;
	}
	return true;
}

static int event_decode(const char *bytes, size_t length, struct event *out)
{
	int error;

	json_t *root = load(bytes, length, &error);
	const char *type = json_string_value(json_object_get(root, "type"));
	json_t *object = json_object_get(root, "object");
	if (!error && (!type || !json_is_object(object)))
		error = -EBADMSG;
	if (!error) {
		struct event event = {.kind = kind_of(type), .object = object};
		if (event.kind != EVENT_ERROR && event.kind != EVENT_UNKNOWN)
			event.version = version_of(json_object_get(object, "metadata"));
		if (is_whole(&event)) {
			drop_managed_fields(json_incref(object));
			*out = event;
		} else {
			error = -EBADMSG;
		}
	}
	json_decref(root);
	return error;
}

int event_next(struct event_reader *reader, struct buffer *in, struct event *out)
{
	for (;;) {
		const char *bytes = buffer_bytes(in);
		size_t held = buffer_length(in);
		if (held <= reader->scanned)
			return 0;
		const char *newline = memchr(bytes + reader->scanned, '\n', held - reader->scanned);
		size_t length = newline ? (size_t)(newline - bytes) : held;
		if (length > reader->max_line)
			return -EMSGSIZE;
		reader->scanned = newline ? 0 : held;
		if (!newline)
			return 0;
		/* Some proxies send blank lines to keep the connection alive. */
		bool blank = text_is_blank(bytes, length);
		int error = blank ? 0 : event_decode(bytes, length, out);
		buffer_consume(in, length + 1);
		if (!blank)
			return error ? error : 1;
	}
}
