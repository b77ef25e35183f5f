/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Replaces explicit_bzero(3), so that a test can see which memory was wiped before it was freed.
 * Include it after cmocka.h.
 */
#include <string.h>

/* The last time. */
static const void *wiped;
static size_t n_wiped;
/* At once, at most since the test has set it to 0. */
static size_t n_wiped_most;

/* The program calls this one. Named by its symbol, because headers may have it inline. */
void wipe(void *data, size_t n) __asm__("explicit_bzero");
void wipe(void *data, size_t n)
{
	wiped = data;
	n_wiped = n;
	n_wiped_most = n > n_wiped_most ? n : n_wiped_most;
	memset(data, 0, n);
}

/* Likewise, with _FORTIFY_SOURCE. */
void __explicit_bzero_chk(void *data, size_t n, size_t n_object);
void __explicit_bzero_chk(void *data, size_t n, size_t n_object)
{
	assert_true(n <= n_object);
	wipe(data, n);
}
