/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/session-world.h"

#include "gateway/xmpp/namespace.h"

static struct xml_pool *pool;

/* The session says that the newest of several requests with one rid counts. */
static bool is_displaced(const struct world *world, const struct exchange *exchange,
			 const struct request *request, const char *text)
{
	return sv_eq(attribute_of(text, "type"), SV("error")) &&
	       request->latest != (uint64_t)(exchange - world->exchanges);
}

/* "Request Acknowledgements": the highest rid up to which all have come, unless it is the answer's
 * own. "Response Acknowledgements": an answer that should have been acknowledged, but was not. */
static void check_acks(struct world *world, const struct request *request, const char *text)
{
	uint64_t rid = (uint64_t)(request - world->requests) + FIRST_RID;
	uint64_t ack = number_of(world, text, "ack"), report = number_of(world, text, "report");
	bool is_creation = rid == FIRST_RID;

	if (!world->client.uses_acks || sv_eq(attribute_of(text, "type"), SV("terminate"))) {
		WORLD_CHECK(world, ack == 0 || world->client.uses_acks);
		return;
	}
	/* One that was given to nobody first says how it was then. One that makes room for another
	 * request does not acknowledge that. */
	uint64_t said = ack ? ack : rid, least = request->n_broken ? rid : world->turn - 2;

	WORLD_CHECK(world, said < world->turn && said >= least);
	WORLD_CHECK(world, ack == 0 || ack > rid || is_creation);
	/* It may have been given to nobody. */
	WORLD_CHECK(world, report < rid && (!report || request_of(world, report)->answer ||
					    request_of(world, report)->n_broken));
}

/* What is answered to @request, for the first time or again. */
static void check_answer(struct world *world, struct request *request, const char *text)
{
	if (!request->answer) {
		request->answer = strdup(text);
		request->answered = world->now;
		check_acks(world, request, text);
		books_answer(world, request, text);
	} else if (strcmp(text, request->answer) != 0) {
		world_fail(world, "not the answer that was given before: %s", request->answer);
	}
}

/* Brings an answer to the client, or loses it. */
static void respond(struct world *world, uint64_t number)
{
	struct exchange *exchange = &world->exchanges[number];
	struct request *request = request_of(world, exchange->rid);
	bool may_break = exchange->rid != FIRST_RID && request->n_broken < BROKEN_MAX;

	if (may_break && choose_likely(world, world->pace.percent_broken)) {
		request->n_broken++;
		world_plan(world, 10 + choose_small(world, world->pace.notice_ms), EVENT_NOTICED,
			   number);
	} else {
		world_plan(world, 1 + choose_small(world, world->pace.latency_ms), EVENT_RESPONDS,
			   number);
	}
}

static void on_answer(struct world *world, const struct bosh_action *action)
{
	struct exchange *exchange = &world->exchanges[action->exchange];
	struct request *request = request_of(world, exchange->rid);

	exchange->text = strndup(action->blob->data, action->blob->n);
	world_tell(world, "answer to exchange %" PRIu64 ", rid %" PRIu64 ": %s", action->exchange,
		   exchange->rid, exchange->text);
	WORLD_CHECK(world, action->exchange > 0 && action->exchange <= world->n_exchanges);
	WORLD_CHECK(world, exchange->has_arrived && !exchange->is_answered && !exchange->is_gone);
	/* "HTTP Conditions". */
	WORLD_CHECK(world, action->status == 200 ||
				   (world->client.is_legacy && world->client.has_vanished));
	exchange->is_answered = true;
	world->is_told |= sv_eq(attribute_of(exchange->text, "type"), SV("terminate")) &&
			  !attribute_of(exchange->text, "stream").data;
	if (!is_displaced(world, exchange, request, exchange->text)) {
		check_answer(world, request, exchange->text);
	}
	respond(world, action->exchange);
}

static void on_end(struct world *world, enum bosh_rule rule)
{
	world_tell(world, "end %s", bosh_rule_name(rule));
	WORLD_CHECK(world, world->reason != REASON_NONE || !books_have_open(world));
	WORLD_CHECK(world, rule == (world->reason == REASON_VANISHED ? BOSH_RULE_INACTIVITY
								     : BOSH_RULE_NONE) ||
				   (rule == BOSH_RULE_NONE && !books_have_open(world)));
	world->has_ended = true;
}

void network_done(struct world *world, int r)
{
	WORLD_CHECK(world, r == 0);
	for (size_t i = 0; i < world->actions.n; i++) {
		const struct bosh_action *action = &world->actions.items[i];

		WORLD_CHECK(world, !world->has_ended && action->stream < BOSH_STREAMS_MAX);
		if (action->kind == BOSH_ACTION_ANSWER) {
			on_answer(world, action);
		} else if (action->kind == BOSH_ACTION_END) {
			on_end(world, action->rule);
		} else {
			books_take(world, action);
		}
	}
	bosh_actions_deinit(&world->actions);
	if (world->has_ended) {
		world->last = bosh_session_take_last(world->session);
		WORLD_CHECK(world, bosh_session_take_exchange(world->session) == 0);
	}
}

static uint64_t new_exchange(struct world *world, uint64_t rid)
{
	WORLD_CHECK(world, world->n_exchanges + 1 < EXCHANGES_MAX);
	world->exchanges[++world->n_exchanges] = (struct exchange){.rid = rid};
	request_of(world, rid)->exchange = world->n_exchanges;
	return world->n_exchanges;
}

/* The connection may break before the request arrives, or at any time after that. The gateway
 * learns of it later than the client or never. */
void network_send(struct world *world, uint64_t rid)
{
	struct request *request = request_of(world, rid);
	uint64_t number = new_exchange(world, rid);
	bool may_break = request->n_broken < BROKEN_MAX;
	int64_t ms;

	world_tell(world, "send exchange %" PRIu64 ", rid %" PRIu64, number, rid);
	if (may_break && choose_likely(world, world->pace.percent_broken / 2)) {
		request->n_broken++;
		world_plan(world, 10 + choose_small(world, world->pace.notice_ms), EVENT_NOTICED,
			   number);
		return;
	}
	world_plan(world, 1 + choose_small(world, world->pace.latency_ms), EVENT_ARRIVES, number);
	if (may_break && choose_likely(world, world->pace.percent_broken)) {
		request->n_broken++;
		ms = 10 + choose_small(world, world->pace.notice_ms);
		world_plan(world, ms, EVENT_NOTICED, number);
		if (choose_likely(world, 70)) {
			world_plan(world, ms + choose_small(world, 3000), EVENT_BREAKS, number);
		}
	}
}

/* Enters that @number has arrived. */
static void enter(struct world *world, uint64_t number)
{
	struct exchange *exchange = &world->exchanges[number];
	struct request *request = request_of(world, exchange->rid);

	world_tell(world, "exchange %" PRIu64 ", rid %" PRIu64 " arrives", number, exchange->rid);
	exchange->arrived = world->now;
	exchange->has_arrived = true;
	request->latest = number;
	request->has_come = true;
	while (request_of(world, world->turn)->has_come) {
		world->turn++;
		world->turned = world->now;
	}
}

static void read_body(struct world *world, uint64_t number, struct bosh_body *body)
{
	const struct xml_scan_options options = bosh_body_options(4000);
	const struct request *request = request_of(world, world->exchanges[number].rid);

	if (!pool) {
		WORLD_CHECK(world, xml_pool_new(namespaces, NS_COUNT, &pool) == 0);
	}
	WORLD_CHECK(world,
		    bosh_body_init(body, pool, &options, sv_from(request->text)) == BOSH_BODY_OK);
}

void network_create(struct world *world)
{
	uint64_t number = new_exchange(world, FIRST_RID);
	struct bosh_body body;

	world->turn = FIRST_RID;
	enter(world, number);
	read_body(world, number, &body);
	WORLD_CHECK(world, bosh_session_new(&world->limits, "SID", &body, number, world->now,
					    &world->session) == 0);
	bosh_body_deinit(&body);
}

/* Whether the session, which is over, still knew the request @rid, or could have got it next and
 * has told nobody of the end. Of a sequence of keys it knows the next one only. */
static bool is_known(struct world *world, uint64_t rid)
{
	const struct client *client = &world->client;

	if (rid < world->turn || (rid == world->turn && !world->is_told)) {
		return rid + client->n_requests >= world->turn;
	}
	return !world->is_told && rid - world->turn < client->n_requests && !client->uses_keys;
}

/* The session is over, and gives @text to a repeat of @request. What was answered before is the
 * same, but for one that carried nothing, and where a client had vanished: that was returned. */
static void check_late(struct world *world, const struct request *request, const char *text)
{
	const char *rest = request->answer;
	size_t number;

	if (!request->answer || strcmp(text, request->answer) == 0) {
		return;
	}
	while (take_marker(&rest, 's', &number)) {
		WORLD_CHECK(world, world->downs[number].is_returned ||
					   world->downs[number].is_received ||
					   world->streams[world->downs[number].stream].is_managed);
		world->client.is_forgotten = true;
	}
}

/* The session is over: its last answer is for the requests that it still knows. */
static void arrive_late(struct world *world, uint64_t number, const struct bosh_body *body)
{
	struct exchange *exchange = &world->exchanges[number];
	struct blob *blob;
	unsigned status;

	exchange->is_answered = true;
	if (!world->last.blob || !bosh_last_answer_is_for(&world->last, body->rid, body->key)) {
		world_tell(world, "item-not-found for rid %" PRIu64, body->rid);
		WORLD_CHECK(world, !is_known(world, body->rid));
		world->client.is_over = world->client.is_forgotten = true;
		return;
	}
	blob = bosh_last_answer_get(&world->last, body->rid, body->key, &status);
	exchange->text = strndup(blob->data, blob->n);
	world_tell(world, "last answer to exchange %" PRIu64 ": %s", number, exchange->text);
	blob_unref(blob);
	check_late(world, request_of(world, body->rid), exchange->text);
	world_plan(world, 1, EVENT_RESPONDS, number);
}

void network_arrive(struct world *world, uint64_t number)
{
	struct request *request = request_of(world, world->exchanges[number].rid);
	struct bosh_body body;

	if (request->has_response) {
		/* The client has closed this connection long ago. */
		return;
	}
	read_body(world, number, &body);
	if (world->has_ended) {
		arrive_late(world, number, &body);
	} else {
		enter(world, number);
		if (choose_likely(world, 5)) {
			bosh_session_moved(world->session);
		}
		network_done(world, bosh_session_request(world->session, number, &body, world->now,
							 &world->actions));
	}
	bosh_body_deinit(&body);
}

void network_break(struct world *world, uint64_t number)
{
	struct exchange *exchange = &world->exchanges[number];
	struct request *request = request_of(world, exchange->rid);

	if (world->has_ended || exchange->is_answered || !exchange->has_arrived) {
		return;
	}
	world_tell(world, "exchange %" PRIu64 " is gone", number);
	exchange->is_gone = true;
	if (exchange->rid >= world->turn && request->latest == number) {
		/* Such a request is forgotten. */
		request->has_come = false;
	}
	bosh_session_gone(world->session, number, world->now);
}

static bool is_congested(const struct world *world)
{
	for (unsigned i = 0; i < world->client.n_asked; i++) {
		if (world->streams[i].state == STREAM_OPEN && world->streams[i].congestion) {
			return true;
		}
	}
	return false;
}

/* A request waits whose turn has come: nothing that it could carry may wait, too. */
static void check_prompt(struct world *world)
{
	for (unsigned i = 0; i < world->client.n_asked; i++) {
		const struct stream *stream = &world->streams[i];
		bool may_speak = stream->state == STREAM_OPEN ||
				 (stream->state == STREAM_FAILED && !stream->is_closing);

		if (may_speak && stream->last_down != stream->last_answered) {
			world_fail(world, "stanza %zu of stream %u waits", stream->last_down, i);
		}
	}
}

void network_check(struct world *world)
{
	const struct client *client = &world->client;
	unsigned n_held = 0;
	size_t first = world->n_exchanges > 40 ? world->n_exchanges - 40 : 1;

	if (world->has_ended) {
		return;
	}
	bool is_due = mono_reached(bosh_session_deadline(world->session), world->now);

	books_check(world);
	for (size_t i = first; i <= world->n_exchanges; i++) {
		const struct exchange *exchange = &world->exchanges[i];

		if (!client->is_created || !exchange->has_arrived || exchange->is_answered ||
		    exchange->is_gone || exchange->rid >= world->turn) {
			continue;
		}
		n_held++;
		WORLD_CHECK(world, is_due || mono_diff_ms(world->now, exchange->arrived) <=
						     (int64_t)client->wait_s * 1000);
	}
	if (n_held == 0 || is_congested(world)) {
		return;
	}
	WORLD_CHECK(world, n_held <= client->hold + (world->limits.linger_ms ? 1 : 0));
	check_prompt(world);
}
