/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A growable byte buffer and queue: append at the end, consume at the beginning. An empty buffer
 * holds no memory, so it costs an idle session nothing.
 *
 * The buffer has no limit of its own. Before appending bytes that a peer sent, the caller compares
 * buffer.n with its limit.
 */
#include <stdarg.h>
#include <stddef.h>

#include "common/macro.h"
#include "common/sv.h"

struct buffer {
	char *data; /* the allocation; the bytes begin at data + offset */
	size_t offset;
	size_t n;
	size_t size;
	/* Bytes of the allocation that have held something, besides those that are there now. Only
	 * they are wiped: most of a large allocation may never have been touched. */
	size_t n_used;
};

enum {
	/* How much of one long message is wiped. Passwords and tokens, which must not stay in free
	 * memory, come in short ones. A long message is often no longer in the processor's cache,
	 * and to wipe all of it takes a twentieth of its round trip. */
	BUFFER_WIPE_MAX = 64 * 1024,
};

#define BUFFER_INIT ((struct buffer){0})

/* To be called before the end of the bytes moves to the front. */
static inline void buffer_note_used(struct buffer *buffer)
{
	size_t n = buffer->offset + buffer->n;

	buffer->n_used = n > buffer->n_used ? n : buffer->n_used;
}

/* Wipes and frees the bytes. The buffer is then empty and can be used again. May run twice. */
void buffer_deinit(struct buffer *buffer);

/* The same for a buffer that has held one message, or a part of it: wipes no more of it than
 * BUFFER_WIPE_MAX bytes. */
void buffer_deinit_message(struct buffer *buffer);

/* Makes room for @n more bytes at the end. Returns 0 or -ENOMEM (nothing changed). */
_must_check_ int buffer_reserve(struct buffer *buffer, size_t n);

/* Makes room for @n more bytes at the end, and for @n_before before the bytes of a buffer that is
 * empty. Returns 0 or -ENOMEM (nothing changed). */
_must_check_ int buffer_reserve_around(struct buffer *buffer, size_t n_before, size_t n);

/* Appends a copy. Returns 0 or -ENOMEM (nothing changed). */
_must_check_ int buffer_append(struct buffer *buffer, const void *data, size_t n);
_must_check_ int buffer_append_sv(struct buffer *buffer, struct sv view);

/* Appends @view with & < > ' and " escaped for XML text and attribute values.
 * Returns 0, or -ENOMEM; a part may have been appended then. */
_must_check_ int buffer_append_escaped(struct buffer *buffer, struct sv view);

/* Appends a formatted text; meant for short ones. Returns 0 or -ENOMEM. */
_must_check_ _printf_(2, 3) int buffer_printf(struct buffer *buffer, const char *format, ...);
_must_check_ int buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments);

/* Keeps the first @n bytes (at most buffer->n) and drops the rest. */
void buffer_truncate(struct buffer *buffer, size_t n);

/* Drops the first @n bytes (at most buffer->n). Frees the memory if the buffer becomes empty. */
void buffer_consume(struct buffer *buffer, size_t n);

/* Gives the memory of the bytes to the caller, who wipes and frees it; the buffer is empty
 * afterwards. Returns where the bytes are in it: as far from its beginning as they were. It has no
 * more room behind them. NULL: there was none. */
_must_check_ char *buffer_release(struct buffer *buffer);

/* Drops all bytes and keeps the memory, for a buffer that is used again at once. */
static inline void buffer_clear(struct buffer *buffer)
{
	buffer_note_used(buffer);
	buffer->n = 0;
	buffer->offset = 0;
}

/* The same; the bytes are wiped, because the memory may not be used again soon. */
void buffer_wipe(struct buffer *buffer);

static inline struct sv buffer_sv(const struct buffer *buffer)
{
	return (struct sv){buffer->data ? buffer->data + buffer->offset : "", buffer->n};
}

/* Where the next byte goes. Valid after buffer_reserve(). What is written there is wiped if it is
 * counted in @buffer->n. */
static inline char *buffer_end(struct buffer *buffer)
{
	return buffer->data + buffer->offset + buffer->n;
}
