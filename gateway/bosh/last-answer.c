/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/last-answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void add(struct bosh_last_answer *last, const struct bosh_asked *one)
{
	struct bosh_asked *asked = reallocarray(last->asked, last->n_asked + 1, sizeof(*asked));

	if (asked) {
		asked[last->n_asked] = *one;
		asked[last->n_asked++].reply = one->reply ? blob_ref(one->reply) : NULL;
		last->asked = asked;
	}
}

void bosh_last_answer_add(struct bosh_last_answer *last, uint64_t rid, const struct bosh_key *key,
			  struct blob *reply)
{
	add(last, &(struct bosh_asked){.rid = rid, .key = *key, .reply = reply});
}

void bosh_last_answer_add_followed(struct bosh_last_answer *last, uint64_t rid,
				   const struct bosh_key *key, struct blob *reply)
{
	add(last,
	    &(struct bosh_asked){.rid = rid, .key = *key, .reply = reply, .is_followed = true});
}

void bosh_last_answer_set(struct bosh_last_answer *last, unsigned status, struct blob *blob,
			  uint64_t ack)
{
	if (!last->blob) {
		last->blob = blob_ref(blob);
		last->status = status;
		last->ack = ack;
	}
}

size_t bosh_last_answer_size(const struct bosh_last_answer *last)
{
	size_t n = last->blob ? last->blob->n : 0;

	for (size_t i = 0; i < last->n_asked; i++) {
		n += last->asked[i].reply ? last->asked[i].reply->n : 0;
	}
	return n;
}

bool bosh_last_answer_has_replies(const struct bosh_last_answer *last)
{
	for (size_t i = 0; i < last->n_asked; i++) {
		if (last->asked[i].reply) {
			return true;
		}
	}
	return false;
}

void bosh_last_answer_drop_replies(struct bosh_last_answer *last)
{
	for (size_t i = 0; i < last->n_asked; i++) {
		blob_unref(last->asked[i].reply);
		last->asked[i].reply = NULL;
	}
}

void bosh_last_answer_drop_followed(struct bosh_last_answer *last, size_t n_max)
{
	size_t n_surplus = last->n_asked > n_max ? last->n_asked - n_max : 0, n = 0;

	for (size_t i = 0; i < last->n_asked; i++) {
		if (last->asked[i].is_followed && n_surplus > 0) {
			blob_unref(last->asked[i].reply);
			n_surplus--;
		} else {
			last->asked[n++] = last->asked[i];
		}
	}
	last->n_asked = n;
}

/* The last answer for the request @rid, as bosh_last_answer_get() gives it. */
static struct blob *get_last(const struct bosh_last_answer *last, uint64_t rid)
{
	struct sv text = blob_sv(last->blob);
	char attribute[sizeof(" ack='18446744073709551615'")];
	struct blob *without;

	if (!last->ack || rid != last->ack) {
		return blob_ref(last->blob);
	}
	/* Payloads may have it too, but stand behind; no other attribute can have an apostrophe. */
	size_t n = (size_t)snprintf(attribute, sizeof(attribute), " ack='%" PRIu64 "'", last->ack);
	size_t at = sv_find_sv(text, (struct sv){attribute, n});

	if (at == text.n) {
		return blob_ref(last->blob);
	}
	if (blob_new(text.n - n, &without) < 0) {
		return NULL;
	}
	memcpy(without->data, text.data, at);
	memcpy(without->data + at, text.data + at + n, text.n - n - at);
	return without;
}

/* The latest request @rid with @key; NULL: it was not asked. One before it may be the one that it
 * repeated once too often; another with the same rid may have had a wrong key. */
static const struct bosh_asked *find(const struct bosh_last_answer *last, uint64_t rid,
				     struct sv key)
{
	struct bosh_key shown;

	(void)bosh_key_read(key, &shown);
	for (size_t i = last->n_asked; i-- > 0;) {
		const struct bosh_asked *asked = &last->asked[i];

		if (asked->rid == rid && bosh_key_is_same(&asked->key, &shown)) {
			return asked;
		}
	}
	return NULL;
}

struct blob *bosh_last_answer_get(const struct bosh_last_answer *last, uint64_t rid, struct sv key,
				  unsigned *ret_status)
{
	const struct bosh_asked *asked = find(last, rid, key);

	if (asked && asked->reply) {
		*ret_status = 200;
		return blob_ref(asked->reply);
	}
	*ret_status = last->status;
	return get_last(last, rid);
}

void bosh_last_answer_deinit(struct bosh_last_answer *last)
{
	bosh_last_answer_drop_replies(last);
	blob_unref(last->blob);
	free(last->asked);
	*last = (struct bosh_last_answer){0};
}

static bool is_expected(const struct bosh_last_answer *last, uint64_t rid, struct sv key)
{
	if (rid == last->expected_rid && last->n_expected) {
		return bosh_key_follows(key, &last->expected_key);
	}
	return rid > last->expected_rid && rid - last->expected_rid < last->n_expected &&
	       !last->expected_key.is_set;
}

bool bosh_last_answer_is_for(const struct bosh_last_answer *last, uint64_t rid, struct sv key)
{
	return find(last, rid, key) || is_expected(last, rid, key);
}
