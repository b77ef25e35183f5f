/* SPDX-License-Identifier: MIT */
/* Connections of proxies on a real loop: what is left of each when its header has been taken. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/listener/proxied.h"
#include "gateway/wire/state.h"
#include "tests/unit/failmalloc.h"

#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.1 4711 5280\r\n"
#define REQUEST "POST / HTTP/1.1\r\n"

/* No second passes by itself. */
enum { SECOND_MS = 24 * 3600 * 1000 };

static struct {
	uv_loop_t loop;
	struct wire_hub *hub;
	struct proxied proxied;
	struct wire *wire; /* that has had its header */
	struct address proxy;
	struct address told_proxy;
	struct proxy_in header;
	const char *reason;
	unsigned n_closed;
	int theirs;
	bool is_hub_closed;
} one;

static void on_closed(void *userdata, const struct address *peer)
{
	(void)userdata;
	assert_true(address_is_same_host(peer, &one.proxy));
	one.n_closed++;
}

static void on_done(void *userdata, struct wire *wire, const struct address *proxy,
		    const struct proxy_in *header)
{
	assert_ptr_equal(userdata, &one);
	one.wire = wire;
	one.told_proxy = *proxy;
	one.header = *header;
}

static void on_failed(void *userdata, const struct wire *wire, const char *reason)
{
	assert_ptr_equal(userdata, &one);
	assert_true(address_is_same_host(wire_peer(wire), &one.proxy));
	one.reason = reason;
}

static int setup(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	one.theirs = -1;
	assert_int_equal(address_parse(SV("10.0.0.1:1"), -1, &one.proxy), 0);
	assert_int_equal(uv_loop_init(&one.loop), 0);
	assert_int_equal(wire_hub_new(&(struct wire_hub_options){.loop = &one.loop,
								 .closed = on_closed,
								 .userdata = &one,
								 .second_ms = SECOND_MS},
				      &one.hub),
			 0);
	proxied_init(&one.proxied, &(struct proxied_options){.hub = one.hub,
							     .done = on_done,
							     .failed = on_failed,
							     .userdata = &one});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wire_close(one.wire);
	if (!one.is_hub_closed) {
		wire_hub_close(one.hub);
	}
	proxied_deinit(&one.proxied);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	one.hub = wire_hub_free(one.hub);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	if (one.theirs >= 0) {
		close(one.theirs);
	}
	return 0;
}

static struct wire *connect_wire(void)
{
	struct wire *wire;
	int fds[2];

	if (one.theirs >= 0) {
		close(one.theirs);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	one.theirs = fds[1];
	assert_int_equal(wire_new(fds[0], &one.proxy, &wire), 0);
	return wire;
}

static void adopt(unsigned timeout_s)
{
	assert_int_equal(proxied_adopt(&one.proxied, connect_wire(), timeout_s), 0);
}

static void say(struct sv bytes)
{
	if (bytes.n) {
		assert_int_equal(send(one.theirs, bytes.data, bytes.n, 0), bytes.n);
	}
	for (int i = 0; i < 3; i++) {
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
}

static void nobody(void *user)
{
	(void)user;
}

static const struct wire_callbacks nobodys = {.ready = nobody, .written = nobody, .late = nobody};

/* The wire has its client, and what came behind the header. */
static void check_done(const char *client, const char *rest)
{
	char text[ADDRESS_TEXT_MAX];
	struct sv bytes;

	assert_non_null(one.wire);
	assert_string_equal(address_format(wire_peer(one.wire), text), client);
	assert_true(address_is_same_host(&one.told_proxy, &one.proxy));
	assert_int_equal(one.n_closed, 0);
	wire_set_user(one.wire, &nobodys, NULL);
	assert_int_equal(wire_join(one.wire, one.hub), 0);
	if (rest) {
		assert_int_equal(wire_peek(one.wire, WIRE_PEEK_MAX, &bytes), WIRE_OK);
		assert_true(sv_eq(bytes, sv_from(rest)));
	}
	wire_leave(one.wire);
	one.wire = wire_close(one.wire);
}

static void test_at_once(void **state)
{
	(void)state;
	adopt(60);
	say(SV(HEADER REQUEST));
	check_done("192.0.2.1:4711", REQUEST);
}

/* Wherever the header is cut. */
static void test_cuts(void **state)
{
	struct sv bytes = SV(HEADER REQUEST);

	(void)state;
	for (size_t n = 1; n < sizeof(HEADER) - 1; n++) {
		adopt(60);
		say(sv_first(bytes, n));
		assert_null(one.wire);
		assert_null(one.reason);
		say(sv_skip(bytes, n));
		check_done("192.0.2.1:4711", REQUEST);
	}
}

static void test_local(void **state)
{
	(void)state;
	adopt(60);
	say(SV("PROXY UNKNOWN\r\n" REQUEST));
	assert_false(one.header.has_client);
	check_done("10.0.0.1:1", REQUEST);
}

static void check_failed(const char *reason)
{
	assert_null(one.wire);
	assert_non_null(one.reason);
	assert_string_equal(one.reason, reason);
	assert_int_equal(one.n_closed, 1);
}

static void test_no_header(void **state)
{
	(void)state;
	adopt(60);
	say(SV(REQUEST));
	check_failed("no PROXY header");
}

static void test_end(void **state)
{
	(void)state;
	adopt(60);
	say(SV("PROXY TCP4"));
	assert_null(one.reason);
	shutdown(one.theirs, SHUT_WR);
	say(SV_EMPTY);
	check_failed("the connection ended within a PROXY header");
}

static void test_end_at_once(void **state)
{
	(void)state;
	adopt(60);
	shutdown(one.theirs, SHUT_WR);
	say(SV_EMPTY);
	check_failed("the connection ended before a PROXY header");
}

static void test_late(void **state)
{
	(void)state;
	adopt(1);
	say(SV("PROXY TCP4"));
	wire_deadline_tick(one.hub);
	say(SV_EMPTY);
	assert_null(one.reason);
	wire_deadline_tick(one.hub);
	say(SV_EMPTY);
	check_failed("no PROXY header in time");
}

/* What still waits at the end is closed. */
static void test_left(void **state)
{
	(void)state;
	adopt(60);
	say(SV("PROXY"));
	wire_hub_close(one.hub);
	one.is_hub_closed = true;
	proxied_deinit(&one.proxied);
	assert_int_equal(one.n_closed, 1);
}

/* The wire is as before, and can be adopted later. */
static void test_no_memory(void **state)
{
	struct wire *wire = connect_wire();

	(void)state;
	failmalloc_arm(1, false);
	int r = proxied_adopt(&one.proxied, wire, 60);

	assert_int_equal(failmalloc_disarm(), 1);
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(proxied_adopt(&one.proxied, wire, 60), 0);
	say(SV(HEADER REQUEST));
	check_done("192.0.2.1:4711", REQUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cuts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_header, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
