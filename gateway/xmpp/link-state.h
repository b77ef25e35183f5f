/* SPDX-License-Identifier: MIT */
#pragma once
/* Shared by link.c (what a link does) and link-facts.c (what it can be asked). Private to these. */
#include "gateway/xmpp/link.h"
#include "gateway/xmpp/opening.h"

struct link {
	struct link_env *env;
	const struct link_callbacks *callbacks; /* NULL: the owner has let go */
	void *userdata;
	struct opening *opening;     /* NULL: it is over */
	struct transport *transport; /* NULL while there is an opening, and after a failure */
	struct stream stream;
	char *domain;                /* ASCII form */
	const struct config *config; /* of its beginning: the rule is part of it */
	uv_timer_t timer;           /* of on_turn(), or of a deadline; its close frees the memory */
	struct mono login_deadline; /* 0: the features have not come yet */
	struct keepalive_member keepalive;
	bool paused;     /* the owner reads nothing; holds once the opening is over */
	bool is_broken;  /* out of memory, reported at the next turn */
	bool failing;    /* `over` has run or is running */
	bool header_due; /* the server's header came, and its features did not yet */
	bool offered;    /* the client has been told features */
};
