/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/relay.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/content.h"
#include "gateway/bosh/pending.h"
#include "gateway/bosh/session.h"
#include "gateway/bosh/sid.h"
#include "gateway/client-of.h"
#include "gateway/process/door.h"
#include "gateway/http/site.h"

struct bosh_relay {
	struct worker_env *env;
	const struct bosh_relay_callbacks *callbacks;
	void *userdata;
	struct bosh_pending_table pending;
	struct xml_scan_options scan_options;
	struct bosh_relay *relays[]; /* of all workers, by worker index */
};

struct request_message {
	struct message message;
	struct bosh_relay *relay; /* the receiver's; likewise in the other messages */
	struct bosh_request request;
};

struct gone_message {
	struct message message;
	struct bosh_relay *relay;
	uint64_t exchange;
	char sid[SID_LENGTH + 1];
};

struct answer_message {
	struct message message;
	struct bosh_relay *relay;
	uint64_t exchange;
	unsigned status;
	const char *content_type;
	struct blob *blob;
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
	bosh_relay_reload(relay);
	*ret_relay = relay;
	return 0;
}

struct bosh_relay *bosh_relay_free(struct bosh_relay *relay)
{
	if (relay) {
		bosh_pending_table_deinit(&relay->pending);
		free(relay);
	}
	return NULL;
}

void bosh_relay_introduce(struct bosh_relay *relay, struct bosh_relay *other)
{
	relay->relays[other->env->index] = other;
}

/* Sends @message to @relay, another worker's. Returns what mailbox_post() does. */
static int post(struct bosh_relay *relay, struct message *message)
{
	return mailbox_post(relay->env->mailbox, message);
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
	struct answer_message *answer = CONTAINER_OF(message, struct answer_message, message);

	(void)reader;
	answer_pending(answer->relay, answer->exchange, answer->status, answer->content_type,
		       answer->blob);
	free(answer);
}

static void drop_answer(struct message *message)
{
	struct answer_message *answer = CONTAINER_OF(message, struct answer_message, message);

	blob_unref(answer->blob);
	free(answer);
}

void bosh_relay_answer(struct bosh_relay *relay, uint64_t exchange, unsigned status,
		       const char *content_type, struct blob *blob)
{
	unsigned bearer = bosh_pending_worker(exchange);

	if (bearer == relay->env->index) {
		answer_pending(relay, exchange, status, content_type, blob);
		return;
	}
	struct answer_message *answer = malloc(sizeof(*answer));

	if (!answer) {
		blob_unref(blob);
		return;
	}
	*answer = (struct answer_message){
		.message = {.handle = on_answer, .drop = drop_answer},
		.relay = relay->relays[bearer],
		.exchange = exchange,
		.status = status,
		.content_type = content_type,
		.blob = blob,
	};
	if (post(answer->relay, &answer->message) < 0) {
		/* The client will repeat its unanswered request, and then gets the kept answer. */
		drop_answer(&answer->message);
	}
}

/* Requests, from bearer to owner. */

static void request_deinit(struct bosh_request *request)
{
	bosh_body_deinit(&request->body);
}

static void on_request(struct message *message, void *reader)
{
	struct request_message *request = CONTAINER_OF(message, struct request_message, message);
	struct bosh_relay *relay = request->relay;

	(void)reader;
	relay->callbacks->request(relay->userdata, &request->request);
	request_deinit(&request->request);
	free(request);
}

static void drop_request(struct message *message)
{
	struct request_message *request = CONTAINER_OF(message, struct request_message, message);

	request_deinit(&request->request);
	free(request);
}

/* Answers a request that could not be passed to its owner, because of the error @r. */
static void answer_for_owner(struct bosh_relay *relay, uint64_t exchange, int r)
{
	bool shut = r == -ESHUTDOWN;
	struct blob *blob;
	unsigned status;

	if (bosh_refusal(shut ? BOSH_CONDITION_SYSTEM_SHUTDOWN
			      : BOSH_CONDITION_INTERNAL_SERVER_ERROR,
			 shut ? failure_sentence(FAILURE_SHUTDOWN) : "the gateway is too busy",
			 false, &status, &blob) == 0) {
		answer_pending(relay, exchange, status, BOSH_CONTENT_DEFAULT, blob);
	} else {
		answer_pending(relay, exchange, 500, BOSH_CONTENT_DEFAULT, NULL);
	}
}

static void send_request(struct bosh_relay *relay, unsigned owner, struct bosh_request *request)
{
	struct request_message *message = malloc(sizeof(*message));

	if (!message) {
		answer_for_owner(relay, request->exchange, -ENOMEM);
		request_deinit(request);
		return;
	}
	*message = (struct request_message){
		.message = {.handle = on_request, .drop = drop_request},
		.relay = relay->relays[owner],
		.request = *request,
	};
	int r = post(message->relay, &message->message);

	if (r < 0) {
		answer_for_owner(relay, request->exchange, r);
		drop_request(&message->message);
	}
}

/* Returns 0 or -ENOMEM. */
static int read_body(struct bosh_relay *relay, const struct http_exchange *exchange,
		     struct bosh_request *request)
{
	int r = bosh_body_init(&request->body, relay->env->pool, &relay->scan_options,
			       http_exchange_body(exchange));

	if (r < 0) {
		return r;
	}
	request->body_result = http_exchange_body_too_large(exchange) ? BOSH_BODY_E_TOO_LARGE
								      : (enum bosh_body_result)r;
	return 0;
}

/* Whether another process of the gateway, with which an upgrade is under way, has the session. Such
 * requests have been passed on by their connections (gateway/front.c), except where the sid comes
 * late in the body. */
static bool is_elsewhere(const struct bosh_relay *relay, struct sv sid)
{
	const struct worker_env *env = relay->env;
	struct sid_owner owner;

	return env->doors && sid_owner(sid, &owner) &&
	       owner.generation != env->process->generation &&
	       doors_have(env->doors, owner.generation);
}

/* Not an error of the session, which this worker may not have: the client can repeat the request,
 * because nothing of it has been taken. */
static void answer_without_memory(const struct bosh_relay *relay, struct http_exchange *exchange)
{
	site_answer_text(relay->env->site, exchange, 503, "The gateway is out of memory.\n");
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

	if (!pending) {
		answer_without_memory(relay, exchange);
		return;
	}
	http_exchange_set_userdata(exchange, pending);
	request.exchange = pending->id;
	const struct forwarded_client client = client_of(relay->env, exchange);

	request.client = client.address;
	request.secure = client.is_secure;
	if (read_body(relay, exchange, &request) < 0) {
		answer_without_memory(relay, exchange);
		request_deinit(&request);
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
		send_request(relay, pending->owner, &request);
		return;
	}
	relay->callbacks->request(relay->userdata, &request);
	request_deinit(&request);
}

/* Clients that hang up. */

static void on_gone(struct message *message, void *reader)
{
	struct gone_message *gone = CONTAINER_OF(message, struct gone_message, message);
	struct bosh_relay *relay = gone->relay;

	(void)reader;
	relay->callbacks->gone(relay->userdata, sv_from(gone->sid), gone->exchange);
	free(gone);
}

static void drop_gone(struct message *message)
{
	free(CONTAINER_OF(message, struct gone_message, message));
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
	struct gone_message *gone = malloc(sizeof(*gone));

	if (!gone) {
		return;
	}
	*gone = (struct gone_message){
		.message = {.handle = on_gone, .drop = drop_gone},
		.relay = relay->relays[pending->owner],
		.exchange = pending->id,
	};
	memcpy(gone->sid, pending->sid, sizeof(gone->sid));
	if (post(gone->relay, &gone->message) < 0) {
		/* The owner then notices only when the request times out. */
		free(gone);
	}
}

void bosh_relay_done(struct bosh_relay *relay, struct http_exchange *exchange)
{
	struct bosh_pending *pending = http_exchange_userdata(exchange);

	if (pending) {
		bosh_pending_free(&relay->pending, pending);
		http_exchange_set_userdata(exchange, NULL);
	}
}
