/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splice.h - changes in a JSON text that leave every other byte as it is
 *
 * A node's network configuration belongs to somebody else: its order, blanks, numbers and unknown keys are to survive
 * what we put in, and taking that out again is to give the text of before. So the text is changed and not printed anew.
 *
 * The texts must be valid JSON, which a parser has to have found before; of others the answers are wrong, but nothing
 * is read beyond the end. Keys with escapes in them are not recognised. Any thread.
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

/* The value of `key` in the object at `object`; the last one, as parsers see it. false: there is none. */
bool span_member(const char *text, struct span object, const char *key, struct span *out);

/* The element number `index` of the array at `array`. false: there is none. */
bool span_element(const char *text, struct span array, size_t index, struct span *out);

/* `text` with `value` in place of `span`. NULL without memory; to be freed. */
char *splice_replace(const char *text, struct span span, const char *value);

/*
 * `text` with `value` as a further element of the array at `array`, laid out as the element before it. NULL also when
 * no array is there.
 */
char *splice_append(const char *text, struct span array, const char *value);

/* `text` without the element number `index`: after splice_append the text of before. */
char *splice_remove(const char *text, struct span array, size_t index);

#endif
