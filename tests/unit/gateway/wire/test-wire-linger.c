/* SPDX-License-Identifier: MIT */
/* The end of a connection whose client still reads, or still sends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/gateway/wire/wire-case.h"

/* The client reads the last answer although it sent more than was read, and is not waited for
 * forever. */
static void test_linger(void **state)
{
	char bye[] = "bye";
	struct iovec part = {bye, 3};
	char text[8];

	(void)state;
	join(0, true);
	say(0, "much that nobody reads");
	turn_until(&one.clients[0].n_ready, 1);
	assert_int_equal(wire_send_later(one.clients[0].wire, &part, 1), 0);
	wire_linger(one.clients[0].wire);
	assert_int_equal(recv(one.theirs[0], text, sizeof(text), MSG_WAITALL), 3);
	say(0, "more");
	pass(WIRE_LINGER_S);
	assert_int_equal(one.n_closed, 0);
	close(one.theirs[0]);
	one.theirs[0] = -1;
	turn_until(&one.n_closed, 1);
	/* One that does not close its side. */
	join(0, true);
	wire_linger(one.clients[0].wire);
	pass(WIRE_LINGER_S);
	assert_int_equal(one.n_closed, 1);
	pass(1);
	assert_int_equal(one.n_closed, 2);
}

/* A client that reads slowly gets all of a long answer, however long that takes. */
static void test_linger_drains(void **state)
{
	struct client *client = &one.clients[0];
	struct blob *body;
	char some[256 * 1024];
	size_t n = 0;
	unsigned seconds = 0;

	(void)state;
	assert_int_equal(blob_new(LONG, &body), 0);
	memset(body->data, 'x', LONG);
	join(0, true);
	assert_int_equal(wire_send_blob(client->wire, NULL, 0, body), 0);
	assert_true(wire_waiting(client->wire) > 0);
	assert_false(wire_hub_has_last_bytes(one.hub));
	wire_linger(client->wire);
	assert_true(wire_hub_has_last_bytes(one.hub));
	while (n < LONG) {
		ssize_t r = recv(one.theirs[0], some, sizeof(some), MSG_DONTWAIT);

		assert_true(r > 0 || (r < 0 && errno == EAGAIN));
		n += r > 0 ? (size_t)r : 0;
		uv_run(&one.loop, UV_RUN_NOWAIT);
		/* The deadline of a connection that has nothing left to send would pass. */
		if (r > 0 && seconds + WIRE_LINGER_S + 1 < WIRE_DRAIN_S) {
			pass(WIRE_LINGER_S + 1);
			seconds += WIRE_LINGER_S + 1;
		}
	}
	assert_false(wire_hub_has_last_bytes(one.hub));
	close(one.theirs[0]);
	one.theirs[0] = -1;
	turn_until(&one.n_closed, 1);
}

/* Even if it reads now and then, there is an end to it. */
static void test_linger_drains_for_so_long(void **state)
{
	struct client *client = &one.clients[0];
	struct wire *wire;
	struct blob *body;
	char some[256 * 1024];

	(void)state;
	assert_int_equal(blob_new(LONG, &body), 0);
	memset(body->data, 'x', LONG);
	join(0, true);
	wire = client->wire;
	assert_int_equal(wire_send_blob(wire, NULL, 0, body), 0);
	wire_linger(wire);
	assert_int_equal(wire->lingers_until, one.hub->tick + WIRE_DRAIN_MAX_S);
	/* One second before that, it goes on. */
	wire->lingers_until = one.hub->tick + 1;
	wire->callbacks->written(wire);
	assert_int_equal(one.n_closed, 0);
	wire->lingers_until = one.hub->tick;
	while (one.n_closed == 0) {
		assert_int_not_equal(recv(one.theirs[0], some, sizeof(some), MSG_DONTWAIT), 0);
		uv_run(&one.loop, UV_RUN_ONCE);
	}
}

static void test_linger_is_bounded(void **state)
{
	static const char some[64 * 1024];
	size_t n = 0;

	(void)state;
	join(0, true);
	wire_linger(one.clients[0].wire);
	for (int i = 0; i < TURNS_MAX && one.n_closed == 0; i++) {
		ssize_t r = send(one.theirs[0], some, sizeof(some), MSG_DONTWAIT | MSG_NOSIGNAL);

		n += r > 0 ? (size_t)r : 0;
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.n_closed, 1);
	assert_true(n >= WIRE_LINGER_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_linger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linger_drains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linger_drains_for_so_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linger_is_bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
