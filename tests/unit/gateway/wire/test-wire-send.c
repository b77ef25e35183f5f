/* SPDX-License-Identifier: MIT */
/* What a wire sends: at once, later, and what becomes of that which the kernel does not take. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/wire/wire-case.h"

/* Reads all that the gateway sends, and compares it with a counting pattern. */
static void receive_pattern(size_t n)
{
	static unsigned char bytes[64 * 1024];
	size_t at = 0;

	while (at < n) {
		ssize_t r = recv(one.theirs[0], bytes, sizeof(bytes), MSG_DONTWAIT);

		for (ssize_t i = 0; i < r; i++) {
			assert_int_equal(bytes[i], (unsigned char)((at + (size_t)i) * 7));
		}
		at += r > 0 ? (size_t)r : 0;
		if (r <= 0) {
			assert_int_equal(errno, EAGAIN);
			uv_run(&one.loop, UV_RUN_NOWAIT);
		}
	}
	assert_int_equal(recv(one.theirs[0], bytes, 1, MSG_DONTWAIT), -1);
}

static void test_send(void **state)
{
	struct client *client = &one.clients[0];
	unsigned char *text = malloc(LONG);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < LONG; i++) {
		text[i] = (unsigned char)(i * 7);
	}
	struct iovec parts[] = {{text, 5}, {text + 5, 0}, {text + 5, LONG - 10}};
	struct iovec rest[] = {{text + LONG - 5, 2}, {text + LONG - 3, 3}};

	join(0, true);
	assert_int_equal(wire_send(client->wire, parts, 3), 0);
	assert_in_range(wire_waiting(client->wire), 1, LONG - 11);
	assert_int_equal(wire_send(client->wire, &rest[0], 1), 0);
	assert_int_equal(wire_send_later(client->wire, &rest[1], 1), 0);
	receive_pattern(LONG);
	turn();
	assert_int_equal(wire_waiting(client->wire), 0);
	assert_true(client->n_written > 0);
	free(text);
}

/* A body that the kernel does not take whole is kept by reference, and copied only when something
 * else is sent behind it. */
static void test_send_blob(void **state)
{
	struct client *client = &one.clients[0];
	unsigned char head[10], end[5];
	struct iovec parts[] = {{head, 4}, {head + 4, 6}};
	struct iovec last = {end, sizeof(end)};
	struct blob *body;

	(void)state;
	assert_int_equal(blob_new(LONG - sizeof(head) - sizeof(end), &body), 0);
	for (size_t i = 0; i < LONG; i++) {
		*(i < 10         ? (char *)&head[i]
		  : i < LONG - 5 ? &body->data[i - 10]
				 : (char *)&end[i - (LONG - 5)]) = (char)(unsigned char)(i * 7);
	}
	join(0, true);
	blob_ref(body);
	assert_int_equal(wire_send_blob(client->wire, parts, 2, body), 0);
	assert_int_equal(body->n_refs, 2);
	assert_in_range(wire_waiting(client->wire), 1, LONG - 16);
	assert_int_equal(wire_send(client->wire, &last, 1), 0);
	assert_int_equal(body->n_refs, 1);
	receive_pattern(LONG);
	blob_ref(body);
	assert_int_equal(wire_send_blob(client->wire, NULL, 0, body), 0);
	while (wire_waiting(client->wire)) {
		char some[4096];

		(void)!recv(one.theirs[0], some, sizeof(some), MSG_DONTWAIT);
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(body->n_refs, 1);
	blob_unref(body);
}

/* Parts that are sent later go out together when the loop has polled. */
static void test_send_later(void **state)
{
	struct client *client = &one.clients[0];
	char ab[] = "ab";
	struct iovec part = {ab, 2};
	char text[8];

	(void)state;
	join(0, true);
	assert_int_equal(wire_send_later(client->wire, &part, 1), 0);
	assert_int_equal(wire_send_later(client->wire, &part, 1), 0);
	assert_int_equal(wire_waiting(client->wire), 4);
	assert_int_equal(recv(one.theirs[0], text, sizeof(text), MSG_DONTWAIT), -1);
	turn_until(&client->n_written, 1);
	assert_int_equal(recv(one.theirs[0], text, sizeof(text), 0), 4);
}

/* What is large is sent at once, and nothing overtakes. */
static void test_send_large_later(void **state)
{
	struct client *client = &one.clients[0];
	unsigned char text[2 * WIRE_LATER_MAX + 3];
	struct iovec most = {text, WIRE_LATER_MAX};
	struct iovec more = {text + WIRE_LATER_MAX, WIRE_LATER_MAX + 1};
	struct iovec last = {text + 2 * WIRE_LATER_MAX + 1, 2};
	char some[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		text[i] = (unsigned char)(i * 7);
	}
	join(0, true);
	assert_int_equal(wire_send_later(client->wire, &most, 1), 0);
	assert_int_equal(wire_waiting(client->wire), WIRE_LATER_MAX);
	assert_int_equal(wire_send_later(client->wire, &more, 1), 0);
	assert_int_equal(wire_waiting(client->wire), 2 * WIRE_LATER_MAX + 1);
	assert_int_equal(wire_send_later(client->wire, &last, 1), 0);
	receive_pattern(sizeof(text));
	turn();
	assert_int_equal(wire_waiting(client->wire), 0);
	assert_int_equal(wire_send_later(client->wire, &more, 1), 0);
	assert_true(recv(one.theirs[0], some, sizeof(some), 0) > 0);
}

/* The kernel may refuse bytes of a connection that goes on: it has lost some, so it must not. */
static void test_unsent(void **state)
{
	char ping[] = "ping";
	const struct iovec part = {ping, 4};
	struct sv bytes;

	(void)state;
	join(0, true);
	join(1, true);
	one.send_error = ENOBUFS;
	assert_int_equal(wire_send(one.clients[0].wire, &part, 1), 0);
	assert_int_equal(wire_send_later(one.clients[1].wire, &part, 1), 0);
	for (unsigned i = 0; i < 2; i++) {
		turn_until(&one.clients[i].n_ready, 1);
		assert_int_equal(wire_peek(one.clients[i].wire, 1, &bytes), WIRE_BROKEN);
	}
	one.send_error = 0;
}

/* A user that wants to know what was not sent. It needs the tens of bytes that are not complete. */

static size_t on_spent(void *user, struct sv queue, size_t n_sent)
{
	struct client *client = user;

	assert_ptr_equal(queue.data, wire_queue(client->wire).data);
	assert_in_range(n_sent, 0, queue.n);
	return n_sent < queue.n ? n_sent - n_sent % 10 : n_sent;
}

static const struct wire_callbacks keeping = {on_ready, on_written, on_late, on_spent};

static void test_queue_is_kept(void **state)
{
	struct client *client = &one.clients[0];
	unsigned char *text = malloc(LONG);
	struct iovec most = {text, LONG - 10}, last = {text + LONG - 10, 10};

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < LONG; i++) {
		text[i] = (unsigned char)(i * 7);
	}
	join(0, true);
	wire_set_user(client->wire, &keeping, client);
	assert_int_equal(wire_send(client->wire, &most, 1), 0);
	/* All of it, for the user was not asked; from then on, what has to be. */
	assert_int_equal(wire_queue(client->wire).n, LONG - 10);
	while (client->n_written == 0) {
		(void)!recv(one.theirs[0], text, 64 * 1024, MSG_DONTWAIT);
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	size_t n_kept = wire_committed(client->wire);

	assert_int_equal(wire_queue(client->wire).n - n_kept, wire_waiting(client->wire));
	assert_in_range(n_kept, 0, 9);
	one.send_error = EPIPE;
	while (!client->wire->is_broken) {
		(void)!recv(one.theirs[0], text, 4096, MSG_DONTWAIT);
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	size_t n = wire_queue(client->wire).n;

	assert_int_equal((LONG - 10 - n) % 10, 0);
	assert_int_equal(wire_send(client->wire, &last, 1), 0);
	assert_int_equal(wire_send_later(client->wire, &last, 1), 0);
	assert_int_equal(wire_queue(client->wire).n, n + 20);
	turn_until(&client->n_ready, 1);
	struct sv queue = wire_queue(client->wire);

	for (size_t i = 0; i < n + 10; i++) {
		assert_int_equal((unsigned char)queue.data[i],
				 (unsigned char)((LONG - 10 - n + i) * 7));
	}
	wire_withdraw(client->wire, wire_committed(client->wire));
	assert_int_equal(wire_waiting(client->wire), 0);
	one.send_error = 0;
	free(text);
}

/* While a wire lingers, nobody looks at what was sent. */
static void test_linger_without_queue(void **state)
{
	struct client *client = &one.clients[0];
	char *zeros = calloc(1, LONG);

	(void)state;
	assert_non_null(zeros);
	join(0, true);
	wire_set_user(client->wire, &keeping, client);
	assert_int_equal(wire_send(client->wire, &(struct iovec){zeros, LONG}, 1), 0);
	assert_true(wire_committed(client->wire) > 0);
	wire_linger(client->wire);
	assert_int_equal(wire_committed(client->wire), 0);
	assert_int_equal(wire_queue(client->wire).n, wire_waiting(client->wire));
	free(zeros);
}

/* Without memory nothing changes, whether it would be sent at once or not, and a few bytes more
 * find room behind what waits. */
static void test_send_later_without_memory(void **state)
{
	static char text[WIRE_LATER_MAX + 1], some[sizeof(text)];
	const struct iovec large = {text, sizeof(text)}, most = {text, WIRE_LATER_MAX},
			   first = {text, 200}, last = {text, WIRE_SPARE};
	struct client *client = &one.clients[0];

	(void)state;
	join(0, true);
	failmalloc_arm(1, true);
	assert_int_equal(wire_send_later(client->wire, &large, 1), -ENOMEM);
	assert_int_equal(wire_send_later(client->wire, &most, 1), -ENOMEM);
	failmalloc_disarm();
	assert_int_equal(wire_waiting(client->wire), 0);
	assert_int_equal(wire_send_later(client->wire, &first, 1), 0);
	failmalloc_arm(1, true);
	assert_int_equal(wire_send_later(client->wire, &large, 1), -ENOMEM);
	assert_int_equal(wire_waiting(client->wire), 200);
	assert_int_equal(wire_send(client->wire, &last, 1), 0);
	failmalloc_disarm();
	turn_until(&client->n_written, 1);
	assert_int_equal(recv(one.theirs[0], some, sizeof(some), 0), 200 + WIRE_SPARE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_blob, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_large_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unsent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linger_without_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_later_without_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
