/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The key sequence of a session that is not secure (XEP-0124, "Protecting Insecure Sessions"): each request shows the value whose hash the
 * one before showed, so that who only listens cannot send the next.
 *
 * key     of a request, 40 hexadecimal digits: its SHA-1 is the key of the request before
 * newkey  where a sequence begins: what the key of the next request is checked against
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"
#include "common/sv.h"

enum {
	BOSH_KEY_LENGTH = 40, /* digits */
	BOSH_KEY_SIZE = BOSH_KEY_LENGTH / 2,
};

struct bosh_key {
	bool set;
	uint8_t bytes[BOSH_KEY_SIZE];
};

/* Reads 40 hexadecimal digits of either case. False for anything else. */
bool bosh_key_read(struct sv digits, struct bosh_key *ret_key);

/* Whether @digits, the key of a request, is the one that @expected calls for. Without a sequence (not set) any is. */
bool bosh_key_follows(struct sv digits, const struct bosh_key *expected);

/* Whether both are the same key, or both none: a repeated request shows what it showed before. */
bool bosh_key_is_same(const struct bosh_key *a, const struct bosh_key *b);
