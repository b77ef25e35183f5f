/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Appends a text of several parts to a buffer and reports errors once, at the end:
 *
 *     struct writer writer = writer_begin(&buffer);
 *
 *     writer_put(&writer, SV("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'"));
 *     writer_attribute(&writer, SV("to"), domain);
 *     writer_put(&writer, SV("/>"));
 *     return writer_end(&writer);
 *
 * After the first error the functions do nothing. writer_end() then takes back everything that was
 * appended since writer_begin(), so that a buffer never keeps half a text.
 *
 * The buffer is borrowed from writer_begin() to writer_end(); meanwhile only the writer may change
 * it.
 */
#include "common/buffer.h"

struct writer {
	struct buffer *buffer;
	size_t n_before; /* bytes that the buffer had at the beginning */
	int error;       /* 0 or the first error, a negative errno */
};

static inline struct writer writer_begin(struct buffer *buffer)
{
	return (struct writer){.buffer = buffer, .n_before = buffer->n};
}

/* Returns 0 or the first error: -ENOMEM, or the one given to writer_fail(). May run twice. */
_must_check_ int writer_end(struct writer *writer);

/* Makes @error the first error, unless there has been one. @error is 0 or a negative errno. */
void writer_fail(struct writer *writer, int error);

void writer_put(struct writer *writer, struct sv text);

/* Appends @text with & < > ' and " escaped for XML text and attribute values. */
void writer_escaped(struct writer *writer, struct sv text);

/* Appends a formatted text; meant for short ones. */
_printf_(2, 3) void writer_printf(struct writer *writer, const char *format, ...);

/* Appends " name='value'" with the value escaped, or nothing if @value is empty. */
void writer_attribute(struct writer *writer, struct sv name, struct sv value);
