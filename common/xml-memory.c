/* SPDX-License-Identifier: MIT */
#include "common/xml-memory.h"

#include <malloc.h>
#include <stdlib.h>

static _Thread_local size_t n_held;

static void *count(void *block)
{
	n_held += malloc_usable_size(block);
	return block;
}

static void *allocate(size_t n)
{
	return count(malloc(n));
}

static void *reallocate(void *block, size_t n)
{
	size_t n_before = malloc_usable_size(block);
	void *moved = realloc(block, n);

	if (moved) {
		n_held -= n_before;
		count(moved);
	}
	return moved;
}

static void release(void *block)
{
	n_held -= malloc_usable_size(block);
	free(block);
}

const XML_Memory_Handling_Suite xml_memory = {allocate, reallocate, release};

size_t xml_memory_held(void)
{
	return n_held;
}
