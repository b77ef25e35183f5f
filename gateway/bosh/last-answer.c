/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/last-answer.h"

#include <stdlib.h>

void bosh_last_answer_add(struct bosh_last_answer *last, uint64_t rid, const struct bosh_key *key)
{
	struct bosh_asked *asked = reallocarray(last->asked, last->n_asked + 1, sizeof(*asked));

	if (asked) {
		asked[last->n_asked++] = (struct bosh_asked){rid, *key};
		last->asked = asked;
	}
}

void bosh_last_answer_set(struct bosh_last_answer *last, unsigned status, struct blob *blob)
{
	if (!last->blob) {
		last->blob = blob_ref(blob);
		last->status = status;
	}
}

void bosh_last_answer_deinit(struct bosh_last_answer *last)
{
	blob_unref(last->blob);
	free(last->asked);
	*last = (struct bosh_last_answer){0};
}

bool bosh_last_answer_is_for(const struct bosh_last_answer *last, uint64_t rid, struct sv key)
{
	struct bosh_key shown;

	(void)bosh_key_read(key, &shown);
	for (size_t i = 0; i < last->n_asked; i++) {
		if (last->asked[i].rid == rid) {
			return bosh_key_is_same(&last->asked[i].key, &shown);
		}
	}
	return false;
}
