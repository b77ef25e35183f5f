/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The answer that ended a BOSH session. It outlives the session for a while (ended.h): a client
 * whose connection broke just then repeats its request (XEP-0124, "Broken Connections"). If it were
 * told item-not-found, it would not learn of a conflict, but create a session anew, which ends the
 * session of the other client with the same address, and so on.
 *
 * last answer  the answer that tells a client that its session is over, and why
 * asked        a request that was not answered when the session ended, or the answer to which the
 *              client may not have got: it has made none since. Its repeat gets the last answer; it
 *              has to show the same key ("Protecting Insecure Sessions"). Any other rid gets
 *              item-not-found, as if nothing were kept
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/blob.h"
#include "gateway/bosh/key.h"

struct bosh_asked {
	uint64_t rid;
	struct bosh_key key;
};

/* Begins zeroed. */
struct bosh_last_answer {
	struct blob *blob; /* a reference; NULL: nobody was told anything */
	uint64_t ack;      /* the rid that it acknowledges; 0: none */
	unsigned status;
	struct bosh_asked *asked; /* owned */
	size_t n_asked;
};

/* Adds a request. Without memory it is left out: its repeat gets item-not-found. */
void bosh_last_answer_add(struct bosh_last_answer *last, uint64_t rid, const struct bosh_key *key);

/* Sets the answer; later calls do nothing. Takes a reference to @blob, which acknowledges @ack. */
void bosh_last_answer_set(struct bosh_last_answer *last, unsigned status, struct blob *blob,
			  uint64_t ack);

void bosh_last_answer_deinit(struct bosh_last_answer *last);

/* Returns a reference to the answer for the request @rid. That to the request which it acknowledges
 * has no `ack` ("Request Acknowledgements"). NULL: out of memory. */
struct blob *bosh_last_answer_get(const struct bosh_last_answer *last, uint64_t rid);

/* Whether the request @rid with @key is one that was asked. */
bool bosh_last_answer_is_for(const struct bosh_last_answer *last, uint64_t rid, struct sv key);
