/* SPDX-License-Identifier: MIT */
/* The connections that libmicrohttpd serves, on a real loop and a pair of sockets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/http/date.h"
#include "gateway/http/exchange.h"
#include "gateway/http/server-state.h"

enum {
	TURNS_MAX = 10000,
};

static struct {
	uv_loop_t loop;
	struct http_date date;
	unsigned n_requests, n_closed;
} one;

static void on_request(void *userdata, struct http_exchange *exchange)
{
	(void)userdata;
	one.n_requests++;
	http_exchange_answer(exchange, &(struct http_answer){.status = 404, .close = true});
}

static void ignore(void *userdata, struct http_exchange *exchange)
{
	(void)userdata;
	(void)exchange;
}

static void on_closed(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
	one.n_closed++;
}

/* A process that has passed a connection may still have its descriptor when it ends: it is not
 * watched any more then. */
static void test_descriptor_of_another(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	const struct http_options options = {.loop = &one.loop,
					     .date = &one.date,
					     .limits = {.n_body_max = 100, .timeout_s = 10},
					     .request = on_request,
					     .gone = ignore,
					     .done = ignore,
					     .closed = on_closed};
	struct wire_peer peer = {0};
	struct http_server *server;
	struct epoll_event event;
	int fds[2];

	(void)state;
	assert_int_equal(uv_loop_init(&one.loop), 0);
	assert_int_equal(http_server_new(&options, &server), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(address_parse(SV("192.0.2.7:1"), -1, &peer.address), 0);
	int theirs = dup(fds[0]);

	assert_int_equal(send(fds[1], request, strlen(request), 0), strlen(request));
	assert_int_equal(http_server_adopt(server, fds[0], &peer, strlen(request)), 0);
	for (int i = 0; i < TURNS_MAX && !one.n_closed; i++) {
		uv_run(&one.loop, UV_RUN_NOWAIT);
		if (one.n_requests) {
			shutdown(fds[1], SHUT_WR);
		}
	}
	assert_int_equal(one.n_requests, 1);
	assert_int_equal(one.n_closed, 1);
	close(fds[1]);
	assert_int_equal(epoll_wait(server->watch_fd, &event, 1, 0), 0);
	close(theirs);
	assert_null(http_server_free(server));
	uv_run(&one.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&one.loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptor_of_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
