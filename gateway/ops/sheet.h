/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Text for an operator's eyes: sections of lines in columns, at most SHEET_WIDTH wide. Pure: bytes into a buffer.
 *
 *     Connecting
 *       192.0.2.1:5222          connected                                             12 ms     31 ms
 *       ^ label                 ^ text, in several lines when it is long        step, and since the start
 *
 * Labels and texts may be what a stranger wrote: what is not printable ASCII is escaped ("\x1b"), so that nothing reaches the
 * terminal but letters. What is very long is cut.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/sv.h"

enum {
	SHEET_WIDTH = 100,
	SHEET_LABEL = 24,   /* columns of a label, with the blank behind it; a longer one has a line of its own */
	SHEET_TIME = 10,    /* columns of each of the two times */
	/* A peer's text takes no more than some lines of the operator's screen. */
	SHEET_TEXT_MAX = 1000,
	/* A step without a time. */
	SHEET_NO_TIME = -1,
};

/* Of a text, where there are colours. */
enum sheet_style {
	SHEET_PLAIN,
	SHEET_GOOD,
	SHEET_BAD,
	SHEET_WARNING,
	SHEET_FAINT,
	SHEET_STYLE_COUNT,
};

/* The times of a step, in microseconds, or SHEET_NO_TIME. */
struct sheet_times {
	int64_t step_us, start_us;
};

struct sheet {
	struct buffer out; /* the owner takes the bytes out; when it is empty it has no memory */
	bool coloured;
	bool has_captions; /* the columns of times have been named: the first section does */
	int r;             /* -ENOMEM when something is missing in out */
};

void sheet_deinit(struct sheet *sheet);

/* The first line. @text is the caller's own: it is written as it is, so that it may have letters beyond ASCII. */
void sheet_heading(struct sheet *sheet, const char *text);

/* An empty line, and a title. */
void sheet_section(struct sheet *sheet, const char *title);

/* @times may be NULL. */
void sheet_line(struct sheet *sheet, const char *label, enum sheet_style style, const struct sheet_times *times,
		const char *format, ...) _printf_(5, 6);

/* A paragraph over the whole width; the second line on is indented by @indent. */
void sheet_paragraph(struct sheet *sheet, enum sheet_style style, size_t indent, const char *format, ...)
	_printf_(4, 5);

/* An empty line. */
void sheet_gap(struct sheet *sheet);

/* Appends @text to @buffer, printable, cut to SHEET_TEXT_MAX columns. Returns 0 or -ENOMEM. */
_must_check_ int sheet_escape(struct buffer *buffer, struct sv text);
