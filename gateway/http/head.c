/* SPDX-License-Identifier: MIT */
#include "gateway/http/head.h"

#include "common/ascii.h"

/* Faults, aliens and names. */

const char *http_fault_name(enum http_fault fault)
{
	static const char *const names[] = {
#define X(id, status, name, sentence) [HTTP_FAULT_##id] = name,
		HTTP_FAULTS(X)
#undef X
	};

	return names[fault];
}

unsigned http_fault_status(enum http_fault fault)
{
	static const unsigned short statuses[] = {
#define X(id, status, name, sentence) [HTTP_FAULT_##id] = status,
		HTTP_FAULTS(X)
#undef X
	};

	return statuses[fault];
}

const char *http_fault_sentence(enum http_fault fault)
{
	static const char *const sentences[] = {
#define X(id, status, name, sentence) [HTTP_FAULT_##id] = sentence,
		HTTP_FAULTS(X)
#undef X
	};

	return sentences[fault];
}

const char *http_alien_name(enum http_alien alien)
{
	static const char *const names[] = {
#define X(id, name) name,
		HTTP_ALIENS(X)
#undef X
	};

	return names[alien];
}

static const struct sv known_names[HTTP_KNOWN_COUNT] = {
#define X(id, name) SV_INIT(name),
	HTTP_KNOWN(X)
#undef X
};

/* Bytes. */

static size_t token_length(struct sv text)
{
	size_t n = 0;

	while (n < text.n && http_is_token_byte((unsigned char)text.data[n])) {
		n++;
	}
	return n;
}

/* Whether @text has a byte that no header value may have: a control byte other than a tab. */
static bool has_control(struct sv text)
{
	const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
	size_t i = 0;

	/* Eight bytes at a time. The test may also stop at a byte that is allowed, but it misses
	 * none below a space and no DEL. */
	while (i + sizeof(uint64_t) <= text.n) {
		uint64_t word;

		memcpy(&word, text.data + i, sizeof(word));
		uint64_t dels = word ^ (ones * 0x7f);

		if ((((word - ones * 0x20) & ~word) | ((dels - ones) & ~dels)) & highs) {
			break;
		}
		i += sizeof(word);
	}
	while (i < text.n && http_is_value_byte((unsigned char)text.data[i])) {
		i++;
	}
	return i < text.n;
}

static struct http_span span_of(struct sv part, const char *bytes)
{
	return (struct http_span){(uint16_t)(part.data - bytes), (uint16_t)part.n};
}

static enum http_head_result fail(struct http_head *head, enum http_fault fault)
{
	head->fault = fault;
	return HTTP_HEAD_FAULT;
}

/* The beginning of the connection. */

static enum http_head_result alien(struct http_head *head, enum http_alien alien)
{
	head->alien = alien;
	return fail(head, HTTP_FAULT_ALIEN);
}

/* Judges what begins with "<". As long as the bytes can still become one of several beginnings, it
 * waits for more: the verdict must not depend on how many bytes came at once. */
static enum http_head_result judge_markup(struct http_head *head, struct sv bytes)
{
	static const struct {
		struct sv text;
		enum http_alien alien;
	} beginnings[] = {
		{SV_INIT("<policy-file-request/>\0"), HTTP_ALIEN_POLICY},
		{SV_INIT("<?xml "), HTTP_ALIEN_XMPP},
		{SV_INIT("<stream:"), HTTP_ALIEN_XMPP},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(beginnings); i++) {
		if (sv_may_become(bytes, beginnings[i].text)) {
			return bytes.n < beginnings[i].text.n ? HTTP_HEAD_MORE
							      : alien(head, beginnings[i].alien);
		}
	}
	return alien(head, HTTP_ALIEN_UNKNOWN);
}

/* Judges the first bytes of a request line that is not complete, so that a client that does not
 * speak HTTP, and may never send a line's end, does not wait. */
static enum http_head_result judge_beginning(struct http_head *head, struct sv bytes)
{
	size_t n = token_length(sv_first(bytes, HTTP_METHOD_MAX + 1));
	/* A CR is no part of a method; it may end the line. */
	bool may_end = n < bytes.n && bytes.data[n] == '\r' && n + 1 == bytes.n;

	if (bytes.n == 0 || sv_eq(bytes, SV("\r"))) {
		return HTTP_HEAD_MORE;
	}
	if (bytes.data[0] == 0x16) {
		return alien(head, HTTP_ALIEN_TLS);
	}
	if (bytes.data[0] == '<') {
		return judge_markup(head, bytes);
	}
	if (sv_starts_with(bytes, SV("SSH-"))) {
		return alien(head, HTTP_ALIEN_SSH);
	}
	if (sv_starts_with(bytes, SV("PRI * HTTP/2"))) {
		return alien(head, HTTP_ALIEN_HTTP2);
	}
	if (sv_starts_with(bytes, SV("PROXY TCP")) || sv_starts_with(bytes, SV("PROXY UNKNOWN")) ||
	    (bytes.data[0] == '\0' && head->n_empty == HTTP_EMPTY_LINES_MAX)) {
		return alien(head, HTTP_ALIEN_PROXY);
	}
	if (n > HTTP_METHOD_MAX) {
		return fail(head, HTTP_FAULT_METHOD_TOO_LONG);
	}
	if (n < bytes.n && (bytes.data[n] < ' ' || bytes.data[n] == 0x7f) &&
	    bytes.data[n] != '\r' && bytes.data[n] != '\t') {
		return alien(head, HTTP_ALIEN_UNKNOWN);
	}
	if (n == 0 || (n < bytes.n && bytes.data[n] != ' ' && !may_end)) {
		return fail(head, HTTP_FAULT_METHOD);
	}
	return HTTP_HEAD_MORE;
}

/* Lines. */

/* RFC 9110, 2.5: a higher minor version is served as the highest that is known. */
static enum http_head_result read_version(struct http_head *head, struct sv version)
{
	static const struct sv name = SV_INIT("HTTP/");
	struct sv digits = sv_skip(version, name.n);

	if (!sv_starts_with(version, name) || digits.n != 3 || !ascii_is_digit(digits.data[0]) ||
	    digits.data[1] != '.' || !ascii_is_digit(digits.data[2])) {
		return fail(head, HTTP_FAULT_REQUEST_LINE);
	}
	if (digits.data[0] != '1') {
		return fail(head, HTTP_FAULT_VERSION);
	}
	head->minor = digits.data[2] == '0' ? 0 : 1;
	return HTTP_HEAD_MORE;
}

/* Reads @target in the form that @method takes. */
static bool read_target(struct http_head *head, const char *bytes, struct sv method,
			struct sv target)
{
	struct sv path, authority;

	if (sv_eq(method, SV("CONNECT"))) {
		head->path = span_of(sv_first(target, 0), bytes);
		return http_target_is_tunnel(target);
	}
	if (!http_target_split(target, &path, &authority) || !http_host_is_valid(authority) ||
	    !http_escapes_are_valid(path) ||
	    (sv_eq(path, SV("*")) && !sv_eq(method, SV("OPTIONS")))) {
		return false;
	}
	head->path = span_of(path, bytes);
	head->authority = authority.n ? span_of(authority, bytes) : (struct http_span){0, 0};
	head->is_escaped = sv_has(path, '%');
	return true;
}

static enum http_head_result read_request_line(struct http_head *head, const char *bytes,
					       struct sv line)
{
	struct sv method = sv_first(line, sv_find(line, ' '));
	struct sv rest = sv_skip(line, method.n + 1);
	struct sv target = sv_first(rest, sv_find(rest, ' '));

	if (target.n > HTTP_TARGET_MAX) {
		return fail(head, HTTP_FAULT_TARGET_TOO_LONG);
	}
	for (size_t i = 0; i < target.n; i++) {
		if (target.data[i] <= ' ' || target.data[i] >= 0x7f || target.data[i] == '#') {
			return fail(head, HTTP_FAULT_TARGET);
		}
	}
	if (!read_target(head, bytes, method, target)) {
		return fail(head, HTTP_FAULT_TARGET);
	}
	head->method = span_of(method, bytes);
	return read_version(head, sv_skip(rest, target.n + 1));
}

static enum http_head_result read_length(struct http_head *head, struct sv value)
{
	if (head->has_length || sv_to_u64(value, INT64_MAX, &head->n_body) < 0) {
		return fail(head, HTTP_FAULT_LENGTH);
	}
	head->has_length = true;
	return HTTP_HEAD_MORE;
}

static void read_codings(struct http_head *head, struct sv value)
{
	struct sv item;

	head->is_miscoded = head->is_miscoded || value.n == 0;
	while (sv_split(&value, ',', &item)) {
		/* Nothing may follow chunked. */
		head->is_miscoded = head->is_miscoded || head->is_chunked || item.n == 0;
		if (sv_eq_nocase(item, SV("chunked"))) {
			head->is_chunked = true;
		} else {
			head->is_coded = true;
		}
	}
}

/* RFC 9110, 10.1.1. */
static enum http_head_result read_expectations(struct http_head *head, struct sv value)
{
	struct sv item;

	while (sv_split(&value, ',', &item)) {
		if (item.n && !sv_eq_nocase(item, SV("100-continue"))) {
			return fail(head, HTTP_FAULT_EXPECTATION);
		}
		head->expects_continue = head->expects_continue || item.n;
	}
	return HTTP_HEAD_MORE;
}

static enum http_head_result read_known(struct http_head *head, const char *bytes,
					enum http_known known, struct sv value)
{
	if (head->n_known[known]++ == 0) {
		head->known[known] = span_of(value, bytes);
	}
	switch (known) {
	case HTTP_KNOWN_HOST:
		return head->n_known[known] > 1 || !http_host_is_valid(value)
			     ? fail(head, HTTP_FAULT_HOST)
			     : HTTP_HEAD_MORE;
	case HTTP_KNOWN_CONTENT_LENGTH:
		return read_length(head, value);
	case HTTP_KNOWN_TRANSFER_ENCODING:
		read_codings(head, value);
		return HTTP_HEAD_MORE;
	case HTTP_KNOWN_EXPECT:
		return read_expectations(head, value);
	case HTTP_KNOWN_CONNECTION:
		head->closes = head->closes || sv_has_token(value, SV("close"));
		return HTTP_HEAD_MORE;
	default:
		return HTTP_HEAD_MORE;
	}
}

static enum http_head_result read_header(struct http_head *head, const char *bytes, struct sv line)
{
	size_t n_name = token_length(line);
	struct sv name = sv_first(line, n_name);
	struct sv value = sv_trim(sv_skip(line, n_name + 1));

	if (line.data[0] == ' ' || line.data[0] == '\t') {
		return fail(head, HTTP_FAULT_FOLDED);
	}
	if (n_name == 0 || n_name == line.n || line.data[n_name] != ':') {
		return fail(head, HTTP_FAULT_NAME);
	}
	if (has_control(sv_skip(line, n_name))) {
		return fail(head, HTTP_FAULT_CONTROL);
	}
	if (head->n_lines++ == HTTP_LINES_MAX) {
		return fail(head, HTTP_FAULT_TOO_MANY);
	}
	for (enum http_known known = 0; known < HTTP_KNOWN_COUNT; known++) {
		if (name.n == known_names[known].n && sv_eq_nocase(name, known_names[known])) {
			return read_known(head, bytes, known, value);
		}
	}
	return HTTP_HEAD_MORE;
}

/* RFC 9112, 6.1 and 6.3. */
static enum http_fault judge_codings(const struct http_head *head)
{
	if (head->n_known[HTTP_KNOWN_TRANSFER_ENCODING] == 0) {
		return HTTP_FAULT_NONE;
	}
	if (!head->is_chunked || head->is_miscoded || head->has_length || head->minor == 0) {
		return HTTP_FAULT_LENGTH;
	}
	return head->is_coded ? HTTP_FAULT_CODING : HTTP_FAULT_NONE;
}

/* The empty line has come: judges what needs all headers. */
static enum http_head_result finish(struct http_head *head)
{
	if (head->minor >= 1 && head->n_known[HTTP_KNOWN_HOST] == 0) {
		return fail(head, HTTP_FAULT_HOST);
	}
	enum http_fault fault = judge_codings(head);

	if (fault) {
		return fail(head, fault);
	}
	/* RFC 9110, 10.1.1: a client does not wait for a 100 if it announces no body, or speaks
	 * HTTP/1.0. */
	head->expects_continue =
		head->expects_continue && head->minor >= 1 && (head->is_chunked || head->n_body);
	head->closes = head->closes || head->minor == 0;
	head->n = head->n_searched;
	return HTTP_HEAD_DONE;
}

/* @line has no line end. */
static enum http_head_result read_line(struct http_head *head, const char *bytes, struct sv line)
{
	if (head->has_request_line) {
		return line.n ? read_header(head, bytes, line) : finish(head);
	}
	if (line.n == 0) {
		return head->n_empty++ < HTTP_EMPTY_LINES_MAX ? HTTP_HEAD_MORE
							      : alien(head, HTTP_ALIEN_UNKNOWN);
	}
	head->has_request_line = true;
	head->fields = head->n_searched;
	return read_request_line(head, bytes, line);
}

/* Judges a line that is not complete. */
static enum http_head_result judge_rest(struct http_head *head, struct sv bytes)
{
	enum http_head_result result = HTTP_HEAD_MORE;

	if (!head->has_request_line) {
		result = judge_beginning(head, sv_skip(bytes, head->line));
	}
	if (result == HTTP_HEAD_MORE && !head->has_request_line &&
	    bytes.n - head->line > HTTP_TARGET_MAX + HTTP_METHOD_MAX + 16) {
		return fail(head, HTTP_FAULT_TARGET_TOO_LONG);
	}
	return result == HTTP_HEAD_MORE && bytes.n >= HTTP_HEAD_MAX
		     ? fail(head, HTTP_FAULT_TOO_LARGE)
		     : result;
}

enum http_head_result http_head_feed(struct http_head *head, struct sv bytes)
{
	struct sv head_bytes = sv_first(bytes, HTTP_HEAD_MAX);
	enum http_head_result result = HTTP_HEAD_MORE;

	while (result == HTTP_HEAD_MORE && head->n_searched < head_bytes.n) {
		struct sv rest = sv_skip(head_bytes, head->n_searched);
		size_t n = sv_find(rest, '\n');

		head->n_searched += (uint16_t)(n < rest.n ? n + 1 : n);
		if (n == rest.n) {
			break;
		}
		struct sv line = {bytes.data + head->line,
				  (size_t)(head->n_searched - head->line - 1)};

		if (!head->has_request_line) {
			result = judge_beginning(head, line);
		}
		if (result == HTTP_HEAD_MORE && (line.n == 0 || line.data[line.n - 1] != '\r')) {
			result = fail(head, HTTP_FAULT_LINE_END);
		}
		if (result == HTTP_HEAD_MORE) {
			head->line = head->n_searched;
			result = read_line(head, bytes.data, sv_first(line, line.n - 1));
		}
	}
	return result == HTTP_HEAD_MORE ? judge_rest(head, head_bytes) : result;
}

/* Values. */

struct sv http_head_value(const struct http_head *head, const char *bytes, enum http_known known)
{
	return head->n_known[known] ? http_span_sv(head->known[known], bytes) : SV_EMPTY;
}

bool http_head_next(const struct http_head *head, const char *bytes, struct sv name,
		    uint16_t *cursor, struct sv *ret_value)
{
	uint16_t at = *cursor ? *cursor : head->fields;
	uint16_t end = head->n ? head->n : head->line;

	while (at < end) {
		struct sv rest = {bytes + at, (size_t)(end - at)};
		struct sv line = sv_first(rest, sv_find(rest, '\n'));

		at = (uint16_t)(at + line.n + 1);
		if (line.n > name.n && line.data[name.n] == ':' &&
		    sv_eq_nocase(sv_first(line, name.n), name)) {
			*cursor = at;
			*ret_value = sv_trim(sv_skip(line, name.n + 1));
			return true;
		}
	}
	return false;
}
