/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The text of a configuration file before libconfuse sees it. libconfuse 3.3 counts the line of a
 * comment twice, takes no comment inside a list, passes over characters that it does not know, puts
 * environment variables in, and goes on in the next file inside a string that this one left open.
 * All of that is settled here: comments become spaces, the rest is refused. So its line numbers are
 * right, and what it reads is what is written.
 *
 * text  the whole file, with a NUL behind it
 * line  counted from 1
 */
#include <stddef.h>

#include "common/macro.h"

enum {
	/* Thousands of domains. More is no configuration but a device or a log given by mistake. */
	CONFIG_TEXT_MAX = 1024 * 1024,
};

/* Reads a file whole. Returns 0, -EFBIG, -ENOMEM or the errno of open(2) or read(2). */
_must_check_ int config_text_read(const char *path, char **ret_text, size_t *ret_n);

/* Makes the @n bytes of @text ready for libconfuse, in place. Returns 0, or -EINVAL with what is
 * wrong at which line. */
_must_check_ int config_text_prepare(char *text, size_t n, unsigned *ret_line,
				     const char **ret_what);

/* Where the prepared @text gives a value to @key for the last time, or 0. */
unsigned config_text_key_line(const char *text, const char *key);

/* Where the first @n sections of the prepared @text begin; 0 for those that are not there. */
void config_text_section_lines(const char *text, size_t n, unsigned *ret_lines);
