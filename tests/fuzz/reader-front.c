/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/check.h"

#include "gateway/http/beginning.h"
#include "tests/fuzz/reader-model.h"

struct client *front_find_client(struct world *world, const struct address *peer)
{
	return &world->clients[address_port(peer) % CLIENTS];
}

void front_closed(void *userdata, const struct address *peer)
{
	front_find_client(userdata, peer)->n_closed++;
}

void front_dropped(void *userdata, const struct address *peer, bool is_for_all)
{
	struct client *client = front_find_client(userdata, peer);

	(void)is_for_all;
	client->is_lossy = client->is_over = true;
}

/* Where in the stream the next request begins. */
static size_t next_start(const struct client *client)
{
	const struct record *last =
		client->n_records ? &client->records[client->n_records - 1] : NULL;

	return !last ? 0 : last->truth ? last->truth->end : SIZE_MAX;
}

void front_check_unread(const struct client *client, struct wire *wire, size_t at)
{
	struct sv bytes;
	enum wire_result result = wire_peek(wire, WIRE_PEEK_MAX, &bytes);

	FUZZ_CHECK(at <= client->n_sent);
	if (result == WIRE_OK) {
		FUZZ_CHECK(sv_starts_with(sv_skip(client->stream, at), bytes));
		FUZZ_CHECK(bytes.n <= client->n_sent - at);
	} else {
		FUZZ_CHECK(at == client->n_sent || client->is_lossy);
	}
}

/* Every answer that is due has been given. */
static bool is_settled(const struct client *client)
{
	for (size_t i = 0; i < client->n_records; i++) {
		if (!client->records[i].status) {
			return false;
		}
	}
	return true;
}

/* Connections. */

/* As long as more will come. */
static enum http_first wait_for_more(struct client *client, struct wire *wire, struct sv bytes,
				     bool is_free)
{
	const struct truth_request *truth = &client->truth.requests[client->n_records];

	if (truth->end > client->stream.n || bytes.n >= truth->end - truth->start ||
	    bytes.n >= HTTP_BEGINNING_MAX) {
		return HTTP_FIRST_KEEP;
	}
	if (truth->head.expects_continue && bytes.n == truth->head.n &&
	    client->n_told <= client->n_records) {
		if (!is_free) {
			return HTTP_FIRST_LATER;
		}
		client->n_told = client->n_records + 1;
		assert_int_equal(http_reader_tell_to_continue(wire), 0);
	}
	return HTTP_FIRST_MORE;
}

enum http_first front_first(void *userdata, struct wire *wire, const struct http_head *head,
			    struct sv bytes, bool is_free)
{
	struct client *client = front_find_client(userdata, wire_peer(wire));
	const struct truth_request *truth = &client->truth.requests[client->n_records];

	FUZZ_CHECK(client->n_records < client->truth.n);
	FUZZ_CHECK(sv_starts_with(sv_skip(client->stream, truth->start), bytes));
	FUZZ_CHECK(head->n == truth->head.n && bytes.n >= head->n);
	FUZZ_CHECK(!is_free || (is_settled(client) && wire_waiting(wire) == 0));
	/* A head is read only while there is room for its answer. */
	FUZZ_CHECK(wire_waiting(wire) <= HTTP_WAITING_MAX);
	client->is_last = client->world->first == HTTP_FIRST_LAST;
	switch (client->world->first) {
	case HTTP_FIRST_TAKEN:
		if (!is_free) {
			return HTTP_FIRST_LATER;
		}
		client->is_over = true;
		wire_close(wire);
		return HTTP_FIRST_TAKEN;
	case HTTP_FIRST_LATER:
		return is_free ? HTTP_FIRST_KEEP : HTTP_FIRST_LATER;
	case HTTP_FIRST_MORE:
		return wait_for_more(client, wire, bytes, is_free);
	case HTTP_FIRST_PAUSE:
		client->n_pauses++;
		return HTTP_FIRST_PAUSE;
	case HTTP_FIRST_LAST:
		client->is_over = true;
		return HTTP_FIRST_LAST;
	default:
		return HTTP_FIRST_KEEP;
	}
}

void front_alien(void *userdata, struct wire *wire, enum http_alien alien)
{
	struct client *client = front_find_client(userdata, wire_peer(wire));

	FUZZ_CHECK(client->n_records == 0 && client->truth.n == 1);
	FUZZ_CHECK(client->truth.requests[0].fault == HTTP_FAULT_ALIEN);
	FUZZ_CHECK(client->truth.requests[0].head.alien == alien);
	front_check_unread(client, wire, 0);
	client->is_over = true;
	wire_close(wire);
}

static bool take_idle(void *userdata, struct wire *wire)
{
	struct client *client = front_find_client(userdata, wire_peer(wire));

	FUZZ_CHECK(is_settled(client) && wire_waiting(wire) == 0);
	front_check_unread(client, wire, next_start(client));
	client->is_over = true;
	wire_close(wire);
	return true;
}

void front_give_idle(struct world *world)
{
	http_reader_give_idle(world->reader, take_idle);
}

/* What is held. */

static void check_gather(const struct world *world, const struct reader_body *body)
{
	const struct http_gather *gather = &body->gather;
	size_t n = http_gather_body(gather).n;

	FUZZ_CHECK(n <= world->n_body_most + 1);
	FUZZ_CHECK(!body->exchange->is_too_large || n <= HTTP_KEEP_LARGE + 1);
	FUZZ_CHECK(gather->n_discarded <= HTTP_DISCARD_MAX);
	/* All that has come is charged, beyond the first step. */
	FUZZ_CHECK(gather->bytes.n <= BUDGET_STEP || gather->charge.n_bytes >= gather->bytes.n ||
		   gather->charge.is_victim);
}

/* What is kept is charged, beyond the first step, and nothing else, also while the last answer is
 * sent. */
static void check_kept(const struct world *world)
{
	const struct wire *wire;

	LIST_FOREACH(wire, &world->hub->wires, in_hub) {
		bool is_read = wire->user && wire->callbacks == &reader_wire_callbacks;
		const struct reader_connection *connection = is_read ? wire->user : NULL;
		size_t n_early = connection ? connection->n_early : 0;

		FUZZ_CHECK(!wire->unread || wire->is_broken || wire->unread->n_kept == n_early ||
			   (wire->unread->n_kept == 0 && n_early <= BUDGET_STEP));
	}
}

void front_check(const struct world *world)
{
	const struct reader_connection *connection;

	check_kept(world);

	LIST_FOREACH(connection, &world->reader->live, in_reader) {
		const struct http_exchange *exchange, *first = TAILQ_FIRST(&connection->exchanges);
		size_t n = 0, n_early = 0;

		TAILQ_FOREACH(exchange, &connection->exchanges, next) {
			n++;
			n_early += exchange->early ? reader_answer_size(exchange->early) : 0;
		}
		FUZZ_CHECK(n == connection->n_exchanges && n <= HTTP_PIPELINE_MAX);
		FUZZ_CHECK(n_early == connection->n_early);
		FUZZ_CHECK(!first || !first->is_answered);
		if (connection->body) {
			check_gather(world, connection->body);
		}
	}
}
