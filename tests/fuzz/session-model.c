/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/session-world.h"

enum {
	/* How long everything goes well before the session ends: a client may be away. */
	GOOD_MS = 120 * 1000,
	/* Until it has ended, whatever happened. */
	ENDING_MS = 250 * 1000,
	/* Then the client is told. */
	TELLING_MS = 30 * 1000,
};

static void vanish(struct world *world)
{
	world_tell(world, "the client vanishes");
	world->reason = REASON_VANISHED;
	world->client.has_vanished = true;
	for (size_t i = 1; i <= world->n_exchanges; i++) {
		if (choose_likely(world, 50)) {
			network_break(world, i);
		}
	}
}

static void shut(struct world *world)
{
	struct failure failure;

	world_tell(world, "shut");
	world->reason = REASON_SHUT;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	network_done(world,
		     bosh_session_shut(world->session, &failure, world->now, &world->actions));
}

/* Ends the session. */
static void end(struct world *world, unsigned way)
{
	if (world->has_ended || world->client.has_vanished || world->client.is_leaving) {
		return;
	}
	switch (way) {
	case 0:
		if (!client_terminate(world)) {
			world_plan(world, 500, EVENT_ENDS, way);
		}
		break;
	case 1:
		shut(world);
		break;
	case 2:
		vanish(world);
		break;
	default:
		for (unsigned i = 0; i < world->client.n_asked; i++) {
			servers_fail(world, i);
		}
		break;
	}
}

/* One of the servers; the last one rarely. */
static void fail_one(struct world *world, unsigned number)
{
	unsigned n = 0;

	for (unsigned i = 0; i < world->client.n_asked; i++) {
		n += world->streams[i].state == STREAM_OPEN;
	}
	if (!world->is_settled && (n > 1 || choose_likely(world, 20))) {
		servers_fail(world, number);
	}
}

static void happen(struct world *world, const struct event *event)
{
	switch (event->kind) {
	case EVENT_ARRIVES:
		network_arrive(world, event->number);
		break;
	case EVENT_BREAKS:
		network_break(world, event->number);
		break;
	case EVENT_NOTICED:
		client_notice(world, event->number);
		break;
	case EVENT_RESPONDS:
		client_take(world, event->number);
		break;
	case EVENT_ACTS:
		client_act(world);
		world_plan(world,
			   world->is_settled ? 200 : 1 + choose_small(world, world->pace.acts_ms),
			   EVENT_ACTS, 0);
		break;
	case EVENT_FEATURES:
		servers_give_features(world, (unsigned)event->number);
		break;
	case EVENT_SPEAKS:
		servers_speak(world);
		if (!world->is_settled) {
			world_plan(world, 1 + choose_small(world, world->pace.speaks_ms),
				   EVENT_SPEAKS, 0);
		}
		break;
	case EVENT_EASES:
		servers_ease(world, (unsigned)event->number);
		break;
	case EVENT_FAILS:
		fail_one(world, (unsigned)event->number);
		break;
	case EVENT_ENDS:
		end(world, (unsigned)event->number);
		break;
	}
}

/* Calls what is due. Time is never later than the timer of the session. */
static void go_on(struct world *world)
{
	struct mono deadline = MONO_NEVER, next = world_next_at(world);

	if (!world->has_ended) {
		deadline = bosh_session_deadline(world->session);
	}
	if (deadline.ms <= next.ms) {
		world->now.ms = deadline.ms > world->now.ms ? deadline.ms : world->now.ms;
		world_tell(world, "expire");
		network_done(world,
			     bosh_session_expire(world->session, world->now, &world->actions));
	} else {
		struct event event = world_next(world);

		world->now.ms = event.at.ms > world->now.ms ? event.at.ms : world->now.ms;
		happen(world, &event);
	}
	network_check(world);
}

static void run_for(struct world *world, int64_t ms)
{
	struct mono until = mono_add_ms(world->now, ms);

	while (world->now.ms < until.ms) {
		go_on(world);
	}
}

/* Everything goes well, so that everything has arrived. */
static void check_good(struct world *world)
{
	const struct client *client = &world->client;

	if (world->has_ended || client->is_leaving || client->has_vanished) {
		return;
	}
	WORLD_CHECK(world, client->is_created && !client->is_over);
	WORLD_CHECK(world,
		    client->next_rid - client->next_response <= (client->hold ? client->hold : 1));
	books_check_all(world, false);
}

static void check_end(struct world *world)
{
	WORLD_CHECK(world, world->has_ended);
	WORLD_CHECK(world, world->client.is_over || world->client.has_vanished);
	for (size_t i = 1; i <= world->n_exchanges; i++) {
		const struct exchange *exchange = &world->exchanges[i];

		WORLD_CHECK(world,
			    !exchange->has_arrived || exchange->is_gone || exchange->is_answered);
	}
	books_check_all(world, true);
}

static void choose_pace(struct world *world)
{
	static const unsigned latencies[] = {LATENCY_MAX_MS, 300, 20};
	static const unsigned notices[] = {NOTICE_MAX_MS, 300};
	static const unsigned acts[] = {1500, 5000, 100}, speaks[] = {4000, 500, 30000};

	world->pace = (struct pace){
		.latency_ms = latencies[choose(world, 3)],
		.notice_ms = notices[choose(world, 2)],
		.acts_ms = acts[choose(world, 3)],
		.speaks_ms = speaks[choose(world, 3)],
		.percent_broken = choose(world, 25),
		.padding = choose_likely(world, 10) ? PADDING_MAX : 120,
	};
}

static void begin(struct world *world)
{
	static const unsigned lingers[] = {0, 30, 100};

	choose_pace(world);
	world->limits = (struct bosh_limits){
		.wait_s = 5 + choose(world, 30),
		.hold = choose(world, 4),
		.inactivity_s = INACTIVITY_S,
		.polling_s = POLLING_S,
		.maxpause_s = choose_likely(world, 50) ? MAXPAUSE_S : 0,
		.linger_ms = lingers[choose(world, 3)],
		.n_repeats_max = 20,
		.n_streams_max = choose_likely(world, 60) ? 4 : 1,
		.n_pending_max = choose_likely(world, 70) ? 400 : 3 * PADDING_MAX,
	};
	client_begin(world);
	network_create(world);
	world->streams[0].state = STREAM_OPEN;
	world->n_opened = 1;
	world_plan(world, 1 + choose_small(world, 3000), EVENT_FEATURES, 0);
	world_plan(world, 1, EVENT_ACTS, 0);
	world_plan(world, 1, EVENT_SPEAKS, 0);
	if (choose_likely(world, 30)) {
		world_plan(world, 1000 + choose_small(world, 60000), EVENT_FAILS, 0);
	}
	network_done(world, bosh_session_flush(world->session, world->now, &world->actions));
}

static void finish(struct world *world)
{
	world->session = bosh_session_free(world->session);
	bosh_last_answer_deinit(&world->last);
	for (size_t i = 0; i < REQUESTS_MAX; i++) {
		free(world->requests[i].text);
		free(world->requests[i].answer);
		free(world->requests[i].response);
	}
	for (size_t i = 1; i <= world->n_exchanges; i++) {
		free(world->exchanges[i].text);
	}
	buffer_deinit(&world->story);
	free(world);
}

/* Whether there is room for what may still happen. */
static bool has_room(const struct world *world)
{
	return world->client.next_rid - FIRST_RID + 700 < REQUESTS_MAX &&
	       world->n_exchanges + 1500 < EXCHANGES_MAX;
}

void session_model_run(const struct choices *choices, const char *label)
{
	struct world *world = calloc(1, sizeof(*world));

	if (!world) {
		abort();
	}
	*world = (struct world){.choices = *choices, .label = label, .now = {1000}, .first_due = 1};
	unsigned way = choose(world, 4);
	bool is_sudden = choose_likely(world, 30);

	begin(world);
	if (is_sudden) {
		world_plan(world, choose_small(world, 60000), EVENT_ENDS, way);
	}
	while (!world->is_settled && !world->has_ended && has_room(world)) {
		go_on(world);
	}
	world->is_settled = true;
	world->choices = (struct choices){0};
	run_for(world, GOOD_MS);
	check_good(world);
	end(world, way);
	for (int64_t ms = 0; ms < ENDING_MS && !world->has_ended; ms += 1000) {
		run_for(world, 1000);
	}
	run_for(world, TELLING_MS);
	check_end(world);
	finish(world);
}
