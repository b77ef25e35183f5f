/* SPDX-License-Identifier: MIT */
/*
 * A wire on a real loop, over TCP and over a socket that does not discard in the kernel. Time
 * passes when a test says so: for turns, and for deadlines.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/wire/state.h"
#include "tests/unit/clock.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/loopback.h"

enum {
	TURNS_MAX = 10000,
	/* The loop wakes up that often, so that a test that waits for nothing fails. */
	STEP_MS = 10,
	/* No second passes by itself. */
	SECOND_MS = 24 * 3600 * 1000,
	PAUSE_US = 50 * 1000,
	/* More than the kernel takes at once. */
	LONG = 16 * 1024 * 1024,
};

struct client {
	struct wire *wire;
	unsigned n_ready, n_written, n_late;
	struct wire **to_close; /* in `ready` */
	bool reads;
	size_t n_read;
	unsigned late_us; /* `late` takes so long */
};

static struct {
	uv_loop_t loop;
	uv_timer_t step;
	struct turn turn; /* of the hub in some tests */
	struct wire_hub *hub;
	struct address peer;
	struct client clients[2];
	int theirs[2];
	unsigned n_closed;
	int send_error;   /* of all sockets; 0: none */
	unsigned send_us; /* each system call takes so long */
} one;

/* Takes the place of the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	clock_pass_us(one.send_us);
	if (one.send_error) {
		errno = one.send_error;
		return -1;
	}
	return syscall(SYS_sendmsg, fd, message, flags);
}

static void on_closed(void *userdata, const struct address *peer)
{
	assert_ptr_equal(userdata, &one);
	assert_true(address_is_same_host(peer, &one.peer));
	one.n_closed++;
}

static void on_ready(void *user)
{
	struct client *client = user;
	char bytes[64];
	size_t n = sizeof(bytes);

	client->n_ready++;
	while (client->reads && n == sizeof(bytes) &&
	       wire_read(client->wire, bytes, sizeof(bytes), &n) == WIRE_OK) {
		client->n_read += n;
	}
	if (client->to_close) {
		*client->to_close = wire_close(*client->to_close);
	}
}

static void on_written(void *user)
{
	((struct client *)user)->n_written++;
}

static void on_late(void *user)
{
	struct client *client = user;

	client->n_late++;
	clock_pass_us(client->late_us);
}

static const struct wire_callbacks callbacks = {
	.ready = on_ready, .written = on_written, .late = on_late};

static void tcp_pair(int fds[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &n), 0);
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[1], (struct sockaddr *)&address, n), 0);
	fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fds[0] >= 0);
	close(listener);
}

static void join(unsigned i, bool is_tcp)
{
	int fds[2];

	if (is_tcp) {
		tcp_pair(fds);
	} else {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	}
	one.theirs[i] = fds[1];
	one.clients[i] = (struct client){0};
	assert_int_equal(wire_new(fds[0], &one.peer, &one.clients[i].wire), 0);
	wire_set_user(one.clients[i].wire, &callbacks, &one.clients[i]);
	assert_int_equal(wire_join(one.clients[i].wire, one.hub), 0);
}

static void on_step(uv_timer_t *step)
{
	(void)step;
}

static int setup(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	one.theirs[0] = one.theirs[1] = -1;
	assert_int_equal(address_parse(SV("192.0.2.7:1"), -1, &one.peer), 0);
	assert_int_equal(uv_loop_init(&one.loop), 0);
	uv_timer_init(&one.loop, &one.step);
	uv_timer_start(&one.step, on_step, STEP_MS, STEP_MS);
	turn_init(&one.turn, &one.loop);
	assert_int_equal(wire_hub_new(&(struct wire_hub_options){.loop = &one.loop,
								 .closed = on_closed,
								 .userdata = &one,
								 .second_ms = SECOND_MS},
				      &one.hub),
			 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wire_hub_close(one.hub);
	turn_close(&one.turn);
	uv_close((uv_handle_t *)&one.step, NULL);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	one.hub = wire_hub_free(one.hub);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	for (unsigned i = 0; i < 2; i++) {
		if (one.theirs[i] >= 0) {
			close(one.theirs[i]);
		}
	}
	return 0;
}

static void say(unsigned i, const char *text)
{
	assert_int_equal(send(one.theirs[i], text, strlen(text), 0), strlen(text));
}

static void turn_until(const unsigned *counter, unsigned n)
{
	for (int i = 0; i < TURNS_MAX && *counter < n; i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(*counter, n);
}

static void turn(void)
{
	for (int i = 0; i < 3; i++) {
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
}

static void pass(unsigned seconds)
{
	while (seconds--) {
		wire_deadline_tick(one.hub);
		turn();
	}
}

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

static bool bounds_all(void *userdata, const struct address *peer)
{
	assert_ptr_equal(userdata, &one);
	assert_true(address_is_same_host(peer, &one.peer));
	return true;
}

static void send_long(unsigned i)
{
	struct blob *body;

	join(i, true);
	assert_int_equal(blob_new(LONG, &body), 0);
	memset(body->data, 'x', LONG);
	assert_int_equal(wire_send_blob(one.clients[i].wire, NULL, 0, body), 0);
	assert_true(wire_waiting(one.clients[i].wire) > 0);
}

/* Two answers that wait are one too many at a byte below what they hold: the older connection
 * breaks. */
static void test_unread_answers_are_bounded(void **state)
{
	/* With the rest of the queue, in whole steps. */
	enum { HELD = LONG + BUDGET_STEP };
	struct budget_limits limits = {2 * HELD, 2 * HELD, BUDGET_LARGEST};
	struct budget *budget;
	struct sv bytes;

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	one.hub->options.unread = budget;
	one.hub->options.is_bounded = bounds_all;
	send_long(0);
	send_long(1);
	budget_evict(budget, 0);
	assert_int_equal(budget_bytes(budget), 2 * HELD);
	assert_true(wire_waiting(one.clients[0].wire) > 0);
	wire_close(one.clients[1].wire);
	close(one.theirs[1]);
	assert_int_equal(budget_bytes(budget), HELD);
	limits.n_client = limits.n_total = 2 * HELD - 1;
	budget_set_limits(budget, &limits);
	send_long(1);
	budget_evict(budget, 0);
	assert_int_equal(budget_bytes(budget), HELD);
	assert_int_equal(wire_waiting(one.clients[0].wire), 0);
	assert_true(wire_waiting(one.clients[1].wire) > 0);
	turn_until(&one.clients[0].n_ready, 1);
	assert_int_equal(wire_peek(one.clients[0].wire, 1, &bytes), WIRE_BROKEN);
	/* Who reads is charged with nothing. */
	while (wire_waiting(one.clients[1].wire)) {
		char some[64 * 1024];

		(void)!recv(one.theirs[1], some, sizeof(some), MSG_DONTWAIT);
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(budget_bytes(budget), 0);
	one.hub->options.unread = NULL;
	budget_free(budget);
}

static bool bounds_none(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
	return false;
}

/* What a proxy has not read yet is that of many clients. */
static void test_unread_answers_of_a_proxy(void **state)
{
	const struct budget_limits limits = {2 * LONG, 2 * LONG, BUDGET_LARGEST};
	struct budget *budget;

	(void)state;
	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	one.hub->options.unread = budget;
	one.hub->options.is_bounded = bounds_none;
	send_long(0);
	assert_int_equal(budget_bytes(budget), 0);
	one.hub->options.unread = NULL;
	budget_free(budget);
}

/* The answer could not be counted, for lack of memory for the allocation @n: the caller is told. It
 * goes with the wire. */
static void check_unread_without_memory(size_t n)
{
	const struct budget_limits limits = {2 * LONG, 2 * LONG, BUDGET_LARGEST};
	struct budget *budget;
	struct blob *body;

	assert_int_equal(budget_new(&limits, 1, &budget), 0);
	one.hub->options.unread = budget;
	one.hub->options.is_bounded = bounds_all;
	join(0, true);
	assert_int_equal(blob_new(LONG, &body), 0);
	memset(body->data, 'x', LONG);
	failmalloc_arm(n, true);
	assert_int_equal(wire_send_blob(one.clients[0].wire, NULL, 0, body), -ENOMEM);
	failmalloc_disarm();
	assert_true(wire_waiting(one.clients[0].wire) > 0);
	assert_int_equal(budget_bytes(budget), 0);
	one.hub->options.unread = NULL;
	budget_free(budget);
	one.clients[0].wire = wire_close(one.clients[0].wire);
	close(one.theirs[0]);
}

static void test_unread_answer_without_memory(void **state)
{
	(void)state;
	check_unread_without_memory(1);
	check_unread_without_memory(3);
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

/* A deadline passes once; a new one replaces it; what has arrived meanwhile is told first. */
static void test_deadline(void **state)
{
	struct client *client = &one.clients[0];

	(void)state;
	join(0, true);
	join(1, true);
	client->reads = true;
	wire_set_deadline(client->wire, 1);
	wire_set_deadline(one.clients[1].wire, 1);
	wire_set_deadline(one.clients[1].wire, WIRE_DEADLINE_MAX);
	/* The second in which it was set does not count. */
	pass(1);
	assert_int_equal(client->n_late, 0);
	pass(1);
	assert_int_equal(client->n_late, 1);
	wire_set_deadline(client->wire, 300);
	wire_set_deadline(client->wire, 1);
	pass(2);
	assert_int_equal(client->n_late, 2);
	wire_set_deadline(client->wire, 1);
	wire_set_deadline(client->wire, 0);
	pass(2);
	assert_int_equal(client->n_late, 2);
	assert_int_equal(one.clients[1].n_late, 0);
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

/* What is sent when the kernel takes more is charged to the wire: megabytes take milliseconds. */
static void test_room_is_charged(void **state)
{
	struct client *client = &one.clients[0];
	unsigned char *zeros = calloc(1, LONG);

	(void)state;
	assert_non_null(zeros);
	one.hub->options.turn = &one.turn;
	one.send_us = 10;
	join(0, true);
	assert_int_equal(wire_send(client->wire, &(struct iovec){zeros, LONG}, 1), 0);
	assert_true(wire_waiting(client->wire) > 0);
	assert_int_equal(client->wire->turn.spent.us, 0);
	while (wire_waiting(client->wire)) {
		while (recv(one.theirs[0], zeros, LONG, MSG_DONTWAIT) > 0) {
		}
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	assert_true(client->n_written > 0);
	assert_int_equal(client->n_ready, 0);
	assert_true(client->wire->turn.spent.us >= one.send_us);
	free(zeros);
}

/* A wire that is woken is not charged with the time in which the loop slept. */
static void test_woken_is_light(void **state)
{
	struct client *client = &one.clients[0];

	(void)state;
	one.hub->options.turn = &one.turn;
	join(0, true);
	turn_begin(&one.turn);
	clock_pass_us(PAUSE_US);
	wire_wake(client->wire);
	turn_until(&client->n_ready, 1);
	assert_int_equal(client->wire->turn.spent.us, 0);
}

/* What is sent at the end of the iteration is charged to the wire, and those that have had their
 * share wait for each other. */
static void test_later_is_charged(void **state)
{
	struct client *clients = one.clients;
	char text[WIRE_SMALL + 1] = {0};
	struct iovec part = {text, sizeof(text)};

	(void)state;
	one.hub->options.turn = &one.turn;
	one.send_us = TURN_ALONE_US;
	for (unsigned i = 0; i < 2; i++) {
		join(i, true);
		assert_int_equal(wire_send_later(clients[i].wire, &part, 1), 0);
	}
	uv_run(&one.loop, UV_RUN_NOWAIT);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(clients[i].n_written, 1);
		assert_int_equal(clients[i].wire->turn.spent.us, one.send_us);
		clients[i].wire->turn.spent = (struct turn_spent){TURN_ITEM_US, clock_second()};
		assert_int_equal(wire_send_later(clients[i].wire, &part, 1), 0);
	}
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(clients[0].n_written + clients[1].n_written, 3);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(clients[0].n_written + clients[1].n_written, 4);
}

/* What is small does not wait, and is charged with a fixed time. */
static void test_small_is_charged(void **state)
{
	struct client *client = &one.clients[0];
	char text[WIRE_SMALL] = {0};
	struct iovec part = {text, sizeof(text)};

	(void)state;
	one.hub->options.turn = &one.turn;
	join(0, true);
	client->wire->turn.spent = (struct turn_spent){TURN_ITEM_US, clock_second()};
	assert_int_equal(wire_send_later(client->wire, &part, 1), 0);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(client->n_written, 1);
	assert_int_equal(client->wire->turn.spent.us, TURN_ITEM_US + WIRE_SMALL_US);
	assert_int_equal(one.turn.crowds[client->wire->turn.crowd].us, WIRE_SMALL_US);
}

/* Deadlines that pass in the same second are charged to the wires, and share the iterations of the
 * loop. */
static void test_late_is_charged(void **state)
{
	struct client *clients = one.clients;

	(void)state;
	one.hub->options.turn = &one.turn;
	for (unsigned i = 0; i < 2; i++) {
		join(i, true);
		clients[i].late_us = DUE_US;
		wire_set_deadline(clients[i].wire, 1);
	}
	wire_deadline_tick(one.hub);
	wire_deadline_tick(one.hub);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(clients[0].n_late + clients[1].n_late, 1);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(clients[i].n_late, 1);
		assert_int_equal(clients[i].wire->turn.spent.us, DUE_US);
	}
}

static void test_seconds(void **state)
{
	uint32_t start = wire_hub_seconds(one.hub);

	(void)state;
	pass(3);
	assert_int_equal(wire_hub_seconds(one.hub), start + 3);
}

/* A deadline that has passed while the wire waits for its turn, with bytes: they are told first,
 * and the deadline unless they bring a new one. */
static void test_late_waits_for_ready(void **state)
{
	struct client *client = &one.clients[0];

	(void)state;
	one.hub->options.turn = &one.turn;
	join(0, true);
	client->wire->is_late = true;
	due_queue_add(&one.hub->overdue, &client->wire->overdue);
	client->wire->is_over = true;
	wire_wake(client->wire);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(client->n_ready, 1);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(client->n_late, 1);
	client->wire->is_late = client->wire->is_over = true;
	wire_set_deadline(client->wire, 300);
	wire_wake(client->wire);
	turn();
	assert_int_equal(client->n_ready, 2);
	assert_int_equal(client->n_late, 1);
}

static void on_renewed(void *user)
{
	struct client *client = user;

	client->n_ready++;
	wire_set_deadline(client->wire, 300);
}

/* After a standstill, so many clients have sent something that the loop looks at them in several
 * iterations. One whose deadline passes in the first of them, and who is looked at in the last, is
 * not late. */
static void test_late_waits_for_all_events(void **state)
{
	enum { N_OTHERS = 2 * 64 };
	static const struct wire_callbacks renewing = {.ready = on_renewed, .late = on_late};
	static struct client others[N_OTHERS];
	struct client *client = &one.clients[0];
	int theirs[N_OTHERS];

	(void)state;
	for (unsigned i = 0; i < N_OTHERS; i++) {
		join(1, false);
		others[i] = one.clients[1];
		wire_set_user(others[i].wire, &callbacks, &others[i]);
		theirs[i] = one.theirs[1];
		say(1, "x");
	}
	one.theirs[1] = -1;
	join(0, false);
	say(0, "x");
	wire_set_user(client->wire, &renewing, client);
	wire_set_deadline(client->wire, 1);
	wire_deadline_tick(one.hub);
	wire_deadline_tick(one.hub);
	turn_until(&client->n_ready, 1);
	for (unsigned i = 0; i < N_OTHERS; i++) {
		assert_int_equal(others[i].n_ready, 1);
		close(theirs[i]);
	}
	turn();
	assert_int_equal(client->n_late, 0);
}

static void on_endless(void *user)
{
	struct client *client = user;

	client->n_ready++;
	wire_wake(client->wire);
}

/* A client that always sends is late, too. */
static void test_late_does_not_wait_for_ever(void **state)
{
	static const struct wire_callbacks endless = {.ready = on_endless, .late = on_late};
	struct client *client = &one.clients[0];

	(void)state;
	one.hub->options.turn = &one.turn;
	join(0, true);
	wire_set_user(client->wire, &endless, client);
	wire_set_deadline(client->wire, 1);
	wire_wake(client->wire);
	/* The deadline passes with the second one. */
	pass(2 + WIRE_LATE_MAX - 1);
	assert_int_equal(client->n_late, 0);
	pass(1);
	assert_int_equal(client->n_late, 1);
	unsigned n_ready = client->n_ready;

	assert_true(n_ready > 1);
	turn();
	assert_true(client->n_ready > n_ready);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_peek_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peek_copied, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_blob, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unread_answers_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unread_answers_of_a_proxy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unread_answer_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_large_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linger_drains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linger_drains_for_so_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_close_with_duplicate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linger_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_into_fd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_and_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fetch_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leave_and_join, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unsent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_linger_without_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_send_later_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_woken_is_light, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_is_charged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seconds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_waits_for_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_waits_for_all_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_does_not_wait_for_ever, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
