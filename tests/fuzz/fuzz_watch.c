/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_watch.c - any bytes from an API server, as a stream of events in pieces and as a page of a list
 *
 * The first byte chooses the size of the pieces in which the rest arrives. However they are cut, the events must be the
 * same.
 */
#include "control/kube/decode.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	unsigned events;
	unsigned kinds[EVENT_UNKNOWN + 1];
	int error; /* that ended it */
};

static void check_object(const json_t *object)
{
	const json_t *metadata = json_object_get(object, "metadata");

	if (!json_string_length(json_object_get(metadata, "name")) || json_object_get(metadata, "managedFields"))
		abort();
}

static void check_event(const struct event *event)
{
	if (!json_is_object(event->object))
		abort();
	if (event->kind == EVENT_CHANGED || event->kind == EVENT_DELETED)
		check_object(event->object);
	if (event->kind != EVENT_ERROR && event->kind != EVENT_UNKNOWN &&
	    (!*event->version || strlen(event->version) > DECODE_MAX_VERSION))
		abort();
}

static int drain(struct event_reader *reader, struct buffer *in, struct seen *seen)
{
	struct event event;
	int got;

	while ((got = event_next(reader, in, &event)) > 0) {
		check_event(&event);
		json_decref(event.object);
		seen->events++;
		seen->kinds[event.kind]++;
	}
	return got;
}

static struct seen read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
	struct event_reader reader = {.max_line = MAX_LINE};
	struct buffer in = {0};
	struct seen seen = {0};

	for (size_t at = 0; at < size && !seen.error; at += piece) {
		size_t length = size - at < piece ? size - at : piece;
		if (buffer_append(&in, data + at, length))
			abort();
		seen.error = drain(&reader, &in, &seen);
		if (buffer_length(&in) > MAX_LINE + piece)
			abort(); /* it collects without an end */
	}
	buffer_free(&in);
	return seen;
}

static void read_page(const uint8_t *data, size_t size)
{
	struct page page = {0};
	json_t *item;
	size_t i;

	if (page_decode((const char *)data, size, &page))
		return;
	if (!*page.version || (page.next && !*page.next))
		abort();
	json_array_foreach(page.items, i, item)
	{
		check_object(item);
	}
	page_free(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	struct seen whole = read_in_pieces(data + 1, size - 1, size);
	struct seen pieces = read_in_pieces(data + 1, size - 1, data[0] ? data[0] : 1);
	if (memcmp(&whole, &pieces, sizeof(whole)) != 0)
		abort();
	read_page(data + 1, size - 1);
	return 0;
}
