/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a BOSH session leaves for requests that come when it is over. It outlives the session for a
 * while (ended.h): a client whose connection broke just then repeats its request (XEP-0124, "Broken
 * Connections"). If it were told item-not-found, it would not learn of a conflict, but create a
 * session anew, which ends the session of the other client with the same address, and so on.
 *
 * last answer  the answer that tells a client that its session is over, and why
 * asked        a request that has come, and whose answer the client may not have got. Its repeat
 *              gets the reply, if there was one that must not get lost, else the last answer. It
 *              has to show the same key ("Protecting Insecure Sessions")
 * expected     a rid that could have come next, where no request could be told of the end. It gets
 *              the last answer, if it shows the right key; of a client that uses keys only the very
 *              next one can
 *
 * Any other rid gets item-not-found, as if nothing were kept.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/blob.h"
#include "gateway/bosh/key.h"

struct bosh_asked {
	uint64_t rid;
	struct bosh_key key;
	struct blob *reply; /* a reference; NULL: it gets the last answer */
	bool is_followed;   /* the client has made a request since */
};

/* Begins zeroed. */
struct bosh_last_answer {
	struct blob *blob; /* a reference; NULL: nobody was told anything */
	uint64_t ack;      /* the rid that it acknowledges; 0: none */
	unsigned status;
	struct bosh_asked *asked; /* owned */
	size_t n_asked;
	unsigned n_open_max;   /* how many of the latest the client may still repeat */
	uint64_t expected_rid; /* the first of them */
	unsigned n_expected;
	struct bosh_key expected_key; /* what the first one is checked against */
};

/* Adds a request, and a reference to its @reply, which may be NULL. Without memory it is left out:
 * its repeat gets item-not-found. */
void bosh_last_answer_add(struct bosh_last_answer *last, uint64_t rid, const struct bosh_key *key,
			  struct blob *reply);

/* The same for a request after which the client has made another one. Its answer may be lost, too,
 * but that is less likely: bosh_last_answer_drop_followed(). */
void bosh_last_answer_add_followed(struct bosh_last_answer *last, uint64_t rid,
				   const struct bosh_key *key, struct blob *reply);

/* Sets the answer; later calls do nothing. Takes a reference to @blob, which acknowledges @ack. */
void bosh_last_answer_set(struct bosh_last_answer *last, unsigned status, struct blob *blob,
			  uint64_t ack);

void bosh_last_answer_deinit(struct bosh_last_answer *last);

/* The bytes of all that is kept. */
size_t bosh_last_answer_size(const struct bosh_last_answer *last);

/* Whether there are replies to drop. */
bool bosh_last_answer_has_replies(const struct bosh_last_answer *last);

/* Drops the replies: whoever repeats such a request gets the last answer. */
void bosh_last_answer_drop_replies(struct bosh_last_answer *last);

/* Drops requests that were followed, the oldest first, as long as there are more than @n_max of all
 * kinds. */
void bosh_last_answer_drop_followed(struct bosh_last_answer *last, size_t n_max);

/* Returns a reference to the answer for the request @rid with @key, which was asked or expected.
 * The last one, given to the request which it acknowledges, has no `ack` ("Request
 * Acknowledgements"). NULL: out of memory. */
struct blob *bosh_last_answer_get(const struct bosh_last_answer *last, uint64_t rid, struct sv key,
				  unsigned *ret_status);

/* Whether the request @rid with @key was asked or expected. */
bool bosh_last_answer_is_for(const struct bosh_last_answer *last, uint64_t rid, struct sv key);
