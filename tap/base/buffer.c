/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.c - a growing queue of bytes */
#include "tap/base/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALL 65536 /* bytes; an emptied buffer larger than this is freed */

size_t buffer_length(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

char *buffer_bytes(const struct buffer *buffer)
{
	return buffer->data ? buffer->data + buffer->start : NULL;
}

int buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t length = buffer_length(buffer);

	if (buffer->size - buffer->end >= more)
		return 0;
	/* Move only when at least half is free; else a long queue would be moved again and again for a few bytes. */
	if (buffer->start >= length && buffer->size - length >= more) {
		memmove(buffer->data, buffer->data + buffer->start, length);
		buffer->start = 0;
		buffer->end = length;
		return 0;
	}
	size_t size = buffer->size ? buffer->size : 1024;
	while (size - buffer->end < more)
		size *= 2;
	char *data = realloc(buffer->data, size);
	if (!data)
		return -ENOMEM;
	buffer->data = data;
	buffer->size = size;
	return 0;
}

int buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
	if (!length)
		return 0;
	int error = buffer_reserve(buffer, length);
	if (error)
		return error;
	memcpy(buffer->data + buffer->end, bytes, length);
	buffer->end += length;
	return 0;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
	buffer->start += length;
	if (buffer->start < buffer->end)
		return;
	buffer->start = buffer->end = 0;
	if (buffer->size > SMALL)
		buffer_free(buffer);
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}
