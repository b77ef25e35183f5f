/* SPDX-License-Identifier: MIT */
#include "gateway/process/openssl-memory.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static atomic_bool has_failed;

static void *note(void *block, size_t n)
{
	if (!block && n) {
		atomic_store(&has_failed, true);
	}
	return block;
}

static void *allocate(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n ? note(malloc(n), n) : NULL;
}

static void *reallocate(void *block, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (n == 0) {
		free(block);
		return NULL;
	}
	return note(realloc(block, n), n);
}

static void release(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	free(block);
}

int openssl_memory_watch(void)
{
	/* It refuses where OpenSSL has allocated something already. */
	if (!CRYPTO_set_mem_functions(allocate, reallocate, release)) {
		return -ENOMEM;
	}
	/* Without memory for its state, OpenSSL's functions would crash later. */
	return OSSL_LIB_CTX_get0_global_default() && OPENSSL_init_ssl(0, NULL) ? 0 : -ENOMEM;
}

int openssl_memory_check(void)
{
	return atomic_load(&has_failed) ? -ENOMEM : 0;
}
