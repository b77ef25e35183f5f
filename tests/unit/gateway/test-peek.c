/* SPDX-License-Identifier: MIT */
/* The verdict on the first bytes of a connection, whole and at every shorter length; the WebSocket
 * handshake; sids. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "gateway/bosh/sid.h"
#include "gateway/peek.h"
#include "gateway/ws/upgrade.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE_HEADERS                                                                      \
	"Host: gw.test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nOrigin: " \
	"https://a.test\r\n"                                                                 \
	"Sec-WebSocket-Key: " KEY                                                            \
	"\r\nsec-websocket-version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n"

static const struct peek_paths paths = {.bosh = {"/http-bind", 10}, .websocket = {"/ws/", 4}};

/* Judges a copy of exactly that size, so that the sanitizer notices reads past the end. */
static struct peek judge(const char *text, size_t n, char **ret_copy)
{
	struct peek peek;

	*ret_copy = malloc(n ? n : 1);
	assert_non_null(*ret_copy);
	memcpy(*ret_copy, text, n);
	peek_judge((struct sv){*ret_copy, n}, &paths, &peek);
	return peek;
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		enum peek_kind kind;
	} rows[] = {
		{"", PEEK_MORE},
		{"G", PEEK_MORE},
		{"PUT", PEEK_HTTP},
		{"<", PEEK_MORE},
		{"<policy-file-request/>", PEEK_MORE},
		{"<policy-file-request/>\n", PEEK_HTTP},
		{"<stream:stream", PEEK_HTTP},
		{"GET / HTTP/1.1\r\n\r\n", PEEK_HTTP},
		{"GET /ws HTTP/1.1\r\n\r\n", PEEK_HTTP},
		{"GET /ws HTTP/1.1\r\n" UPGRADE_HEADERS "\r\n", PEEK_WEBSOCKET},
		{"GET /ws/ HTTP/1.1\r\n" UPGRADE_HEADERS "\r\n", PEEK_WEBSOCKET},
		{"GET /ws?room=a&b=/x HTTP/1.1\r\n" UPGRADE_HEADERS "\r\n", PEEK_WEBSOCKET},
		{"GET /ws HTTP/1.1\r\n" UPGRADE_HEADERS "\r\nmore", PEEK_WEBSOCKET},
		{"GET /wsx HTTP/1.1\r\n" UPGRADE_HEADERS "\r\n", PEEK_HTTP},
		{"GET /ws HTTP/1.1\r\n" UPGRADE_HEADERS "Upgrade: h2c\r\n\r\n", PEEK_HTTP},
		{"POST /ws HTTP/1.1\r\n" UPGRADE_HEADERS "\r\n", PEEK_HTTP},
		{"POST /http-bind HTTP/1.1\r\nContent-Length: 20\r\n\r\n<body rid='1'", PEEK_MORE},
		{"POST /http-bind HTTP/1.1\r\nContent-Length: 20\r\n\r\n<body sid='a' rid='1",
		 PEEK_BOSH},
		{"POST /http-bind/?x HTTP/1.1\r\nContent-Length: 20\r\n\r\n<body sid=\"a\" rid='1",
		 PEEK_BOSH},
		{"POST /http-bind HTTP/1.1\r\nContent-Length: 14\r\n\r\n<body rid='1'>", PEEK_HTTP},
		{"POST /http-bind HTTP/1.1\r\nContent-Length: 14\r\n\r\n<body sid=a'b>", PEEK_HTTP},
		{"POST /http-bind HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", PEEK_HTTP},
		{"POST /http-bind HTTP/1.1\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
		 PEEK_HTTP},
		{"POST /http-bind HTTP/1.1\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\n",
		 PEEK_HTTP},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		size_t n = strlen(rows[i].text);
		char *copy;

		assert_int_equal(judge(rows[i].text, n, &copy).kind, rows[i].kind);
		free(copy);
		/* The verdict never changes once it has been given. */
		for (size_t j = 0, kind = PEEK_MORE; j <= n && kind == PEEK_MORE; j++) {
			kind = judge(rows[i].text, j, &copy).kind;
			assert_true(kind == PEEK_MORE || kind == rows[i].kind ||
				    rows[i].kind == PEEK_WEBSOCKET);
			free(copy);
		}
	}
}

static void test_too_long(void **state)
{
	char text[PEEK_MAX];
	char *copy;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "GET /", 5);
	assert_int_equal(judge(text, PEEK_MAX - 1, &copy).kind, PEEK_MORE);
	free(copy);
	assert_int_equal(judge(text, PEEK_MAX, &copy).kind, PEEK_HTTP);
	free(copy);
}

static void test_values(void **state)
{
	static const char text[] =
		"GET /ws HTTP/1.1\r\n" UPGRADE_HEADERS "X-Forwarded-For: 192.0.2.1\r\n\r\n";
	char *copy;
	struct peek peek = judge(text, sizeof(text) - 1, &copy);

	(void)state;
	assert_int_equal(peek.head.n, sizeof(text) - 1);
	assert_true(sv_eq(peek.key, SV(KEY)));
	assert_true(sv_eq(peek.version, SV("13")));
	assert_true(sv_eq(peek.host, SV("gw.test")));
	assert_true(sv_eq(peek.origin, SV("https://a.test")));
	assert_true(sv_eq(peek.forwarded_for, SV("192.0.2.1")));
	assert_true(sv_eq(peek.connection, SV("keep-alive, Upgrade")));
	free(copy);
}

static void test_sid(void **state)
{
	char sid[SID_LENGTH + 1];
	unsigned worker;

	(void)state;
	for (unsigned i = 0; i < 4096; i += 63) {
		assert_int_equal(sid_make(i, sid), 0);
		assert_int_equal(strlen(sid), SID_LENGTH);
		assert_true(sid_worker(sv_from(sid), 4096, &worker));
		assert_int_equal(worker, i);
		assert_false(sid_worker(sv_from(sid), i, &worker));
	}
	assert_false(sid_worker(sv_first(sv_from(sid), SID_LENGTH - 1), 4096, &worker));
	sid[0] = '!';
	assert_false(sid_worker(sv_from(sid), 4096, &worker));
	assert_false(sid_worker(SV_EMPTY, 4096, &worker));
}

static void test_upgrade(void **state)
{
	static const struct upgrade good = {
		.connection = {"Upgrade", 7},
		.upgrade = {"WebSocket", 9},
		.version = {"13", 2},
		.key = {KEY, 24},
		.protocol = {"foo, xmpp", 9},
		.origin_allowed = true,
	};
	struct upgrade bad;

	(void)state;
	assert_int_equal(upgrade_check(&good), UPGRADE_OK);
#define BAD(field, value, result) \
	bad = good;               \
	bad.field = value;        \
	assert_int_equal(upgrade_check(&bad), result)
	BAD(connection, SV("close"), UPGRADE_E_NO_WEBSOCKET);
	BAD(upgrade, SV("h2c"), UPGRADE_E_NO_WEBSOCKET);
	BAD(key, SV("short"), UPGRADE_E_NO_WEBSOCKET);
	BAD(key, SV("dGhlIHNhbXBsZSBub25jZ\r\n=="), UPGRADE_E_NO_WEBSOCKET);
	BAD(key, SV_EMPTY, UPGRADE_E_NO_WEBSOCKET);
	BAD(version, SV("8"), UPGRADE_E_VERSION);
	BAD(protocol, SV("XMPP"), UPGRADE_E_PROTOCOL);
	BAD(protocol, SV("xmpp2"), UPGRADE_E_PROTOCOL);
	BAD(protocol, SV_EMPTY, UPGRADE_E_PROTOCOL);
	BAD(origin_allowed, false, UPGRADE_E_ORIGIN);
#undef BAD
	assert_int_equal(upgrade_status(UPGRADE_E_VERSION), 426);
	assert_int_equal(upgrade_status(UPGRADE_E_PROTOCOL), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),   cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_values),  cmocka_unit_test(test_sid),
		cmocka_unit_test(test_upgrade),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
