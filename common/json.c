/* SPDX-License-Identifier: MIT */
#include "common/json.h"

#include <stdint.h>
#include <stdio.h>

#include "common/utf8.h"

enum {
	REPLACEMENT = 0xfffd,
	PLANE = 0x10000, /* the first code point that needs a surrogate pair */
	SURROGATE_FIRST = 0xd800,
	SURROGATE_LOW = 0xdc00,
};

/* Takes one character. */
static uint32_t take(struct sv *rest)
{
	unsigned char first = (unsigned char)rest->data[0];
	size_t n = utf8_character(*rest);

	if (n == 0) {
		*rest = sv_skip(*rest, 1);
		return REPLACEMENT;
	}
	uint32_t code = n == 1 ? first : first & (0x7fU >> n);

	for (size_t i = 1; i < n; i++) {
		code = code << 6 | (rest->data[i] & 0x3f);
	}
	*rest = sv_skip(*rest, n);
	return code;
}

size_t json_character(struct sv *rest, char ret_form[static JSON_CHARACTER_MAX])
{
	uint32_t code = take(rest);
	int n;

	if (code == '"' || code == '\\') {
		n = snprintf(ret_form, JSON_CHARACTER_MAX, "\\%c", (char)code);
	} else if (code >= ' ' && code < 0x7f) {
		n = snprintf(ret_form, JSON_CHARACTER_MAX, "%c", (char)code);
	} else if (code < PLANE) {
		n = snprintf(ret_form, JSON_CHARACTER_MAX, "\\u%04x", code);
	} else {
		code -= PLANE;
		n = snprintf(ret_form, JSON_CHARACTER_MAX, "\\u%04x\\u%04x",
			     SURROGATE_FIRST + (code >> 10), SURROGATE_LOW + (code & 0x3ff));
	}
	return (size_t)n;
}

void json_string(struct writer *writer, struct sv text)
{
	writer_put(writer, SV("\""));
	while (text.n) {
		char form[JSON_CHARACTER_MAX];
		size_t n = json_character(&text, form);

		writer_put(writer, (struct sv){form, n});
	}
	writer_put(writer, SV("\""));
}

struct writer json_begin_element(struct buffer *elements)
{
	struct writer writer = writer_begin(elements);

	writer_put(&writer, elements->n ? SV(",") : SV_EMPTY);
	return writer;
}

void json_next(struct writer *writer)
{
	struct sv text = buffer_sv(writer->buffer);

	if (text.n > writer->n_before && !memchr("{[:,", text.data[text.n - 1], 4)) {
		writer_put(writer, SV(","));
	}
}

void json_key(struct writer *writer, const char *key)
{
	json_next(writer);
	json_string(writer, sv_from(key));
	writer_put(writer, SV(":"));
}

static void open_value(struct writer *writer, const char *key, struct sv bracket)
{
	if (key) {
		json_key(writer, key);
	} else {
		json_next(writer);
	}
	writer_put(writer, bracket);
}

void json_open_object(struct writer *writer, const char *key)
{
	open_value(writer, key, SV("{"));
}

void json_open_array(struct writer *writer, const char *key)
{
	open_value(writer, key, SV("["));
}

void json_close_object(struct writer *writer)
{
	writer_put(writer, SV("}"));
}

void json_close_array(struct writer *writer)
{
	writer_put(writer, SV("]"));
}

void json_member_string(struct writer *writer, const char *key, struct sv text)
{
	json_key(writer, key);
	json_string(writer, text);
}

void json_member_number(struct writer *writer, const char *key, int64_t number)
{
	json_key(writer, key);
	writer_printf(writer, "%lld", (long long)number);
}

void json_member_real(struct writer *writer, const char *key, double number)
{
	json_key(writer, key);
	writer_printf(writer, "%.9g", number);
}

void json_member_bool(struct writer *writer, const char *key, bool value)
{
	json_key(writer, key);
	writer_put(writer, value ? SV("true") : SV("false"));
}

void json_member_null(struct writer *writer, const char *key)
{
	json_key(writer, key);
	writer_put(writer, SV("null"));
}
