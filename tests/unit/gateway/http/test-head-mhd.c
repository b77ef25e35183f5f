/* SPDX-License-Identifier: MIT */
/*
 * What the head engine accepts, libmicrohttpd reads in the same way, or refuses: the corpus, and
 * random variants of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buffer.h"
#include "gateway/http/head.h"

/* Requests as clients and proxies send them, and others at the edges of the grammar. */
#define CORPUS(text)                   \
	{                              \
		text, sizeof(text) - 1 \
	}
#define CORPUS_HOST "Host: gw.test\r\n"

static const struct sv head_corpus[] = {
	CORPUS("GET / HTTP/1.1\r\n" CORPUS_HOST "\r\n"),
	CORPUS("GET /a?b=c HTTP/1.0\r\nUser-Agent: x\r\n\r\n"),
	CORPUS("OPTIONS /http-bind HTTP/1.1\r\n" CORPUS_HOST
	       "Origin: https://a.test\r\nAccess-Control-Request-Method: POST\r\n\r\n"),
	CORPUS("POST /http-bind HTTP/1.1\r\n" CORPUS_HOST "Content-Length: 5\r\n\r\nhello"),
	CORPUS("POST //http-bind/ HTTP/1.1\r\nhost:\tgw.test:5280 \r\ncontent-length:5\r\n"
	       "Cookie: a=b; c=d\r\nCookie: e=f\r\n\r\nhello"),
	CORPUS("POST http://gw.test/http-bind?x HTTP/1.1\r\n" CORPUS_HOST
	       "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"),
	CORPUS("POST /http-bind HTTP/1.1\r\n" CORPUS_HOST
	       "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
	CORPUS("PUT /x HTTP/1.1\r\n" CORPUS_HOST "X-Empty:\r\nX-Tabs: a\tb\r\nX-High: \xe4\xff\r\n"
	       "Accept: */*\r\nContent-Length: 0\r\n\r\n"),
};

enum {
	VARIANTS = 10000,
	TEXT_MAX = 1024,
	RUNS = 8,
};

/* What libmicrohttpd has other. */
static struct {
	bool seen;
	struct buffer method, url, headers, body;
} other;

static void forget(void)
{
	buffer_deinit(&other.method);
	buffer_deinit(&other.url);
	buffer_deinit(&other.headers);
	buffer_deinit(&other.body);
	other.seen = false;
}

static void note_header(struct buffer *headers, struct sv name, struct sv value)
{
	assert_int_equal(buffer_append_sv(headers, name), 0);
	assert_int_equal(buffer_append_sv(headers, SV(":")), 0);
	assert_int_equal(buffer_append_sv(headers, sv_trim(value)), 0);
	assert_int_equal(buffer_append_sv(headers, SV("\n")), 0);
}

static enum MHD_Result on_header(void *userdata, enum MHD_ValueKind kind, const char *name,
				 const char *value)
{
	(void)kind;
	note_header(userdata, sv_from(name), sv_from(value));
	return MHD_YES;
}

static enum MHD_Result on_access(void *userdata, struct MHD_Connection *connection, const char *url,
				 const char *method, const char *version, const char *data,
				 size_t *n_data, void **slot)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)userdata;
	(void)version;
	if (!*slot) {
		*slot = &other;
		assert_false(other.seen);
		other.seen = true;
		assert_int_equal(buffer_append_sv(&other.method, sv_from(method)), 0);
		assert_int_equal(buffer_append_sv(&other.url, sv_from(url)), 0);
		MHD_get_connection_values(connection, MHD_HEADER_KIND, on_header, &other.headers);
		return MHD_YES;
	}
	if (*n_data) {
		assert_int_equal(buffer_append(&other.body, data, *n_data), 0);
		*n_data = 0;
		return MHD_YES;
	}
	response = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(response, "Connection", "close");
	result = MHD_queue_response(connection, 204, response);
	MHD_destroy_response(response);
	return result;
}

static void ignore(void *userdata, const char *format, va_list arguments)
{
	(void)userdata;
	(void)format;
	(void)arguments;
}

static void feed(struct sv text)
{
	static const struct sockaddr_in address = {.sin_family = AF_INET};
	struct MHD_Daemon *daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL,
		on_access, NULL, MHD_OPTION_EXTERNAL_LOGGER, ignore, NULL, MHD_OPTION_END);
	int fds[2];

	assert_non_null(daemon);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(send(fds[1], text.data, text.n, 0), text.n);
	assert_int_equal(MHD_add_connection(daemon, fds[0], (const struct sockaddr *)&address,
					    sizeof(address)),
			 MHD_YES);
	for (int i = 0; i < RUNS; i++) {
		MHD_run(daemon);
	}
	MHD_stop_daemon(daemon);
	close(fds[1]);
}

static void note_own_headers(const struct http_head *head, const char *bytes,
			     struct buffer *headers)
{
	struct sv all = {bytes, head->n};
	struct sv line;

	assert_true(sv_split(&all, '\n', &line));
	/* Empty lines before the request line are skipped. */
	while (line.n == 0) {
		assert_true(sv_split(&all, '\n', &line));
	}
	while (sv_split(&all, '\n', &line) && line.n) {
		size_t n = sv_find(line, ':');

		note_header(headers, sv_first(line, n), sv_skip(line, n + 1));
	}
}

/* How many requests both have accepted. */
static int n_read;

static void compare(struct sv text, bool must_be_read)
{
	_cleanup_(buffer_deinit) struct buffer headers = BUFFER_INIT;
	struct http_head head = {0};
	struct sv path, authority;

	if (http_head_feed(&head, text) != HTTP_HEAD_DONE) {
		assert_false(must_be_read);
		return;
	}
	feed(text);
	assert_true(other.seen || !must_be_read);
	n_read += other.seen;
	if (other.seen) {
		assert_true(sv_eq(buffer_sv(&other.method), http_span_sv(head.method, text.data)));
		note_own_headers(&head, text.data, &headers);
		assert_true(sv_eq(buffer_sv(&other.headers), buffer_sv(&headers)));
		if (!head.is_escaped) {
			assert_true(http_target_split(buffer_sv(&other.url), &path, &authority));
			assert_true(sv_eq(path, http_span_sv(head.path, text.data)));
		}
		if (!head.is_chunked && head.n + head.n_body <= text.n) {
			assert_true(sv_eq(buffer_sv(&other.body),
					  sv_first(sv_skip(text, head.n), (size_t)head.n_body)));
		}
	}
	forget();
}

static void test_corpus(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(head_corpus); i++) {
		compare(head_corpus[i], true);
	}
}

/* Replaces, inserts, removes or doubles a few bytes. */
static struct sv vary(struct sv text, char *copy)
{
	static const char bytes[] = "\r\n \t:,;/?%\0\x7f\xff"
				    "0159aZ-_.*\"(";
	size_t n = text.n;

	memcpy(copy, text.data, n);
	for (int i = 1 + rand() % 3; i > 0; i--) {
		size_t at = (size_t)rand() % n;
		char byte = bytes[(size_t)rand() % (sizeof(bytes) - 1)];

		switch (rand() % 3) {
		case 0:
			copy[at] = byte;
			break;
		case 1:
			memmove(copy + at + 1, copy + at, n - at);
			copy[at] = byte;
			n++;
			break;
		default:
			memmove(copy + at, copy + at + 1, n - at - 1);
			n--;
		}
	}
	return (struct sv){copy, n};
}

static void test_variants(void **state)
{
	char copy[TEXT_MAX];

	(void)state;
	srand(7);
	for (int i = 0; i < VARIANTS; i++) {
		compare(vary(head_corpus[i % (int)ARRAY_LENGTH(head_corpus)], copy), false);
	}
}

/* A test that compares nothing would find nothing. */
static void test_was_of_use(void **state)
{
	(void)state;
	print_message("%d requests compared\n", n_read);
	assert_true(n_read > VARIANTS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),
		cmocka_unit_test(test_variants),
		cmocka_unit_test(test_was_of_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
