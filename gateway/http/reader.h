/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reads HTTP requests from the clients' connections and answers them, so that a request that is
 * held costs next to nothing: peek, judge, then take. The head of the first request of a connection
 * is judged before a byte of it is consumed (head.h). If the reader served it, the requests that
 * follow are nearly always for the reader as well, so they are read with one system call less;
 * giving one of them away costs more. Each request is judged by the same rules, wherever it stands
 * on its connection.
 *
 * alien     a connection that begins with something else than HTTP
 * stalled   a connection of which nothing is read for now: as many requests as may be are held, or
 *           the next one has to wait until those before it are answered
 * paused    a connection whose next request is judged again in a moment, because the worker or
 *           process that should take the connection is too busy
 *
 * Requests that were sent without waiting for the answers (pipelining) are read and passed on while
 * those before them are held; the answers go out in the order of the requests.
 */
#include "gateway/http/head.h"
#include "gateway/http/options.h"

struct http_reader;

enum {
	/* Requests of one connection that are held or wait for their turn. BOSH clients that
	 * pipeline send two (XEP-0124, 11: hold and one more); each costs a few hundred bytes. */
	HTTP_PIPELINE_MAX = 8,
	/* Bytes of answers that wait for a client that does not read, above which no more of its
	 * requests are read. */
	HTTP_WAITING_MAX = 64 * 1024,
	/* Milliseconds after which a paused connection is judged again: so that thousands of them
	 * do not occupy the worker while the other process is stopped. */
	HTTP_PAUSE_MS = 100,
	/* How often, so that clients learn within seconds that they have to try again. */
	HTTP_PAUSES_MAX = 50,
};

/* What becomes of the first request of a connection. */
enum http_first {
	HTTP_FIRST_KEEP,  /* it is served here */
	HTTP_FIRST_LAST,  /* likewise, and the connection ends with the answer */
	HTTP_FIRST_MORE,  /* ask again when more of it has arrived */
	HTTP_FIRST_LATER, /* ask again when the requests before it are answered */
	/* Ask again in a moment: what should take the connection does not keep up. After
	 * HTTP_PAUSES_MAX times the request is malformed (HTTP_FAULT_NOT_TAKEN). */
	HTTP_FIRST_PAUSE,
	HTTP_FIRST_TAKEN, /* the callee has taken the connection */
};

/* All get the userdata of the options. */
struct http_reader_callbacks {
	/* The head of the first request of a connection has arrived. @bytes begin with it, and
	 * are still to be consumed. @is_free: no answer is due on @wire, so the callee may take
	 * it (wire_leave()). */
	enum http_first (*first)(void *userdata, struct wire *wire, const struct http_head *head,
				 struct sv bytes, bool is_free);
	/* Whether `first` is to be asked for every request, and not only for the first. */
	bool (*asks_always)(void *userdata);
	/* The connection does not speak HTTP. Takes @wire, from which nothing has been consumed. */
	void (*alien)(void *userdata, struct wire *wire, enum http_alien alien);
	/* A request is ill-formed, too large or too slow. Answer it within the call; the connection
	 * is closed then. Neither `request` nor `done` is called for it. */
	void (*malformed)(void *userdata, struct http_exchange *exchange, enum http_fault fault);
};

/* @options is copied, @callbacks borrowed. Returns 0 or a negative errno. */
_must_check_ int http_reader_new(const struct http_options *options,
				 const struct http_reader_callbacks *callbacks,
				 struct http_reader **ret_reader);

/* Replaces the limits for the requests that follow. */
void http_reader_reload(struct http_reader *reader, const struct http_limits *limits);

/* Closes all connections (`gone` and `done` are called for their exchanges) and then the reader,
 * whose memory is freed in a later iteration of the loop. Takes NULL; returns NULL. */
struct http_reader *http_reader_free(struct http_reader *reader);

/* Reads requests from @wire, which belongs to no hub and joins the reader's. @is_first: the
 * callback `first` is asked for its first request; otherwise that is read in this iteration of the
 * loop if it has arrived. Returns 0 or a negative errno; @wire is then still the caller's. */
_must_check_ int http_reader_adopt(struct http_reader *reader, struct wire *wire, bool is_first);

/* Gives the connections away on which nothing of a request has been read and no answer is due:
 * @take gets each wire, as `first` could take it, and returns whether it did. Those with TLS stay:
 * another process cannot go on with them, and to close one could lose a request that is on its
 * way. */
void http_reader_give_idle(struct http_reader *reader,
			   bool (*take)(void *userdata, struct wire *wire));

/* Tells a client that holds its body back to send it: 100 (Continue). The reader does so by itself;
 * for `first`, before HTTP_FIRST_MORE. Returns 0 or -ENOMEM. */
_must_check_ int http_reader_tell_to_continue(struct wire *wire);

/* Whether a request is being received or answered. */
bool http_reader_is_busy(const struct http_reader *reader);
