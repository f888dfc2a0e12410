/* SPDX-License-Identifier: Apache-2.0 */
/* quotes.h - JSON in C strings, with ' for " */
#ifndef PODSWITCH_TEST_QUOTES_H
#define PODSWITCH_TEST_QUOTES_H

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static inline char *swap_quotes(char *text, char from, char to)
{
	for (char *c = strchr(text, from); c; c = strchr(c, from))
		*c = to;
	return text;
}

/* A new reference to any JSON value; fails the test when `text` is none. */
static inline json_t *json_of(const char *text)
{
	json_error_t error;
	char *copy = swap_quotes(strdup(text), '\'', '"');
	json_t *value = json_loads(copy, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

	if (!value)
		fprintf(stderr, "%s\n%s\n", error.text, copy);
	free(copy);
	assert_non_null(value);
	return value;
}

#endif
