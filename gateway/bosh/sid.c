/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/sid.h"

#include "common/random.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int sid_make(struct sid_owner owner, char ret_sid[static SID_LENGTH + 1])
{
	ret_sid[0] = digits[owner.generation & 63];
	ret_sid[1] = digits[owner.worker >> 6 & 63];
	ret_sid[2] = digits[owner.worker & 63];
	return random_name(ret_sid + SID_OWNER_LENGTH, SID_RANDOM_LENGTH);
}

bool sid_owner(struct sv sid, struct sid_owner *ret_owner)
{
	struct sv all = {digits, sizeof(digits) - 1};
	size_t values[SID_OWNER_LENGTH];

	if (sid.n != SID_LENGTH) {
		return false;
	}
	for (size_t i = 0; i < SID_OWNER_LENGTH; i++) {
		values[i] = sv_find(all, sid.data[i]);
		if (values[i] == all.n) {
			return false;
		}
	}
	*ret_owner = (struct sid_owner){
		.generation = (unsigned)values[0],
		.worker = (unsigned)(values[1] << 6 | values[2]),
	};
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
	return open.n == SID_FIND_MAX || sv_has(open, '>') || (rest.n && !is_quoted);
}
