/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * OpenSSL's memory while a server starts. OpenSSL sets itself up piece by piece, each once in the
 * life of the process. A piece that lacked memory then is missing for good, often without a word: a
 * server could start that refuses each session, and take the place of one that serves. So OpenSSL's
 * allocations are watched, and a server for which one of them failed does not start.
 */
#include "common/macro.h"

/* Call it before anything uses OpenSSL. Returns 0 or -ENOMEM. */
_must_check_ int openssl_memory_watch(void);

/* Returns 0, or -ENOMEM if OpenSSL has lacked memory so far. */
_must_check_ int openssl_memory_check(void);
