/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Requests of BOSH clients between the worker that has their connection and the worker that has their session. On the same worker a
 * call; else a message.
 *
 * exchange id  names a request across workers: the bearer in the upper 16 bits, a number of its own below
 */
#include "common/address.h"
#include "common/blob.h"
#include "gateway/bosh/body.h"
#include "gateway/env.h"
#include "gateway/http/exchange.h"

struct bosh_relay;

/* What the owner is told of a request. */
struct bosh_request {
	uint64_t exchange;
	struct address client;
	bool secure;           /* it came over TLS, as a trusted proxy says */
	int body_result;       /* BOSH_BODY_* or a negative errno */
	struct bosh_body body; /* what was understood; the callee moves out of it what it keeps */
};

struct bosh_relay_callbacks {
	/* A request for a session of this worker, or for a new one. */
	void (*request)(void *userdata, struct bosh_request *request);
	/* The client of a request that is not answered yet has gone. */
	void (*gone)(void *userdata, struct sv sid, uint64_t exchange);
};

_must_check_ int bosh_relay_new(struct worker_env *env, const struct bosh_relay_callbacks *callbacks,
				void *userdata, struct bosh_relay **ret_relay);
struct bosh_relay *bosh_relay_free(struct bosh_relay *relay);

/* Makes @other, the relay of a worker, known to @relay; itself too. Before the workers start. */
void bosh_relay_introduce(struct bosh_relay *relay, struct bosh_relay *other);

/* Bearer: takes an exchange, understands its body, and brings it to its owner. */
void bosh_relay_request(struct bosh_relay *relay, struct http_exchange *exchange);
void bosh_relay_gone(struct bosh_relay *relay, struct http_exchange *exchange);
void bosh_relay_done(struct bosh_relay *relay, struct http_exchange *exchange);

/* Owner: the creation request @exchange made the session @sid, so that `gone` can name it. */
void bosh_relay_created(struct bosh_relay *relay, uint64_t exchange, const char *sid);

/* Owner: answers with @blob, a reference of the callee's, of @content_type (content.h). An exchange that has gone meanwhile, or has been
 * answered, is nobody's: nothing happens. */
void bosh_relay_answer(struct bosh_relay *relay, uint64_t exchange, unsigned status,
		       const char *content_type, struct blob *blob);
