/* SPDX-License-Identifier: MIT */
/*
 * What is made of a text that a stranger wrote: a log line (common/log-line.h), JSON, escaped XML,
 * a check for UTF-8. A log line is one line of printable ASCII, whatever is in it. Escaped, the
 * text is what expat reads again. Whole or cut, the same text is UTF-8.
 *
 * covers: common/log-line.c common/json.c common/utf8.c common/buffer.c common/writer.c
 */
#include "tests/fuzz/fuzz.h"

#include <expat.h>

#include "common/json.h"
#include "common/log-line.h"
#include "common/utf8.h"

static bool is_printable(struct sv text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.data[i] < ' ' || text.data[i] > '~') {
			return false;
		}
	}
	return true;
}

/* Passes over a JSON string. */
static void skip_string(struct sv *rest)
{
	FUZZ_CHECK(fuzz_byte(rest) == '"');
	for (unsigned c = fuzz_byte(rest); c != '"'; c = fuzz_byte(rest)) {
		FUZZ_CHECK(c >= ' ' && c <= '~');
		if (c == '\\') {
			c = fuzz_byte(rest);
			FUZZ_CHECK(c && strchr("\"\\/bfnrtu", (int)c));
		}
	}
}

static void check_json(struct sv text)
{
	struct buffer json = BUFFER_INIT;
	struct writer writer = writer_begin(&json);

	json_string(&writer, text);
	assert_int_equal(writer_end(&writer), 0);
	struct sv rest = buffer_sv(&json);

	skip_string(&rest);
	FUZZ_CHECK(rest.n == 0);
	buffer_deinit(&json);
}

static void check_line(struct sv text)
{
	static struct log_line line;

	for (enum log_format format = 0; format < LOG_FORMAT_COUNT; format++) {
		const struct log_style style = {format, LOG_FRAME_JOURNAL};

		log_line_format(&line, &style, LOG_LEVEL_INFO, "event",
				LOG_FIELDS(LOG_SV("a", text), LOG_NUMBER("b", 1)));
		FUZZ_CHECK(line.n > 0 && line.n <= LOG_LINE_MAX && line.data[line.n - 1] == '\n');
		struct sv written = {line.data, line.n - 1};

		FUZZ_CHECK(is_printable(written));
		/* The field behind it is still one of its own. */
		size_t at = sv_find_sv(written,
				       format == LOG_FORMAT_JSON ? SV("\"b\":1}") : SV(" b=1"));

		FUZZ_CHECK(at < written.n);
	}
}

static void XMLCALL take_text(void *userdata, const XML_Char *text, int n)
{
	assert_int_equal(buffer_append(userdata, text, (size_t)n), 0);
}

static void check_escaped(struct sv text)
{
	struct buffer escaped = BUFFER_INIT, read = BUFFER_INIT;
	XML_Parser parser = XML_ParserCreate("UTF-8");

	FUZZ_CHECK(parser);
	XML_SetUserData(parser, &read);
	XML_SetCharacterDataHandler(parser, take_text);
	assert_int_equal(buffer_append_sv(&escaped, SV("<a>")), 0);
	assert_int_equal(buffer_append_escaped(&escaped, text), 0);
	assert_int_equal(buffer_append_sv(&escaped, SV("</a>")), 0);
	struct sv xml = buffer_sv(&escaped);

	/* expat reads a CR as LF, and no other control bytes. */
	if (XML_Parse(parser, xml.data, (int)xml.n, 1) == XML_STATUS_OK &&
	    sv_find(text, '\r') == text.n) {
		FUZZ_CHECK(sv_eq(buffer_sv(&read), text));
	}
	FUZZ_CHECK(XML_GetErrorCode(parser) == XML_ERROR_NONE || !utf8_is_valid(text) ||
		   !is_printable(text));
	XML_ParserFree(parser);
	buffer_deinit(&escaped);
	buffer_deinit(&read);
}

static void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	struct utf8 utf8 = {0};
	struct sv piece;

	(void)userdata;
	while (pieces_next(pieces, &piece)) {
		if (!utf8_feed(&utf8, piece)) {
			LOG(log, "bad");
			return;
		}
	}
	LOG(log, "%s", utf8_is_whole(&utf8) ? "whole" : "open");
}

static void check_utf8(struct sv text)
{
	struct utf8 utf8 = {0};
	bool is_valid = utf8_feed(&utf8, text) && utf8_is_whole(&utf8);

	FUZZ_CHECK(utf8_is_valid(text) == is_valid);
	for (size_t n = 0; is_valid && n <= text.n && n < 40; n++) {
		struct sv cut = utf8_cut(text, n);

		FUZZ_CHECK(cut.n <= n && cut.n + 4 > n && utf8_is_valid(cut));
	}
}

void fuzz_one(struct sv input)
{
	fuzz_check_cuts(input, run, NULL);
	check_utf8(input);
	check_json(input);
	check_line(input);
	check_escaped(input);
}
