/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The OCSP response that a listener staples to its certificate (RFC 6066, 8). Another program
 * fetches it, and a reload reads it anew. One that is out of date is not sent: browsers refuse the
 * connection because of it, and without one they go on.
 */
#include <openssl/ssl.h>

#include "common/macro.h"

/* Reads the successful response (DER) in @file, and has the connections of @context staple it to
 * clients that ask for it. Returns 0, -ENOMEM, or -EINVAL if the file has none. */
_must_check_ int staple_load(SSL_CTX *context, const char *file);
