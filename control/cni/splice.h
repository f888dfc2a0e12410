/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splice.h - edits of a JSON text that leave every other byte as it is
 *
 * A node's network configuration belongs to somebody else: its order, blanks, numbers and unknown keys have to survive
 * our entry, and without it the text has to be what it was before. So the text is edited, not parsed and printed.
 *
 * The texts must be valid JSON; the caller parses them first. For other texts the answers are wrong, but nothing is
 * read beyond the end. Keys with escapes in them are not found. Any thread.
 */
#ifndef PODSWITCH_SPLICE_H
#define PODSWITCH_SPLICE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes [start, end) of a text. */
struct span {
	size_t start, end;
};

/* The first value of `text`, without the blanks around it. */
struct span span_value(const char *text);

/* The value of `key` in the object at `object`; of several the last one, as parsers take it. false: none. */
bool span_member(const char *text, struct span object, const char *key, struct span *out);

/* Element number `index` of the array at `array`. false: there is none. */
bool span_element(const char *text, struct span array, size_t index, struct span *out);

/* `text` with `value` in place of `span`. NULL without memory; to be freed. */
char *splice_replace(const char *text, struct span span, const char *value);

/*
 * `text` with `value` appended to the array at `array`, with the same blanks before it as the element before has. NULL
 * also when there is no array.
 */
char *splice_append(const char *text, struct span array, const char *value);

/* `text` without element number `index`. Undoes splice_append() byte for byte. */
char *splice_remove(const char *text, struct span array, size_t index);

#endif
