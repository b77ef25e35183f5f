/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The Date header of answers (RFC 9110, 6.6.1). Its text is made once for each second, however many
 * answers are given.
 *
 * Not thread-safe: each worker has its own.
 */
#include <stddef.h>
#include <time.h>

#include "common/sv.h"

enum {
	HTTP_DATE_SIZE = sizeof("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
};

/* Zero-initialize it. */
struct http_date {
	time_t second; /* that `line` tells */
	size_t n;      /* 0: there is no line yet */
	char line[HTTP_DATE_SIZE];
};

/* The header with its line end, for an answer that is given at @now, the time of the wall clock,
 * which may jump. Valid until the next call. Empty if @now is no date that the format can tell: an
 * answer without the header is better than one with a malformed header. */
struct sv http_date_line(struct http_date *date, time_t now);
