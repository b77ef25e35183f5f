/* SPDX-License-Identifier: MIT */
#pragma once
/* Writes scopes (schema.h) as a file that reads back to the same. */
#include "common/writer.h"
#include "gateway/config/schema.h"

/* Writes all settings of @scope and of the sections inside it. If @scope is a section, its first
 * line and its braces are written, too. Sections with `add` (domains, listeners) are not part of a
 * scope; the reader writes each of them when it has been read. */
void config_dump_scope(struct writer *writer, const struct config_scope *scope);
