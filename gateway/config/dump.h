/* SPDX-License-Identifier: MIT */
#pragma once
/* Writes scopes (schema.h) as a file that reads back to the same. */
#include "common/writer.h"
#include "gateway/config/schema.h"

/* Writes the settings of @scope, of the themes and of the sections in it; of a section of its own
 * with its head and braces. Sections with `add` are not in a scope: they are written by themselves,
 * when they have been read. */
void config_dump_scope(struct writer *writer, const struct config_scope *scope);
