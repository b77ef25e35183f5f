/* SPDX-License-Identifier: MIT */
#include "common/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	BUFFER_SIZE_MIN = 256,
	/* More than this is not rounded up to a power of two where it is asked for at once: mostly
	 * no more will come. Blocks of about the size of what is in them also fit into the place of
	 * each other, which keeps the kernel from providing new pages all the time. */
	BUFFER_ROUND_MAX = 64 * 1024,
	BUFFER_PAGE = 4096,
};

/* Clients' passwords pass through buffers: they must not stay in the memory that is free. */
static void wipe_and_free(struct buffer *buffer, size_t n_max)
{
	if (buffer->data) {
		buffer_note_used(buffer);
		explicit_bzero(buffer->data, buffer->n_used < n_max ? buffer->n_used : n_max);
		free(buffer->data);
	}
}

void buffer_deinit(struct buffer *buffer)
{
	wipe_and_free(buffer, SIZE_MAX);
	*buffer = BUFFER_INIT;
}

void buffer_deinit_message(struct buffer *buffer)
{
	wipe_and_free(buffer, BUFFER_WIPE_MAX);
	*buffer = BUFFER_INIT;
}

void buffer_wipe(struct buffer *buffer)
{
	buffer_clear(buffer);
	if (buffer->n_used) {
		explicit_bzero(buffer->data, buffer->n_used);
		buffer->n_used = 0;
	}
}

/* The size of memory for @n_all bytes, which @buffer has no room for. */
static size_t size_for(const struct buffer *buffer, size_t n_all)
{
	size_t size = buffer->size ? buffer->size : BUFFER_SIZE_MIN;

	if (n_all > BUFFER_ROUND_MAX && n_all > 2 * size) {
		return (n_all + BUFFER_PAGE - 1) & ~(size_t)(BUFFER_PAGE - 1);
	}
	while (size < n_all) {
		size *= 2;
	}
	/* Without growing, a nearly full buffer that is consumed and appended to in turn would be
	 * copied each time. With twice the size, the next copy comes only after half of it has been
	 * consumed. */
	return buffer->offset && size == buffer->size ? 2 * size : size;
}

int buffer_reserve(struct buffer *buffer, size_t n)
{
	assert(buffer->offset <= buffer->size && buffer->n <= buffer->size - buffer->offset);
	if (n <= buffer->size - buffer->offset - buffer->n) {
		return 0;
	}
	if (buffer->offset && n <= buffer->size - buffer->n && buffer->offset >= buffer->n) {
		buffer_note_used(buffer);
		memcpy(buffer->data, buffer->data + buffer->offset, buffer->n);
		buffer->offset = 0;
		return 0;
	}
	if (n > SIZE_MAX / 4 - buffer->n) {
		return -ENOMEM;
	}
	size_t size = size_for(buffer, buffer->n + n);
	char *data = malloc(size);

	if (!data) {
		return -ENOMEM;
	}
	if (buffer->n) {
		memcpy(data, buffer->data + buffer->offset, buffer->n);
	}
	wipe_and_free(buffer, SIZE_MAX);
	buffer->data = data;
	buffer->offset = 0;
	buffer->size = size;
	buffer->n_used = 0;
	return 0;
}

int buffer_reserve_around(struct buffer *buffer, size_t n_before, size_t n)
{
	if (buffer->n) {
		return buffer_reserve(buffer, n);
	}
	buffer_clear(buffer);
	int r = buffer_reserve(buffer, n_before + n);

	if (r == 0) {
		buffer->offset = n_before;
	}
	return r;
}

int buffer_append(struct buffer *buffer, const void *data, size_t n)
{
	if (n == 0) {
		return 0;
	}
	/* Most appends find room: they are many for each stanza. */
	if (n > buffer->size - buffer->offset - buffer->n) {
		int r = buffer_reserve(buffer, n);

		if (r < 0) {
			return r;
		}
	}
	memcpy(buffer_end(buffer), data, n);
	buffer->n += n;
	return 0;
}

int buffer_append_sv(struct buffer *buffer, struct sv view)
{
	return buffer_append(buffer, view.data, view.n);
}

static struct sv escape_of(char c)
{
	switch (c) {
	case '&':
		return SV("&amp;");
	case '<':
		return SV("&lt;");
	case '>':
		return SV("&gt;");
	case '\'':
		return SV("&apos;");
	case '"':
		return SV("&quot;");
	default:
		return SV_EMPTY;
	}
}

int buffer_append_escaped(struct buffer *buffer, struct sv view)
{
	size_t start = 0;

	for (size_t i = 0; i < view.n; i++) {
		struct sv escape = escape_of(view.data[i]);
		int r;

		if (escape.n == 0) {
			continue;
		}
		r = buffer_append(buffer, view.data + start, i - start);
		if (r < 0) {
			return r;
		}
		r = buffer_append_sv(buffer, escape);
		if (r < 0) {
			return r;
		}
		start = i + 1;
	}
	return buffer_append(buffer, view.n ? view.data + start : NULL, view.n - start);
}

int buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments)
{
	va_list copy;

	va_copy(copy, arguments);
	int n = vsnprintf(NULL, 0, format, copy);
	va_end(copy);
	if (n < 0) {
		return -EINVAL;
	}
	int r = buffer_reserve(buffer, (size_t)n + 1);

	if (r < 0) {
		return r;
	}
	vsnprintf(buffer_end(buffer), (size_t)n + 1, format, arguments);
	buffer->n += (size_t)n;
	return 0;
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int r = buffer_vprintf(buffer, format, arguments);
	va_end(arguments);
	return r;
}

void buffer_truncate(struct buffer *buffer, size_t n)
{
	if (n == 0) {
		/* An empty buffer holds no memory. */
		buffer_deinit(buffer);
	} else if (n < buffer->n) {
		buffer_note_used(buffer);
		buffer->n = n;
	}
}

char *buffer_release(struct buffer *buffer)
{
	size_t n = buffer->offset + buffer->n;
	char *bytes = buffer->data ? buffer->data + buffer->offset : NULL;

	if (bytes && n < buffer->size) {
		if (n < buffer->n_used) {
			explicit_bzero(buffer->data + n, buffer->n_used - n);
		}
		/* It shrinks where it is. */
		char *shorter = realloc(buffer->data, n ? n : 1);

		bytes = shorter ? shorter + buffer->offset : bytes;
	}
	*buffer = BUFFER_INIT;
	return bytes;
}

void buffer_consume(struct buffer *buffer, size_t n)
{
	if (n >= buffer->n) {
		buffer_deinit(buffer);
		return;
	}
	buffer->offset += n;
	buffer->n -= n;
}
