/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Decides how long each server of a domain has to become usable, and whether another one is tried
 * when it does not. An engine: the time is passed in.
 *
 * usable  TLS is done and the features have arrived
 * share   the part of the whole time that one server has while others are left
 * slow    its share is over; it keeps its connection until another server is connected, because
 *         there may be none
 */
#include <stdbool.h>

#include "common/address.h"
#include "common/mono.h"
#include "gateway/failure.h"

enum {
	/* Servers that name each other must not keep a session busy for ever (RFC 6120, 4.9.3.19
	 * recommends a limit from 2 to 5). */
	SERVERS_REDIRECTS_MAX = 2,
	/* Servers of one domain that are connected to for one session: each costs a handshake. */
	SERVERS_MAX = 3,
};

struct servers {
	struct mono deadline; /* of the whole search */
	int64_t timeout_ms;   /* likewise, as a duration */
	bool is_redirected;   /* the server was named by another server, or by the client */
	unsigned n_redirects;
	bool is_slow;
	struct address tried[SERVERS_MAX]; /* given up, or slow */
	unsigned n_tried;
	struct failure first; /* why the first of them was given up; FAILURE_NONE at first */
};

/* @is_redirected: the client named the server by `route`. */
void servers_init(struct servers *servers, int64_t timeout_ms, bool is_redirected, struct mono now);

/* Returns until when the server that was just connected must be usable: the end of its share, or
 * without @has_others the end of the whole search. */
struct mono servers_deadline(const struct servers *servers, bool has_others, struct mono now);

/* Returns whether a redirection may be followed, and counts it. */
bool servers_redirect(struct servers *servers);

/* Remembers that @address was tried, so that the next search avoids it. */
void servers_add_tried(struct servers *servers, const struct address *address);

/* Remembers why a server was given up, unless an earlier reason is known. The first one says most:
 * it concerns the server that the domain prefers. */
void servers_note(struct servers *servers, const struct failure *failure);

/* Returns whether another server may succeed after @failure of the connected one. @is_searching: a
 * search for another one is under way. */
bool servers_may_try_another(const struct servers *servers, const struct failure *failure,
			     bool is_searching);

/* Returns whether @failure is about TLS or the certificate. */
bool servers_is_of_tls(const struct failure *failure);
