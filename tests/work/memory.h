/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The memory that this program has allocated, and the most of it: malloc() and the others are
 * replaced for it and for its libraries. Not under a sanitizer, which replaces them itself; then
 * all is 0.
 */
#include <stddef.h>

size_t memory_held(void);

/* The most that was held since the last call. */
size_t memory_take_peak(void);
