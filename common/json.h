/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Writes JSON (RFC 8259), in printable ASCII only: whatever a text holds, the result is valid, and
 * safe to print on a terminal.
 *
 * character  a code point of valid UTF-8, or one byte that is not valid UTF-8, which becomes U+FFFD
 */
#include "common/sv.h"
#include "common/writer.h"

enum {
	/* Of one character: two escapes of a surrogate pair, and the NUL. */
	JSON_CHARACTER_MAX = 13,
};

/* Takes the next character from @rest, which must not be empty, and writes its form inside a JSON
 * string, NUL-terminated. Returns the length of that form. */
size_t json_character(struct sv *rest, char ret_form[static JSON_CHARACTER_MAX]);

/* Appends @text as a string with its quotes. */
void json_string(struct writer *writer, struct sv text);

/* Appends the key of a member and the colon. Writes a comma first unless it follows a brace. */
void json_key(struct writer *writer, const char *key);

/* Appends a comma unless the value comes first in its array. */
void json_next(struct writer *writer);

/* Begins one more element of an array whose elements are collected in @elements, with commas
 * between them and without brackets. */
struct writer json_begin_element(struct buffer *elements);

/* Begin an object or an array: the value of the member @key, or an element if @key is NULL. */
void json_open_object(struct writer *writer, const char *key);
void json_open_array(struct writer *writer, const char *key);
void json_close_object(struct writer *writer);
void json_close_array(struct writer *writer);

/* A member of an object: key and value. */
void json_member_string(struct writer *writer, const char *key, struct sv text);
void json_member_number(struct writer *writer, const char *key, int64_t number);
void json_member_real(struct writer *writer, const char *key, double number);
void json_member_bool(struct writer *writer, const char *key, bool value);
void json_member_null(struct writer *writer, const char *key);
