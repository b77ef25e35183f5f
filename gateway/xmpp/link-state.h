/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of a link. Private to gateway/xmpp; who uses a link reads link.h.
 *
 * link-open.c     the way to a stream that is the client's: dialling, PROXY header, TLS,
 *                 redirections
 * link-servers.c  which server of the domain that is: how long each has, and whether another one is
 *                 tried
 * link.c          all else: making and ending it, and what passes through it
 */
#include "gateway/xmpp/link.h"

/* What is only needed until the stream is the client's. */
struct link_opening {
	struct stream_target target; /* into text, until the stream is opened; its `to` is in unicode form */
	struct buffer text;
	struct address client;
	bool has_client;
	bool redirected;         /* this connection is one that a server, or the client, named */
	struct redirect route;   /* the client did; port 0: it did not */
	struct mono deadline;    /* of all */
	bool secure_due;         /* the handshake waits for the TLSA records */
	unsigned n_redirects;
	struct address tried[LINK_SERVERS_MAX];
	unsigned n_tried;
	/* This server has had its part of the time and is among the tried; another one is looked
	 * for meanwhile, or has not been found. */
	bool is_slow;
	struct failure failure;  /* what came of the first of them; or why there will be none */
	char host[SRV_HOST_MAX + 1]; /* that this connection leads to; "" where signed DNS did not lead there */
	uint16_t port;
	struct resolver_query *query; /* for its TLSA records, or NULL */
	struct tlsa_set *tlsa;        /* NULL: none */
};

struct link {
	struct link_env *env;
	const struct domain_rule *rule;
	const struct link_callbacks *callbacks; /* NULL when the owner has let go */
	void *userdata;
	struct dial *dial;
	struct transport *transport;
	struct stream stream;
	char *domain; /* ascii form, for DNS, SNI and certificates */
	struct address address;
	struct link_opening *opening; /* NULL when the stream is the client's */
	/* Runs until then, and later for what is to be told at the loop's next turn. Its close is where the
	 * link's memory goes. */
	uv_timer_t timer;
	struct keepalive_member keepalive;
	bool is_counted; /* has a place among the sessions to its domain */
	bool paused;     /* the owner reads nothing: counts from the stream's being the client's on */
	bool failing;    /* `over` is due */
	bool lost;       /* there was no memory for what was gathered */
	bool direct;     /* TLS comes before the stream on this connection */
	bool header_due; /* the server's header came, and whether it is the client's is not known yet */
	bool offered;    /* the client has been told features */
};

enum domain_tls link_tls(const struct link *link);

/* Writes what the stream wants written. Returns 0 or -ENOMEM. */
_must_check_ int link_send_out(struct link *link);

/* Tells the owner, last thing in a callback of the loop. */
void link_fail(struct link *link, const struct failure *failure);
void link_fail_kind(struct link *link, enum failure_kind kind);

/* What the dialer and its transports tell, in either file. */
extern const struct dial_callbacks link_dial_callbacks;

/* link-open.c */

/* Begins it with a copy of @target. In the stream header the domain has the form that it has in addresses (RFC 6120, 4.7.2; RFC 7622, 3.2). Returns 0
 * or -ENOMEM. */
_must_check_ int link_opening_new(struct link *link, const struct stream_target *target);

void link_on_dialled(void *userdata, struct transport *transport, const struct dial_result *result);
void link_on_not_dialled(void *userdata, const struct failure *failure);
void link_on_secured(void *userdata);

/* Begins the TLS handshake. */
void link_secure(struct link *link);

/* Sets out. What the rule refuses is told at the loop's next turn. Returns 0 or -ENOMEM. */
_must_check_ int link_start(struct link *link);

/* What was asked for about this server is not waited for any more. */
void link_opening_stop(struct link *link);
/* Tells who looks on what became of it. */
void link_tell_secured(const struct link *link, const struct failure *failure);

/* The opening is over. May run twice. */
void link_opening_end(struct link *link);

/* Whether the server's error says that another one is to be asked, and the link is on its way there or has failed. */
bool link_follow(struct link *link);

/* link-servers.c */

static inline struct mono link_now(const struct link *link)
{
	return (struct mono){(int64_t)uv_now(link->env->dialer.loop)};
}

/* Starts the time of a server, or of the search for one. A server that says nothing has a part of
 * the time only, where the domain may have another one. */
void link_arm(struct link *link, bool has_others);

/* Ends the connection, if there is one: what the server said is history, another one is to take its
 * place. */
void link_leave_server(struct link *link);

/* Another server is connected: the slow one gives way, if there is one. */
void link_leave_slow(struct link *link);

/* The stream is the client's: no other server is looked for any more, and the opening is over. May
 * run again, at each header. */
void link_keep_server(struct link *link);

/* Whether @failure is one after which another server of the domain may do, and the link is on its way there. */
bool link_try_another(struct link *link, const struct failure *failure);
