/* SPDX-License-Identifier: MIT */
#include "gateway/ops/sheet.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/json.h"
#include "common/macro.h"

#define BOLD "1"

enum {
	INDENT = 2,
	GAP = 2,
	TEXT_AT = INDENT + SHEET_LABEL,
	TIMES = 2 * SHEET_TIME,
	TIME_TEXT_MAX = 32,
	/* Shorter times have a decimal: in a local network most steps take less than a
	 * millisecond. */
	EXACT_US = 10000,
};

void sheet_deinit(struct sheet *sheet)
{
	buffer_deinit(&sheet->out);
	buffer_deinit(&sheet->warnings);
	buffer_deinit(&sheet->paragraphs);
}

static void put(struct sheet *sheet, struct sv text)
{
	if (sheet->r == 0 && sheet->form == SHEET_TEXT) {
		sheet->r = buffer_append_sv(&sheet->out, text);
	}
}

static void put_blanks(struct sheet *sheet, size_t n)
{
	static const char blanks[] = "                                                  "
				     "                                                  ";

	static_assert(sizeof(blanks) == SHEET_WIDTH + 1, "as wide as a line");
	put(sheet, sv_first(sv_from(blanks), n));
}

static void put_coloured(struct sheet *sheet, const char *code, struct sv text)
{
	if (!sheet->is_coloured || !code || text.n == 0) {
		put(sheet, text);
		return;
	}
	put(sheet, SV("\033["));
	put(sheet, sv_from(code));
	put(sheet, SV("m"));
	put(sheet, text);
	put(sheet, SV("\033[0m"));
}

static void put_text(struct sheet *sheet, enum sheet_style style, struct sv text)
{
	static const char *const codes[SHEET_STYLE_COUNT] = {
		[SHEET_GOOD] = "32",
		[SHEET_BAD] = "31",
		[SHEET_WARNING] = "33",
		[SHEET_FAINT] = "2",
	};

	put_coloured(sheet, codes[style], text);
}

int sheet_escape(struct buffer *buffer, struct sv text)
{
	struct writer writer = writer_begin(buffer);

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (buffer->n - writer.n_before >= SHEET_TEXT_MAX) {
			writer_put(&writer, SV("..."));
			break;
		}
		if (c < ' ' || c >= 0x7f) {
			writer_printf(&writer, "\\x%02x", c);
		} else if (c == '\\') {
			writer_put(&writer, SV("\\\\"));
		} else {
			writer_put(&writer, (struct sv){&text.data[i], 1});
		}
	}
	return writer_end(&writer);
}

/* Takes from @rest what fits into @width columns; breaks at a blank if there is one. */
static struct sv take_line(struct sv *rest, size_t width)
{
	size_t n = rest->n;

	if (n > width) {
		for (n = width; n && rest->data[n] != ' '; n--) {
		}
		n = n ? n : width;
	}
	struct sv line = sv_first(*rest, n);

	*rest = sv_trim(sv_skip(*rest, n));
	return line;
}

static void put_time(struct sheet *sheet, int64_t us)
{
	char text[TIME_TEXT_MAX];
	int n = 0;

	if (us >= 0) {
		n = us < EXACT_US ? snprintf(text, sizeof(text), "%" PRId64 ".%" PRId64 " ms",
					     us / 1000, us % 1000 / 100)
				  : snprintf(text, sizeof(text), "%" PRId64 " ms", us / 1000);
	}
	put_blanks(sheet, n < SHEET_TIME ? (size_t)(SHEET_TIME - n) : 1);
	put_text(sheet, SHEET_FAINT, (struct sv){text, (size_t)n});
}

void sheet_gap(struct sheet *sheet)
{
	put(sheet, SV("\n"));
}

void sheet_heading(struct sheet *sheet, const char *text)
{
	put_coloured(sheet, BOLD, sv_from(text));
	sheet_gap(sheet);
}

void sheet_section(struct sheet *sheet, const char *title)
{
	static const char captions[] = "step     start";
	size_t n_title = strlen(title);

	sheet->section = title;
	sheet_gap(sheet);
	put_coloured(sheet, BOLD, sv_from(title));
	if (!sheet->has_captions) {
		sheet->has_captions = true;
		put_blanks(sheet, SHEET_WIDTH - n_title - (sizeof(captions) - 1));
		put_text(sheet, SHEET_FAINT, sv_from(captions));
	}
	sheet_gap(sheet);
}

/* Writes the label. One that is too long for its column is followed by the text in the same line if
 * @n_text columns fit before column @end; otherwise it gets lines of its own. Returns the column
 * where the text begins. */
static size_t put_label(struct sheet *sheet, struct sv label, size_t n_text, size_t end)
{
	size_t at = label.n < SHEET_LABEL ? TEXT_AT : INDENT + label.n + GAP;

	if (at > TEXT_AT && at + n_text > end) {
		while (label.n) {
			put_blanks(sheet, INDENT);
			put(sheet, take_line(&label, SHEET_WIDTH - INDENT));
			sheet_gap(sheet);
		}
		put_blanks(sheet, TEXT_AT);
		return TEXT_AT;
	}
	put_blanks(sheet, INDENT);
	put(sheet, label);
	put_blanks(sheet, at - INDENT - label.n);
	return at;
}

/* JSON. */

static void json_number(struct writer *writer, const char *key, int64_t us)
{
	if (us < 0) {
		json_member_null(writer, key);
		return;
	}
	json_key(writer, key);
	writer_printf(writer, "%" PRId64 ".%03" PRId64, us / 1000, us % 1000);
}

void sheet_json_times(struct writer *writer, const struct sheet_times *times)
{
	json_number(writer, "step_ms", times ? times->step_us : SHEET_NO_TIME);
	json_number(writer, "start_ms", times ? times->start_us : SHEET_NO_TIME);
}

static int json_line(struct sheet *sheet, const char *label, enum sheet_style style,
		     const struct sheet_times *times, struct sv text)
{
	static const char *const statuses[SHEET_STYLE_COUNT] = {
		[SHEET_PLAIN] = "info",      [SHEET_GOOD] = "ok",    [SHEET_BAD] = "failed",
		[SHEET_WARNING] = "warning", [SHEET_FAINT] = "info",
	};
	struct writer writer = json_begin_element(&sheet->out);

	if (label[0]) {
		(void)snprintf(sheet->label, sizeof(sheet->label), "%s", label);
	}
	json_open_object(&writer, NULL);
	json_member_string(&writer, "section", sv_from(sheet->section ? sheet->section : ""));
	json_member_string(&writer, "label", sv_from(sheet->label));
	json_member_string(&writer, "status", sv_from(statuses[style]));
	json_member_string(&writer, "text", sv_first(text, SHEET_TEXT_MAX));
	sheet_json_times(&writer, times);
	json_close_object(&writer);
	return writer_end(&writer);
}

static int json_paragraph(struct sheet *sheet, enum sheet_style style, struct sv text)
{
	bool is_warning = style == SHEET_WARNING;
	struct writer writer =
		json_begin_element(is_warning ? &sheet->warnings : &sheet->paragraphs);

	json_string(&writer, sv_first(text, SHEET_TEXT_MAX));
	return writer_end(&writer);
}

/* Text. */

static int text_line(struct sheet *sheet, const char *label, enum sheet_style style,
		     const struct sheet_times *times, struct sv text)
{
	_cleanup_(buffer_deinit) struct buffer safe_label = BUFFER_INIT;
	_cleanup_(buffer_deinit) struct buffer safe_text = BUFFER_INIT;
	size_t end = SHEET_WIDTH - (times ? TIMES : 0);

	if (sheet_escape(&safe_text, text) < 0 || sheet_escape(&safe_label, sv_from(label)) < 0) {
		return -ENOMEM;
	}
	struct sv rest = buffer_sv(&safe_text);
	size_t at = put_label(sheet, buffer_sv(&safe_label), rest.n, end);
	struct sv first = take_line(&rest, end - at);

	put_text(sheet, style, first);
	if (times) {
		put_blanks(sheet, end - at - first.n);
		put_time(sheet, times->step_us);
		put_time(sheet, times->start_us);
	}
	sheet_gap(sheet);
	while (rest.n) {
		put_blanks(sheet, TEXT_AT);
		put_text(sheet, style, take_line(&rest, end - TEXT_AT));
		sheet_gap(sheet);
	}
	return sheet->r;
}

static int text_paragraph(struct sheet *sheet, enum sheet_style style, size_t indent,
			  struct sv text)
{
	_cleanup_(buffer_deinit) struct buffer safe = BUFFER_INIT;
	int r = style == SHEET_WARNING ? buffer_append_sv(&safe, SV("! ")) : 0;

	if (r == 0) {
		r = sheet_escape(&safe, text);
	}
	if (r < 0) {
		return r;
	}
	struct sv rest = buffer_sv(&safe);

	put_text(sheet, style, take_line(&rest, SHEET_WIDTH));
	sheet_gap(sheet);
	while (rest.n) {
		put_blanks(sheet, indent);
		put_text(sheet, style, take_line(&rest, SHEET_WIDTH - indent));
		sheet_gap(sheet);
	}
	return sheet->r;
}

/* A line, or a paragraph if there is no label. */
struct piece {
	const char *label;
	enum sheet_style style;
	const struct sheet_times *times;
	size_t indent;
};

static int put_piece(struct sheet *sheet, const struct piece *piece, struct sv text)
{
	bool is_json = sheet->form == SHEET_JSON;

	if (!piece->label) {
		return is_json ? json_paragraph(sheet, piece->style, text)
			       : text_paragraph(sheet, piece->style, piece->indent, text);
	}
	return is_json ? json_line(sheet, piece->label, piece->style, piece->times, text)
		       : text_line(sheet, piece->label, piece->style, piece->times, text);
}

static void print(struct sheet *sheet, const struct piece *piece, const char *format,
		  va_list arguments)
{
	_cleanup_(buffer_deinit) struct buffer raw = BUFFER_INIT;

	if (sheet->r == 0) {
		sheet->r = buffer_vprintf(&raw, format, arguments);
	}
	if (sheet->r == 0) {
		sheet->r = put_piece(sheet, piece, buffer_sv(&raw));
	}
}

void sheet_line(struct sheet *sheet, const char *label, enum sheet_style style,
		const struct sheet_times *times, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(sheet, &(struct piece){.label = label, .style = style, .times = times}, format,
	      arguments);
	va_end(arguments);
}

void sheet_paragraph(struct sheet *sheet, enum sheet_style style, size_t indent, const char *format,
		     ...)
{
	va_list arguments;

	va_start(arguments, format);
	print(sheet, &(struct piece){.style = style, .indent = indent}, format, arguments);
	va_end(arguments);
}
