/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/session-world.h"

#include <openssl/evp.h>

static void hash(const char *text, char ret_key[static KEY_SIZE])
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned n;

	if (EVP_Digest(text, strlen(text), bytes, &n, EVP_sha1(), NULL) != 1) {
		abort();
	}
	for (unsigned i = 0; i < n; i++) {
		snprintf(ret_key + 2 * i, 3, "%02x", bytes[i]);
	}
}

/* "Generating the Key Sequence". */
static void make_keys(struct world *world)
{
	struct client *client = &world->client;
	char seed[40];

	client->n_keys = 2 + choose(world, KEYS_MAX - 1);
	snprintf(seed, sizeof(seed), "seed %" PRIu64 " %u", client->next_rid, choose(world, 256));
	hash(seed, client->keys[0]);
	for (unsigned i = 1; i < client->n_keys; i++) {
		hash(client->keys[i - 1], client->keys[i]);
	}
}

/* "Use of Keys", "Switching to Another Key Sequence". */
static void put_keys(struct world *world, struct buffer *text)
{
	struct client *client = &world->client;
	const char *name = "newkey";
	int r;

	if (!client->uses_keys) {
		return;
	}
	if (client->next_rid > FIRST_RID) {
		r = buffer_printf(text, " key='%s'", client->keys[--client->n_keys]);
		WORLD_CHECK(world, r == 0);
		if (client->n_keys > 0) {
			return;
		}
	}
	make_keys(world);
	r = buffer_printf(text, " %s='%s'", name, client->keys[--client->n_keys]);
	WORLD_CHECK(world, r == 0);
}

/* "Response Acknowledgements". */
static void put_ack(struct world *world, struct buffer *text)
{
	uint64_t rid = world->client.next_rid, last = world->client.next_response - 1;

	if (world->client.uses_acks && last + 1 != rid) {
		WORLD_CHECK(world, buffer_printf(text, " ack='%" PRIu64 "'", last) == 0);
	}
}

/* Makes the next request. @payloads: NULL for none. */
static struct request *make(struct world *world, const char *attributes, const char *payloads)
{
	struct client *client = &world->client;
	struct request *request = request_of(world, client->next_rid);
	struct buffer text = BUFFER_INIT;

	WORLD_CHECK(world, client->next_rid - FIRST_RID + 1 < REQUESTS_MAX);
	WORLD_CHECK(world, buffer_printf(&text,
					 "<body xmlns='http://jabber.org/protocol/httpbind' "
					 "xmlns:xmpp='urn:xmpp:xbosh' rid='%" PRIu64 "'%s%s",
					 client->next_rid, client->is_created ? " sid='SID'" : "",
					 attributes) == 0);
	put_keys(world, &text);
	if (client->is_created) {
		put_ack(world, &text);
	}
	WORLD_CHECK(world, buffer_printf(&text, payloads ? ">%s</body>" : "/>", payloads) == 0);
	world_tell(world, "client: %.*s", SV_ARGS(buffer_sv(&text)));
	request->text = strndup(text.data + text.offset, text.n);
	buffer_deinit(&text);
	client->next_rid++;
	return request;
}

static struct request *send_new(struct world *world, const char *attributes, const char *payloads)
{
	struct request *request = make(world, attributes, payloads);

	network_send(world, world->client.next_rid - 1);
	return request;
}

/* Requests without an answer. */
static unsigned n_waiting(const struct world *world)
{
	return (unsigned)(world->client.next_rid - world->client.next_response);
}

static unsigned n_open(const struct world *world)
{
	unsigned n = 0;

	for (unsigned i = 0; i < world->client.n_asked; i++) {
		n += world->streams[i].is_open;
	}
	return n;
}

/* One of the streams that the client takes for open, of which there must be one. */
static unsigned choose_stream(struct world *world)
{
	unsigned n = choose(world, n_open(world)), i = 0;

	while (!world->streams[i].is_open || n--) {
		i++;
	}
	return i;
}

/* The attribute for a stream; it may be left out as long as there is only one. */
static const char *put_stream(struct world *world, unsigned stream, char ret_text[static 60])
{
	bool is_named = world->client.uses_streams &&
			(world->client.n_asked > 1 || choose_likely(world, 30));

	ret_text[0] = '\0';
	if (is_named) {
		snprintf(ret_text, 60, " stream='%s'", world->streams[stream].name);
	}
	return ret_text;
}

/* A stanza for one stream or for all; maybe two. */
static void put_stanzas(struct world *world, int stream, char ret_text[static 200])
{
	uint64_t rid = world->client.next_rid;
	int n = 0;

	for (unsigned n_more = choose_likely(world, 20) ? 2 : 1; n_more > 0; n_more--) {
		n += snprintf(ret_text + n, (size_t)(200 - n), "<c n='%zu' xmlns='jabber:client'/>",
			      books_send(world, rid, stream));
	}
}

static void send_stanzas(struct world *world)
{
	char attribute[60], text[200];
	bool is_for_all = n_open(world) == 0 || choose_likely(world, 15);
	unsigned stream = is_for_all ? 0 : choose_stream(world);

	put_stanzas(world, is_for_all ? -1 : (int)stream, text);
	send_new(world, is_for_all ? "" : put_stream(world, stream, attribute), text);
}

/* XEP-0206: after authentication. Returns whether it has sent something: a client that waits for
 * features must ask for them, or its session ends. */
static bool restart(struct world *world)
{
	unsigned stream = choose_stream(world);
	char name[60], attributes[100];

	if (!world->streams[stream].has_features) {
		return false;
	}
	snprintf(attributes, sizeof(attributes), " xmpp:restart='true'%s",
		 put_stream(world, stream, name));
	send_new(world, attributes, NULL);
	return true;
}

/* "Inactivity". */
static void go_away(struct world *world)
{
	unsigned pause_s = COMEBACK_S + choose(world, MAXPAUSE_S - COMEBACK_S + 1);
	char attributes[60], text[200];
	bool is_empty = choose_likely(world, 70);

	snprintf(attributes, sizeof(attributes), " pause='%u'", pause_s);
	if (!is_empty) {
		put_stanzas(world, -1, text);
	}
	send_new(world, attributes, is_empty ? NULL : text)->is_pause = true;
	world->client.is_away = true;
	world->client.back_at =
		mono_add_ms(world->now, choose_small(world, 1000 * (pause_s - COMEBACK_S + 1)));
}

/* "Adding Streams To A Session". */
static void open_stream(struct world *world)
{
	unsigned number = world->client.n_asked++;
	char attributes[60];

	snprintf(attributes, sizeof(attributes), " to='s%u.example'", number);
	/* Before it is sent. */
	request_of(world, world->client.next_rid)->asks_for = number;
	send_new(world, attributes, NULL);
}

/* "Closing a Stream". */
static void close_stream(struct world *world)
{
	unsigned number = choose_stream(world);
	struct stream *stream = &world->streams[number];
	char attributes[80], text[200];
	bool is_empty = choose_likely(world, 50);

	snprintf(attributes, sizeof(attributes), " type='terminate' stream='%s'", stream->name);
	if (!is_empty) {
		put_stanzas(world, (int)number, text);
	}
	stream->is_closing = true;
	stream->is_open = false;
	send_new(world, attributes, is_empty ? NULL : text);
}

/* Whether it may make a request; @n_more of them if it pauses or closes. "Overactivity". */
static bool may_send(const struct world *world, unsigned n_more)
{
	return n_waiting(world) < world->client.n_requests + n_more;
}

bool client_terminate(struct world *world)
{
	const struct client *client = &world->client;
	bool is_empty = choose_likely(world, 50);
	char text[200];

	if (!client->is_created || client->is_over || !may_send(world, 1)) {
		return false;
	}
	if (!is_empty) {
		put_stanzas(world, -1, text);
	}
	world->client.is_leaving = true;
	world->reason = REASON_CLIENT;
	send_new(world, " type='terminate'", is_empty ? NULL : text);
	return true;
}

/* Whether the client would now ask the server for what it has. */
static bool is_empty_wanted(const struct world *world)
{
	const struct client *client = &world->client;

	if (client->hold) {
		return n_waiting(world) < client->hold;
	}
	return n_waiting(world) == 0 &&
	       mono_diff_ms(world->now, client->responded) >= POLLING_S * 1000;
}

static bool act_by_choice(struct world *world)
{
	const struct client *client = &world->client;
	unsigned what = choose(world, 100);
	bool may_plainly = may_send(world, 0), may = may_send(world, 1);

	if (what >= 98 && may && world->limits.maxpause_s) {
		go_away(world);
	} else if (what >= 95 && may && client->uses_streams && n_open(world) > 1) {
		close_stream(world);
	} else if (what >= 88 && may_plainly && client->uses_streams &&
		   client->n_asked < STREAMS_MAX) {
		open_stream(world);
	} else if (what >= 84 && may_plainly && n_open(world)) {
		return restart(world);
	} else if (what >= 50 && may_plainly && world->n_ups + 4 < STANZAS_MAX) {
		send_stanzas(world);
	} else {
		return false;
	}
	return true;
}

void client_act(struct world *world)
{
	struct client *client = &world->client;

	if (!client->is_created || client->is_over || client->is_leaving || client->has_vanished) {
		return;
	}
	if (client->is_away) {
		client->is_away = n_waiting(world) || !mono_reached(client->back_at, world->now);
		return;
	}
	if (!act_by_choice(world) && may_send(world, 0) && is_empty_wanted(world)) {
		send_new(world, "", NULL)->is_empty = true;
	}
}

void client_notice(struct world *world, uint64_t number)
{
	uint64_t rid = world->exchanges[number].rid;
	const struct request *request = request_of(world, rid);

	if (!world->client.is_over && !world->client.has_vanished && !request->has_response &&
	    request->exchange == number) {
		network_send(world, rid);
	}
}

static void take_creation(struct world *world, const char *text)
{
	struct client *client = &world->client;

	WORLD_CHECK(world, sv_eq(attribute_of(text, "sid"), SV("SID")));
	client->hold = (unsigned)number_of(world, text, "hold");
	client->n_requests = (unsigned)number_of(world, text, "requests");
	client->wait_s = (unsigned)number_of(world, text, "wait");
	WORLD_CHECK(world, client->n_requests > client->hold);
	client->is_created = true;
	world->streams[0].is_open = true;
}

/* "Terminal Binding Conditions": only about the way to the server. */
static void take_terminate(struct world *world, const char *text)
{
	struct sv condition = attribute_of(text, "condition"), name = attribute_of(text, "stream");

	WORLD_CHECK(world, !condition.data || sv_starts_with(condition, SV("remote-")) ||
				   sv_eq(condition, SV("system-shutdown")));
	for (unsigned i = 0; i < world->client.n_asked && name.data; i++) {
		if (sv_eq(name, sv_from(world->streams[i].name))) {
			world->streams[i].is_open = false;
			WORLD_CHECK(world, world->streams[i].state != STREAM_OPEN);
		}
	}
	if (!name.data) {
		WORLD_CHECK(world, world->has_ended);
		world->client.is_over = true;
	}
}

static void read_answer(struct world *world, uint64_t rid, const char *text)
{
	const struct request *request = request_of(world, rid);
	struct sv name = attribute_of(text, "stream");
	bool is_terminate = sv_eq(attribute_of(text, "type"), SV("terminate"));

	if (request->asks_for && name.n &&
	    sv_eq(name, sv_from(world->streams[request->asks_for].name))) {
		/* Too many are refused. */
		world->streams[request->asks_for].is_open = !is_terminate;
		is_terminate = false;
	}
	books_receive(world, text);
	if (!world->client.is_created) {
		take_creation(world, text);
	}
	if (is_terminate) {
		take_terminate(world, text);
	}
}

void client_take(struct world *world, uint64_t number)
{
	const struct exchange *exchange = &world->exchanges[number];
	struct client *client = &world->client;
	struct request *request = request_of(world, exchange->rid);

	if (client->is_over || client->has_vanished || request->has_response ||
	    request->exchange != number) {
		return;
	}
	world_tell(world, "client gets the answer to rid %" PRIu64, exchange->rid);
	if (sv_eq(attribute_of(exchange->text, "type"), SV("error"))) {
		/* "Recoverable Binding Conditions". */
		network_send(world, exchange->rid);
		return;
	}
	request->has_response = true;
	request->response = strdup(exchange->text);
	client->responded = world->now;
	/* "In-Order Message Forwarding". */
	while (!client->is_over && client->next_response < client->next_rid &&
	       request_of(world, client->next_response)->has_response) {
		uint64_t rid = client->next_response++;

		read_answer(world, rid, request_of(world, rid)->response);
	}
}

void client_begin(struct world *world)
{
	static const unsigned waits[] = {60, 0, 1, 5, 20};
	struct client *client = &world->client;
	char attributes[100];

	*client = (struct client){
		.uses_acks = choose_likely(world, 50),
		.uses_keys = choose_likely(world, 50),
		.is_legacy = choose_likely(world, 10),
		.next_rid = FIRST_RID,
		.next_response = FIRST_RID,
		.n_asked = 1,
	};
	client->uses_streams = world->limits.n_streams_max > 1 && !client->is_legacy;
	/* One after the other: compilers differ in which argument they evaluate first, and an input
	 * that one has found must mean the same to another. */
	unsigned wait_s = waits[choose(world, 5)], hold = choose(world, 4);

	snprintf(attributes, sizeof(attributes), " to='s0.example' wait='%u' hold='%u'%s%s", wait_s,
		 hold, client->uses_acks ? " ack='1'" : "", client->is_legacy ? "" : " ver='1.11'");
	make(world, attributes, NULL);
	/* Without it there is no session. */
	request_of(world, FIRST_RID)->n_broken = BROKEN_MAX;
}
