/* SPDX-License-Identifier: MIT */
#pragma once
/* Random bytes and names that nobody can predict. */
#include <stddef.h>

#include "common/macro.h"

/* Fills @data from the kernel's generator. Returns 0 or a negative errno. */
_must_check_ int random_bytes(void *data, size_t n);

/* Writes @n characters of A-Z a-z 0-9 - _ and a NUL. Each character has six random bits, so 22 of
 * them have 132. Returns 0 or a negative errno. */
_must_check_ int random_name(char *text, size_t n);
