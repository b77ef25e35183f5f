/* SPDX-License-Identifier: MIT */
#pragma once
/* The values of a key (schema.h): read from a text, and kept until its scope ends. */
#include "gateway/config/lexer.h"
#include "gateway/config/schema.h"

/* Reads the values behind "=", one or a list in braces, and appends them to those of @setting.
 * @place has the file and the serial of the setting. Returns 0, -ENOMEM, or -EINVAL at an error of
 * syntax; then *ret_what says what is wrong at *ret_line, in words that are borrowed from
 * @setting or static. */
_must_check_ int config_setting_read(struct config_setting *setting, struct config_lexer *lexer,
				     struct config_place place, unsigned *ret_line,
				     const char **ret_what);

/* Drops all values. */
void config_setting_clear(struct config_setting *setting);
