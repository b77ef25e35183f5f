/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reads configuration files into scopes (schema.h). Mistakes are reported, and reading goes on
 * behind them, up to the first error of syntax.
 */
#include "common/sv.h"
#include "gateway/config/schema.h"

struct config_reader {
	struct config_errors *errors; /* borrowed */
	struct config_scope *file;    /* borrowed: the scope of config_table_file */
	unsigned serial;
};

/* Reads @text, the contents of the file @name, which are borrowed, @name until the scope ends.
 * Returns 0, also when there have been mistakes in values, -EINVAL at an error of syntax
 * (reported), or -ENOMEM. */
_must_check_ int config_read(struct config_reader *reader, const char *name, struct sv text);
