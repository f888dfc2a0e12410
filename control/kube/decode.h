/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.h - what an API server sends: pages of lists, and events one per line
 *
 * Nothing is trusted: a page or an event has the shape promised here, or is refused. No state but the caller's; one
 * thread.
 */
#ifndef PODSWITCH_DECODE_H
#define PODSWITCH_DECODE_H

#include "tap/base/buffer.h"

#include <jansson.h>

#define DECODE_MAX_VERSION 256 /* bytes of a resourceVersion, which is opaque and short */

/* A page of a list. Every item is an object with metadata.name; managedFields are gone. */
struct page {
	json_t *items; /* array, owned */
	char *version; /* metadata.resourceVersion, never empty, owned */
	char *next;    /* metadata.continue, owned; NULL: this was the last page */
};

/* 0, -EBADMSG, or -ENOMEM. */
int page_decode(const char *bytes, size_t length, struct page *out);
void page_free(struct page *page);

enum event_kind {
	EVENT_CHANGED, /* ADDED or MODIFIED */
	EVENT_DELETED,
	EVENT_BOOKMARK, /* only the version counts */
	EVENT_ERROR,    /* `object` should be a Status */
	EVENT_UNKNOWN,  /* of a newer protocol */
};

struct event {
	enum event_kind kind;
	json_t *object;      /* owned. CHANGED and DELETED: as an item of a page */
	const char *version; /* its resourceVersion; NULL for ERROR and UNKNOWN */
};

struct event_reader {
	size_t max_line; /* bytes */
	size_t scanned;  /* bytes of the buffer that are known to hold no newline; start with 0 */
};

/*
 * Consumes the next complete line of `in`. 1 and the event, 0 when there is no complete line yet, -EBADMSG (the line is
 * not an event, and is consumed), -EMSGSIZE (it is longer than max_line, and stays), or -ENOMEM.
 */
int event_next(struct event_reader *reader, struct buffer *in, struct event *out);

#endif
