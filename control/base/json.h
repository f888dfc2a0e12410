/* SPDX-License-Identifier: Apache-2.0 */
/* json.h - the few things that jansson lacks. Any thread. */
#ifndef PODSWITCH_JSON_H
#define PODSWITCH_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The string member `key`; "" when there is none, or when `object` is NULL or no object. Borrowed. */
const char *json_text(const json_t *object, const char *key);

/* The sum of an object's integers, as of {reason: n}. */
long long json_sum(json_t *object);

/*
 * A string for an answer that quotes its sender: text with control characters, or cut within a UTF-8 character, becomes
 * ASCII, of at most 639 bytes. NULL without memory.
 */
json_t *json_plain_string(const char *text);

/*
 * Whether the text has more than `most` values, give or take one. To be asked before it is parsed: a value takes up to
 * a hundred times the memory of its text.
 */
bool json_exceeds(const char *text, size_t length, size_t most);

#endif
