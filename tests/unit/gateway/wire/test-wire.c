/* SPDX-License-Identifier: MIT */
/* What a wire reads, how it is closed, moved and given away. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/wire/wire-case.h"
#include "tests/unit/loopback.h"

/* What is peeked at stays; what is taken is gone; no event repeats without new bytes. */
static void peek_and_take(bool is_tcp)
{
	struct client *client = &one.clients[0];
	struct sv bytes;
	char rest[8];
	size_t n;

	join(0, is_tcp);
	assert_int_equal(wire_peek(client->wire, 10, &bytes), WIRE_AGAIN);
	say(0, "abcdef");
	turn_until(&client->n_ready, 1);
	turn();
	assert_int_equal(client->n_ready, 1);
	assert_int_equal(wire_peek(client->wire, 4, &bytes), WIRE_OK);
	assert_true(sv_eq(bytes, SV("abcd")));
	wire_take(client->wire, 3);
	assert_int_equal(wire_peek(client->wire, WIRE_PEEK_MAX, &bytes), WIRE_OK);
	assert_true(sv_eq(bytes, SV("def")));
	assert_int_equal(wire_read(client->wire, rest, 2, &n), WIRE_OK);
	assert_int_equal(n, 2);
	say(0, "g");
	turn_until(&client->n_ready, 2);
	assert_int_equal(wire_peek(client->wire, WIRE_PEEK_MAX, &bytes), WIRE_OK);
	assert_true(sv_eq(bytes, SV("fg")));
	wire_wake(client->wire);
	turn_until(&client->n_ready, 3);
	assert_false(wire_is_hung_up(client->wire));
	shutdown(one.theirs[0], SHUT_WR);
	turn_until(&client->n_ready, 4);
	assert_true(wire_is_hung_up(client->wire));
	assert_int_equal(wire_peek(client->wire, WIRE_PEEK_MAX, &bytes), WIRE_OK);
	wire_take(client->wire, 2);
	assert_int_equal(wire_peek(client->wire, WIRE_PEEK_MAX, &bytes), WIRE_ENDED);
	wire_close(client->wire);
	assert_int_equal(one.n_closed, 1);
}

static void test_peek_tcp(void **state)
{
	(void)state;
	peek_and_take(true);
}

static void test_peek_copied(void **state)
{
	(void)state;
	peek_and_take(false);
}

/* A callback may close any wire, also one whose event is reported in the same turn. */
static void test_close_each_other(void **state)
{
	(void)state;
	join(0, true);
	join(1, true);
	one.clients[0].to_close = &one.clients[1].wire;
	one.clients[1].to_close = &one.clients[0].wire;
	say(0, "x");
	say(1, "x");
	loopback_wait(one.clients[0].wire->fd, POLLIN);
	loopback_wait(one.clients[1].wire->fd, POLLIN);
	turn_until(&one.n_closed, 1);
	turn();
	assert_int_equal(one.n_closed, 1);
	assert_int_equal(one.clients[0].n_ready + one.clients[1].n_ready, 1);
}

/* Whether the hub's epoll watches anything of number @fd (proc(5), "fdinfo"). */
static bool is_watched(int fd)
{
	char path[64], line[128];
	bool is_there = false;
	int number;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", one.hub->epoll_fd);
	FILE *file = fopen(path, "re");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *end = line;

		if (strncmp(line, "tfd:", 4) == 0) {
			number = (int)strtol(line + 4, &end, 10);
			is_there = is_there || number == fd;
		}
	}
	fclose(file);
	return is_there;
}

/* A duplicate of the descriptor, in another process perhaps, keeps nothing in the epoll. */
static void test_close_with_duplicate(void **state)
{
	struct wire *wire;

	(void)state;
	join(0, true);
	wire = one.clients[0].wire;
	int fd = wire->fd;
	int duplicate = dup(fd);

	assert_true(is_watched(fd));
	wire_close(wire);
	one.clients[0].wire = NULL;
	assert_false(is_watched(fd));
	say(0, "to nobody");
	loopback_wait(duplicate, POLLIN);
	turn();
	assert_int_equal(one.n_closed, 1);
	close(duplicate);
}

static void test_into_fd(void **state)
{
	char text[8];

	(void)state;
	join(0, true);
	say(0, "abc");
	turn_until(&one.clients[0].n_ready, 1);
	wire_take(one.clients[0].wire, 1);
	int fd = wire_into_fd(one.clients[0].wire);

	assert_true(fd >= 0);
	turn();
	assert_int_equal(recv(fd, text, sizeof(text), 0), 2);
	assert_int_equal(one.n_closed, 0);
	close(fd);
}

/* What is fetched has left the socket. What is not taken of it comes first at the next look. */
static void test_fetch(void **state)
{
	struct client *client = &one.clients[0];
	struct sv bytes;
	char rest[8];
	size_t n;

	(void)state;
	join(0, true);
	join(1, true);
	assert_int_equal(wire_fetch(client->wire, 10, &bytes), WIRE_AGAIN);
	say(0, "abcdef");
	say(1, "xyz");
	turn_until(&client->n_ready, 1);
	turn_until(&one.clients[1].n_ready, 1);
	assert_int_equal(wire_fetch(client->wire, 4, &bytes), WIRE_OK);
	assert_true(sv_eq(bytes, SV("abcd")));
	assert_false(wire_is_whole(client->wire));
	wire_take(client->wire, 4);
	assert_true(wire_is_whole(client->wire));
	assert_int_equal(wire_fetch(client->wire, 10, &bytes), WIRE_OK);
	assert_true(sv_eq(bytes, SV("ef")));
	/* Another wire uses the same buffer of the hub. */
	assert_int_equal(wire_fetch(one.clients[1].wire, 10, &bytes), WIRE_OK);
	assert_true(sv_eq(bytes, SV("xyz")));
	say(0, "gh");
	turn_until(&client->n_ready, 2);
	assert_int_equal(wire_fetch(client->wire, 3, &bytes), WIRE_OK);
	assert_true(sv_eq(bytes, SV("efg")));
	assert_int_equal(wire_peek(client->wire, 1, &bytes), WIRE_OK);
	assert_true(sv_eq(bytes, SV("e")));
	wire_take(client->wire, 1);
	assert_int_equal(wire_read(client->wire, rest, sizeof(rest), &n), WIRE_OK);
	assert_int_equal(n, 3);
	assert_memory_equal(rest, "fgh", 3);
	assert_true(wire_is_whole(client->wire));
	assert_int_equal(wire_peek(one.clients[1].wire, 10, &bytes), WIRE_OK);
	assert_true(sv_eq(bytes, SV("xyz")));
	shutdown(one.theirs[1], SHUT_WR);
	turn_until(&one.clients[1].n_ready, 2);
	assert_int_equal(wire_fetch(one.clients[1].wire, 10, &bytes), WIRE_OK);
	wire_take(one.clients[1].wire, 3);
	assert_int_equal(wire_fetch(one.clients[1].wire, 10, &bytes), WIRE_ENDED);
}

/* What was fetched goes with the wire to another hub, and with its descriptor. */
static void test_fetch_and_leave(void **state)
{
	struct client *client = &one.clients[0];
	char bytes[8] = {0};
	struct sv fetched;

	(void)state;
	join(0, true);
	say(0, "abc");
	turn_until(&client->n_ready, 1);
	assert_int_equal(wire_fetch(client->wire, 10, &fetched), WIRE_OK);
	wire_leave(client->wire);
	assert_int_equal(wire_join(client->wire, one.hub), 0);
	turn_until(&client->n_ready, 2);
	assert_int_equal(wire_fetch(client->wire, 10, &fetched), WIRE_OK);
	assert_true(sv_eq(fetched, SV("abc")));
	int fd = wire_into_fd(client->wire);

	assert_true(fd >= 0);
	say(0, "def");
	for (size_t n = 0; n < 6;) {
		uv_run(&one.loop, UV_RUN_NOWAIT);
		ssize_t r = recv(fd, bytes + n, sizeof(bytes) - n, MSG_DONTWAIT);

		n += r > 0 ? (size_t)r : 0;
	}
	assert_string_equal(bytes, "abcdef");
	assert_int_equal(send(fd, "x", 1, 0), 1);
	turn();
	assert_int_equal(recv(one.theirs[0], bytes, sizeof(bytes), 0), 1);
	close(fd);
}

/* Without memory for what was fetched, what follows it must not be read in its place. */
static void test_fetch_without_memory(void **state)
{
	struct client *client = &one.clients[0];
	struct sv bytes;

	(void)state;
	join(0, true);
	join(1, true);
	say(0, "abc");
	turn_until(&client->n_ready, 1);
	assert_int_equal(wire_fetch(client->wire, 10, &bytes), WIRE_OK);
	failmalloc_arm(1, false);
	assert_int_equal(wire_fetch(one.clients[1].wire, 10, &bytes), WIRE_AGAIN);
	assert_int_equal(failmalloc_disarm(), 1);
	say(0, "def");
	loopback_wait(client->wire->fd, POLLIN);
	turn();
	assert_true(wire_is_hung_up(client->wire));
	assert_int_equal(wire_peek(client->wire, 10, &bytes), WIRE_BROKEN);
	assert_int_equal(wire_fetch(client->wire, 10, &bytes), WIRE_BROKEN);
	assert_false(wire_is_whole(client->wire));
	assert_int_equal(wire_into_fd(client->wire), -ENOMEM);
}

static void test_leave_and_join(void **state)
{
	struct client *client = &one.clients[0];

	(void)state;
	join(0, true);
	say(0, "abc");
	turn_until(&client->n_ready, 1);
	wire_set_deadline(client->wire, 1);
	wire_leave(client->wire);
	assert_int_equal(wire_join(client->wire, one.hub), 0);
	/* What has arrived before is told again, and the deadline goes on. */
	turn_until(&client->n_ready, 2);
	assert_int_equal(client->n_late, 0);
	pass(2);
	assert_int_equal(client->n_late, 1);
	wire_leave(client->wire);
	wire_close(client->wire);
	assert_int_equal(one.n_closed, 0);
}

/* A client that resets the connection: the sender learns of it by an event. */
static void test_broken(void **state)
{
	struct linger reset = {.l_onoff = 1};
	char x[] = "x";
	struct iovec part = {x, 1};
	struct sv bytes;

	(void)state;
	join(0, true);
	setsockopt(one.theirs[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(one.theirs[0]);
	one.theirs[0] = -1;
	turn_until(&one.clients[0].n_ready, 1);
	assert_true(wire_is_hung_up(one.clients[0].wire));
	assert_int_equal(wire_send(one.clients[0].wire, &part, 1), 0);
	assert_int_equal(wire_send(one.clients[0].wire, &part, 1), 0);
	assert_int_equal(wire_waiting(one.clients[0].wire), 0);
	turn_until(&one.clients[0].n_ready, 2);
	assert_true(wire_peek(one.clients[0].wire, 1, &bytes) >= WIRE_ENDED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_peek_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peek_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_with_duplicate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_into_fd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_and_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leave_and_join, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
