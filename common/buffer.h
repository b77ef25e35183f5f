/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Growable bytes with a cheap front: append at the end, consume at the beginning. Empty buffers
 * hold no memory, so that an idle session costs nothing for them.
 *
 * Limits are the caller's: whoever appends what a peer sent compares buffer.n before.
 */
#include <stdarg.h>
#include <stddef.h>

#include "common/macro.h"
#include "common/sv.h"

struct buffer {
	char *data;   /* what malloc gave; the bytes begin at data + offset */
	size_t offset;
	size_t n;
	size_t size;
};

#define BUFFER_INIT ((struct buffer){0})

/* Frees the bytes; the buffer is empty and usable afterwards. May run twice. */
void buffer_deinit(struct buffer *buffer);

/* Makes room for @n more bytes behind the last. Returns 0 or -ENOMEM (nothing changed). */
_must_check_ int buffer_reserve(struct buffer *buffer, size_t n);

_must_check_ int buffer_append(struct buffer *buffer, const void *data, size_t n);
_must_check_ int buffer_append_sv(struct buffer *buffer, struct sv view);

/* Appends @view with the five characters escaped that matter in XML text and attribute values. */
_must_check_ int buffer_append_escaped(struct buffer *buffer, struct sv view);

/* printf into the buffer; for short texts only. Returns 0, -ENOMEM. */
_must_check_ _printf_(2, 3) int buffer_printf(struct buffer *buffer, const char *format, ...);
_must_check_ int buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments);

/* Keeps the first @n bytes (at most buffer->n) and drops those behind them. */
void buffer_truncate(struct buffer *buffer, size_t n);

/* Drops the first @n bytes (at most buffer->n). Memory goes when the buffer becomes empty. */
void buffer_consume(struct buffer *buffer, size_t n);

/* Forgets the bytes and keeps the memory: for buffers that are used again at once. */
static inline void buffer_clear(struct buffer *buffer)
{
	buffer->n = 0;
	buffer->offset = 0;
}

static inline struct sv buffer_sv(const struct buffer *buffer)
{
	return (struct sv){buffer->data ? buffer->data + buffer->offset : "", buffer->n};
}

/* Where the next byte goes, after buffer_reserve(). */
static inline char *buffer_end(struct buffer *buffer)
{
	return buffer->data + buffer->offset + buffer->n;
}
