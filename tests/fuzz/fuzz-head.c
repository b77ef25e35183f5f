/* SPDX-License-Identifier: MIT */
/*
 * http/head.h and target.h. Whole or cut, the judgement is the same. What is behind the head does
 * not count. In a head that is taken, a reader that knows nothing of HTTP but lines finds the same
 * values, and one that takes escapes one by one the same path.
 *
 * covers: gateway/http/head.c gateway/http/target.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/http/head.h"
#include "gateway/http/target.h"

static const struct sv known_names[HTTP_KNOWN_COUNT] = {
#define X(id, name) {name, sizeof(name) - 1},
	HTTP_KNOWN(X)
#undef X
};

/* Feeds an exact copy of all that has arrived. */
static enum http_head_result feed(struct http_head *head, struct sv bytes)
{
	char *copy = fuzz_copy(bytes);
	enum http_head_result result = http_head_feed(head, (struct sv){copy, bytes.n});

	free(copy);
	return result;
}

static void log_span(const char *what, struct http_span span, struct sv bytes, struct buffer *log)
{
	FUZZ_CHECK((size_t)span.at + span.n <= bytes.n);
	LOG(log, "%s %u '%.*s'\n", what, span.at, SV_ARGS(http_span_sv(span, bytes.data)));
}

static void log_head(const struct http_head *head, struct sv bytes, struct buffer *log)
{
	LOG(log, "%u bytes, HTTP/1.%u, body %llu, length %d, chunked %d, closes %d, escaped %d\n",
	    head->n, head->minor, (unsigned long long)head->n_body, head->has_length,
	    head->is_chunked, head->closes, head->is_escaped);
	log_span("method", head->method, bytes, log);
	log_span("path", head->path, bytes, log);
	log_span("authority", head->authority, bytes, log);
	for (size_t i = 0; i < HTTP_KNOWN_COUNT; i++) {
		LOG(log, "%u ", head->n_known[i]);
		log_span("value", head->known[i], bytes, log);
	}
}

static void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	enum http_head_result result = HTTP_HEAD_MORE;
	struct buffer bytes = BUFFER_INIT;
	struct http_head head = {0};
	struct sv piece;

	(void)userdata;
	while (result == HTTP_HEAD_MORE && pieces_next(pieces, &piece)) {
		assert_int_equal(buffer_append_sv(&bytes, piece), 0);
		result = feed(&head, buffer_sv(&bytes));
	}
	if (result == HTTP_HEAD_DONE) {
		log_head(&head, buffer_sv(&bytes), log);
	} else if (result == HTTP_HEAD_FAULT) {
		LOG(log, "fault %d %d", (int)head.fault, (int)head.alien);
	} else {
		LOG(log, "more");
		FUZZ_CHECK(bytes.n < HTTP_HEAD_MAX);
	}
	buffer_deinit(&bytes);
}

/* The next line without its CR LF, which it must have. */
static struct sv take_line(struct sv *rest)
{
	size_t n = sv_find_sv(*rest, SV("\r\n"));
	struct sv line = sv_first(*rest, n);

	FUZZ_CHECK(n < rest->n);
	*rest = sv_skip(*rest, n + 2);
	return line;
}

/* The values of the header @name, found line by line: the first one, and their number. */
static unsigned find_values(struct sv head, struct sv name, struct sv *ret_first)
{
	unsigned n_found = 0;
	struct sv line;

	while (sv_starts_with(head, SV("\r\n"))) {
		head = sv_skip(head, 2);
	}
	(void)take_line(&head);
	for (line = take_line(&head); line.n; line = take_line(&head)) {
		size_t n_name = sv_find(line, ':');

		FUZZ_CHECK(n_name > 0 && n_name < line.n && line.data[0] != ' ');
		FUZZ_CHECK(sv_find(line, '\0') == line.n && sv_find(line, '\n') == line.n);
		if (sv_eq_nocase(sv_first(line, n_name), name) && n_found++ == 0) {
			*ret_first = sv_trim(sv_skip(line, n_name + 1));
		}
	}
	FUZZ_CHECK(head.n == 0);
	return n_found;
}

static void check_values(const struct http_head *head, struct sv bytes, size_t i)
{
	struct sv first = SV_EMPTY, value, next;
	unsigned n = find_values(bytes, known_names[i], &first), n_next = 0;
	uint16_t cursor = 0;

	FUZZ_CHECK(n == head->n_known[i]);
	value = http_head_value(head, bytes.data, (enum http_known)i);
	FUZZ_CHECK((value.data != NULL) == (n > 0) && sv_eq(value, first));
	while (http_head_next(head, bytes.data, known_names[i], &cursor, &next)) {
		FUZZ_CHECK(n_next++ > 0 || sv_eq(next, first));
	}
	FUZZ_CHECK(n_next == n);
}

/* RFC 9110, 5.6.2. */
static bool is_token(struct sv text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.data[i] <= ' ' || text.data[i] > '~' ||
		    memchr("\"(),/:;<=>?@[\\]{}", text.data[i], 17)) {
			return false;
		}
	}
	return text.n > 0;
}

static bool is_slashes(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] != '/') {
			return false;
		}
	}
	return true;
}

/* Takes the next byte of @path, or the escape that stands for one. */
static char take_byte(struct sv *path)
{
	char c = path->data[0];
	size_t n = 1;

	if (c == '%') {
		const char digits[] = {path->data[1], path->data[2], '\0'};

		c = (char)strtoul(digits, NULL, 16);
		n = 3;
	}
	*path = sv_skip(*path, n);
	return c;
}

static void check_path(const struct http_head *head, struct sv bytes)
{
	struct sv path = http_span_sv(head->path, bytes.data), rest = path;
	char *text = malloc(path.n + 1);
	size_t n = 0;

	FUZZ_CHECK(text && http_escapes_are_valid(path));
	FUZZ_CHECK(sv_find(path, '?') == path.n && head->is_escaped == sv_has(path, '%'));
	size_t n_text = http_path_unescape(path, text);

	for (; rest.n; n++) {
		FUZZ_CHECK(n < n_text && text[n] == take_byte(&rest));
	}
	FUZZ_CHECK(n == n_text);
	/* A slash at the end counts for nothing, and two are one. */
	text[n_text] = '/';
	FUZZ_CHECK(http_path_eq((struct sv){text, n_text + 1}, SV("/http-bind")) ==
		   http_path_eq((struct sv){text, n_text}, SV("/http-bind")));
	FUZZ_CHECK(http_path_eq((struct sv){text, n_text}, SV("/")) == is_slashes(text, n_text));
	free(text);
}

static void check_taken(const struct http_head *head, struct sv bytes)
{
	struct http_head alone = {0};

	FUZZ_CHECK(head->n <= bytes.n && head->n <= HTTP_HEAD_MAX);
	bytes = sv_first(bytes, head->n);
	FUZZ_CHECK(feed(&alone, bytes) == HTTP_HEAD_DONE && alone.n == head->n);
	for (size_t i = 0; i < HTTP_KNOWN_COUNT; i++) {
		check_values(head, bytes, i);
	}
	check_path(head, bytes);
	FUZZ_CHECK(head->minor <= 1 && head->n_known[HTTP_KNOWN_HOST] <= 1);
	FUZZ_CHECK(head->minor == 0 || head->n_known[HTTP_KNOWN_HOST] == 1);
	FUZZ_CHECK(is_token(http_span_sv(head->method, bytes.data)));
	FUZZ_CHECK(head->method.n <= HTTP_METHOD_MAX);
	/* "http://a" and "http://a?b" have none. */
	FUZZ_CHECK(head->path.n > 0 || head->authority.n > 0);
	/* Where the body ends is certain. */
	FUZZ_CHECK(!(head->has_length && head->is_chunked));
	FUZZ_CHECK(head->has_length == (head->n_known[HTTP_KNOWN_CONTENT_LENGTH] == 1));
	FUZZ_CHECK(head->is_chunked == (head->n_known[HTTP_KNOWN_TRANSFER_ENCODING] == 1));
	FUZZ_CHECK(!head->is_chunked || head->minor == 1);
	FUZZ_CHECK(head->has_length || head->n_body == 0);
}

void fuzz_one(struct sv input)
{
	struct http_head head = {0};
	enum http_head_result result;

	fuzz_check_cuts(input, run, NULL);
	result = http_head_feed(&head, input);
	if (result == HTTP_HEAD_DONE) {
		check_taken(&head, input);
	} else if (result == HTTP_HEAD_FAULT) {
		FUZZ_CHECK(http_fault_name(head.fault)[0]);
		FUZZ_CHECK((http_fault_status(head.fault) == 0) ==
			   (head.fault == HTTP_FAULT_ALIEN));
	}
}
