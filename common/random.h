/* SPDX-License-Identifier: MIT */
#pragma once
/* Unpredictable bytes and names. */
#include <stddef.h>

#include "common/macro.h"

/* Fills @data from the kernel's generator. Returns 0 or a negative errno. */
_must_check_ int random_bytes(void *data, size_t n);

/* Writes @n characters of A-Z a-z 0-9 - _ (six random bits each) and a NUL behind them: 22 carry
 * 132 bits. Returns 0 or a negative errno. */
_must_check_ int random_name(char *text, size_t n);
