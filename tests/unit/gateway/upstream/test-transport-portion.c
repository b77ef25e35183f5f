/* SPDX-License-Identifier: MIT */
/* How much of what a server sends is read in a turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>

#include "tests/unit/clock.h"
#include "tests/unit/gateway/upstream/transport-case.h"

enum {
	ALONE = 288 * 1024,
	WATCHED = 8 * 1024,
	SMALL = 2 * 1024,
	ROOM = 100,
	LONG = 8 * 1024 * 1024, /* more than the kernel takes at once */
	CROWD = 7,
	ANOTHER_CROWD = 8,
};

static size_t n_asked; /* for how many bytes channel_read() was asked; 0: not at all */
static size_t n_room;  /* 0: the transport's own */

/* Takes the place of the program's, and reads a byte. */
enum channel_result channel_read(struct channel *channel, char *data, size_t size,
				 size_t *ret_n_read)
{
	assert_int_equal(recv(channel->fd, data, 1, 0), 1);
	n_asked = size;
	*ret_n_read = 1;
	return CHANNEL_OK;
}

static void on_byte(void *userdata, const char *data, size_t n)
{
	assert_int_equal(n, 1);
	on_data(userdata, data, n);
}

static char *on_room(void *userdata, size_t *ret_n)
{
	(void)userdata;
	*ret_n = n_room;
	return n_room ? one.read_buffer : NULL;
}

static const struct transport_callbacks callbacks = {
	.connected = on_connected,
	.data = on_byte,
	.room = on_room,
	.drained = on_drained,
	.failed = on_failed,
};

static int connect_with(struct turn *turn)
{
	n_asked = n_room = 0;
	open_loop();
	open_transport((struct transport_way){.turn = turn}, &callbacks);
	run_until(&one.n_connected);
	transport_set_crowd(one.transport, CROWD);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return connect_with(&one.turn);
}

static int setup_without_turn(void **state)
{
	(void)state;
	return connect_with(NULL);
}

/* A light item of another crowd has run @seconds ago. */
static void let_be_watched(uint32_t seconds)
{
	one.turn.lights[0] = (struct turn_light){clock_second() - seconds, ANOTHER_CROWD};
	one.turn.lights[1] = (struct turn_light){0};
}

/* How much is asked for when the server has sent something. */
static size_t portion(void)
{
	n_asked = 0;
	assert_int_equal(send(one.fd, "x", 1, 0), 1);
	while (n_asked == 0 && one.n_failed == 0) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	return n_asked;
}

static void test_alone(void **state)
{
	(void)state;
	one.transport->item.spent = (struct turn_spent){100 * TURN_ITEM_US, clock_second()};
	assert_int_equal(portion(), ALONE);
}

static void test_without_turn(void **state)
{
	(void)state;
	let_be_watched(0);
	assert_int_equal(portion(), ALONE);
}

static void test_watched(void **state)
{
	(void)state;
	let_be_watched(TURN_ALONE_S);
	assert_int_equal(portion(), WATCHED);
	let_be_watched(TURN_ALONE_S + 1);
	assert_int_equal(portion(), ALONE);
}

static void test_heavy(void **state)
{
	(void)state;
	let_be_watched(0);
	one.transport->item.spent = (struct turn_spent){TURN_ITEM_US - 1, clock_second()};
	assert_int_equal(portion(), WATCHED);
	one.transport->item.spent = (struct turn_spent){TURN_ITEM_US, clock_second()};
	assert_int_equal(portion(), SMALL);
}

static void test_crowded(void **state)
{
	(void)state;
	let_be_watched(0);
	one.turn.crowds[CROWD] = (struct turn_spent){TURN_CROWD_US - 1, clock_second()};
	assert_int_equal(portion(), WATCHED);
	one.turn.crowds[CROWD] = (struct turn_spent){TURN_CROWD_US, clock_second()};
	assert_int_equal(portion(), SMALL);
}

/* The owner's room bounds a portion, and never makes it larger. */
static void test_room(void **state)
{
	(void)state;
	let_be_watched(0);
	n_room = ROOM;
	assert_int_equal(portion(), ROOM);
	n_room = sizeof(one.read_buffer);
	assert_int_equal(portion(), WATCHED);
}

/* A turn in which the socket is only ready to be written to reads nothing: channel_read() above
 * would find nothing to read. */
static void test_only_what_is_due(void **state)
{
	static char bytes[LONG];
	size_t n = 0;

	(void)state;
	portion();
	assert_int_equal(transport_write(one.transport, bytes, sizeof(bytes)), 0);
	assert_true(transport_waiting(one.transport) > 0);
	while (n < sizeof(bytes) && one.n_failed == 0) {
		ssize_t r = recv(one.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		n += r > 0 ? (size_t)r : 0;
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(n, sizeof(bytes));
	assert_int_equal(one.n_failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, close_all)
		TEST(test_alone),
		TEST(test_watched),
		TEST(test_heavy),
		TEST(test_crowded),
		TEST(test_room),
		TEST(test_only_what_is_due),
		cmocka_unit_test_setup_teardown(test_without_turn, setup_without_turn, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
