/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/session-world.h"

static void open_stream(struct world *world, const struct bosh_action *action)
{
	const char *to = action->payloads.data + action->payloads.offset;
	unsigned number = (unsigned)strtoul(to + 1, NULL, 10);
	struct stream *stream = &world->streams[number];

	world_tell(world, "open entry %u: stream %u", action->stream, number);
	WORLD_CHECK(world, number < world->client.n_asked && stream->state == STREAM_ASKED);
	stream->state = STREAM_OPEN;
	stream->entry = action->stream;
	world->of_entry[action->stream] = number;
	world->n_opened++;
	world_plan(world, 1 + choose_small(world, 3000), EVENT_FEATURES, number);
	if (choose_likely(world, 40)) {
		world_plan(world, choose_small(world, 40000), EVENT_FAILS, number);
	}
}

/* The stanza @number of the client's has reached @stream. */
static void reach(struct world *world, size_t number, unsigned stream)
{
	struct up *up = &world->ups[number];
	unsigned i = 0;

	WORLD_CHECK(world, number > 0 && number <= world->n_ups);
	WORLD_CHECK(world, number > world->streams[stream].last_up);
	world->streams[stream].last_up = number;
	while (i < up->n_due && up->due[i] != stream) {
		i++;
	}
	if (i < up->n_due) {
		up->due[i] = up->due[--up->n_due];
	} else if (!up->is_for_all) {
		world_fail(world, "stanza %zu is not for stream %u", number, stream);
	}
}

static void send_up(struct world *world, unsigned stream, const struct bosh_action *action,
		    const char *text)
{
	size_t n = 0, number;

	WORLD_CHECK(world, world->streams[stream].is_ready);
	while (take_marker(&text, 'c', &number)) {
		reach(world, number, stream);
		n++;
	}
	WORLD_CHECK(world, n > 0 && n == action->n_payloads);
}

/* An answer that is lost when the client has vanished may be returned as well. */
static void return_down(struct world *world, unsigned stream, const char *text)
{
	bool may_repeat = world->reason == REASON_VANISHED || world->reason == REASON_SHUT;
	size_t number;

	WORLD_CHECK(world, !world->streams[stream].is_managed);
	while (take_marker(&text, 's', &number)) {
		struct down *down = &world->downs[number];

		WORLD_CHECK(world, number > 0 && number <= world->n_downs);
		WORLD_CHECK(world, down->stream == stream && !down->is_returned);
		WORLD_CHECK(world, !down->is_answered || may_repeat);
		down->is_returned = true;
	}
}

/* Nothing that a request carried whose turn has come is missing at @stream. */
static void check_reached(struct world *world, unsigned stream)
{
	for (size_t i = world->first_due; i <= world->n_ups; i++) {
		const struct up *up = &world->ups[i];

		for (unsigned j = 0; j < up->n_due && up->rid < world->turn; j++) {
			if (up->due[j] == stream) {
				world_fail(world, "stanza %zu has not reached stream %u", i,
					   stream);
			}
		}
	}
}

static void close_stream(struct world *world, unsigned number)
{
	struct stream *stream = &world->streams[number];

	WORLD_CHECK(world, stream->is_closing || world->reason != REASON_NONE);
	if (stream->is_ready) {
		check_reached(world, number);
	}
	stream->state = STREAM_CLOSED;
}

void books_take(struct world *world, const struct bosh_action *action)
{
	unsigned number = world->of_entry[action->stream];
	struct stream *stream = &world->streams[number];

	if (action->kind == BOSH_ACTION_OPEN) {
		open_stream(world, action);
		return;
	}
	char *text = strndup(action->payloads.data ? action->payloads.data + action->payloads.offset
						   : "",
			     action->payloads.n);

	world_tell(world, "action %d for stream %u: %s", (int)action->kind, number, text);
	WORLD_CHECK(world, stream->state == STREAM_OPEN || action->kind == BOSH_ACTION_BOUNCE);
	switch (action->kind) {
	case BOSH_ACTION_SEND:
		send_up(world, number, action, text);
		break;
	case BOSH_ACTION_RESTART:
		stream->is_ready = false;
		world_plan(world, 1 + choose_small(world, 1000), EVENT_FEATURES, number);
		break;
	case BOSH_ACTION_BOUNCE:
		return_down(world, number, text);
		break;
	case BOSH_ACTION_CLOSE:
		close_stream(world, number);
		break;
	case BOSH_ACTION_STOP_READING:
	case BOSH_ACTION_RESUME_READING:
		WORLD_CHECK(world,
			    stream->is_stopped == (action->kind == BOSH_ACTION_RESUME_READING));
		stream->is_stopped = !stream->is_stopped;
		break;
	default:
		world_fail(world, "action %d", (int)action->kind);
	}
	free(text);
}

/* The answer to a request that asks for a stream has its name. */
static void learn_name(struct world *world, unsigned number, const char *text)
{
	struct sv name = attribute_of(text, "stream");

	bool is_end = sv_eq(attribute_of(text, "type"), SV("terminate"));

	if (!name.data && (is_end || !world->client.uses_streams)) {
		return;
	}
	/* "Error Conditions": with a name the session would go on. */
	WORLD_CHECK(world, number || !is_end);
	WORLD_CHECK(world, name.n == NAME_LENGTH);
	for (unsigned i = 0; i < world->client.n_asked; i++) {
		if (sv_eq(sv_from(world->streams[i].name), name)) {
			/* The last stream has failed before, as the next answer says. */
			WORLD_CHECK(world, !books_have_open(world));
			return;
		}
	}
	memcpy(world->streams[number].name, name.data, name.n);
}

/* "Transmitting Payloads": which stream the payloads are of. */
static void check_name(struct world *world, const char *text, unsigned stream)
{
	struct sv name = attribute_of(text, "stream");

	WORLD_CHECK(world, name.data || world->n_opened == 1);
	WORLD_CHECK(world, !name.data || sv_eq(name, sv_from(world->streams[stream].name)));
}

void books_answer(struct world *world, const struct request *request, const char *text)
{
	const char *rest = text;
	size_t number;

	if (request == &world->requests[0] || request->asks_for) {
		learn_name(world, request->asks_for, text);
	}
	while (take_marker(&rest, 's', &number)) {
		struct down *down = &world->downs[number];

		WORLD_CHECK(world, number > 0 && number <= world->n_downs);
		WORLD_CHECK(world, !request->is_pause);
		WORLD_CHECK(world, !down->is_answered && !down->is_returned);
		WORLD_CHECK(world, down->before == world->streams[down->stream].last_answered);
		check_name(world, text, down->stream);
		down->is_answered = true;
		world->streams[down->stream].last_answered = number;
	}
}

void books_receive(struct world *world, const char *text)
{
	const char *rest = text;
	size_t number;

	while (take_marker(&rest, 's', &number)) {
		struct down *down = &world->downs[number];

		WORLD_CHECK(world, number > 0 && number <= world->n_downs);
		/* The last answer may stand for one that is lost. */
		WORLD_CHECK(world,
			    world->client.is_forgotten ||
				    down->before == world->streams[down->stream].last_received);
		down->is_received = true;
		world->streams[down->stream].last_received = number;
	}
	while (take_marker(&text, 'f', &number)) {
		WORLD_CHECK(world, number < world->client.n_asked);
		world->streams[number].has_features = true;
	}
}

size_t books_send(struct world *world, uint64_t rid, int stream)
{
	struct up *up = &world->ups[++world->n_ups];

	WORLD_CHECK(world, world->n_ups < STANZAS_MAX);
	*up = (struct up){.rid = rid, .is_for_all = stream < 0};
	if (stream >= 0 || world->client.n_asked == 1) {
		up->due[up->n_due++] = stream < 0 ? 0 : (unsigned)stream;
		return world->n_ups;
	}
	/* One without features is not open yet. */
	for (unsigned i = 0; i < world->client.n_asked; i++) {
		if (world->streams[i].is_open && world->streams[i].has_features) {
			WORLD_CHECK(world, up->n_due < BOSH_STREAMS_MAX);
			up->due[up->n_due++] = i;
		}
	}
	return world->n_ups;
}

void books_check(struct world *world)
{
	while (world->first_due <= world->n_ups && !world->ups[world->first_due].n_due) {
		world->first_due++;
	}
	for (size_t i = world->first_due; i <= world->n_ups; i++) {
		struct up *up = &world->ups[i];

		for (unsigned j = up->n_due; j-- > 0 && up->rid < world->turn;) {
			const struct stream *stream = &world->streams[up->due[j]];

			if (stream->state == STREAM_OPEN && stream->is_ready) {
				world_fail(world, "stanza %zu has not reached stream %u", i,
					   up->due[j]);
			}
			if (stream->state == STREAM_FAILED || stream->state == STREAM_CLOSED) {
				up->due[j] = up->due[--up->n_due];
			}
		}
	}
}

/* Whether it was not lost: @down may be excused. */
static bool is_safe(const struct world *world, const struct down *down, bool is_over)
{
	const struct stream *stream = &world->streams[down->stream];

	if (down->is_received || down->is_returned) {
		return true;
	}
	/* The answer was lost, and nobody gives it again. */
	bool is_forgotten = world->client.has_vanished || world->client.is_forgotten;

	if (is_over && is_forgotten && down->is_answered) {
		return true;
	}
	/* Its server knows what is missing; or the server is gone, and the client as well. */
	return stream->is_managed ||
	       (stream->state == STREAM_FAILED && (world->reason || stream->is_closing));
}

void books_check_all(struct world *world, bool is_over)
{
	for (size_t i = 1; i <= world->n_downs; i++) {
		if (!is_safe(world, &world->downs[i], is_over)) {
			world_fail(world, "stanza %zu of stream %u is lost", i,
				   world->downs[i].stream);
		}
	}
	for (unsigned i = 0; i < world->client.n_asked && !is_over; i++) {
		WORLD_CHECK(world, !world->streams[i].is_stopped ||
					   world->streams[i].state != STREAM_OPEN);
	}
}

bool books_have_open(const struct world *world)
{
	for (unsigned i = 0; i < world->client.n_asked; i++) {
		if (world->streams[i].state == STREAM_OPEN) {
			return true;
		}
	}
	return false;
}
