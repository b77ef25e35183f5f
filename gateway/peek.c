/* SPDX-License-Identifier: MIT */
#include "gateway/peek.h"

#include "policy/policy-request.h"

struct sv peek_without_slash(struct sv path)
{
	return path.n > 1 && path.data[path.n - 1] == '/' ? sv_first(path, path.n - 1) : path;
}

/* The path of a request line, without query and trailing slash. */
static struct sv path_of(struct sv line)
{
	struct sv path = sv_skip(line, sv_find(line, ' ') + 1);

	path = sv_first(path, sv_find(path, ' '));
	return peek_without_slash(sv_first(path, sv_find(path, '?')));
}

/* The value of a header, with NULL as data if it is missing. Returns false when it occurs twice:
 * HTTP judges such requests. */
static bool header(struct sv head, struct sv name, struct sv *ret_value)
{
	struct sv line;
	bool found = false;

	*ret_value = SV_EMPTY;
	while (sv_split(&head, '\n', &line)) {
		size_t colon = sv_find(line, ':');

		if (colon == line.n || !sv_eq_nocase(sv_first(line, colon), name)) {
			continue;
		}
		if (found) {
			return false;
		}
		found = true;
		*ret_value = sv_trim(sv_skip(line, colon + 1));
	}
	return true;
}

/* XEP-0124 does not fix the order of attributes, so the first " sid=" is taken. If that one is in a
 * payload, the request takes a detour over another worker and is still answered. */
static struct sv find_sid(struct sv body)
{
	size_t at = sv_find_sv(body, SV(" sid="));
	struct sv rest = sv_skip(body, at + 5);

	if (at == body.n || rest.n == 0 || (rest.data[0] != '\'' && rest.data[0] != '"')) {
		return SV_EMPTY;
	}
	struct sv value = sv_skip(rest, 1);
	size_t end = sv_find(value, rest.data[0]);

	return end < value.n ? sv_first(value, end) : SV_EMPTY;
}

static void judge_bosh(struct sv bytes, struct peek *peek)
{
	struct sv body = sv_skip(bytes, peek->head.n);
	struct sv length, expect;
	uint64_t n_body = 0;

	peek->sid = find_sid(body);
	if (peek->sid.n) {
		peek->kind = PEEK_BOSH;
		return;
	}
	/* With Expect, the client sends the body only after HTTP has asked for it. */
	if (!header(peek->head, SV("Expect"), &expect) || expect.data ||
	    !header(peek->head, SV("Content-Length"), &length) ||
	    sv_to_u64(length, UINT32_MAX, &n_body) < 0) {
		peek->kind = PEEK_HTTP;
		return;
	}
	peek->kind = body.n < n_body && bytes.n < PEEK_MAX ? PEEK_MORE : PEEK_HTTP;
}

static void judge_websocket(struct peek *peek)
{
	const struct {
		struct sv name;
		struct sv *value;
	} headers[] = {
		{SV("Host"), &peek->host},
		{SV("Origin"), &peek->origin},
		{SV("X-Forwarded-For"), &peek->forwarded_for},
		{SV("X-Forwarded-Proto"), &peek->forwarded_proto},
		{SV("Connection"), &peek->connection},
		{SV("Upgrade"), &peek->upgrade},
		{SV("Sec-WebSocket-Version"), &peek->version},
		{SV("Sec-WebSocket-Key"), &peek->key},
		{SV("Sec-WebSocket-Protocol"), &peek->protocol},
	};

	peek->kind = PEEK_HTTP;
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
		if (!header(peek->head, headers[i].name, headers[i].value)) {
			return;
		}
	}
	if (peek->upgrade.n) {
		peek->kind = PEEK_WEBSOCKET;
	}
}

static bool may_begin(struct sv bytes, struct sv with)
{
	size_t n = bytes.n < with.n ? bytes.n : with.n;

	return sv_eq(sv_first(bytes, n), sv_first(with, n));
}

static enum peek_kind kind_of_policy(struct sv bytes)
{
	switch (policy_request_judge(bytes)) {
	case POLICY_REQUEST_WHOLE:
		return PEEK_POLICY;
	case POLICY_REQUEST_OTHER:
		return PEEK_HTTP;
	default:
		return PEEK_MORE;
	}
}

void peek_judge(struct sv bytes, const struct peek_paths *paths, struct peek *ret_peek)
{
	size_t end = sv_find_sv(bytes, SV("\r\n\r\n"));
	bool get = may_begin(bytes, SV("GET "));
	bool post = may_begin(bytes, SV("POST "));

	*ret_peek = (struct peek){.kind = PEEK_HTTP};
	if (!get && !post) {
		ret_peek->kind = kind_of_policy(bytes);
		return;
	}
	if (end == bytes.n) {
		ret_peek->kind = bytes.n < PEEK_MAX ? PEEK_MORE : PEEK_HTTP;
		return;
	}
	ret_peek->head = sv_first(bytes, end + 4);
	struct sv path = path_of(sv_first(bytes, sv_find(bytes, '\r')));

	if (post && sv_eq(path, peek_without_slash(paths->bosh))) {
		judge_bosh(bytes, ret_peek);
	} else if (get && sv_eq(path, peek_without_slash(paths->websocket))) {
		judge_websocket(ret_peek);
	}
}
