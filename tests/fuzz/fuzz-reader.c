/* SPDX-License-Identifier: MIT */
/*
 * gateway/http/reader.h, with real wires. Two clients send requests, cut anywhere. An owner answers
 * at once, later, in another order or never, while connections pause, move and end. The harness
 * checks (reader-model.h):
 *
 * - The reader finds the same requests as in the bytes in one piece.
 * - It answers each request once, and in order.
 * - It exceeds no limit, and reads no request after the last one of a connection.
 * - It never gets stuck, and frees all that it has held.
 *
 * The input: letters that set up the world, a space, the plan, a line feed, and what the clients
 * send: the first one's bytes, FD, the second one's. FE and a number stand for that many times 256
 * letters; FE 00 for FE.
 *
 * world  a: each request is asked about, p: connections may be passed on, n: they were, z: content
 *        codings, b: a small budget for bodies, u: one for answers, m: larger bodies, s: small
 *        sockets, w: others are served, too, h: the clients take more than their share
 * plan   the client says 1-9, + (100) or * (5000) bytes more, l: a line, .: all; it reads a little
 *        (r) or all (R), closes its side (f) or both (F); the first, second, third request that is
 *        held is answered (a, b, c); x: the other client's turn; what becomes of first requests
 *        (K, L, M, W, P, T); e: pauses end; t: a second passes, i: many; u: a reload; v: others
 *        need the memory; g: idle connections go away; q: all is closed; &: what follows happens
 *        at once, up to the next &
 * flags  h: held, c: the answer closes, b: it is large, 2, 3: 204 and 304, t: the body is taken,
 *        d: the connection is wanted, g: it is answered when the client has gone, v: others need
 *        the memory before it is read, p: it is another client's, y: it is answered twice
 *
 * covers: gateway/http/reader.c gateway/http/reader-body.c gateway/http/reader-connection.c
 * covers: gateway/http/reader-exchange.c gateway/http/reader-request.c gateway/http/exchange.c
 * covers: gateway/http/gather.c gateway/http/answer.c gateway/http/chunks.c
 */
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/reader-model.h"

enum {
	PLAN_MAX = 200,
};

static struct world world;

/* The plan. */

static void say_less(struct client *client)
{
	if (client->fd >= 0) {
		shutdown(client->fd, SHUT_WR);
		client->is_mute = client->is_lossy = client->is_over = true;
		client->n_due = client->n_sent;
	}
}

static void say(struct client *client, size_t n)
{
	size_t n_left = client->stream.n - client->n_due;

	if (!client->is_mute) {
		client->n_due += n < n_left ? n : n_left;
	}
}

/* Up to the end of a line. */
static size_t line_of(const struct client *client)
{
	return sv_find(sv_skip(client->stream, client->n_due), '\n') + 1;
}

static void reload(void)
{
	size_t n = world.limits.n_body_max == BODY_SMALL ? BODY_SMALL + 5000 : BODY_SMALL;

	world.limits.n_body_max = n;
	world.n_body_least = n < world.n_body_least ? n : world.n_body_least;
	world.n_body_most = n > world.n_body_most ? n : world.n_body_most;
	http_reader_reload(world.reader, &world.limits);
}

/* A step of the owner or of the time. Returns whether it is one. */
static bool step_world(char step)
{
	static const char firsts[] = "KLMWPT";
	static const enum http_first what[] = {HTTP_FIRST_KEEP,  HTTP_FIRST_LAST,
					       HTTP_FIRST_MORE,  HTTP_FIRST_LATER,
					       HTTP_FIRST_PAUSE, HTTP_FIRST_TAKEN};
	size_t at = sv_find(sv_from(firsts), step);

	if (at < sizeof(firsts) - 1) {
		world.first = what[at];
		return true;
	}
	switch (step) {
	case 't':
		world_tick(&world, 1);
		return true;
	case 'i':
		world_tick(&world, HTTP_IDLE_S + 1);
		return true;
	case 'e':
		world_end_pause();
		return true;
	case 'u':
		reload();
		return true;
	case 'v':
		world_squeeze(&world);
		return true;
	case 'g':
		front_give_idle(&world);
		return true;
	default:
		return false;
	}
}

/* How much more the client says. */
static size_t words_of(const struct client *client, char step)
{
	return step == '.'                ? SIZE_MAX
	     : step == '*'                ? 5000
	     : step == '+'                ? 100
	     : step == 'l'                ? line_of(client)
	     : step >= '1' && step <= '9' ? (size_t)(step - '0')
					  : 0;
}

static void step_client(struct client *client, char step)
{
	say(client, words_of(client, step));
	switch (step) {
	case 'r':
		client_read(client, 3000);
		break;
	case 'R':
		client_read(client, SIZE_MAX);
		break;
	case 'a':
	case 'b':
	case 'c':
		owner_answer_held(client, (size_t)(step - 'a'));
		break;
	case 'f':
		say_less(client);
		break;
	case 'F':
		client_hang_up(client);
		break;
	default:
		break;
	}
}

/* Returns false if the reader has been closed. */
static bool carry_out(struct sv plan)
{
	struct client *client = &world.clients[0];
	bool is_quiet = true;

	for (size_t i = 0; i < plan.n && i < PLAN_MAX; i++) {
		if (plan.data[i] == 'q') {
			return false;
		}
		if (plan.data[i] == 'x') {
			client = &world.clients[client == world.clients];
		} else if (plan.data[i] == '&') {
			/* The next steps come within one iteration of the loop. */
			is_quiet = !is_quiet;
		} else if (!step_world(plan.data[i])) {
			step_client(client, plan.data[i]);
		}
		if (is_quiet) {
			world_settle(&world);
		}
	}
	return true;
}

/* The end. */

/* Grows with what all clients have sent, and with the requests that were read of it. */
static size_t progress(void)
{
	size_t n = 0;

	for (size_t i = 0; i < CLIENTS; i++) {
		n += world.clients[i].n_sent + world.clients[i].n_records;
	}
	return n;
}

static bool go_on(void)
{
	size_t n_before = progress();
	bool has_read = false;

	world_settle(&world);
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *client = &world.clients[i];

		say(client, SIZE_MAX);
		world_settle(&world);
		has_read = client_read(client, SIZE_MAX) || has_read;
		has_read = owner_answer_held(client, 0) || has_read;
		world_end_pause();
		world_settle(&world);
	}
	return progress() != n_before || has_read;
}

/* Everything is answered and read: nothing may be left. */
static void check_end(const struct client *client)
{
	const struct truth *truth = &client->truth;
	size_t n = truth->n;

	if (n && truth->requests[n - 1].end == SIZE_MAX && !truth->requests[n - 1].fault) {
		n--;
	}
	client_check(client);
	if (!client->is_over && world.n_ticks < TIMEOUT_S) {
		FUZZ_CHECK(client->n_sent == client->stream.n);
		FUZZ_CHECK(client->n_records == n);
	}
	FUZZ_CHECK(!client->is_mute || client->n_closed == 1);
}

static void finish(void)
{
	world.is_at_end = true;
	world.first = HTTP_FIRST_KEEP;
	while (go_on()) {
	}
	for (size_t i = 0; i < CLIENTS; i++) {
		check_end(&world.clients[i]);
	}
	for (size_t i = 0; i < CLIENTS; i++) {
		client_hang_up(&world.clients[i]);
	}
	world_settle(&world);
	FUZZ_CHECK(!http_reader_is_busy(world.reader));
	FUZZ_CHECK(world.clients[0].n_closed == 1 && world.clients[1].n_closed == 1);
	FUZZ_CHECK(budget_bytes(world.budget) == 0 && budget_bytes(world.unread) == 0);
}

void fuzz_one(struct sv input)
{
	struct sv settings = fuzz_part(&input, ' '), plan = fuzz_part(&input, '\n');

	world_open(&world, settings, input);
	if (carry_out(plan)) {
		finish();
	}
	world_close(&world);
}
