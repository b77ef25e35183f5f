/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of the reader. Private to gateway/http; users include reader.h and exchange.h.
 *
 * reader-connection.c  the exchanges of a connection, in their order, and its end
 * exchange.c           exchanges, as their owners see them (exchange.h)
 * reader-exchange.c    exchanges, as the reader makes them
 * reader-request.c     requests: from the bytes to the exchange
 * reader-body.c        bodies that do not arrive with their heads
 * reader.c             the reader, and the beginning of connections
 */
#include <sys/queue.h>

#include "gateway/http/chunks.h"
#include "gateway/http/gather.h"
#include "gateway/http/reader.h"

/* An answer whose turn has not come. */
struct reader_answer {
	struct buffer head;
	struct blob *body;
};

struct http_exchange {
	const struct http_options *options;
	void *userdata; /* the owner's */
	struct sv method, path, body;
	struct coding_wishes wishes;
	unsigned status;    /* of the answer; 0: none yet */
	enum coding coding; /* content coding of the body */
	bool is_too_large;  /* the body is too large; only its beginning is kept */
	bool is_answered;
	bool is_gone;   /* its client hung up */
	bool is_secure; /* it came over TLS */
	struct reader_connection *connection;
	TAILQ_ENTRY(http_exchange) next; /* in the connection, or finished */
	/* The head, until `request` has returned: in the gathered bytes, or in the hub's. */
	const struct http_head *head;
	struct http_gather *gather;
	const char *bytes;
	struct reader_answer *early; /* NULL: none */
	bool is_prepared;            /* `prepare` was called */
	bool is_dispatched;
	bool closes;       /* the connection ends with the answer */
	bool is_head_only; /* the answer has no body */
	uint16_t n_origin;
	uint16_t n_path;
	/* The one header that an answer needs later, Origin; and the path without its escapes, if
	 * it has any. */
	char text[];
};

/* A request whose body does not arrive at once, or has to be decoded. */
struct reader_body {
	struct http_gather gather;
	struct http_head head;
	struct http_exchange *exchange;
	uint64_t n_left; /* of a Content-Length */
	bool is_whole;   /* all of the body has arrived */
	struct chunks chunks;
};

TAILQ_HEAD(http_exchanges, http_exchange);

struct reader_connection {
	LIST_ENTRY(reader_connection) in_reader; /* among the live or the dead ones */
	struct http_reader *reader;
	struct wire *wire;               /* NULL: the connection has ended */
	struct http_exchanges exchanges; /* not answered, or not in their turn */
	struct http_head *head;          /* one that is incomplete; NULL: none */
	struct reader_body *body;        /* likewise */
	struct address peer;
	size_t n_early; /* bytes of the answers whose turn has not come */
	uint8_t n_exchanges;
	uint8_t n_pauses;      /* of the next request */
	bool is_first : 1;     /* `first` has to be asked */
	bool has_served : 1;   /* it has had a request */
	bool is_receiving : 1; /* a part of a request has arrived */
	bool is_stalled : 1;
	bool is_paused : 1;
	bool is_last : 1;    /* the next request is the last one */
	bool is_closing : 1; /* no further request is read */
};

LIST_HEAD(reader_connections, reader_connection);

struct http_reader {
	struct http_options options;
	const struct http_reader_callbacks *callbacks;
	struct reader_connections live, dead;
	struct http_exchanges finished;
	uv_check_t reap;
	uv_timer_t pause;      /* active while a connection is paused */
	unsigned n_handles;    /* not closed yet; the reader is freed with the last */
	struct http_head head; /* of the request that is being judged, unless it is incomplete */
	struct buffer scratch; /* the head of the answer that is being written */
	bool is_closing;       /* new requests are not accepted any more */
};

enum reader_end {
	READER_END_GIVEN,  /* the caller gives the wire to somebody else afterwards */
	READER_END_TAKEN,  /* somebody else has it already, perhaps in another thread */
	READER_END_CLOSE,  /* the wire is closed at once */
	READER_END_LINGER, /* it is closed so that the client can read the last answer */
};

/* Ends @connection; its memory stays until the end of this iteration of the loop. Does nothing if
 * it has ended already. */
void reader_connection_end(struct reader_connection *connection, enum reader_end how);

/* Whether no request has been read whose answer is due, so that the wire may be given away. */
bool reader_connection_is_free(const struct reader_connection *connection);

/* Stops reading from the connection for HTTP_PAUSE_MS. */
void reader_connection_pause(struct reader_connection *connection);

/* Takes back answered exchanges whose turn has come, after sending what they still have. */
void reader_connection_advance(struct reader_connection *connection);

/* Sends an answer: its head in reader->scratch, and @body, whose reference is taken. */
void reader_connection_send(struct reader_connection *connection, struct buffer *head,
			    struct blob *body);

/* The bytes that @answer keeps. */
size_t reader_answer_size(const struct reader_answer *answer);

/* Ends the exchanges and connections that are over. */
void reader_reap(struct http_reader *reader);

/* Makes the exchange of a request and puts it behind the others. Returns NULL if out of memory. */
struct http_exchange *reader_exchange_new(struct reader_connection *connection,
					  const struct http_head *head, const char *bytes);

/* Whether a complete request is ready to be passed on: its owner has read the body, or will. */
bool reader_exchange_prepare(struct http_exchange *exchange);

/* Passes a complete request on. */
void reader_exchange_dispatch(struct http_exchange *exchange);

/* Has a request answered that cannot be served. */
void reader_exchange_refuse(struct http_exchange *exchange, enum http_fault fault);

/* Has a request answered whose bytes the budget wants back (gather.h). */
void reader_exchange_cut(struct http_exchange *exchange);

/* The head that exchange->head refers to, while there is one. */
static inline const char *reader_exchange_bytes(const struct http_exchange *exchange)
{
	return exchange->gather ? buffer_sv(&exchange->gather->bytes).data : exchange->bytes;
}

/* What follows after a part of a connection's bytes was read. */
enum reader_step {
	READER_STEP_ON,   /* read on */
	READER_STEP_WAIT, /* until something happens */
	READER_STEP_OVER, /* the connection has ended */
};

/* Until the request is complete, the connection has header_timeout, a new one from the beginning
 * on. */
void reader_begin_receiving(struct reader_connection *connection);

/* Shows what has arrived. */
enum wire_result reader_look(struct reader_connection *connection, struct sv *ret_bytes);

/* Consumes what @bytes, which begin with @head, have of the request, and goes on with its body. */
enum reader_step reader_body_begin(struct http_exchange *exchange, const struct http_head *head,
				   struct sv bytes);

/* Goes on with connection->body. */
enum reader_step reader_body_read(struct reader_connection *connection);

/* Reads the requests of a connection, which is the user. */
extern const struct wire_callbacks reader_wire_callbacks;
