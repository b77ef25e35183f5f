/* SPDX-License-Identifier: MIT */
/* The head of a request: a table of every rule, each case whole, byte by byte and cut at random. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/unit/gateway/http/head-case.h"

struct row {
	struct sv text;
	enum http_fault fault; /* HTTP_FAULT_NONE: the head is accepted */
};

#define OK(text)                                          \
	{                                                 \
		{text, sizeof(text) - 1}, HTTP_FAULT_NONE \
	}
#define BAD(fault, text)                                     \
	{                                                    \
		{text, sizeof(text) - 1}, HTTP_FAULT_##fault \
	}

static const struct row rows[] = {
	OK("GET / HTTP/1.1\r\n" HOST "\r\n"),
	OK("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
	OK("GET / HTTP/1.0\r\n\r\n"),
	OK("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
	OK("GET http://gw.test:80/a?b HTTP/1.1\r\n" HOST "\r\n"),
	OK("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
	OK("GET / HTTP/1.1\r\nHost: [2001:db8::1]:5280\r\n\r\n"),
	OK(LINE HOST "Content-Length: 0\r\n\r\n"),
	OK(LINE HOST "content-LENGTH:\t 17 \t\r\n\r\nbody"),
	OK(LINE HOST "Transfer-Encoding: Chunked\r\n\r\n"),
	OK(LINE HOST "X: a\tb \x80\xff\r\n\r\n"),
	OK(LINE HOST "X:\r\nY: \r\n!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n"),
	OK(LINE HOST "Connection: a\r\nConnection: b\r\n\r\n"),
	BAD(METHOD, " GET / HTTP/1.1\r\n" HOST "\r\n"),
	BAD(METHOD, "\rGET / HTTP/1.1\r\n" HOST "\r\n"),
	BAD(METHOD, "\r\rGET / HTTP/1.1\r\n" HOST "\r\n"),
	BAD(METHOD, "GET\rX / HTTP/1.1\r\n" HOST "\r\n"),
	BAD(METHOD, "GET\r / HTTP/1.1\r\n" HOST "\r\n"),
	BAD(METHOD, "G@T / HTTP/1.1 \r\n" HOST "\r\n"),
	BAD(TARGET, "GET\r\n\r\n"),
	BAD(TARGET, "GET  HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET  / HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET index.html HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET /a#b HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET /a\tb HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET /a\0b HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET http:///a HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET http://user@gw.test/a HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET ftp://gw.test/a HTTP/1.1\r\n" HOST "\r\n"),
	OK("CONNECT gw.test:80 HTTP/1.1\r\n" HOST "\r\n"),
	OK("CONNECT [::1]:80 HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "CONNECT gw.test HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "CONNECT gw.test: HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "CONNECT :80 HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "CONNECT u@gw.test:80 HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "CONNECT / HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET gw.test:80 HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET * HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "options * HTTP/1.1\r\n" HOST "\r\n"),
	OK("GET /%2d%2D?100% HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET /% HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET /%4 HTTP/1.1\r\n" HOST "\r\n"),
	BAD(TARGET, "GET /%4g HTTP/1.1\r\n" HOST "\r\n"),
	OK("GET / HTTP/1.2\r\n" HOST "\r\n"),
	OK("GET / HTTP/1.9\r\n" HOST "\r\n"),
	BAD(HOST, "GET / HTTP/1.2\r\n\r\n"),
	BAD(VERSION, "GET / HTTP/2.0\r\n" HOST "\r\n"),
	BAD(VERSION, "GET / HTTP/0.9\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET /\r\n\r\n"),
	BAD(REQUEST_LINE, "GET /a b HTTP/1.1\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / HTTP/1.1 \r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / HTTP/1.1x\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / HTTP/1.10\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / HTTP/1.:\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / HTTP/1./\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / HTTP/:.1\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / HTTP//.1\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / HTTP/1\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / http/1.1\r\n" HOST "\r\n"),
	BAD(REQUEST_LINE, "GET / HTTP/1,1\r\n" HOST "\r\n"),
	BAD(METHOD, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"),
	BAD(LINE_END, "GET / HTTP/1.1\n" HOST "\r\n"),
	BAD(LINE_END, "\nGET / HTTP/1.1\r\n" HOST "\r\n"),
	BAD(LINE_END, LINE "Host: a\n\r\n"),
	BAD(LINE_END, LINE HOST "\n"),
	BAD(CONTROL, LINE HOST "X: a\rb\r\n\r\n"),
	BAD(CONTROL, LINE HOST "X: a\r\r\n\r\n"),
	BAD(CONTROL, LINE HOST "X: a\0b\r\n\r\n"),
	BAD(CONTROL, LINE HOST "X: long enough for a word\x01 and more\r\n\r\n"),
	BAD(CONTROL, LINE HOST "X: long enough for a word\t\x1f and more\r\n\r\n"),
	BAD(CONTROL, LINE HOST "X: long enough for a word\x7f and more\r\n\r\n"),
	BAD(FOLDED, LINE HOST "X: a\r\n b\r\n\r\n"),
	BAD(FOLDED, LINE HOST "X: a\r\n\tb\r\n\r\n"),
	BAD(FOLDED, LINE " X: a\r\n" HOST "\r\n"),
	BAD(NAME, LINE HOST "X : a\r\n\r\n"),
	BAD(NAME, LINE HOST "X\t: a\r\n\r\n"),
	BAD(NAME, LINE HOST ": a\r\n\r\n"),
	BAD(NAME, LINE HOST "X\r\n\r\n"),
	BAD(NAME, LINE HOST "X y: a\r\n\r\n"),
	BAD(NAME, LINE HOST "X\xc3: a\r\n\r\n"),
	BAD(NAME, LINE HOST "X\0: a\r\n\r\n"),
	BAD(NAME, LINE HOST "X(: a\r\n\r\n"),
	BAD(HOST, LINE "\r\n"),
	BAD(HOST, LINE HOST HOST "\r\n"),
	BAD(HOST, LINE "Host: a b\r\n\r\n"),
	BAD(HOST, LINE "Host: a,b\r\n\r\n"),
	BAD(HOST, LINE "Host: a/b\r\n\r\n"),
	BAD(HOST, LINE "Host: u@b\r\n\r\n"),
	BAD(HOST, "GET / HTTP/1.0\r\n" HOST HOST "\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length: 1, 1\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length:\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length: +1\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length: -1\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length: 0x1\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length: 1 1\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length: 9223372036854775808\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(LENGTH, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(CODING, LINE HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"),
	BAD(CODING, LINE HOST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"),
	BAD(CODING, LINE HOST "Transfer-Encoding: chunked;a=b, chunked\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: chunked, gzip\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: identity\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: chunked;a=b\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: ,chunked\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding: chunked,\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding:\r\n\r\n"),
	BAD(LENGTH, LINE HOST "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n"),
	OK(LINE HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"),
	OK(LINE HOST "Expect: , 100-continue\r\nExpect: 100-continue\r\n\r\n"),
	BAD(EXPECTATION, LINE HOST "Expect: 100-continue, a\r\n\r\n"),
	BAD(EXPECTATION, LINE HOST "Expect: 100-continue\r\nExpect: 200-ok\r\n\r\n"),
	BAD(EXPECTATION, LINE HOST "Expect: 100-continue=1\r\n\r\n"),
	BAD(ALIEN, "\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
	BAD(METHOD_TOO_LONG, "THE-METHOD-WITH-25-LETTERS / HTTP/1.1\r\n"),
	BAD(ALIEN, "\x16\x03\x01\x02\x00\x01\n"),
	BAD(ALIEN, "\x80\x2e\x01"),
	BAD(ALIEN, "G\xc3T / HTTP/1.1\r\n"),
	BAD(ALIEN, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
};

static void assert_same(const struct http_head *a, const struct http_head *b)
{
	assert_int_equal(a->fault, b->fault);
	assert_int_equal(a->alien, b->alien);
	if (a->fault) {
		return;
	}
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->n_body, b->n_body);
	assert_memory_equal(&a->method, &b->method, sizeof(a->method));
	assert_memory_equal(&a->path, &b->path, sizeof(a->path));
	assert_memory_equal(a->known, b->known, sizeof(a->known));
	assert_memory_equal(a->n_known, b->n_known, sizeof(a->n_known));
}

static void check(const struct row *row)
{
	struct http_head whole, pieces;
	enum http_head_result result = feed_whole(row->text, &whole);

	if (whole.fault != row->fault ||
	    result != (row->fault ? HTTP_HEAD_FAULT : HTTP_HEAD_DONE)) {
		fail_msg("result %d, fault %d, expected %d: %.*s", (int)result, (int)whole.fault,
			 (int)row->fault, SV_ARGS(row->text));
	}
	for (int i = 0; i < 20; i++) {
		assert_int_equal(feed_pieces(row->text, i == 0, &pieces), result);
		assert_same(&whole, &pieces);
	}
}

static void test_rules(void **state)
{
	(void)state;
	srand(1);
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		check(&rows[i]);
	}
}

/* Every head of the table that is accepted waits for more at each shorter length. */
static void test_incomplete(void **state)
{
	struct http_head head;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (rows[i].fault) {
			continue;
		}
		feed_whole(rows[i].text, &head);
		for (size_t n = 0, n_head = head.n; n < n_head; n++) {
			assert_int_equal(feed_whole(sv_first(rows[i].text, n), &head),
					 HTTP_HEAD_MORE);
		}
	}
}

static void test_aliens(void **state)
{
	static const struct {
		struct sv text;
		enum http_alien alien;
		size_t n; /* how many bytes it takes to know */
	} aliens[] = {
		{{"\x16\x03\x01\x02", 4}, HTTP_ALIEN_TLS, 1},
		{{"SSH-2.0-OpenSSH_9\r\n", 19}, HTTP_ALIEN_SSH, 4},
		{{"<stream:stream xmlns", 20}, HTTP_ALIEN_XMPP, 8},
		{{"<?xml version='1.0'?>", 21}, HTTP_ALIEN_XMPP, 6},
		{{"<?php", 5}, HTTP_ALIEN_UNKNOWN, 3},
		{{"<policy-file-request/>\0", 23}, HTTP_ALIEN_POLICY, 23},
		{{"<policy-file-requesx/>\0", 23}, HTTP_ALIEN_UNKNOWN, 20},
		{{"<html>", 6}, HTTP_ALIEN_UNKNOWN, 2},
		{{"PRI * HTTP/2.0\r\n", 16}, HTTP_ALIEN_HTTP2, 12},
		{{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", 36}, HTTP_ALIEN_PROXY, 9},
		{{"PROXY UNKNOWN\r\n", 15}, HTTP_ALIEN_PROXY, 13},
		{{"\r\n\r\n\0\r\nQUIT\n", 12}, HTTP_ALIEN_PROXY, 5},
		{{"\0", 1}, HTTP_ALIEN_UNKNOWN, 1},
		{{"\xff", 1}, HTTP_ALIEN_UNKNOWN, 1},
	};
	struct http_head head;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(aliens); i++) {
		size_t n = 0;

		while (feed_whole(sv_first(aliens[i].text, n), &head) == HTTP_HEAD_MORE) {
			n++;
		}
		assert_int_equal(head.fault, HTTP_FAULT_ALIEN);
		assert_int_equal(n, aliens[i].n);
		assert_int_equal(head.alien, aliens[i].alien);
		assert_int_equal(feed_whole(aliens[i].text, &head), HTTP_HEAD_FAULT);
		assert_int_equal(head.alien, aliens[i].alien);
		assert_true(http_alien_name(head.alien)[0]);
	}
}

/* Each byte at each place of a value, between others that words of eight bytes could hide it in. */
static void test_bytes_of_values(void **state)
{
	enum { N_VALUE = 2 * sizeof(uint64_t) };
	static const unsigned char others[] = {' ', '0', 'A', 'a', '~', 0x80, 0xff};
	static const char begin[] = LINE HOST "X:";
	unsigned char text[sizeof(begin) - 1 + N_VALUE + 4];
	unsigned char *value = text + sizeof(begin) - 1;
	struct http_head head;

	(void)state;
	memcpy(text, begin, sizeof(begin) - 1);
	memcpy(value + N_VALUE, "\r\n\r\n", 4);
	for (size_t i = 0; i < ARRAY_LENGTH(others) * N_VALUE * 256; i++) {
		unsigned char byte = (unsigned char)i;
		bool is_control = (byte < ' ' && byte != '\t') || byte == 0x7f;

		if (byte == '\n') {
			continue;
		}
		memset(value, others[i / 256 / N_VALUE], N_VALUE);
		value[i / 256 % N_VALUE] = byte;
		assert_int_equal(feed_whole((struct sv){(char *)text, sizeof(text)}, &head),
				 is_control ? HTTP_HEAD_FAULT : HTTP_HEAD_DONE);
		assert_int_equal(head.fault, is_control ? HTTP_FAULT_CONTROL : HTTP_FAULT_NONE);
	}
}

static void test_values(void **state)
{
	static const char text[] = "POST http://gw.test:1//http-bind/?a=/b HTTP/1.1\r\n" HOST
				   "connection: keep-alive\r\nCONNECTION:  Close \r\nX:1\r\n"
				   "Connections: no\r\nOrigin:\r\n\r\nConnection: body";
	struct http_head head;
	struct sv value;
	uint16_t cursor = 0;

	(void)state;
	assert_int_equal(feed_whole((struct sv){text, sizeof(text) - 1}, &head), HTTP_HEAD_DONE);
	assert_true(sv_eq(http_span_sv(head.method, text), SV("POST")));
	assert_true(sv_eq(http_span_sv(head.path, text), SV("//http-bind/")));
	assert_true(sv_eq(http_span_sv(head.authority, text), SV("gw.test:1")));
	assert_true(sv_eq(http_head_value(&head, text, HTTP_KNOWN_HOST), SV("gw.test")));
	assert_true(sv_eq(http_head_value(&head, text, HTTP_KNOWN_CONNECTION), SV("keep-alive")));
	assert_int_equal(head.n_known[HTTP_KNOWN_CONNECTION], 2);
	assert_non_null(http_head_value(&head, text, HTTP_KNOWN_ORIGIN).data);
	assert_null(http_head_value(&head, text, HTTP_KNOWN_EXPECT).data);
	assert_true(head.closes);
	assert_true(http_head_next(&head, text, SV("Connection"), &cursor, &value));
	assert_true(sv_eq(value, SV("keep-alive")));
	assert_true(http_head_next(&head, text, SV("Connection"), &cursor, &value));
	assert_true(sv_eq(value, SV("Close")));
	assert_false(http_head_next(&head, text, SV("Connection"), &cursor, &value));
}

/* RFC 9110, 10.1.1. */
static void test_expectation(void **state)
{
	static const struct {
		struct sv text;
		bool expects;
	} cases[] = {
#define X(text, expects) {{text, sizeof(text) - 1}, expects}
		X(LINE HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n", true),
		X(LINE HOST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", true),
		X(LINE HOST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", false),
		X(LINE HOST "Expect: 100-continue\r\n\r\n", false),
		X(LINE HOST "Expect:\r\nContent-Length: 1\r\n\r\n", false),
		X(LINE HOST "Content-Length: 1\r\n\r\n", false),
		X("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", false),
#undef X
	};
	struct http_head head;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		assert_int_equal(feed_whole(cases[i].text, &head), HTTP_HEAD_DONE);
		assert_int_equal(head.expects_continue, cases[i].expects);
	}
}

static void test_paths(void **state)
{
	static const struct {
		const char *path, *known;
		bool same;
	} paths[] = {
		{"/http-bind", "/http-bind", true},
		{"/http-bind/", "/http-bind", true},
		{"/http-bind", "/http-bind/", true},
		{"//http-bind", "/http-bind", true},
		{"///a////b//", "/a/b", true},
		{"/", "/", true},
		{"//", "/", true},
		{"", "/", true},
		{"/http-bin", "/http-bind", false},
		{"/http-bindx", "/http-bind", false},
		{"/http/-bind", "/http-bind", false},
		{"/HTTP-bind", "/http-bind", false},
		{"/a", "/", false},
		{"/", "/a", false},
		{"*", "/", false},
		{"/a/b", "/ab", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		assert_int_equal(http_path_eq(sv_from(paths[i].path), sv_from(paths[i].known)),
				 paths[i].same);
	}
}

/* Whose path has escapes is not judged by how it is written. */
static void test_escaped(void **state)
{
	static const struct {
		const char *target;
		bool is_escaped;
	} targets[] = {
		{"/http-bind", false},
		{"/http%2dbind", true},
		{"/%68ttp-bind", true},
		{"/http-bind?a=%20", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(targets); i++) {
		struct http_head head;
		char text[64];

		snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: a\r\n\r\n",
			 targets[i].target);
		assert_int_equal(feed_whole(sv_from(text), &head), HTTP_HEAD_DONE);
		assert_int_equal(head.is_escaped, targets[i].is_escaped);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),   cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_aliens),  cmocka_unit_test(test_values),
		cmocka_unit_test(test_paths),   cmocka_unit_test(test_expectation),
		cmocka_unit_test(test_escaped), cmocka_unit_test(test_bytes_of_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
