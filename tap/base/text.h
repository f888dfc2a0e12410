/* SPDX-License-Identifier: Apache-2.0 */
/* text.h - text from outside, made fit for one line of ours. Any thread. */
#ifndef PODSWITCH_TEXT_H
#define PODSWITCH_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Replaces control characters by `stand_in`: no newline, and nothing that steers a terminal. UTF-8 stays. */
void text_to_line(char *text, char stand_in);

/* Replaces all that is not printable ASCII by '?'. UTF-8 that was cut within a character is refused by JSON. */
void text_to_ascii(char *text);

/* Whether `text` ends with `end` and is longer than that. */
bool text_ends_with(const char *text, const char *end);

/* Whether the line has nothing but blanks, tabs and carriage returns. */
bool text_is_blank(const char *line, size_t length);

/* Moves *text past blanks, tabs and line ends in front, and returns the length without those behind. */
size_t text_trim(const char **text);

#endif
