/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Texts to config_new(): each is written to one temporary file, and what is printed is kept in
 * errors_text. Included after cmocka.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/config/config.h"

static char config_path[] = "/tmp/doab-config-XXXXXX";
static char *errors_text;
static size_t errors_n;

static inline int setup(void **state)
{
	int fd = mkstemp(config_path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static inline int teardown(void **state)
{
	(void)state;
	free(errors_text);
	return unlink(config_path);
}

static inline int read_path(const char *path, struct config **ret_config)
{
	FILE *errors;
	int r;

	free(errors_text);
	errors_text = NULL;
	errors = open_memstream(&errors_text, &errors_n);
	assert_non_null(errors);
	r = config_new(path, errors, ret_config);
	fclose(errors);
	return r;
}

static inline int read_text(const char *text, struct config **ret_config)
{
	/* Makes a new file: some filesystems sync a file that was truncated at once. */
	(void)unlink(config_path);
	FILE *file = fopen(config_path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	return read_path(config_path, ret_config);
}

static inline struct config *made(const char *text)
{
	struct config *config = NULL;

	if (read_text(text, &config) != 0) {
		fail_msg("refused: '%s': %s", text, errors_text);
	}
	assert_string_equal(errors_text, "");
	return config;
}

/* The first message printed is about @line and begins with @what. */
static inline void assert_printed(unsigned line, const char *what)
{
	char expected[512];

	snprintf(expected, sizeof(expected), "%s:%u: %s", config_path, line, what);
	if (strncmp(errors_text, expected, strlen(expected)) != 0) {
		fail_msg("printed  %s\nexpected %s", errors_text, expected);
	}
}

/* @text is refused. The first mistake is in @line, and its message begins with @what. */
static inline void refused(const char *text, unsigned line, const char *what)
{
	struct config *config = NULL;

	if (read_text(text, &config) != -EINVAL) {
		fail_msg("taken: '%s'", text);
	}
	assert_null(config);
	assert_printed(line, what);
	assert_int_equal(errors_text[errors_n - 1], '\n');
}

static inline void check_address(const struct address *address, const char *expected)
{
	char text[ADDRESS_TEXT_MAX];

	assert_string_equal(address_format(address, text), expected);
}
