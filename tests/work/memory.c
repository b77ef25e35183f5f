/* SPDX-License-Identifier: MIT */
#include "tests/work/memory.h"

static size_t n_held, n_peak;

size_t memory_held(void)
{
	return n_held;
}

size_t memory_take_peak(void)
{
	size_t n = n_peak;

	n_peak = n_held;
	return n;
}

#ifdef __has_feature /* of clang; gcc has macros */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED
#endif
#endif

#if !defined(IS_SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

/* glibc's own, for those who replace the others. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *block);

static void *count(void *block)
{
	n_held += malloc_usable_size(block);
	n_peak = n_held > n_peak ? n_held : n_peak;
	return block;
}

void *malloc(size_t n)
{
	return count(__libc_malloc(n));
}

void free(void *block)
{
	n_held -= malloc_usable_size(block);
	__libc_free(block);
}

void *calloc(size_t n, size_t size)
{
	return count(__libc_calloc(n, size));
}

void *realloc(void *block, size_t n)
{
	size_t n_before = malloc_usable_size(block);
	void *moved = __libc_realloc(block, n);

	if (moved || n == 0) {
		n_held -= n_before;
		count(moved);
	}
	return moved;
}

void *memalign(size_t alignment, size_t n)
{
	return count(__libc_memalign(alignment, n));
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return memalign(alignment, n);
}

int posix_memalign(void **ret_block, size_t alignment, size_t n)
{
	void *block = memalign(alignment, n);

	if (block) {
		*ret_block = block;
	}
	return block ? 0 : ENOMEM;
}
#endif
