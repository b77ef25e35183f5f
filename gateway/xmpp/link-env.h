/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What all links of a worker share, and who may watch them. Used by link.h and opening.h.
 */
#include <sys/queue.h>
#include <uv.h>

#include "gateway/config/config.h"
#include "gateway/upstream/dialer.h"
#include "gateway/xmpp/outbox.h"
#include "gateway/xmpp/keepalive.h"
#include "gateway/xmpp/stream.h"

enum {
	/* A server that does not read what is left, or does not close its side, must not hold the
	 * descriptor. */
	LINK_CLOSE_TIMEOUT_MS = 5000,
	/* Links of a worker that return what their servers have sent (returning.h). Each may hold
	 * an element and what waits for the server; sessions that are opened and left one after the
	 * other must not fill the memory with that. One more ends the oldest. */
	LINK_RETURNING_MAX = 64,
};

/* Reports the steps of an opening, for `doab --probe`, the debug log and the metrics. Callbacks
 * must not call back into the link. */
struct link_observer {
	/* A server sent its stream header; there may be one more after TLS. */
	void (*header)(void *userdata, const struct stream *stream);
	/* TLS begins: with the first byte (@is_direct), or after the server accepted STARTTLS. May
	 * be NULL. */
	void (*handshake)(void *userdata, bool is_direct);
	/* The handshake with a server of @domain is done, or failed with @failure. @ssl is borrowed
	 * for the call. */
	void (*secured)(void *userdata, const char *domain, SSL *ssl,
			const struct failure *failure);
	/* The server named another one (see-other-host), which is dialled next. */
	void (*redirected)(void *userdata, const struct redirect *redirect);
	/* The server has used up its share of the time. Another one is searched for; this one may
	 * still answer until that is connected. */
	void (*slow)(void *userdata);
	/* The server is given up because of @failure, and another one is tried. */
	void (*left)(void *userdata, const struct failure *failure);
	/* With `secured`, if that has no failure: the handshake took @us microseconds. May be
	 * NULL. */
	void (*took)(void *userdata, int64_t us);
	void *userdata;
};

TAILQ_HEAD(links, link);

/* Outlives all links. A reload replaces what comes from the configuration; links that exist keep
 * what they were made with. */
struct link_env {
	const struct config *config;          /* the newest; links take references */
	const struct link_observer *observer; /* NULL: none */
	struct dialer dialer;
	struct tls_store *tls_store;
	size_t n_waiting_max;  /* bytes that may wait for a server that does not read */
	size_t n_waiting_full; /* the same without what clients may have sent; see link_is_full() */
	struct xml_pool *pool;
	struct xml_scan_options scan_options; /* stream_options() */
	int64_t open_timeout_ms;              /* from link_new() to the server's features */
	int64_t login_timeout_ms;             /* from the features to the login; 0: no limit */
	bool trusts_dnssec;                   /* believe AD=1 of the resolvers, and so use DANE */
	struct keepalive keepalive;           /* calls link_keep_alive() */
	struct outbox outbox;                 /* calls link_write_gathered() */
	struct links returning; /* oldest first; those that were closed and still read */
	size_t n_returning;
};

/* A stream that is to be opened, for opening.h and what it is made of. All is borrowed. */
struct opening_task {
	struct link_env *env;
	const char *domain;             /* ASCII form; the certificate has to name it */
	const struct domain_rule *rule; /* NULL: none */
	struct stream *stream;
};
