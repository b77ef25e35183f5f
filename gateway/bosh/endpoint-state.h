/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of the BOSH endpoint. Private to gateway/bosh; who uses it reads endpoint.h.
 *
 * endpoint.c  requests: to which session they go, and the making of new ones
 * carry.c     a session on its worker: carries out what the engine decides, brings it the server's side and the time
 */
/* uthash ends the process when it gets no memory, unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "gateway/bosh/endpoint.h"
#include "gateway/bosh/session.h"
#include "gateway/bosh/sid.h"

struct bosh_carried {
	UT_hash_handle hh;
	struct bosh_endpoint *endpoint;
	struct bosh_session *engine;
	struct link *link;
	uv_timer_t timer;
	struct mono armed; /* what the timer runs for */
	struct address client;
	bool over;
	char sid[SID_LENGTH + 1];
	char domain[]; /* ascii form */
};

struct bosh_endpoint {
	struct worker_env *env;
	struct bosh_relay *relay;
	struct bosh_carried *sessions; /* uthash by sid */
	struct bosh_limits limits;
	struct bosh_actions actions; /* the list is used again and again */
	bool shut;
};

struct mono bosh_endpoint_now(const struct bosh_endpoint *endpoint);

/* Starts to reach the server of a session that has just been made. */
void bosh_carried_open(struct bosh_carried *session, const struct bosh_request *request,
		       const struct domain_rule *rule);

/* Carries out the actions that the engine gave, and those that they bring about, and sets the timer. @r is what the engine
 * returned: out of memory ends the session, which may be over afterwards in any case. */
void bosh_carried_settle(struct bosh_carried *session, int r);

/* Sets the timer for the engine's deadline. */
void bosh_carried_arm(struct bosh_carried *session);

/* The session is over: it is forgotten now, its memory goes at a later turn. */
void bosh_carried_end(struct bosh_carried *session);
