/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/sid.h"

#include "common/random.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int sid_make(unsigned worker, char ret_sid[static SID_LENGTH + 1])
{
	ret_sid[0] = digits[worker >> 6 & 63];
	ret_sid[1] = digits[worker & 63];
	return random_name(ret_sid + SID_WORKER_LENGTH, SID_RANDOM_LENGTH);
}

bool sid_worker(struct sv sid, unsigned n_workers, unsigned *ret_worker)
{
	struct sv all = {digits, sizeof(digits) - 1};
	unsigned worker = 0;

	if (sid.n != SID_LENGTH) {
		return false;
	}
	for (size_t i = 0; i < SID_WORKER_LENGTH; i++) {
		size_t digit = sv_find(all, sid.data[i]);

		if (digit == all.n) {
			return false;
		}
		worker = worker << 6 | (unsigned)digit;
	}
	if (worker >= n_workers) {
		return false;
	}
	*ret_worker = worker;
	return true;
}

bool sid_find(struct sv body, struct sv *ret_sid)
{
	struct sv open = sv_first(body, SID_FIND_MAX);
	size_t at = sv_find_sv(open, SV(" sid="));
	struct sv rest = sv_skip(open, at + 5);
	bool is_quoted = rest.n && (rest.data[0] == '\'' || rest.data[0] == '"');

	*ret_sid = SV_EMPTY;
	if (is_quoted) {
		struct sv value = sv_skip(rest, 1);
		size_t end = sv_find(value, rest.data[0]);

		if (end < value.n) {
			*ret_sid = sv_first(value, end);
			return true;
		}
	}
	return open.n == SID_FIND_MAX || sv_find(open, '>') < open.n || (rest.n && !is_quoted);
}
