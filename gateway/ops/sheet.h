/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Formats what operators are shown: sections of lines in columns, at most SHEET_WIDTH wide. Writes
 * into a buffer.
 *
 *     Connecting
 *       192.0.2.1:5222        connected                              12 ms     31 ms
 *       ^ label               ^ text, wrapped when it is long      step, and since the start
 *
 * Labels and texts may come from strangers: all but printable ASCII is escaped ("\x1b"), so that no
 * control sequence reaches the terminal. Very long texts are cut.
 *
 * The same lines can be had in JSON, for programs: each is an object in an array.
 *
 *     {"section":"Connecting","label":"192.0.2.1:5222","status":"ok","text":"connected",
 *      "step_ms":12.300,"start_ms":31.000}
 *
 * label   of a line that continues the one before it: the label of that one
 * status  the style: ok, failed, warning, or info
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/sv.h"
#include "common/writer.h"

enum {
	SHEET_WIDTH = 100,
	/* columns of a label, with a blank after it; longer ones get a line of their own */
	SHEET_LABEL = 24,
	SHEET_TIME = 10, /* columns of a time; a line has two */
	/* Limits how much of the screen a peer's text can fill. */
	SHEET_TEXT_MAX = 1000,
	/* Of a label that the next lines may continue, in JSON. */
	SHEET_KEPT_LABEL_MAX = 320,
	/* Leaves a time out. */
	SHEET_NO_TIME = -1,
};

/* The meaning of a text; shown as a colour if there are colours. */
enum sheet_style {
	SHEET_PLAIN,
	SHEET_GOOD,
	SHEET_BAD,
	SHEET_WARNING,
	SHEET_FAINT,
	SHEET_STYLE_COUNT,
};

/* The times of a step in microseconds, or SHEET_NO_TIME. */
struct sheet_times {
	int64_t step_us, start_us;
};

enum sheet_form {
	SHEET_TEXT,
	SHEET_JSON,
};

struct sheet {
	enum sheet_form form;
	/* Taken out by the owner; holds no memory when empty. In JSON the lines, with commas
	 * between them. */
	struct buffer out;
	/* Only in JSON: the paragraphs, as strings with commas between them. */
	struct buffer warnings, paragraphs;
	const char *section; /* only in JSON: the current title, or NULL */
	char label[SHEET_KEPT_LABEL_MAX];
	bool is_coloured;
	bool has_captions; /* the columns of times have a heading, written with the first section */
	int r;             /* -ENOMEM if out of memory: `out` is incomplete then */
};

void sheet_deinit(struct sheet *sheet);

/* Writes the first line, in the text only. @text must be trusted: it is not escaped, so it may hold
 * characters beyond ASCII. */
void sheet_heading(struct sheet *sheet, const char *text);

/* Writes an empty line and a title, which must be static. */
void sheet_section(struct sheet *sheet, const char *title);

/* Writes a line. @times may be NULL. */
_printf_(5, 6) void sheet_line(struct sheet *sheet, const char *label, enum sheet_style style,
			       const struct sheet_times *times, const char *format, ...);

/* Writes a paragraph over the whole width; its lines after the first are indented by @indent. In
 * the text, one of the style SHEET_WARNING begins with "! ". */
_printf_(4, 5) void sheet_paragraph(struct sheet *sheet, enum sheet_style style, size_t indent,
				    const char *format, ...);

/* Writes an empty line, in the text only. */
void sheet_gap(struct sheet *sheet);

/* Appends the members "step_ms" and "start_ms" to an object: milliseconds, or null. @times may be
 * NULL. */
void sheet_json_times(struct writer *writer, const struct sheet_times *times);

/* Appends @text to @buffer, escaped and cut to SHEET_TEXT_MAX columns. Returns 0 or -ENOMEM. */
_must_check_ int sheet_escape(struct buffer *buffer, struct sv text);
