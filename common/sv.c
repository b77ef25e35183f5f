/* SPDX-License-Identifier: MIT */
#include "common/sv.h"

#include <errno.h>

#include "common/ascii.h"

bool sv_eq_nocase(struct sv a, struct sv b)
{
	if (a.n != b.n) {
		return false;
	}
	for (size_t i = 0; i < a.n; i++) {
		if (ascii_lower(a.data[i]) != ascii_lower(b.data[i])) {
			return false;
		}
	}
	return true;
}

size_t sv_find(struct sv view, char c)
{
	const char *at = view.n ? memchr(view.data, c, view.n) : NULL;

	return at ? (size_t)(at - view.data) : view.n;
}

size_t sv_find_sv(struct sv view, struct sv needle)
{
	if (needle.n == 0) {
		return 0;
	}
	const char *at = view.n ? memmem(view.data, view.n, needle.data, needle.n) : NULL;

	return at ? (size_t)(at - view.data) : view.n;
}

struct sv sv_trim(struct sv view)
{
	while (view.n && ascii_is_white(view.data[0])) {
		view = sv_skip(view, 1);
	}
	while (view.n && ascii_is_white(view.data[view.n - 1])) {
		view.n--;
	}
	return view;
}

bool sv_split(struct sv *rest, char separator, struct sv *ret_item)
{
	if (!rest->data) {
		return false;
	}
	size_t n = sv_find(*rest, separator);

	*ret_item = sv_trim(sv_first(*rest, n));
	*rest = n < rest->n ? sv_skip(*rest, n + 1) : SV_EMPTY;
	return true;
}

bool sv_has_token(struct sv list, struct sv token)
{
	struct sv item;

	while (sv_split(&list, ',', &item)) {
		if (sv_eq_nocase(item, token)) {
			return true;
		}
	}
	return false;
}

int sv_to_u64(struct sv view, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (view.n == 0) {
		return -EINVAL;
	}
	for (size_t i = 0; i < view.n; i++) {
		char c = view.data[i];

		if (!ascii_is_digit(c)) {
			return -EINVAL;
		}
		uint64_t digit = (uint64_t)(c - '0');
		if (digit > max || value > (max - digit) / 10) {
			return -EINVAL;
		}
		value = value * 10 + digit;
	}
	*ret_value = value;
	return 0;
}
