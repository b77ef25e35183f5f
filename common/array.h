/* SPDX-License-Identifier: MIT */
#pragma once
/* Lists that grow one by one. */
#include <stddef.h>
#include <stdlib.h>

/* Makes room for one more item in @list, which has @n items of @size bytes: the memory doubles
 * where @n is a power of two. Returns the list, which may have moved, or NULL when there is no
 * memory; then it is as before. All of its memory has to come from here. */
static inline void *array_grow(void *list, size_t n, size_t size)
{
	return n & (n - 1) ? list : reallocarray(list, n ? 2 * n : 1, size);
}
