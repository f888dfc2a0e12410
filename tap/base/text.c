/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - text from outside, made fit for one line of ours */
#include "tap/base/text.h"

#include <string.h>

/* iscntrl() and its like depend on the locale. */
static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

void text_to_line(char *text, char stand_in)
{
	for (; *text; text++)
		if (is_control(*text))
			*text = stand_in;
}

void text_to_ascii(char *text)
{
	for (; *text; text++)
		if (is_control(*text) || (unsigned char)*text >= 0x80)
			*text = '?';
}

bool text_ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length > tail && !strcmp(text + length - tail, end);
}

bool text_is_blank(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
			return false;
	return true;
}

size_t text_trim(const char **text)
{
	static const char blanks[] = " \t\r\n";
	*text += strspn(*text, blanks);
	size_t length = strlen(*text);
	while (length && strchr(blanks, (*text)[length - 1]))
		length--;
	return length;
}
