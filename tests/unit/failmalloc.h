/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Runs a scenario once for each allocation that it makes, failing that one and all behind it, or that one alone: an
 * engine must come out with -ENOMEM or with success, and with nothing left allocated.
 *
 * Each test, and the library of what is tested, is linked with the linker's --wrap for malloc, calloc, realloc,
 * reallocarray, strdup, strndup and free: so it meets the project's own calls, and expat's, whose memory is the
 * project's (common/xml-memory.h).
 */
#include <stdbool.h>
#include <stddef.h>

/* Blocks that are allocated now, by whatever thread. */
size_t failmalloc_n_live(void);

/* From now on allocation @n (1: the next) fails, and with @lasting all after it, until
 * failmalloc_disarm(), which returns how many failed. */
void failmalloc_arm(size_t n, bool lasting);
size_t failmalloc_disarm(void);

/* Calls @scenario until none of its allocations failed. It returns what it came to, 0 or -ENOMEM, or something else for what
 * should not be: an assertion would leave it with memory that still fails. It must make at least @n_min allocations, or the
 * test has tested nothing. */
void failmalloc_each(int (*scenario)(void *userdata), void *userdata, size_t n_min);
