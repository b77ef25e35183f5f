/* SPDX-License-Identifier: MIT */
#pragma once
/* "Did you mean": finds the name that is most similar to a mistyped word. */
#include "common/sv.h"

struct similar {
	struct sv word;
	const char *name; /* the best one so far, or NULL; borrowed from who offers it */
	size_t distance;
};

struct similar similar_init(struct sv word);

/* Compares with one more name. It counts as similar when at most one letter in three has been left
 * out, added, replaced or swapped with the next. */
void similar_offer(struct similar *similar, const char *name);
