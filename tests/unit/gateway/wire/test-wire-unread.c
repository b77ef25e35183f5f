/* SPDX-License-Identifier: MIT */
/* The charges for answers that clients do not read. The kernel takes what a test says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/wire/state.h"
#include "tests/unit/failmalloc.h"

enum {
	LONG = 1024 * 1024,
	/* With the rest of the queue, in whole steps. */
	HELD = LONG + BUDGET_STEP,
};

static struct {
	uv_loop_t loop;
	struct wire_hub *hub;
	struct budget *budget;
	struct address peer;
	struct wire *wire;
	int theirs;
	size_t n_room; /* bytes that the kernel takes */
	bool is_broken;
	unsigned n_dropped;
	bool is_for_all;
	struct address dropped, unbounded;
	size_t n_live; /* blocks of memory, before all this */
} one;

/* Takes the place of the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	size_t n = 0;

	(void)fd;
	(void)flags;
	for (size_t i = 0; i < message->msg_iovlen; i++) {
		n += message->msg_iov[i].iov_len;
	}
	n = n < one.n_room ? n : one.n_room;
	one.n_room -= n;
	if (n == 0) {
		errno = one.is_broken ? EPIPE : EAGAIN;
	}
	return n ? (ssize_t)n : -1;
}

static void on_closed(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
}

static bool on_is_bounded(void *userdata, const struct address *client)
{
	(void)userdata;
	return !address_is_same_host(client, &one.unbounded);
}

static void on_dropped(void *userdata, const struct address *client, bool is_for_all)
{
	(void)userdata;
	one.dropped = *client;
	one.n_dropped++;
	one.is_for_all = is_for_all;
}

static void on_ready(void *user)
{
	(void)user;
}

static const struct wire_callbacks callbacks = {.ready = on_ready};

static void connect_wire(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	one.theirs = fds[1];
	assert_int_equal(wire_new(fds[0], &one.peer, &one.wire), 0);
	wire_set_user(one.wire, &callbacks, &one);
	assert_int_equal(wire_join(one.wire, one.hub), 0);
}

static int setup(void **state)
{
	const struct budget_limits limits = {4 * HELD, 4 * HELD, BUDGET_LARGEST};

	(void)state;
	memset(&one, 0, sizeof(one));
	one.n_live = failmalloc_n_live();
	assert_int_equal(address_parse(SV("192.0.2.7:1"), -1, &one.peer), 0);
	assert_int_equal(uv_loop_init(&one.loop), 0);
	assert_int_equal(budget_new(&limits, 1, &one.budget), 0);
	assert_int_equal(wire_hub_new(&(struct wire_hub_options){.loop = &one.loop,
								 .closed = on_closed,
								 .unread = one.budget,
								 .dropped = on_dropped,
								 .is_bounded = on_is_bounded},
				      &one.hub),
			 0);
	connect_wire();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wire_hub_close(one.hub);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	wire_hub_free(one.hub);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	assert_int_equal(budget_bytes(one.budget), 0);
	budget_free(one.budget);
	close(one.theirs);
	assert_int_equal(failmalloc_n_live(), one.n_live);
	return 0;
}

static void answer_now(size_t n)
{
	struct blob *body;

	assert_int_equal(blob_new(n, &body), 0);
	memset(body->data, 'x', n);
	assert_int_equal(wire_send_blob(one.wire, NULL, 0, body), 0);
}

static void answer(size_t n)
{
	answer_now(n);
	assert_true(wire_waiting(one.wire) > 0);
}

/* Lets the next write break the connection. What has arrived can still be read. */
static void break_connection(void)
{
	one.is_broken = true;
	assert_false(wire_flush(one.wire));
	assert_int_equal(wire_waiting(one.wire), 0);
}

/* What waited is dropped then. */
static void test_a_broken_connection_holds_nothing(void **state)
{
	(void)state;
	answer(LONG);
	assert_int_equal(budget_bytes(one.budget), HELD);
	break_connection();
	assert_int_equal(budget_bytes(one.budget), 0);
}

/* A request that came before the connection broke may be for a session of another worker, which
 * takes it with the connection. */
static void test_a_wire_leaves_its_charge(void **state)
{
	(void)state;
	answer(LONG);
	break_connection();
	wire_leave(one.wire);
	assert_null(one.wire->unread);
	assert_int_equal(budget_bytes(one.budget), 0);
	assert_int_equal(wire_join(one.wire, one.hub), 0);
}

/* The same after the budget has broken it. */
static void test_an_evicted_wire_leaves_its_charge(void **state)
{
	const struct budget_limits limits = {HELD - 1, HELD - 1, BUDGET_LARGEST};

	(void)state;
	budget_set_limits(one.budget, &limits);
	answer(LONG);
	budget_evict(one.budget, 0);
	assert_int_equal(wire_waiting(one.wire), 0);
	wire_leave(one.wire);
	assert_null(one.wire->unread);
	wire_close(one.wire);
}

/* Nor can another process, to which the next request belongs, answer on that connection: its answer
 * would be taken for the one that was dropped, or for the rest of it. */
static void test_nothing_follows_what_is_dropped(void **state)
{
	const struct budget_limits limits = {HELD - 1, HELD - 1, BUDGET_LARGEST};

	(void)state;
	budget_set_limits(one.budget, &limits);
	answer(LONG);
	assert_int_equal(send(one.theirs, "next", 4, MSG_NOSIGNAL), 4);
	budget_evict(one.budget, 0);
	char some[4];
	int fd = wire_into_fd(one.wire);

	assert_true(fd >= 0);
	/* What has arrived can still be read. */
	assert_int_equal(recv(fd, some, sizeof(some), 0), sizeof(some));
	assert_int_equal(send(fd, "answer", 6, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	close(fd);
}

/* The operator is told which limit it was. */
static void test_what_is_dropped_is_told_of(void **state)
{
	struct budget_limits limits = {HELD, HELD - 1, BUDGET_LARGEST};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		budget_set_limits(one.budget, &limits);
		answer(LONG);
		budget_evict(one.budget, 0);
		assert_int_equal(one.n_dropped, i + 1);
		assert_int_equal(one.is_for_all, i == 0);
		assert_true(address_is_same(&one.dropped, &one.peer));
		wire_close(one.wire);
		close(one.theirs);
		connect_wire();
		limits = (struct budget_limits){HELD - 1, HELD, BUDGET_LARGEST};
	}
	/* Not if the client is to blame. */
	limits.n_client = HELD;
	budget_set_limits(one.budget, &limits);
	answer(LONG);
	break_connection();
	assert_int_equal(one.n_dropped, 2);
}

/* A proxy, which is not bounded itself, tells for whom the answer is. */
static void test_the_client_of_a_proxy_pays(void **state)
{
	const struct budget_limits limits = {HELD - 1, 4 * HELD, BUDGET_LARGEST};
	struct address client;

	(void)state;
	assert_int_equal(address_parse(SV("198.51.100.1:1"), -1, &client), 0);
	one.unbounded = one.peer;
	budget_set_limits(one.budget, &limits);
	answer(LONG);
	assert_int_equal(budget_bytes(one.budget), 0);
	one.n_room = LONG;
	assert_true(wire_flush(one.wire));
	assert_int_equal(wire_set_payer(one.wire, &client), 0);
	/* One that does not wait is over, and so is what is known of its client. */
	one.n_room = 1;
	answer_now(1);
	assert_null(one.wire->unread);
	assert_int_equal(wire_set_payer(one.wire, &client), 0);
	answer(LONG / 2);
	assert_int_equal(budget_bytes(one.budget), LONG / 2 + BUDGET_STEP);
	/* Another one of the same client. */
	struct wire *first = one.wire;

	close(one.theirs);
	connect_wire();
	assert_int_equal(wire_set_payer(one.wire, &client), 0);
	answer(LONG / 2);
	budget_evict(one.budget, 0);
	assert_int_equal(one.n_dropped, 1);
	assert_true(address_is_same(&one.dropped, &client));
	assert_false(one.is_for_all);
	assert_int_equal(wire_waiting(first), 0);
	assert_true(wire_waiting(one.wire) > 0);
	/* One whom the limits are not for. */
	wire_close(one.wire);
	close(one.theirs);
	connect_wire();
	one.unbounded = client;
	assert_int_equal(wire_set_payer(one.wire, &client), 0);
	answer(LONG);
	assert_int_equal(budget_bytes(one.budget), 0);
}

/* What is charged is what waits now, not what has waited. */
static void test_a_small_answer_behind_a_large_one(void **state)
{
	enum { REST = 10 };

	(void)state;
	answer(LONG);
	one.n_room = LONG - REST;
	assert_true(wire_flush(one.wire));
	answer(REST);
	assert_int_equal(wire_waiting(one.wire), 2 * REST);
	assert_int_equal(budget_bytes(one.budget), 0);
}

/* Who pays is noted where something can be charged, and does not change while it is. */
static void test_who_pays(void **state)
{
	struct address client;

	(void)state;
	assert_int_equal(address_parse(SV("198.51.100.1:1"), -1, &client), 0);
	one.hub->options.unread = NULL;
	assert_int_equal(wire_set_payer(one.wire, &client), 0);
	assert_null(one.wire->unread);
	one.hub->options.unread = one.budget;
	failmalloc_arm(1, false);
	int r = wire_set_payer(one.wire, &client);

	assert_int_equal(failmalloc_disarm(), 1);
	assert_int_equal(r, -ENOMEM);
	answer(LONG);
	assert_int_equal(wire_set_payer(one.wire, &client), 0);
	assert_true(address_is_same(&one.wire->unread->payer, &one.peer));
}

/* Less than a step is free; what the user keeps is charged on when the rest was sent. */
static void test_charge(void **state)
{
	(void)state;
	assert_int_equal(wire_charge(one.wire, BUDGET_STEP, 0, NULL), 0);
	assert_int_equal(budget_bytes(one.budget), 0);
	assert_null(one.wire->unread);
	assert_int_equal(wire_charge(one.wire, BUDGET_STEP, 1, NULL), 0);
	assert_int_equal(budget_bytes(one.budget), 2 * BUDGET_STEP);
	assert_int_equal(wire_charge(one.wire, BUDGET_STEP, 3 * BUDGET_STEP, NULL), 0);
	assert_int_equal(budget_bytes(one.budget), 4 * BUDGET_STEP);
	wire_charge_sent(one.wire);
	assert_int_equal(budget_bytes(one.budget), 3 * BUDGET_STEP);
	assert_int_equal(wire_charge(one.wire, 1, 0, NULL), 0);
	wire_charge_sent(one.wire);
	assert_null(one.wire->unread);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_a_broken_connection_holds_nothing),
		TEST(test_a_wire_leaves_its_charge),
		TEST(test_an_evicted_wire_leaves_its_charge),
		TEST(test_nothing_follows_what_is_dropped),
		TEST(test_what_is_dropped_is_told_of),
		TEST(test_the_client_of_a_proxy_pays),
		TEST(test_a_small_answer_behind_a_large_one),
		TEST(test_who_pays),
		TEST(test_charge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
