/* SPDX-License-Identifier: Apache-2.0 */
/* splice.c - edits of a JSON text that leave every other byte as it is */
#include "control/cni/splice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t skip_blanks(const char *text, size_t at)
{
	return at + strspn(text + at, " \t\r\n");
}

/* From the opening quote to behind the closing one. */
static size_t skip_string(const char *text, size_t at)
{
	for (at++; text[at] && text[at] != '"'; at++) {
		if (text[at] == '\\' && text[at + 1])
			at++;
	}
	return text[at] ? at + 1 : at;
}

static size_t skip_value(const char *text, size_t at)
{
	size_t depth = 0;

	do {
		char c = text[at];
		if (c == '"') {
			at = skip_string(text, at);
			continue;
		}
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth)
			depth--;
		else if (!depth)
			return at + strcspn(text + at, " \t\r\n,]}");
		at += c != '\0';
	} while (depth && text[at]);
	return at;
}

struct span span_value(const char *text)
{
	size_t start = skip_blanks(text, 0);

	return (struct span){start, skip_value(text, start)};
}

bool span_member(const char *text, struct span object, const char *key, struct span *out)
{
	bool found = false;
	size_t length = strlen(key);

	if (text[object.start] != '{')
		return false;
	for (size_t at = skip_blanks(text, object.start + 1); text[at] == '"';) {
		size_t behind = skip_string(text, at);
		bool ours = behind - at == length + 2 && !strncmp(text + at + 1, key, length);
		size_t colon = skip_blanks(text, behind);
		size_t value = skip_blanks(text, colon + (text[colon] == ':'));
		size_t end = skip_value(text, value);
		if (ours) {
			*out = (struct span){value, end};
			found = true;
		}
		at = skip_blanks(text, end);
		if (text[at] != ',')
			break;
		at = skip_blanks(text, at + 1);
	}
	return found;
}

bool span_element(const char *text, struct span array, size_t index, struct span *out)
{
	if (text[array.start] != '[')
		return false;
	size_t at = skip_blanks(text, array.start + 1);
	while (text[at] && text[at] != ']') {
		size_t end = skip_value(text, at);
		if (!index--) {
			*out = (struct span){at, end};
			return true;
		}
		at = skip_blanks(text, end);
		if (text[at] != ',')
			return false;
		at = skip_blanks(text, at + 1);
	}
	return false;
}

char *splice_replace(const char *text, struct span span, const char *value)
{
	char *out = NULL;

	if (asprintf(&out, "%.*s%s%s", (int)span.start, text, value, text + span.end) < 0)
		return NULL;
	return out;
}

/* The last element; index: its number. false: the array is empty. */
static bool last_element(const char *text, struct span array, size_t *index, struct span *out)
{
	*index = 0;
	if (!span_element(text, array, 0, out))
		return false;
	while (span_element(text, array, *index + 1, out))
		++*index;
	return true;
}

char *splice_append(const char *text, struct span array, const char *value)
{
	struct span last;
	size_t index;
	char *out = NULL;

	if (text[array.start] != '[')
		return NULL;
	if (!last_element(text, array, &index, &last))
		return splice_replace(text, (struct span){array.start + 1, array.start + 1}, value);
	/* The blanks before the last element go before ours, too. */
	size_t blanks = last.start;
	while (blanks > array.start + 1 && strchr(" \t\r\n", text[blanks - 1]))
		blanks--;
	if (asprintf(&out, "%.*s,%.*s%s%s", (int)last.end, text, (int)(last.start - blanks), text + blanks, value,
		     text + last.end) < 0)
		return NULL;
	return out;
}

char *splice_remove(const char *text, struct span array, size_t index)
{
	struct span element, neighbour;

	if (!span_element(text, array, index, &element))
		return NULL;
	if (index && span_element(text, array, index - 1, &neighbour))
		element.start = neighbour.end;
	else if (span_element(text, array, index + 1, &neighbour))
		element.end = neighbour.start;
	return splice_replace(text, element, "");
}
