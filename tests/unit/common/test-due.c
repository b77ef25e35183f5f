/* SPDX-License-Identifier: MIT */
/*
 * What a timer has made due is carried out after the reads of the same iteration. Each test runs a
 * real loop and records the order of events; no time is measured.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/due.h"
#include "tests/unit/clock.h"

enum {
	N_ITEMS = 3,
	/* Longer than the timers of a test, so that both events are there when the loop polls. */
	LONG_MS = 5,
	/* A timer that no test waits for. */
	FAR_MS = 60 * 1000,
};

struct client {
	struct due_item item;
	char name;
	struct client *to_add, *to_remove; /* when it is carried out */
	unsigned takes_us;
};

static struct {
	uv_loop_t loop;
	struct due_queue queue;
	struct client clients[N_ITEMS];
	uv_timer_t timer, far;
	uv_check_t end; /* ends the loop after one poll */
	uv_poll_t poll;
	int pipe[2];
	bool keeps_reading; /* leaves bytes, so that the socket stays readable */
	char log[32];
} one;

static void note(char what)
{
	size_t n = strlen(one.log);

	assert_true(n < sizeof(one.log) - 1);
	one.log[n] = what;
}

static void on_due(struct due_item *item)
{
	struct client *client = CONTAINER_OF(item, struct client, item);

	note(client->name);
	clock_pass_us(client->takes_us);
	if (client->to_add) {
		due_queue_add(&one.queue, &client->to_add->item);
	}
	if (client->to_remove) {
		due_queue_remove(&one.queue, &client->to_remove->item);
	}
}

static void on_timer(uv_timer_t *timer)
{
	(void)timer;
	note('t');
	due_queue_add(&one.queue, &one.clients[0].item);
}

static void on_far(uv_timer_t *timer)
{
	(void)timer;
	note('F');
}

static void on_end(uv_check_t *end)
{
	uv_stop(end->loop);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	char byte;

	assert_int_equal(status, 0);
	assert_int_equal(events, UV_READABLE);
	note('r');
	if (!one.keeps_reading) {
		assert_int_equal(read(one.pipe[0], &byte, 1), 1);
		uv_poll_stop(poll);
	}
}

static int set_up(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	assert_int_equal(uv_loop_init(&one.loop), 0);
	due_queue_init(&one.queue, &one.loop, 0, on_due);
	for (size_t i = 0; i < N_ITEMS; i++) {
		one.clients[i].name = (char)('a' + i);
	}
	uv_timer_init(&one.loop, &one.timer);
	uv_timer_init(&one.loop, &one.far);
	uv_check_init(&one.loop, &one.end);
	assert_int_equal(pipe(one.pipe), 0);
	assert_int_equal(uv_poll_init(&one.loop, &one.poll, one.pipe[0]), 0);
	uv_poll_start(&one.poll, UV_READABLE, on_readable);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	due_queue_close(&one.queue);
	uv_close((uv_handle_t *)&one.timer, NULL);
	uv_close((uv_handle_t *)&one.far, NULL);
	uv_close((uv_handle_t *)&one.end, NULL);
	uv_close((uv_handle_t *)&one.poll, NULL);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	close(one.pipe[0]);
	close(one.pipe[1]);
	return uv_loop_close(&one.loop);
}

/* Runs the timer, which is due, and polls once. In this mode every libuv begins with the timers;
 * with UV_RUN_ONCE, libuv 1.45 and later would poll first. */
static void run_late(void)
{
	uv_timer_start(&one.timer, on_timer, 1, 0);
	uv_sleep(LONG_MS);
	uv_check_start(&one.end, on_end);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	uv_check_stop(&one.end);
}

static void make_readable(void)
{
	assert_int_equal(write(one.pipe[1], "x", 1), 1);
}

static void test_reads_come_first(void **state)
{
	(void)state;
	make_readable();
	run_late();
	assert_string_equal(one.log, "tra");
}

/* A socket that is always readable does not delay the item. */
static void test_one_poll_only(void **state)
{
	(void)state;
	one.keeps_reading = true;
	make_readable();
	run_late();
	assert_string_equal(one.log, "tra");
}

/* With nothing to read, the loop does not block until the next timer. */
static void test_poll_does_not_block(void **state)
{
	(void)state;
	uv_timer_start(&one.far, on_far, FAR_MS, 0);
	run_late();
	assert_string_equal(one.log, "ta");
	assert_false(uv_is_active((uv_handle_t *)&one.queue.idle));
}

static void test_in_order_and_once(void **state)
{
	(void)state;
	for (size_t i = N_ITEMS; i-- > 0;) {
		due_queue_add(&one.queue, &one.clients[i].item);
		due_queue_add(&one.queue, &one.clients[i].item);
	}
	uv_run(&one.loop, UV_RUN_NOWAIT);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "cba");
}

static void test_added_meanwhile_waits(void **state)
{
	(void)state;
	one.keeps_reading = true;
	make_readable();
	one.clients[0].to_add = &one.clients[0]; /* for ever */
	one.clients[1].to_add = &one.clients[2];
	due_queue_add(&one.queue, &one.clients[0].item);
	due_queue_add(&one.queue, &one.clients[1].item);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "rab");
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "rabrac");
	due_queue_remove(&one.queue, &one.clients[0].item);
}

static void test_removed_is_not_carried_out(void **state)
{
	(void)state;
	one.clients[0].to_remove = &one.clients[1];
	for (size_t i = 0; i < N_ITEMS; i++) {
		due_queue_add(&one.queue, &one.clients[i].item);
	}
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "ac");

	due_queue_add(&one.queue, &one.clients[1].item);
	due_queue_remove(&one.queue, &one.clients[1].item);
	due_queue_remove(&one.queue, &one.clients[1].item);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "ac");
	uv_poll_stop(&one.poll);
	assert_false(uv_loop_alive(&one.loop));
}

static void test_closed(void **state)
{
	(void)state;
	due_queue_add(&one.queue, &one.clients[0].item);
	due_queue_close(&one.queue);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "");
	due_queue_init(&one.queue, &one.loop, 0, on_due);
}

/* Items hold up the loop for the share and the last of them; the others keep their place. Without a
 * share, or with one that is not used up, all are carried out. */
static void test_share(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ITEMS; i++) {
		one.clients[i].takes_us = DUE_US;
		due_queue_add(&one.queue, &one.clients[i].item);
	}
	one.clients[0].to_add = &one.clients[0];
	one.queue.share_ns = (uint64_t)DUE_US * 1000;
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "a");
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "ab");
	one.queue.share_ns = (uint64_t)FAR_MS * 1000 * 1000;
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "abca");
	one.clients[0].to_add = NULL;
	due_queue_add(&one.queue, &one.clients[1].item);
	one.queue.share_ns = 0;
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_string_equal(one.log, "abcaab");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reads_come_first),
		TEST(test_one_poll_only),
		TEST(test_poll_does_not_block),
		TEST(test_in_order_and_once),
		TEST(test_added_meanwhile_waits),
		TEST(test_removed_is_not_carried_out),
		TEST(test_closed),
		TEST(test_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
