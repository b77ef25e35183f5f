/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bytes in and out of a nonblocking socket, in clear or through TLS, with one set of outcomes for both. It waits for nothing
 * and calls nobody back: transport.c, its only user, polls.
 *
 * The program ignores SIGPIPE: OpenSSL writes with write(2).
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"

struct channel {
	int fd;
	SSL *ssl;    /* NULL: in clear for ever */
	bool secure; /* the handshake is done: reads and writes go through TLS */
	/* What a write or read that said CHANNEL_AGAIN needs, when it is not the obvious. Only TLS has such needs. */
	bool write_wants_read;
	bool read_wants_write;
	const char *error; /* after CHANNEL_BROKEN: why, in words; never freed */
};

enum channel_result {
	CHANNEL_OK,     /* all was written; everything that can be had was read; the handshake is done */
	CHANNEL_AGAIN,  /* no more for now: poll */
	CHANNEL_ENDED,  /* the peer ended the stream */
	CHANNEL_BROKEN, /* nothing can be done with it any more */
};

/* The words for @error, an errno. Never freed. */
const char *channel_error(int error);

/* Ends it. May run twice. */
void channel_deinit(struct channel *channel);

/* Writes from @data; *ret_n_written says how much was taken, also when it is CHANNEL_BROKEN. After CHANNEL_AGAIN the
 * next write must begin with the bytes not taken, and be no shorter. */
_must_check_ enum channel_result channel_write(struct channel *channel, const char *data, size_t n,
					       size_t *ret_n_written);

/* Reads up to @size bytes, which is at least CHANNEL_RECORD_MAX; *ret_n_read may be more than 0 whatever the result. With
 * CHANNEL_OK the rest, if any, makes the socket readable, or channel_has_pending() tells of it. */
_must_check_ enum channel_result channel_read(struct channel *channel, char *data, size_t size,
					      size_t *ret_n_read);

enum {
	CHANNEL_RECORD_MAX = 16384, /* RFC 8446, 5.1: what one record may carry */
};

/* Whether bytes wait inside TLS, which no poll tells of. */
static inline bool channel_has_pending(const struct channel *channel)
{
	return channel->secure && SSL_has_pending(channel->ssl);
}

/* Reads and forgets, below TLS. Whether more may come. */
bool channel_discard(struct channel *channel, char *data, size_t size);

/* Takes @ssl over and lets it speak through the socket. Until channel_handshake() says CHANNEL_OK, writes still go in
 * clear. Returns 0 or -ENOMEM (@ssl is the channel's also then). */
_must_check_ int channel_secure(struct channel *channel, SSL *ssl);

/* Goes on with the handshake. After CHANNEL_BROKEN OpenSSL's error queue says why when channel.error is NULL. */
_must_check_ enum channel_result channel_handshake(struct channel *channel);

/* close_notify, then FIN. */
_must_check_ enum channel_result channel_shutdown(struct channel *channel);
