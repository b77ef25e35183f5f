/* SPDX-License-Identifier: MIT */
#include "gateway/config/similar.h"

enum {
	/* Longer words are no keys. */
	WORD_MAX = 40,
	LETTERS_PER_MISTAKE = 3,
};

struct similar similar_init(struct sv word)
{
	return (struct similar){.word = word};
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The number of letters that were left out, added, replaced or swapped with the next (the optimal
 * string alignment). Both are at most WORD_MAX long. */
static size_t distance(struct sv a, struct sv b)
{
	size_t rows[3][WORD_MAX + 1]; /* of the last letter but one, the last, this one */

	for (size_t j = 0; j <= b.n; j++) {
		rows[1][j] = j;
	}
	for (size_t i = 1; i <= a.n; i++) {
		rows[2][0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t replaced = rows[1][j - 1] + (a.data[i - 1] != b.data[j - 1]);

			rows[2][j] = least(replaced, least(rows[1][j], rows[2][j - 1]) + 1);
			if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] &&
			    a.data[i - 2] == b.data[j - 1]) {
				rows[2][j] = least(rows[2][j], rows[0][j - 2] + 1);
			}
		}
		memcpy(rows[0], rows[1], sizeof(rows[0]));
		memcpy(rows[1], rows[2], sizeof(rows[1]));
	}
	return rows[1][b.n];
}

void similar_offer(struct similar *similar, const char *name)
{
	struct sv offered = sv_from(name);

	if (similar->word.n > WORD_MAX || offered.n > WORD_MAX) {
		return;
	}
	size_t d = distance(similar->word, offered);

	if (d <= offered.n / LETTERS_PER_MISTAKE && (!similar->name || d < similar->distance)) {
		similar->name = name;
		similar->distance = d;
	}
}
