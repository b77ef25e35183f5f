/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/relay.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/turn.h"
#include "gateway/bosh/content.h"
#include "gateway/bosh/pending.h"
#include "gateway/bosh/readings.h"
#include "gateway/bosh/session.h"
#include "gateway/bosh/sid.h"
#include "gateway/client-of.h"
#include "gateway/process/door.h"
#include "gateway/http/site.h"
#include "policy/client.h"

struct bosh_relay {
	struct worker_env *env;
	const struct bosh_relay_callbacks *callbacks;
	void *userdata;
	struct bosh_pending_table pending;
	LIST_HEAD(, bosh_passed) taken; /* from other workers, and not answered yet */
	struct xml_scan_options scan_options;
	struct bosh_readings readings;
	struct bosh_relay *relays[]; /* of all workers, by worker index */
};

/* A request that the bearer passes to the owner, and what comes of it. `pending` of the bearer has
 * a reference, which `gone` takes over; `request` has one, which the owner's pending takes over,
 * and then `answer`. */
struct bosh_passed {
	atomic_uint n_refs;
	struct bosh_relay *bearer, *owner;
	uint64_t bearer_id, owner_id; /* owner_id is used in the owner's thread only; 0: none */
	struct message on_its_way;
	struct bosh_request request;
	struct message gone;
	struct message answer;
	unsigned status;
	const char *content_type;
	struct blob *blob;
	LIST_ENTRY(bosh_passed) in_owner; /* while the owner's pending has the reference */
};

void bosh_relay_reload(struct bosh_relay *relay)
{
	relay->scan_options = bosh_body_options(relay->env->config->n_body_max);
}

int bosh_relay_new(struct worker_env *env, const struct bosh_relay_callbacks *callbacks,
		   void *userdata, struct bosh_relay **ret_relay)
{
	size_t n_relays = env->n_workers * sizeof(struct bosh_relay *);
	struct bosh_relay *relay = calloc(1, sizeof(*relay) + n_relays);

	if (!relay) {
		return -ENOMEM;
	}
	relay->env = env;
	relay->callbacks = callbacks;
	relay->userdata = userdata;
	bosh_pending_table_init(&relay->pending, env->index);
	bosh_readings_init(&relay->readings, &relay->scan_options);
	bosh_relay_reload(relay);
	*ret_relay = relay;
	return 0;
}

static void passed_unref(struct bosh_passed *passed)
{
	if (atomic_fetch_sub(&passed->n_refs, 1) == 1) {
		blob_unref(passed->blob);
		free(passed);
	}
}

struct bosh_relay *bosh_relay_free(struct bosh_relay *relay)
{
	if (relay) {
		struct bosh_passed *passed;

		while ((passed = LIST_FIRST(&relay->taken))) {
			LIST_REMOVE(passed, in_owner);
			passed_unref(passed);
		}
		bosh_readings_deinit(&relay->readings);
		bosh_pending_table_deinit(&relay->pending);
		free(relay);
	}
	return NULL;
}

void bosh_relay_introduce(struct bosh_relay *relay, struct bosh_relay *other)
{
	relay->relays[other->env->index] = other;
}

/* Sends @message from one worker's relay to another's. Returns what mailbox_post_from() does. */
static int post(struct bosh_relay *from, struct bosh_relay *to, struct message *message)
{
	return mailbox_post_from(from->env->mailbox, to->env->mailbox, message);
}

void bosh_relay_created(struct bosh_relay *relay, uint64_t exchange, const char *sid)
{
	struct bosh_pending *pending = bosh_pending_find(&relay->pending, exchange);

	if (pending) {
		memcpy(pending->sid, sid, SID_LENGTH);
	}
}

/* Answering, on the bearer. */

static void answer_pending(struct bosh_relay *relay, uint64_t id, unsigned status,
			   const char *content_type, struct blob *blob)
{
	struct bosh_pending *pending = bosh_pending_find(&relay->pending, id);

	if (!pending || pending->is_answered) {
		blob_unref(blob);
		return;
	}
	pending->is_answered = true;
	site_answer_with(relay->env->site, pending->exchange, status, content_type, blob);
}

static void on_answer(struct message *message, void *reader)
{
	struct bosh_passed *passed = CONTAINER_OF(message, struct bosh_passed, answer);
	struct blob *blob = passed->blob;

	(void)reader;
	passed->blob = NULL;
	answer_pending(passed->bearer, passed->bearer_id, passed->status, passed->content_type,
		       blob);
	passed_unref(passed);
}

static void drop_answer(struct message *message)
{
	passed_unref(CONTAINER_OF(message, struct bosh_passed, answer));
}

/* Sends the answer to the bearer. Consumes the reference of @blob, and the owner's of @passed. */
static void send_answer(struct bosh_passed *passed, unsigned status, const char *content_type,
			struct blob *blob)
{
	passed->status = status;
	passed->content_type = content_type;
	passed->blob = blob;
	if (post(passed->owner, passed->bearer, &passed->answer) < 0) {
		/* The bearer has ended, and its connections with it. */
		drop_answer(&passed->answer);
	}
}

/* The owner is done with @pending, another worker's request. Returns what the workers share about
 * it, with its reference. */
static struct bosh_passed *give_back(struct bosh_relay *relay, struct bosh_pending *pending)
{
	struct bosh_passed *passed = pending->passed;

	LIST_REMOVE(passed, in_owner);
	bosh_pending_free(&relay->pending, pending);
	return passed;
}

void bosh_relay_answer(struct bosh_relay *relay, uint64_t exchange, unsigned status,
		       const char *content_type, struct blob *blob)
{
	struct bosh_pending *pending = bosh_pending_find(&relay->pending, exchange);

	if (pending && !pending->exchange) {
		send_answer(give_back(relay, pending), status, content_type, blob);
	} else {
		answer_pending(relay, exchange, status, content_type, blob);
	}
}

/* Requests, on the owner. */

static void request_deinit(struct bosh_request *request)
{
	bosh_body_deinit(&request->body);
}

/* The request was done for @client: no connection has a turn for it here. */
static void charge_client(const struct bosh_relay *relay, const struct address *client)
{
	struct turn *turn = relay->env->turn;

	turn_end(turn, client_hash(client_key(client), &turn->secret));
}

static void on_request(struct message *message, void *reader)
{
	struct bosh_passed *passed = CONTAINER_OF(message, struct bosh_passed, on_its_way);
	struct bosh_relay *relay = passed->owner;
	struct bosh_pending *pending = bosh_pending_new(&relay->pending, NULL);
	/* The answer may free @passed. */
	struct bosh_request request = passed->request;

	(void)reader;
	turn_begin(relay->env->turn);
	if (pending) {
		pending->passed = passed;
		memcpy(pending->sid, request.body.sid.data, SID_LENGTH);
		passed->owner_id = request.exchange = pending->id;
		LIST_INSERT_HEAD(&relay->taken, passed, in_owner);
		relay->callbacks->request(relay->userdata, &request);
	} else {
		send_answer(passed, 503, BOSH_CONTENT_DEFAULT, NULL);
	}
	request_deinit(&request);
	charge_client(relay, &request.client);
}

static void drop_request(struct message *message)
{
	struct bosh_passed *passed = CONTAINER_OF(message, struct bosh_passed, on_its_way);

	struct blob *blob = NULL;
	unsigned status = 503;

	request_deinit(&passed->request);
	/* Out of memory: answer with the status alone. */
	(void)!bosh_refusal(BOSH_CONDITION_SYSTEM_SHUTDOWN, failure_sentence(FAILURE_SHUTDOWN),
			    false, &status, &blob);
	send_answer(passed, status, BOSH_CONTENT_DEFAULT, blob);
}

/* Answers a request that could not be passed to its owner, because of the error @r. */
static void answer_for_owner(struct bosh_relay *relay, uint64_t exchange, int r)
{
	bool is_shut = r == -ESHUTDOWN;
	struct blob *blob;
	unsigned status;

	if (bosh_refusal(is_shut ? BOSH_CONDITION_SYSTEM_SHUTDOWN
				 : BOSH_CONDITION_INTERNAL_SERVER_ERROR,
			 is_shut ? failure_sentence(FAILURE_SHUTDOWN) : "the gateway is too busy",
			 false, &status, &blob) == 0) {
		answer_pending(relay, exchange, status, BOSH_CONTENT_DEFAULT, blob);
	} else {
		answer_pending(relay, exchange, 500, BOSH_CONTENT_DEFAULT, NULL);
	}
}

/* Clients that hang up. */

static void on_gone(struct message *message, void *reader)
{
	struct bosh_passed *passed = CONTAINER_OF(message, struct bosh_passed, gone);
	struct bosh_relay *relay = passed->owner;
	struct bosh_pending *pending = bosh_pending_find(&relay->pending, passed->owner_id);
	char sid[SID_LENGTH + 1];

	(void)reader;
	if (pending) {
		memcpy(sid, pending->sid, sizeof(sid));
		passed_unref(give_back(relay, pending));
		relay->callbacks->gone(relay->userdata, sv_from(sid), passed->owner_id);
	}
	passed_unref(passed);
}

static void drop_gone(struct message *message)
{
	passed_unref(CONTAINER_OF(message, struct bosh_passed, gone));
}

/* Requests, on the bearer. */

static void send_request(struct bosh_relay *relay, struct bosh_pending *pending,
			 struct bosh_request *request)
{
	struct bosh_passed *passed = malloc(sizeof(*passed));

	if (!passed) {
		answer_for_owner(relay, request->exchange, -ENOMEM);
		request_deinit(request);
		return;
	}
	*passed = (struct bosh_passed){
		.bearer = relay,
		.owner = relay->relays[pending->owner],
		.bearer_id = pending->id,
		.on_its_way = {.handle = on_request, .drop = drop_request},
		.request = *request,
		.gone = {.is_owed = true, .handle = on_gone, .drop = drop_gone},
		.answer = {.is_owed = true, .handle = on_answer, .drop = drop_answer},
	};
	atomic_init(&passed->n_refs, 2);
	/* Before the owner can answer. */
	pending->passed = passed;
	int r = post(relay, passed->owner, &passed->on_its_way);

	if (r < 0) {
		/* Nobody else has seen it. */
		pending->passed = NULL;
		free(passed);
		answer_for_owner(relay, request->exchange, r);
		request_deinit(request);
	}
}

bool bosh_relay_prepare(struct bosh_relay *relay, struct http_exchange *exchange, size_t n_portion)
{
	return bosh_readings_go_on(&relay->readings, relay->env->pool, exchange, n_portion);
}

/* Returns 0 or -ENOMEM. */
static int read_body(struct bosh_relay *relay, struct http_exchange *exchange,
		     struct bosh_request *request)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;
	struct bosh_reading *reading = bosh_readings_take(&relay->readings, exchange);
	int r = reading ? bosh_reading_finish(reading, http_exchange_body(exchange), &request->body)
	      : http_exchange_take_body(exchange, &text)
		      ? bosh_body_init_taking(&request->body, relay->env->pool,
					      &relay->scan_options, &text)
		      : bosh_body_init(&request->body, relay->env->pool, &relay->scan_options,
				       http_exchange_body(exchange));

	if (r < 0) {
		return r;
	}
	request->body_result = http_exchange_body_too_large(exchange) ? BOSH_BODY_E_TOO_LARGE
								      : (enum bosh_body_result)r;
	return 0;
}

/* Who asks, and for what. Returns 0 or -ENOMEM. */
static int read_request(struct bosh_relay *relay, struct http_exchange *exchange,
			struct bosh_request *request)
{
	struct forwarded_client client;
	int r = client_of(relay->env, exchange, &client);

	if (r < 0) {
		return r;
	}
	request->client = client.address;
	request->is_secure = client.is_secure;
	r = http_exchange_set_client(exchange, &client.address);
	if (r < 0) {
		return r;
	}
	r = read_body(relay, exchange, request);
	if (r < 0) {
		request_deinit(request);
	}
	return r;
}

/* Whether another server of the gateway has the session, because an upgrade is under way. Such
 * requests are passed on with their connections (gateway/front-owner.h), except where the sid comes
 * late in the body. */
static bool is_elsewhere(const struct bosh_relay *relay, struct sv sid)
{
	const struct worker_env *env = relay->env;
	struct sid_owner owner;

	return env->doors && sid_owner(sid, &owner) &&
	       owner.generation != env->process->generation &&
	       doors_have(env->doors, owner.generation);
}

/* Sets *ret_worker to the worker whose session @sid may be. Returns false if it is none of this
 * process. */
static bool find_owner(const struct bosh_relay *relay, struct sv sid, unsigned *ret_worker)
{
	struct sid_owner owner;

	if (!sid_owner(sid, &owner) || owner.generation != relay->env->process->generation ||
	    owner.worker >= relay->env->n_workers) {
		return false;
	}
	*ret_worker = owner.worker;
	return true;
}

void bosh_relay_request(struct bosh_relay *relay, struct http_exchange *exchange)
{
	struct bosh_pending *pending = bosh_pending_new(&relay->pending, exchange);
	struct bosh_request request;

	/* Out of memory is not an error of the session, which this worker may not have: the client
	 * can repeat the request, because nothing of it has been taken. */
	if (!pending) {
		site_answer_without_memory(relay->env->site, exchange);
		return;
	}
	http_exchange_set_userdata(exchange, pending);
	request.exchange = pending->id;
	if (read_request(relay, exchange, &request) < 0) {
		site_answer_without_memory(relay->env->site, exchange);
		return;
	}
	if (is_elsewhere(relay, request.body.sid)) {
		site_answer_text(relay->env->site, exchange, 503,
				 "Another process serves this session. Try again.\n");
		request_deinit(&request);
		return;
	}
	if (!request.body.sid.data) {
		client_warn_ignored(relay->env, exchange);
	}
	if (find_owner(relay, request.body.sid, &pending->owner)) {
		memcpy(pending->sid, request.body.sid.data, SID_LENGTH);
	}
	if (pending->owner != relay->env->index) {
		send_request(relay, pending, &request);
		return;
	}
	relay->callbacks->request(relay->userdata, &request);
	request_deinit(&request);
}

void bosh_relay_gone(struct bosh_relay *relay, struct http_exchange *exchange)
{
	struct bosh_pending *pending = http_exchange_userdata(exchange);

	if (!pending || pending->is_answered) {
		return;
	}
	pending->is_answered = true;
	if (pending->owner == relay->env->index) {
		relay->callbacks->gone(relay->userdata, sv_from(pending->sid), pending->id);
		return;
	}
	struct bosh_passed *passed = pending->passed;

	pending->passed = NULL;
	if (passed && post(relay, passed->owner, &passed->gone) < 0) {
		drop_gone(&passed->gone);
	}
}

void bosh_relay_done(struct bosh_relay *relay, struct http_exchange *exchange)
{
	struct bosh_pending *pending = http_exchange_userdata(exchange);

	bosh_reading_free(bosh_readings_take(&relay->readings, exchange));
	if (pending) {
		if (pending->passed) {
			passed_unref(pending->passed);
		}
		bosh_pending_free(&relay->pending, pending);
		http_exchange_set_userdata(exchange, NULL);
	}
}
