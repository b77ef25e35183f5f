/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Runs a scenario once for each allocation that it makes, letting that one fail, alone or with all
 * later ones. The engine must return -ENOMEM or succeed, and leave nothing allocated.
 *
 * Each test, and the library of what is tested, is linked with the linker's --wrap for malloc,
 * calloc, realloc, reallocarray, strdup, strndup and free: so it meets the project's own calls, and
 * expat's, whose memory is the project's (common/xml-memory.h). A mutex may take memory as well, so
 * pthread_mutex_init() counts as an allocation that can fail.
 */
#include <stdbool.h>
#include <stddef.h>

/* The number of blocks that all threads have allocated and not freed. */
size_t failmalloc_n_live(void);

/* The bytes of the largest block that was asked for since the last call. */
size_t failmalloc_take_largest(void);

/* Makes allocation @n from now on fail (1 is the next), with @lasting also all after it, until
 * failmalloc_disarm(), which returns how many have failed. */
void failmalloc_arm(size_t n, bool lasting);
size_t failmalloc_disarm(void);

/* How many have failed since failmalloc_arm(). */
size_t failmalloc_n_failed(void);

/* Calls @scenario until none of its allocations fails. It returns 0 or -ENOMEM; -EAGAIN to be
 * called once more, when the machine was too slow for it and no allocation failed; or anything else
 * to report a failure of the test. It must not assert: memory would keep failing afterwards.
 * It must make at least @n_min allocations; otherwise the test would prove nothing. */
void failmalloc_each(int (*scenario)(void *userdata), void *userdata, size_t n_min);
