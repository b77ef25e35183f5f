/* SPDX-License-Identifier: MIT */
/* How much of what a server sends is read in a turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/upstream/transport-state.h"
#include "tests/unit/clock.h"

enum {
	ALONE = 288 * 1024,
	WATCHED = 8 * 1024,
	SMALL = 2 * 1024,
	ROOM = 100,
	LONG = 8 * 1024 * 1024, /* more than the kernel takes at once */
	PATIENCE_MS = 20000,
	CROWD = 7,
	ANOTHER_CROWD = 8,
};

static struct {
	uv_loop_t loop;
	struct turn turn;
	char read_buffer[TRANSPORT_READ_SIZE];
	struct transport *transport;
	int listener, server;
	bool is_connected, has_failed;
	size_t n_asked; /* for how many bytes channel_read() was asked; 0: not at all */
	size_t n_room;  /* 0: the transport's own */
} one;

/* Takes the place of the program's, and reads a byte. */
enum channel_result channel_read(struct channel *channel, char *data, size_t size,
				 size_t *ret_n_read)
{
	assert_int_equal(recv(channel->fd, data, 1, 0), 1);
	one.n_asked = size;
	*ret_n_read = 1;
	return CHANNEL_OK;
}

static void on_connected(void *userdata)
{
	(void)userdata;
	one.is_connected = true;
}

static void on_data(void *userdata, const char *data, size_t n)
{
	(void)userdata;
	(void)data;
	assert_int_equal(n, 1);
}

static void on_drained(void *userdata)
{
	(void)userdata;
}

static char *on_room(void *userdata, size_t *ret_n)
{
	(void)userdata;
	*ret_n = one.n_room;
	return one.n_room ? one.read_buffer : NULL;
}

static void on_failed(void *userdata, const struct failure *failure)
{
	(void)userdata;
	(void)failure;
	one.has_failed = true;
}

static const struct transport_callbacks callbacks = {
	.connected = on_connected,
	.data = on_data,
	.room = on_room,
	.drained = on_drained,
	.failed = on_failed,
};

static void listen_at(struct address *ret_address)
{
	socklen_t size = sizeof(ret_address->v4);

	*ret_address = (struct address){
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	one.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(one.listener, &ret_address->any, size), 0);
	assert_int_equal(listen(one.listener, 1), 0);
	assert_int_equal(getsockname(one.listener, &ret_address->any, &size), 0);
}

static int open_transport(struct turn *turn)
{
	struct address address;

	memset(&one, 0, sizeof(one));
	assert_int_equal(uv_loop_init(&one.loop), 0);
	turn_init(&one.turn, &one.loop);
	listen_at(&address);
	const struct transport_way way = {
		.address = &address, .timeout_ms = PATIENCE_MS, .turn = turn};

	assert_int_equal(
		transport_new(&one.loop, one.read_buffer, &way, &callbacks, NULL, &one.transport),
		0);
	one.server = accept(one.listener, NULL, NULL);
	assert_true(one.server >= 0);
	while (!one.is_connected && !one.has_failed) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_false(one.has_failed);
	transport_set_crowd(one.transport, CROWD);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return open_transport(&one.turn);
}

static int setup_without_turn(void **state)
{
	(void)state;
	return open_transport(NULL);
}

static int teardown(void **state)
{
	(void)state;
	transport_free(one.transport);
	turn_close(&one.turn);
	close(one.listener);
	close(one.server);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&one.loop);
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
	one.n_asked = 0;
	assert_int_equal(send(one.server, "x", 1, 0), 1);
	while (one.n_asked == 0 && !one.has_failed) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	return one.n_asked;
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
	one.n_room = ROOM;
	assert_int_equal(portion(), ROOM);
	one.n_room = sizeof(one.read_buffer);
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
	while (n < sizeof(bytes) && !one.has_failed) {
		ssize_t r = recv(one.server, bytes, sizeof(bytes), MSG_DONTWAIT);

		n += r > 0 ? (size_t)r : 0;
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(n, sizeof(bytes));
	assert_false(one.has_failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_alone),
		TEST(test_watched),
		TEST(test_heavy),
		TEST(test_crowded),
		TEST(test_room),
		TEST(test_only_what_is_due),
		cmocka_unit_test_setup_teardown(test_without_turn, setup_without_turn, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
