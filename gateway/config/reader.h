/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reads configuration files into scopes (schema.h). Mistakes are reported, and reading goes on
 * behind them, up to the first error of syntax.
 *
 * A file that is included is read where `include` stands. Its keys take the place of those that
 * were read before ("+=" adds to them); within one file, each key may be set only once.
 */
#include "common/writer.h"
#include "gateway/config/files.h"
#include "gateway/config/schema.h"

struct config_reader {
	struct config_errors *errors; /* borrowed */
	struct config_scope *file;    /* borrowed: the scope of config_table_file */
	struct writer *sections;      /* borrowed: gets the sections for --dump; NULL for none */
	struct config_files files; /* those that have been read; the first one is the main file */
	unsigned serial;
};

/* Reads the file @path into reader->file. To be called once. Returns 0, also when there have been
 * mistakes in values, -EINVAL at an error of syntax (reported), -ENOMEM, or the negative errno of
 * reading the file (reported). */
_must_check_ int config_read(struct config_reader *reader, const char *path);

/* Frees the names of the files. No place of them may be used any more. */
void config_reader_deinit(struct config_reader *reader);
