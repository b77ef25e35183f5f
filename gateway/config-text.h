/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Prepares the text of a configuration file for libconfuse. Version 3.3 of it counts the line of a
 * comment twice, does not allow comments inside lists, skips characters that it does not know,
 * replaces ${...} by environment variables, and goes on into the next file inside a string that is
 * not closed. Here comments become spaces and everything else of the kind is refused, so that
 * libconfuse counts lines correctly and takes the text literally.
 *
 * text  the whole file, with a NUL at the end
 * line  counted from 1
 */
#include <stddef.h>

#include "common/macro.h"

enum {
	/* Room for thousands of domains. A larger file is a log or a device, given by mistake. */
	CONFIG_TEXT_MAX = 1024 * 1024,
};

/* Reads a whole file. *ret_text must be freed. Returns 0, -EFBIG when it is too large, -ENOMEM, or
 * the negative errno of open(2) or read(2). */
_must_check_ int config_text_read(const char *path, char **ret_text, size_t *ret_n);

/* Prepares the @n bytes of @text for libconfuse, in place. Returns 0, or -EINVAL when something is
 * refused; then *ret_what says what is wrong at *ret_line. */
_must_check_ int config_text_prepare(char *text, size_t n, unsigned *ret_line,
				     const char **ret_what);

/* The line of the last assignment to @key in the prepared @text, or 0 when there is none. */
unsigned config_text_key_line(const char *text, const char *key);

/* The lines at which the first @n sections of the prepared @text begin; 0 for missing ones. */
void config_text_section_lines(const char *text, size_t n, unsigned *ret_lines);
