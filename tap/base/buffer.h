/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.h - a growing queue of bytes
 *
 * Bytes are appended at the end and consumed at the start; `data[start, end)` are the bytes held. Zero-initialise.
 * One thread.
 */
#ifndef PODSWITCH_BUFFER_H
#define PODSWITCH_BUFFER_H

#include <stddef.h>

struct buffer {
	char *data;
	size_t start, end, size;
};

/* How many bytes it holds, and where they begin (NULL when nothing was ever appended). */
size_t buffer_length(const struct buffer *buffer);
char *buffer_bytes(const struct buffer *buffer);

/* Makes room for `more` bytes at data + end. 0, or -ENOMEM with the contents unchanged. */
int buffer_reserve(struct buffer *buffer, size_t more);

/* 0, or -ENOMEM with nothing appended. */
int buffer_append(struct buffer *buffer, const void *bytes, size_t length);

/* Drops the first `length` bytes. An emptied large buffer is freed. */
void buffer_consume(struct buffer *buffer, size_t length);

void buffer_free(struct buffer *buffer);

#endif
