/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * OpenSSL's queue of errors, which is one for each thread: SSL_get_error(3) requires that it is
 * empty before a call.
 */
#include <openssl/err.h>

/* ERR_clear_error() writes to all 16 places of the queue, also when none is in use, which is nearly
 * always so. */
static inline void tls_errors_clear(void)
{
	if (ERR_peek_error()) {
		ERR_clear_error();
	}
}
