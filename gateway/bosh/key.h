/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The key sequence of a session without TLS (XEP-0124, "Protecting Insecure Sessions"). The hash of
 * the key of each request is the key of the request before, so an eavesdropper cannot send the next
 * request.
 *
 * key     40 hexadecimal digits. Their SHA-1 is the key of the request before
 * newkey  begins a sequence: the key of the next request is checked against it
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
	bool is_set;
	uint8_t bytes[BOSH_KEY_SIZE];
};

/* Reads 40 hexadecimal digits of either case. False for anything else. */
bool bosh_key_read(struct sv digits, struct bosh_key *ret_key);

/* Whether @digits, the key of a request, hash to @expected. True when @expected is not set: then
 * there is no sequence. */
bool bosh_key_follows(struct sv digits, const struct bosh_key *expected);

/* Whether both are the same key, or neither is set: a repeated request has to show the same key. */
bool bosh_key_is_same(const struct bosh_key *a, const struct bosh_key *b);
