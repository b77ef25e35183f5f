/* SPDX-License-Identifier: MIT */
#include "common/xml-memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct xml_memory *counted;

static void *count(void *block)
{
	if (counted && block) {
		counted->n_bytes += malloc_usable_size(block);
		counted->n_blocks++;
	}
	return block;
}

static void *allocate(size_t n)
{
	return count(malloc(n));
}

/* Clients' passwords pass through the parser: they must not stay in the memory that is free. */
static void release(void *block)
{
	size_t n = malloc_usable_size(block);

	if (!block) {
		return;
	}
	if (counted) {
		counted->n_bytes -= n;
		counted->n_blocks--;
	}
	explicit_bzero(block, n);
	free(block);
}

/* realloc(3) might leave a copy behind. */
static void *reallocate(void *block, size_t n)
{
	size_t n_before = malloc_usable_size(block);
	void *moved = allocate(n);

	if (moved && block) {
		memcpy(moved, block, n_before < n ? n_before : n);
		release(block);
	}
	return moved;
}

const XML_Memory_Handling_Suite xml_memory = {allocate, reallocate, release};

void xml_memory_count(struct xml_memory *memory)
{
	counted = memory;
}
