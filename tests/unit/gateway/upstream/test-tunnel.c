/* SPDX-License-Identifier: MIT */
/*
 * What a proxy says, in one piece and cut at every byte, and what the gateway says to it. The bytes
 * behind the proxy's last message belong to the server and must not be taken.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/upstream/tunnel.h"

#define SERVER_BYTES "<?xml version='1.0'?>"
#define NAME_255                                                           \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" \
	"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" \
	"ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

static char user[] = "us";
static char password[] = "secret";
static char long_text[] = NAME_255;
static const struct egress socks = {.kind = EGRESS_SOCKS5};
static const struct egress socks_login = {
	.kind = EGRESS_SOCKS5, .user = user, .password = password};
static const struct egress socks_long = {
	.kind = EGRESS_SOCKS5, .user = long_text, .password = long_text};
static const struct egress http = {.kind = EGRESS_HTTP};
static const struct egress http_login = {.kind = EGRESS_HTTP, .user = user, .password = password};
static const struct egress http_long = {
	.kind = EGRESS_HTTP, .user = long_text, .password = long_text};
static const struct tunnel_server by_name = {.host = "xmpp.example", .port = 5222};

struct conversation {
	char sent[4 * TUNNEL_OUT_MAX];
	size_t n_sent, n_used;
	enum tunnel_result result;
	struct failure failure;
};

/* Takes off what is to be written, in pieces of @n_piece bytes. */
static void flush(struct tunnel *tunnel, size_t n_piece, struct conversation *conversation)
{
	while (tunnel->out.n) {
		size_t n = tunnel->out.n < n_piece ? tunnel->out.n : n_piece;

		assert_true(conversation->n_sent + n <= sizeof(conversation->sent));
		memcpy(conversation->sent + conversation->n_sent, tunnel->out.data, n);
		conversation->n_sent += n;
		tunnel_written(tunnel, n);
	}
}

/* The proxy says @said in two pieces, of which the first has @n_first bytes; each from memory of
 * its own size, so that a sanitizer sees who reads beyond it. */
static void talk(const struct egress *egress, const struct tunnel_server *server, struct sv said,
		 size_t n_first, struct conversation *ret)
{
	struct tunnel tunnel;
	struct sv pieces[] = {sv_first(said, n_first), sv_skip(said, n_first)};

	memset(ret, 0, sizeof(*ret));
	tunnel_init(&tunnel, egress, server);
	flush(&tunnel, n_first + 1, ret);
	for (size_t i = 0; i < 2 && ret->result == TUNNEL_MORE; i++) {
		char *copy = malloc(pieces[i].n + 1);
		size_t n_used;

		assert_non_null(copy);
		memcpy(copy, pieces[i].n ? pieces[i].data : "", pieces[i].n);
		ret->result = tunnel_feed(&tunnel, (struct sv){copy, pieces[i].n}, &n_used,
					  &ret->failure);
		ret->n_used += n_used;
		free(copy);
		flush(&tunnel, n_first + 1, ret);
	}
	tunnel_deinit(&tunnel);
}

/* @said opens the tunnel at its last byte, wherever it is cut, and takes nothing of what follows;
 * meanwhile @sent is what was sent. */
static void check_open(const struct egress *egress, const struct tunnel_server *server,
		       struct sv said, struct sv sent)
{
	char all[2 * HTTP_CONNECT_HEAD_MAX];
	struct conversation conversation;

	assert_true(said.n + sizeof(SERVER_BYTES) <= sizeof(all));
	memcpy(all, said.data, said.n);
	memcpy(all + said.n, SERVER_BYTES, sizeof(SERVER_BYTES));
	for (size_t n = 0; n <= said.n; n++) {
		talk(egress, server, (struct sv){all, said.n + sizeof(SERVER_BYTES)}, n,
		     &conversation);
		assert_int_equal(conversation.result, TUNNEL_OPEN);
		assert_int_equal(conversation.n_used, said.n);
		assert_int_equal(conversation.n_sent, sent.n);
		assert_memory_equal(conversation.sent, sent.data, sent.n);
		talk(egress, server, sv_first(said, n), n / 2, &conversation);
		assert_int_equal(conversation.result, n < said.n ? TUNNEL_MORE : TUNNEL_OPEN);
	}
}

static void check_failed(const struct egress *egress, struct sv said, enum failure_kind kind,
			 const char *words)
{
	struct conversation conversation;

	for (size_t n = 0; n <= said.n; n++) {
		talk(egress, &by_name, said, n, &conversation);
		assert_int_equal(conversation.result, TUNNEL_FAILED);
		assert_int_equal(conversation.failure.kind, kind);
		assert_non_null(strstr(conversation.failure.detail, words));
	}
}

#define NO_LOGIN "\x05\x01\x00"
#define WITH_LOGIN "\x05\x02\x00\x02"
#define ASKED "\x05\x01\x00\x03\x0cxmpp.example\x14\x66"
#define REPLY_4 "\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"

static void test_socks(void **state)
{
	(void)state;
	check_open(&socks, &by_name, SV("\x05\x00" REPLY_4), SV(NO_LOGIN ASKED));
	/* A reply with an IPv6 address, with a name, and with an empty one. */
	check_open(&socks, &by_name,
		   SV("\x05\x00\x05\x00\x00\x04"
		      "0123456789abcdef"
		      "\x00\x50"),
		   SV(NO_LOGIN ASKED));
	check_open(&socks, &by_name, SV("\x05\x00\x05\x00\x00\x03\x04host\x00\x50"),
		   SV(NO_LOGIN ASKED));
	check_open(&socks, &by_name, SV("\x05\x00\x05\x00\x00\x03\x00\x00\x50"),
		   SV(NO_LOGIN ASKED));
	/* The longest reply. */
	check_open(&socks, &by_name, SV("\x05\x00\x05\x00\x00\x03\xff" NAME_255 "\x00\x50"),
		   SV(NO_LOGIN ASKED));
}

static void test_socks_login(void **state)
{
	(void)state;
	check_open(&socks_login, &by_name, SV("\x05\x02\x01\x00" REPLY_4),
		   SV(WITH_LOGIN "\x01\x02us\x06secret" ASKED));
	/* It wants none: the login is not sent. */
	check_open(&socks_login, &by_name, SV("\x05\x00" REPLY_4), SV(WITH_LOGIN ASKED));
	check_open(&socks_long, &by_name, SV("\x05\x02\x01\x00" REPLY_4),
		   SV(WITH_LOGIN "\x01\xff" NAME_255 "\xff" NAME_255 ASKED));
	check_failed(&socks_login, SV("\x05\x02\x01\x01"), FAILURE_PROXY_REFUSED, "login");
	check_failed(&socks_login, SV("\x05\x02\x05\x00"), FAILURE_PROXY_FAILED, "SOCKS5");
	check_failed(&socks_login, SV("\x05\xff"), FAILURE_PROXY_REFUSED, "no login by user");
	check_failed(&socks, SV("\x05\xff"), FAILURE_PROXY_REFUSED, "wants a login");
	/* What was not offered: by user and password, and GSSAPI. */
	check_failed(&socks, SV("\x05\x02"), FAILURE_PROXY_FAILED, "not offered");
	check_failed(&socks_login, SV("\x05\x01"), FAILURE_PROXY_FAILED, "not offered");
}

static void test_socks_targets(void **state)
{
	const struct tunnel_server longest = {.host = NAME_255, .port = 65535};
	struct tunnel_server server = {.port = 5223};
	struct address address;

	(void)state;
	server.address = &address;
	assert_int_equal(address_parse(SV("192.0.2.1:9"), 0, &address), 0);
	check_open(&socks, &server, SV("\x05\x00" REPLY_4),
		   SV(NO_LOGIN "\x05\x01\x00\x01\xc0\x00\x02\x01\x14\x67"));
	check_open(&http, &server, SV("HTTP/1.1 200 OK\r\n\r\n"),
		   SV("CONNECT 192.0.2.1:5223 HTTP/1.1\r\nHost: 192.0.2.1:5223\r\n\r\n"));
	assert_int_equal(address_parse(SV("[2001:db8::1]:9"), 0, &address), 0);
	check_open(
		&socks, &server, SV("\x05\x00" REPLY_4),
		SV(NO_LOGIN "\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x14\x67"));
	check_open(&http, &server, SV("HTTP/1.1 200 OK\r\n\r\n"),
		   SV("CONNECT [2001:db8::1]:5223 HTTP/1.1\r\nHost: [2001:db8::1]:5223\r\n\r\n"));
	check_open(&socks, &longest, SV("\x05\x00" REPLY_4),
		   SV(NO_LOGIN "\x05\x01\x00\x03\xff" NAME_255 "\xff\xff"));
}

static void test_socks_refusals(void **state)
{
	static const enum failure_kind kinds[] = {
		[1] = FAILURE_CONNECT_UNREACHABLE, [2] = FAILURE_PROXY_REFUSED,
		[3] = FAILURE_CONNECT_UNREACHABLE, [4] = FAILURE_CONNECT_UNREACHABLE,
		[5] = FAILURE_CONNECT_REFUSED,     [6] = FAILURE_CONNECT_TIMEOUT,
		[7] = FAILURE_PROXY_REFUSED,       [8] = FAILURE_PROXY_REFUSED,
	};
	char said[] = "\x05\x00\x05?";

	(void)state;
	/* At once: some proxies close the connection behind these two bytes. */
	for (unsigned reply = 1; reply <= 255; reply++) {
		said[3] = (char)reply;
		check_failed(&socks, (struct sv){said, 4},
			     reply < 9 ? kinds[reply] : FAILURE_CONNECT_UNREACHABLE, "");
	}
}

static void test_socks_hostile(void **state)
{
	char said[3] = {0};

	(void)state;
	for (unsigned version = 0; version <= 255; version++) {
		said[0] = (char)version;
		if (version != 5) {
			check_failed(&socks, (struct sv){said, 1}, FAILURE_PROXY_FAILED, "SOCKS5");
		}
	}
	check_failed(&socks, SV("HTTP/1.1 400 Bad Request\r\n\r\n"), FAILURE_PROXY_FAILED,
		     "SOCKS5");
	check_failed(&socks, SV("\x05\x00\x04\x00"), FAILURE_PROXY_FAILED, "SOCKS5");
	for (unsigned kind = 0; kind <= 255; kind++) {
		char reply[] = "\x05\x00\x05\x00\x00?x";

		reply[5] = (char)kind;
		if (kind != 1 && kind != 3 && kind != 4) {
			check_failed(&socks, (struct sv){reply, 7}, FAILURE_PROXY_FAILED, "kind");
		}
	}
}

#define CONNECT "CONNECT xmpp.example:5222 HTTP/1.1\r\nHost: xmpp.example:5222\r\n"

static void test_http(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 Connection established\r\n\r\n",
		"HTTP/1.0 200 OK\r\nVia: 1.0 proxy\r\nContent-Length: 5000\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200\r\n\r\n",
		"HTTP/1.1 200 OK\nServer: old\n\n",
		"HTTP/1.1 299 \xff\x01 any words at all, and more of them than anybody keeps, "
		"really "
		"more\r\nX:\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
		"HTTP/1.1 200 OK\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
		check_open(&http, &by_name, sv_from(answers[i]), SV(CONNECT "\r\n"));
	}
	check_open(&http_login, &by_name, sv_from(answers[0]),
		   SV(CONNECT "Proxy-Authorization: Basic dXM6c2VjcmV0\r\n\r\n"));
}

/* The longest request: a server and a login as long as they may be. */
static void test_http_longest(void **state)
{
	const struct tunnel_server longest = {.host = NAME_255, .port = 65535};
	struct conversation conversation;

	(void)state;
	talk(&http_long, &longest, SV("HTTP/1.1 200 OK\r\n\r\n"), 0, &conversation);
	assert_int_equal(conversation.result, TUNNEL_OPEN);
	assert_true(conversation.n_sent > 2 * sizeof(NAME_255) + 4 * 510 / 3);
	assert_memory_equal(conversation.sent + conversation.n_sent - 4, "\r\n\r\n", 4);
}

static void test_http_refusals(void **state)
{
	static const struct {
		const char *status;
		enum failure_kind kind;
	} cases[] = {
		{"300", FAILURE_PROXY_FAILED},        {"301", FAILURE_PROXY_FAILED},
		{"399", FAILURE_PROXY_FAILED},        {"400", FAILURE_PROXY_REFUSED},
		{"403", FAILURE_PROXY_REFUSED},       {"407", FAILURE_PROXY_REFUSED},
		{"500", FAILURE_CONNECT_UNREACHABLE}, {"501", FAILURE_PROXY_REFUSED},
		{"502", FAILURE_CONNECT_UNREACHABLE}, {"503", FAILURE_CONNECT_UNREACHABLE},
		{"504", FAILURE_CONNECT_TIMEOUT},     {"599", FAILURE_PROXY_REFUSED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char said[64];

		(void)snprintf(said, sizeof(said), "HTTP/1.1 %s Some Words\r\n", cases[i].status);
		check_failed(&http, sv_from(said), cases[i].kind, cases[i].status);
		check_failed(&http, sv_from(said), cases[i].kind, "Some Words");
	}
}

static void test_http_hostile(void **state)
{
	static const char *const lines[] = {
		"\r\n",
		"\n",
		"HTTP/2 200 OK\r\n",
		"HTTP/1.x 200 OK\r\n",
		"HTTP/1.1200 OK\r\n",
		"HTTP/1.1 20 OK\r\n",
		"HTTP/1.1 2000 OK\r\n",
		"HTTP/1.1 099 OK\r\n",
		"HTTP/1.1 600 OK\r\n",
		"HTTP/1.1 +20 OK\r\n",
		"HTTP/1.1 \r\n",
		"HTTP/1.\r\n",
		" HTTP/1.1 200 OK\r\n",
		"SSH-2.0-OpenSSH\r\n",
		"\x05\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		check_failed(&http, sv_from(lines[i]), FAILURE_PROXY_FAILED, "does not speak");
	}
}

/* An answer of @n bytes, all in one line, in fields, or in answers that say "go on". */
static enum tunnel_result feed_endless(const char *start, const char *more, size_t n)
{
	struct tunnel tunnel;
	struct failure failure;
	struct sv sources[] = {sv_from(start), sv_from(more)};
	enum tunnel_result result = TUNNEL_MORE;

	tunnel_init(&tunnel, &http, &by_name);
	for (size_t i = 0; i < n && result == TUNNEL_MORE; i++) {
		const char *byte = i < sources[0].n
					 ? sources[0].data + i
					 : sources[1].data + (i - sources[0].n) % sources[1].n;
		size_t n_used;

		result = tunnel_feed(&tunnel, (struct sv){byte, 1}, &n_used, &failure);
	}
	if (result == TUNNEL_FAILED) {
		assert_int_equal(failure.kind, FAILURE_PROXY_FAILED);
		assert_non_null(strstr(failure.detail, "too long"));
	}
	return result;
}

static void test_http_endless(void **state)
{
	static const struct {
		const char *start, *more;
	} cases[] = {
		{"", "H"},
		{"HTTP/1.1 200 OK\r\n", "X: y\r\n"},
		{"HTTP/1.1 200 OK\r\nX: ", "y"},
		{"HTTP/1.1 200 OK", "\r"},
		{"", "HTTP/1.1 100 Continue\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		assert_int_equal(feed_endless(cases[i].start, cases[i].more, HTTP_CONNECT_HEAD_MAX),
				 TUNNEL_MORE);
		assert_int_equal(
			feed_endless(cases[i].start, cases[i].more, HTTP_CONNECT_HEAD_MAX + 1),
			TUNNEL_FAILED);
	}
}

static void test_has_asked(void **state)
{
	struct tunnel tunnel;
	struct failure failure;
	size_t n_used;

	(void)state;
	tunnel_init(&tunnel, &http, &by_name);
	assert_true(tunnel_has_asked(&tunnel));
	tunnel_init(&tunnel, &socks, &by_name);
	assert_false(tunnel_has_asked(&tunnel));
	assert_int_equal(tunnel_feed(&tunnel, SV("\x05\x00"), &n_used, &failure), TUNNEL_MORE);
	assert_true(tunnel_has_asked(&tunnel));
}

/* A login does not stay in memory. */
static void test_wiped(void **state)
{
	static const char nothing[sizeof(struct tunnel)];
	struct tunnel tunnel;

	(void)state;
	tunnel_init(&tunnel, &http_login, &by_name);
	tunnel_deinit(&tunnel);
	assert_memory_equal(&tunnel, nothing, sizeof(tunnel));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_socks),         cmocka_unit_test(test_socks_login),
		cmocka_unit_test(test_socks_targets), cmocka_unit_test(test_socks_refusals),
		cmocka_unit_test(test_socks_hostile), cmocka_unit_test(test_http),
		cmocka_unit_test(test_http_longest),  cmocka_unit_test(test_http_refusals),
		cmocka_unit_test(test_http_hostile),  cmocka_unit_test(test_http_endless),
		cmocka_unit_test(test_has_asked),     cmocka_unit_test(test_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
