/* SPDX-License-Identifier: MIT */
#pragma once
/* Shared by link.c (what a link does), link-end.c (how it ends) and link-facts.c (what it can be
 * asked). Private to these. */
#include "common/timeout.h"
#include "gateway/xmpp/link.h"
#include "gateway/xmpp/opening.h"
#include "gateway/xmpp/returning.h"

struct link {
	struct link_env *env;
	const struct link_callbacks *callbacks; /* NULL: the owner has let go */
	void *userdata;
	struct opening *opening;     /* NULL: it is over */
	struct transport *transport; /* NULL while there is an opening, and after a failure */
	struct stream stream;
	char *domain;                /* ASCII form */
	const struct config *config; /* of its beginning: the rule is part of it */
	struct timeout timer;       /* of on_turn(), or of a deadline; its close frees the memory */
	struct mono login_deadline; /* 0: the features have not come yet */
	struct keepalive_member keepalive;
	struct returning *returning; /* NULL: the owner has the link, or it has ended */
	TAILQ_ENTRY(link) in_returning;
	bool is_dropped; /* at its end: link_drop() was called */
	bool is_paused;  /* the owner reads nothing; holds once the opening is over */
	bool is_broken;  /* out of memory, reported at the next turn */
	bool has_lost;   /* what the server has sent, and nobody was told: there was no memory */
	bool discards_waiting; /* of link_discard_waiting() */
	bool is_failing;       /* `over` has run or is running */
	bool header_is_due;    /* the server's header came, and its features did not yet */
	bool has_offered;      /* the client has been told features */
};

/* Writes @bytes, if there is still a connection. Returns 0 or -ENOMEM: then the stream has a gap,
 * and its connection is given up. */
_must_check_ int link_put(struct link *link, struct sv bytes);

/* Sends what the stream engine has written. Returns 0 or -ENOMEM, as link_put(). */
_must_check_ int link_send_out(struct link *link);
