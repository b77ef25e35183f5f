/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/check.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/reader-model.h"

enum {
	TURNS_MAX = 2000,
	BODY_LARGE = 300 * 1024,
	SOCKET_SMALL = 4096,
	TIGHT = 24 * 1024,
	NS_PER_SECOND = 1000000000,
};

static uv_timer_t *paused; /* what the reader has set; NULL: nothing */
static uv_timer_cb on_pause_end;

/* Replaces that of libuv: no time passes but that of the plan. */
int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout, uint64_t repeat)
{
	if (timeout == HTTP_PAUSE_MS && !repeat) {
		paused = timer;
		on_pause_end = callback;
	}
	return 0;
}

static void wake(void *userdata)
{
	*(bool *)userdata = true;
}

/* Setting up. */

static void read_settings(struct world *world, struct sv settings)
{
	bool is_tight = sv_has(settings, 'b'), is_unread = sv_has(settings, 'u');
	size_t n_body = sv_has(settings, 'm') ? BODY_LARGE : BODY_SMALL;
	size_t n_bodies = is_tight ? TIGHT : ROOMY, n_unread = is_unread ? 2 * LARGE_ANSWER : ROOMY;
	const struct budget_limits limits = {n_bodies, n_bodies, BUDGET_OLDEST};
	const struct budget_limits unread = {n_unread, n_unread, BUDGET_LARGEST};

	assert_int_equal(budget_new(&limits, 1, &world->budget), 0);
	assert_int_equal(budget_new(&unread, 1, &world->unread), 0);
	budget_set_wake(world->budget, 0, wake, &world->is_woken);
	budget_set_wake(world->unread, 0, wake, &world->is_woken);
	if (sv_has(settings, 'z')) {
		assert_int_equal(coder_new(&world->coder), 0);
	}
	world->limits = (struct http_limits){
		.n_body_max = n_body, .timeout_s = TIMEOUT_S, .coder = world->coder};
	world->n_body_least = world->n_body_most = n_body;
	world->passes = sv_has(settings, 'p');
	world->has_small_sockets = sv_has(settings, 's');
	world->is_passed_on = sv_has(settings, 'n');
	world->asks_always = sv_has(settings, 'a');
	world->is_pressed = sv_has(settings, 'h');
	world->is_watched = world->is_pressed || sv_has(settings, 'w');
}

static bool is_bounded(void *userdata, const struct address *peer)
{
	(void)userdata;
	(void)peer;
	return true;
}

static void open_reader(struct world *world)
{
	struct http_options options;

	if (world->is_watched) {
		turn_init(&world->turn, world->loop);
	}
	const struct wire_hub_options hub = {
		.loop = world->loop,
		.closed = front_closed,
		.unread = world->unread,
		.dropped = front_dropped,
		.is_bounded = is_bounded,
		.turn = world->is_watched ? &world->turn : NULL,
		.userdata = world,
	};

	assert_int_equal(wire_hub_new(&hub, &world->hub), 0);
	owner_set_options(world, &options);
	assert_int_equal(http_reader_new(&options, &owner_callbacks, &world->reader), 0);
}

static void connect_client(struct world *world, struct client *client)
{
	const int size = SOCKET_SMALL;
	struct wire *wire;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	if (world->has_small_sockets) {
		(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	client->fd = fds[1];
	assert_int_equal(wire_new(fds[0], &client->peer, &wire), 0);
	assert_int_equal(http_reader_adopt(world->reader, wire, !world->is_passed_on), 0);
}

/* Appends what @text means. */
static void expand(struct sv text, struct buffer *bytes)
{
	while (text.n && bytes->n < STREAM_MAX) {
		struct sv plain = sv_first(text, sv_find(text, '\xfe'));
		size_t n;

		assert_int_equal(buffer_append_sv(bytes, plain), 0);
		text = sv_skip(text, plain.n);
		if (text.n < 2) {
			break;
		}
		n = (unsigned char)text.data[1] * 256u;
		text = sv_skip(text, 2);
		assert_int_equal(buffer_reserve(bytes, n + 1), 0);
		memset(buffer_end(bytes), n ? 'x' : '\xfe', n ? n : 1);
		bytes->n += n ? n : 1;
	}
}

static void init_client(struct world *world, struct client *client, struct sv text)
{
	unsigned number = (unsigned)(client - world->clients);
	char peer[32];

	(void)snprintf(peer, sizeof(peer), "192.0.2.%u:%u", 1 + number, 1000 + number);
	assert_int_equal(address_parse(sv_from(peer), -1, &client->peer), 0);
	client->world = world;
	client->fd = -1;
	expand(text, &client->text);
	client->stream = buffer_sv(&client->text);
	truth_init(&client->truth, client->stream);
	if (client->truth.n == TRUTH_MAX && client->truth.requests[TRUTH_MAX - 1].end != SIZE_MAX) {
		client->stream.n = client->truth.requests[TRUTH_MAX - 1].end;
	}
}

void world_open(struct world *world, struct sv settings, struct sv text)
{
	static uv_loop_t loop;
	static bool has_loop;

	if (!has_loop) {
		assert_int_equal(uv_loop_init(&loop), 0);
		has_loop = true;
	}
	memset(world, 0, sizeof(*world));
	paused = NULL;
	world->loop = &loop;
	read_settings(world, settings);
	open_reader(world);
	for (size_t i = 0; i < CLIENTS; i++) {
		struct sv own = sv_first(text, sv_find(text, '\xfd'));

		text = sv_skip(text, own.n + 1);
		init_client(world, &world->clients[i], own);
		connect_client(world, &world->clients[i]);
	}
}

/* Time. */

/* As if a client of another crowd had been served just now, and each of these much. */
static void press(struct world *world)
{
	struct reader_connection *connection;
	uint32_t second = (uint32_t)(world->turn.now_ns / NS_PER_SECOND);

	if (world->is_watched) {
		world->turn.lights[0] = (struct turn_light){second, TURN_NO_CROWD};
	}
	LIST_FOREACH(connection, &world->reader->live, in_reader) {
		if (world->is_pressed) {
			connection->wire->turn.spent =
				(struct turn_spent){2 * TURN_ITEM_US, second};
		}
	}
}

static bool has_work(struct world *world)
{
	const struct http_reader *reader = world->reader;

	/* What is over is freed in the next iteration. */
	return world->is_woken || !LIST_EMPTY(&reader->dead) || !TAILQ_EMPTY(&reader->finished) ||
	       wire_hub_has_events(world->hub) || world->hub->due.n_items ||
	       world->hub->overdue.n_items || turn_is_busy(&world->turn);
}

static void give_way(struct budget_charge *charge)
{
	(void)charge;
}

void world_squeeze(struct world *world)
{
	struct budget_charge charge = BUDGET_CHARGE_INIT(0, give_way);
	struct address other;

	assert_int_equal(address_parse(SV("198.51.100.1:1"), -1, &other), 0);
	assert_int_equal(budget_hold(world->budget, &charge, &other, ROOMY - BUDGET_STEP), 0);
	budget_evict(world->budget, 0);
	budget_release(world->budget, &charge);
}

static bool turn_once(struct world *world)
{
	size_t n_sent = 0;

	for (size_t i = 0; i < CLIENTS; i++) {
		n_sent += world->clients[i].n_sent;
		client_send(&world->clients[i]);
		n_sent -= world->clients[i].n_sent;
	}
	press(world);
	uv_run(world->loop, UV_RUN_NOWAIT);
	if (world->is_squeezed) {
		world->is_squeezed = false;
		world_squeeze(world);
	}
	if (world->is_woken) {
		world->is_woken = false;
		budget_evict(world->budget, 0);
		budget_evict(world->unread, 0);
	}
	front_check(world);
	return n_sent || has_work(world);
}

/* Nobody waits for the answers to a client that has closed its side. */
static void check_mute(struct world *world)
{
	const struct reader_connection *connection;

	LIST_FOREACH(connection, &world->reader->live, in_reader) {
		FUZZ_CHECK(!front_find_client(world, &connection->peer)->is_mute);
	}
}

/* Until nothing more happens by itself, which must come soon. */
void world_settle(struct world *world)
{
	unsigned n = 0;

	while (turn_once(world)) {
		FUZZ_CHECK(++n < TURNS_MAX);
	}
	check_mute(world);
}

void world_tick(struct world *world, unsigned n)
{
	while (n--) {
		world->n_ticks++;
		wire_deadline_tick(world->hub);
		world_settle(world);
	}
}

void world_end_pause(void)
{
	if (paused) {
		uv_timer_t *timer = paused;

		paused = NULL;
		on_pause_end(timer);
	}
}

/* The end. */

static void close_client(struct client *client)
{
	for (size_t i = 0; i < client->n_records; i++) {
		const struct record *record = &client->records[i];

		FUZZ_CHECK(!record->exchange || !(record->is_passed || record->is_prepared));
	}
	FUZZ_CHECK(client->n_closed == 1);
	client_read(client, SIZE_MAX);
	client_check(client);
	client_hang_up(client);
	truth_deinit(&client->truth);
	buffer_deinit(&client->heard);
	buffer_deinit(&client->text);
}

void world_close(struct world *world)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		world->clients[i].is_lossy = world->clients[i].is_over = true;
	}
	world->reader = http_reader_free(world->reader);
	wire_hub_close(world->hub);
	if (world->is_watched) {
		turn_close(&world->turn);
	}
	uv_run(world->loop, UV_RUN_DEFAULT);
	world->hub = wire_hub_free(world->hub);
	for (size_t i = 0; i < CLIENTS; i++) {
		close_client(&world->clients[i]);
	}
	world->budget = budget_free(world->budget);
	world->unread = budget_free(world->unread);
	world->coder = coder_free(world->coder);
}
