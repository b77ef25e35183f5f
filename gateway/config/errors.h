/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How mistakes in a configuration file are reported: "FILE:LINE: key: expected ..., got ...". What
 * refuses a value reports it and goes on, so that one run finds all mistakes.
 */
#include <stddef.h>
#include <stdio.h>

#include "common/macro.h"

/* Where something stands. */
struct config_place {
	const char *file; /* borrowed; "built-in defaults" for these */
	unsigned line;    /* 0 when none is known */
	unsigned serial;  /* grows with each key and section that is read; 0 for a default */
};

struct config_errors {
	FILE *stream; /* borrowed */
	size_t n;     /* mistakes so far */
	char *files;  /* owned: config_note_file() */
};

/* Prints a mistake and counts it. */
_printf_(3, 4) void config_error(struct config_errors *errors, struct config_place place,
				 const char *format, ...);

/* Prints a warning in the same form; the configuration is still taken. */
_printf_(3, 4) void config_warning(struct config_errors *errors, struct config_place place,
				   const char *format, ...);

/* Notes that the configuration names the file @path, or files by a pattern: lines of names, each
 * once. Returns 0 or -ENOMEM. */
_must_check_ int config_note_file(struct config_errors *errors, const char *path);

/* Of two places, the one that was read later: a mistake that concerns both is reported there. */
struct config_place config_place_later(struct config_place a, struct config_place b);
