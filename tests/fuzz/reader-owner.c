/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/check.h"

#include <string.h>

#include "gateway/http/beginning.h"
#include "policy/origin.h"
#include "tests/fuzz/reader-model.h"

/* The record of @exchange, which is the next one or was prepared. */
static struct record *record_of(struct client *client, struct http_exchange *exchange)
{
	struct record *record = http_exchange_userdata(exchange);

	if (record) {
		FUZZ_CHECK(record->exchange == exchange && record->is_prepared &&
			   !record->is_passed && record == &client->records[client->n_records - 1]);
		return record;
	}
	FUZZ_CHECK(client->n_records < TRUTH_MAX);
	if (client->n_records) {
		/* The reader stops after the last request, and waits for the rest of each one. */
		const struct record *last = &client->records[client->n_records - 1];

		FUZZ_CHECK(last->truth && last->truth->end <= client->n_sent &&
			   !last->ends_reading && !last->is_detached);
	}
	record = &client->records[client->n_records];
	*record = (struct record){.exchange = exchange};
	if (client->n_records < client->truth.n) {
		record->truth = &client->truth.requests[client->n_records];
		FUZZ_CHECK(record->truth->start <= client->n_sent);
	}
	client->n_records++;
	http_exchange_set_userdata(exchange, record);
	return record;
}

/* Answers. */

static unsigned status_of(const struct truth_request *truth)
{
	return truth_has_flag(truth, '2') ? 204 : truth_has_flag(truth, '3') ? 304 : 200;
}

/* The body of an answer is a letter that depends on its number. */
static struct blob *body_of(const struct client *client, const struct record *record)
{
	bool is_large = truth_has_flag(record->truth, 'b');
	struct blob *body;

	assert_int_equal(blob_new(is_large ? LARGE_ANSWER : 5, &body), 0);
	memset(body->data, 'A' + (int)(record - client->records) % 26, body->n);
	return body;
}

static void answer(struct client *client, struct record *record, unsigned status)
{
	struct http_answer given = {.status = status};
	bool has_body = status != 204 && status != 304 && record->truth;

	if (has_body) {
		given.content_type = "text/plain";
		given.body = body_of(client, record);
	}
	given.closes = record->truth && truth_has_flag(record->truth, 'c');
	if (!record->status && !record->is_gone) {
		record->status = status;
		record->n_body = given.body ? given.body->n : 0;
		record->closes = record->closes || given.closes;
		client->is_over = client->is_over || record->closes;
	}
	http_exchange_answer(record->exchange, &given);
	FUZZ_CHECK(http_exchange_status(record->exchange) == record->status || record->is_gone);
	if (record->truth && truth_has_flag(record->truth, 'y')) {
		/* Only the first answer counts. */
		given = (struct http_answer){.status = 500, .body = body_of(client, record)};
		http_exchange_answer(record->exchange, &given);
	}
}

/* The status of a request that was not passed on. */
static void refuse(struct client *client, struct record *record, unsigned status)
{
	FUZZ_CHECK(!record->status);
	record->closes = true;
	client->is_over = true;
	answer(client, record, status);
	/* It does not hear of its end. */
	record->exchange = record->is_prepared ? record->exchange : NULL;
}

bool owner_answer_held(struct client *client, size_t n)
{
	for (size_t i = 0; i < client->n_records; i++) {
		struct record *record = &client->records[i];

		if (record->exchange && !record->status && !record->is_gone && record->is_passed &&
		    !record->is_detached && n-- == 0) {
			answer(client, record, status_of(record->truth));
			return true;
		}
	}
	return false;
}

/* Requests. */

/* Only its beginning is there. */
static void check_too_large(const struct client *client, const struct truth_request *truth,
			    struct sv body, bool is_coded)
{
	size_t n_least = truth->head.is_chunked ? truth->body.n : (size_t)truth->head.n_body;

	FUZZ_CHECK(body.n <= HTTP_KEEP_LARGE + 1);
	if (!is_coded) {
		FUZZ_CHECK(n_least > client->world->n_body_least);
		FUZZ_CHECK(sv_starts_with(buffer_sv(&truth->body), body));
	}
}

static void check_coded(const struct client *client, const struct truth_request *truth,
			enum coding coding, struct sv body)
{
	struct buffer plain = BUFFER_INIT;
	int r = coder_decode(client->world->coder, coding, buffer_sv(&truth->body),
			     client->world->n_body_most, &plain);

	if (r == CODING_OK) {
		FUZZ_CHECK(sv_eq(body, buffer_sv(&plain)));
	} else {
		/* It cannot be taken for a whole one. */
		FUZZ_CHECK(body.n && body.data[body.n - 1] == '\0');
	}
	buffer_deinit(&plain);
}

static void check_body(const struct client *client, const struct http_exchange *exchange,
		       const struct truth_request *truth)
{
	enum coding coding = http_head_coding(&truth->head, truth->bytes);
	bool is_coded =
		client->world->limits.coder && (coding == CODING_GZIP || coding == CODING_DEFLATE);
	struct sv body = http_exchange_body(exchange);

	FUZZ_CHECK(http_exchange_is_coded_otherwise(exchange) ==
		   (coding != CODING_IDENTITY && !is_coded));
	if (http_exchange_body_too_large(exchange)) {
		check_too_large(client, truth, body, is_coded);
		return;
	}
	FUZZ_CHECK(truth->end <= client->n_sent && body.n <= client->world->n_body_most + is_coded);
	if (is_coded) {
		check_coded(client, truth, coding, body);
	} else {
		FUZZ_CHECK(sv_eq(body, buffer_sv(&truth->body)));
	}
}

static void check_text(const struct http_exchange *exchange, const struct truth_request *truth)
{
	FUZZ_CHECK(sv_eq(http_exchange_method(exchange),
			 http_span_sv(truth->head.method, truth->bytes)));
	FUZZ_CHECK(truth->head.is_escaped || sv_eq(http_exchange_path(exchange),
						   http_span_sv(truth->head.path, truth->bytes)));
	FUZZ_CHECK(truth->head.authority.n ||
		   sv_eq(http_exchange_header(exchange, "Host"),
			 http_head_value(&truth->head, truth->bytes, HTTP_KNOWN_HOST)));
}

static void check_origin(const struct http_exchange *exchange, const struct truth_request *truth)
{
	struct sv origin = http_exchange_header(exchange, "Origin");
	struct sv value = http_head_value(&truth->head, truth->bytes, HTTP_KNOWN_ORIGIN);

	if (truth->head.n_known[HTTP_KNOWN_ORIGIN] > 1) {
		value = SV(",");
	}
	FUZZ_CHECK(sv_eq(origin, sv_first(value, ORIGIN_LENGTH_MAX + 1)));
}

static bool on_prepare(void *userdata, struct http_exchange *exchange, size_t n_portion)
{
	struct client *client = front_find_client(userdata, http_exchange_peer(exchange));
	struct record *record = http_exchange_userdata(exchange);
	bool is_first = !record;

	if (is_first) {
		record = record_of(client, exchange);
		FUZZ_CHECK(record->truth);
		record->is_prepared = true;
	}
	FUZZ_CHECK(record->exchange == exchange && !record->is_passed);
	FUZZ_CHECK(http_exchange_body(exchange).n > n_portion);
	if (truth_has_flag(record->truth, 'v')) {
		client->world->is_squeezed = true;
	}
	check_text(exchange, record->truth);
	check_body(client, exchange, record->truth);
	return !is_first;
}

/* The owner takes the memory of a large body. */
static void take_body(struct http_exchange *exchange, const struct truth_request *truth)
{
	struct buffer body = BUFFER_INIT;
	struct buffer before = BUFFER_INIT;

	assert_int_equal(buffer_append_sv(&before, http_exchange_body(exchange)), 0);
	if (http_exchange_take_body(exchange, &body)) {
		FUZZ_CHECK(sv_eq(buffer_sv(&body), buffer_sv(&before)));
		FUZZ_CHECK(http_exchange_body(exchange).n == 0);
		check_text(exchange, truth);
	}
	buffer_deinit(&before);
	buffer_deinit(&body);
}

/* The client is a proxy. */
static void set_payer(const struct client *client, struct http_exchange *exchange)
{
	struct address payer;

	assert_int_equal(address_parse(SV("203.0.113.1:1"), -1, &payer), 0);
	address_set_port(&payer, address_port(&client->peer));
	assert_int_equal(http_exchange_set_client(exchange, &payer), 0);
}

/* Returns whether the connection was taken away from HTTP. */
static bool detach(struct client *client, struct record *record)
{
	struct wire *wire;
	size_t n_due = 0;
	int r = http_exchange_detach(record->exchange, &wire);

	for (struct record *other = client->records; other < record; other++) {
		n_due += !other->status;
	}
	if (r < 0) {
		FUZZ_CHECK(r == -EBUSY && n_due > 0);
		return false;
	}
	FUZZ_CHECK(n_due == 0);
	front_check_unread(client, wire, record->truth->end);
	record->is_detached = true;
	client->is_over = true;
	/* What waits is still sent. */
	wire_linger(wire);
	return true;
}

/* Whether the connection ends with the request: it must, or may. */
static void note_end(struct client *client, struct record *record, bool is_too_large)
{
	const struct truth_request *truth = record->truth;
	/* A body that is too large need not be read to its end. */
	bool may_give_up = truth->head.n_body > client->world->n_body_least + HTTP_DISCARD_MAX ||
			   truth->body.n > HTTP_DISCARD_MAX || truth->head.expects_continue;

	record->closes = truth->head.closes || client->is_last ||
			 (is_too_large && truth->end > client->n_sent);
	record->ends_reading = record->closes;
	client->is_over = client->is_over || record->closes || (is_too_large && may_give_up);
}

static void on_request(void *userdata, struct http_exchange *exchange)
{
	struct client *client = front_find_client(userdata, http_exchange_peer(exchange));
	struct record *record = record_of(client, exchange);
	const struct truth_request *truth = record->truth;

	FUZZ_CHECK(truth &&
		   (truth->fault == HTTP_FAULT_NONE ||
		    (truth->fault == HTTP_FAULT_CHUNK && http_exchange_body_too_large(exchange))));
	FUZZ_CHECK(!record->is_passed);
	record->is_passed = true;
	note_end(client, record, http_exchange_body_too_large(exchange));
	client->ticked_at = client->world->n_ticks;
	check_text(exchange, truth);
	check_origin(exchange, truth);
	check_body(client, exchange, truth);
	if (truth_has_flag(truth, 'p')) {
		set_payer(client, exchange);
	}
	if (truth_has_flag(truth, 't')) {
		take_body(exchange, truth);
	}
	if (truth_has_flag(truth, 'd') && !http_exchange_body_too_large(exchange) &&
	    detach(client, record)) {
		return;
	}
	if (!truth_has_flag(truth, 'h') || client->world->is_at_end) {
		answer(client, record, status_of(truth));
	}
}

static void on_cut(void *userdata, struct http_exchange *exchange)
{
	struct client *client = front_find_client(userdata, http_exchange_peer(exchange));
	struct record *record = http_exchange_userdata(exchange);

	record = record ? record : record_of(client, exchange);
	FUZZ_CHECK(record->truth && !record->is_passed);
	check_text(exchange, record->truth);
	refuse(client, record, 503);
}

/* Whether what was @truth in one piece may be @fault. */
static bool is_fault(enum http_fault truth, enum http_fault fault, bool is_first)
{
	if (fault == HTTP_FAULT_TARGET_TOO_LONG || fault == HTTP_FAULT_TOO_LARGE) {
		/* That is noticed before the end, where something else may be wrong, too. */
		return truth != HTTP_FAULT_NONE && truth != HTTP_FAULT_ALIEN;
	}
	return truth == fault ||
	       (truth == HTTP_FAULT_ALIEN && !is_first && fault == HTTP_FAULT_METHOD);
}

static void on_malformed(void *userdata, struct http_exchange *exchange, enum http_fault fault)
{
	struct client *client = front_find_client(userdata, http_exchange_peer(exchange));
	struct record *record = http_exchange_userdata(exchange);

	record = record ? record : record_of(client, exchange);
	FUZZ_CHECK(!record->is_passed);
	if (fault == HTTP_FAULT_LATE) {
		FUZZ_CHECK(client->world->n_ticks - client->ticked_at >= TIMEOUT_S);
	} else if (fault == HTTP_FAULT_NOT_TAKEN) {
		FUZZ_CHECK(client->n_pauses >= HTTP_PAUSES_MAX);
	} else {
		FUZZ_CHECK(record->truth &&
			   is_fault(record->truth->fault, fault, client->n_records == 1));
	}
	refuse(client, record, http_fault_status(fault));
}

static void on_gone(void *userdata, struct http_exchange *exchange)
{
	struct client *client = front_find_client(userdata, http_exchange_peer(exchange));
	struct record *record = http_exchange_userdata(exchange);

	FUZZ_CHECK(record && record->exchange == exchange && record->is_passed);
	FUZZ_CHECK(!record->status && !record->is_gone && !record->is_detached);
	record->is_gone = true;
	if (truth_has_flag(record->truth, 'g')) {
		answer(client, record, 200);
	}
	FUZZ_CHECK(client->is_over || client->is_lossy);
}

static void on_done(void *userdata, struct http_exchange *exchange)
{
	struct record *record = http_exchange_userdata(exchange);

	(void)userdata;
	FUZZ_CHECK(record && record->exchange == exchange);
	FUZZ_CHECK(record->is_passed || record->is_prepared);
	FUZZ_CHECK(record->status || record->is_gone || record->is_detached || !record->is_passed);
	record->exchange = NULL;
}

/* What the reader is given. */

static bool asks_always(void *userdata)
{
	return ((struct world *)userdata)->asks_always;
}

static bool passes(void *userdata)
{
	return ((struct world *)userdata)->passes;
}

static struct address payer_of(void *userdata, const struct http_exchange *exchange)
{
	(void)userdata;
	return *http_exchange_peer(exchange);
}

const struct http_reader_callbacks owner_callbacks = {
	.first = front_first,
	.asks_always = asks_always,
	.alien = front_alien,
	.malformed = on_malformed,
};

void owner_set_options(struct world *world, struct http_options *options)
{
	*options = (struct http_options){
		.loop = world->loop,
		.hub = world->hub,
		.date = &world->date,
		.limits = world->limits,
		.budget = world->budget,
		.client = payer_of,
		.cut = on_cut,
		.prepare = on_prepare,
		.request = on_request,
		.gone = on_gone,
		.done = on_done,
		.passes = passes,
		.userdata = world,
	};
}
