/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Passes BOSH requests from the worker that has the connection to the worker that has the session,
 * and the answers back. On the same worker this is a function call; between workers it is a
 * message. The connections of a client go to the worker of its session (gateway/front-owner.h), so
 * messages are needed where a proxy uses a connection for many clients, or where an answer is due
 * on the connection.
 *
 * bearer       the worker that has the client's connection
 * owner        the worker that has the session
 * exchange id  identifies a request at a worker (pending.h)
 *
 * The memory of two messages is allocated with the request: of the answer to the bearer, and of the
 * news to the owner that the client hung up. So a request that was passed on can always be
 * answered.
 */
#include "common/address.h"
#include "common/blob.h"
#include "gateway/bosh/body.h"
#include "gateway/env.h"
#include "gateway/http/exchange.h"

struct bosh_relay;

/* A request, as the owner receives it. */
struct bosh_request {
	uint64_t exchange;
	struct address client;
	bool is_secure; /* it came over TLS, according to a trusted proxy */
	enum bosh_body_result body_result;
	struct bosh_body body; /* the parsed body; the callee moves out of it what it keeps */
};

struct bosh_relay_callbacks {
	/* A request for a session of this worker, or for a new one. */
	void (*request)(void *userdata, struct bosh_request *request);
	/* The client of an unanswered request hung up. */
	void (*gone)(void *userdata, struct sv sid, uint64_t exchange);
};

/* @env and @callbacks are borrowed until bosh_relay_free(). Returns 0 or -ENOMEM. */
_must_check_ int bosh_relay_new(struct worker_env *env,
				const struct bosh_relay_callbacks *callbacks, void *userdata,
				struct bosh_relay **ret_relay);
/* The configuration of the environment has been replaced. */
void bosh_relay_reload(struct bosh_relay *relay);

struct bosh_relay *bosh_relay_free(struct bosh_relay *relay);

/* Makes @other, the relay of a worker, known to @relay. Call it for the relays of all workers,
 * including @relay itself, before the workers start. */
void bosh_relay_introduce(struct bosh_relay *relay, struct bosh_relay *other);

/* On the bearer: parses at most @n_portion bytes more of the body of a request. Returns whether it
 * is ready for bosh_relay_request(). */
bool bosh_relay_prepare(struct bosh_relay *relay, struct http_exchange *exchange, size_t n_portion);

/* On the bearer: parses the body of a request and passes it to its owner; reports that the client
 * hung up; and forgets the exchange when it has ended. */
void bosh_relay_request(struct bosh_relay *relay, struct http_exchange *exchange);
void bosh_relay_gone(struct bosh_relay *relay, struct http_exchange *exchange);
void bosh_relay_done(struct bosh_relay *relay, struct http_exchange *exchange);

/* On the owner: the creation request @exchange created the session @sid, so that `gone` can name
 * it. */
void bosh_relay_created(struct bosh_relay *relay, uint64_t exchange, const char *sid);

/* On the owner: answers with @blob of @content_type (content.h). Consumes the reference. Does
 * nothing else if the exchange has ended or was already answered. */
void bosh_relay_answer(struct bosh_relay *relay, uint64_t exchange, unsigned status,
		       const char *content_type, struct blob *blob);
