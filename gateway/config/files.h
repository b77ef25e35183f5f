/* SPDX-License-Identifier: MIT */
#pragma once
/* The files of a configuration: their contents, and those that an `include` names. */
#include "common/buffer.h"
#include "gateway/config/errors.h"

enum {
	/* Room for a hundred thousand domains. A larger file is a log or a device, given by
	 * mistake. */
	CONFIG_FILE_MAX = 16 * 1024 * 1024,
	/* Of all `include`s. More are a folder of something else. */
	CONFIG_FILES_MAX = 1000,
};

/* The files that have been read; places borrow their names. All zero: none. */
struct config_files {
	char **names; /* owned */
	size_t n;
};

void config_files_deinit(struct config_files *files);

/* Appends a copy of @name. Returns 0 or -ENOMEM. */
_must_check_ int config_files_add(struct config_files *files, const char *name);

/* Appends the names of the files that @pattern (glob(7)) matches, sorted. A relative pattern begins
 * at the folder of the file @beside. A pattern without * ? [ has to match. Returns 0, -ENOMEM, or
 * -EINVAL, reported at @place: nothing matches, a file for the second time, or too many. */
_must_check_ int config_files_match(struct config_files *files, const char *pattern,
				    const char *beside, struct config_errors *errors,
				    struct config_place place);

/* Reads a whole file. Returns 0, -ENOMEM, or the negative errno of open(2) or read(2), -EFBIG when
 * it is too large. */
_must_check_ int config_file_read(const char *path, struct buffer *text);
