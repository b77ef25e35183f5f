/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reads and writes a nonblocking socket, in clear or through TLS, with the same results for both.
 * A channel never waits and has no callbacks: transport.c, its only user, polls the socket.
 *
 * flood  more TLS messages without data than tls-controls.h allows: CHANNEL_BROKEN
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"
#include "gateway/tls-controls.h"

enum {
	CHANNEL_RECORD_MAX = 16384, /* RFC 8446, 5.1: the largest payload of a record */
	/* Bytes that a record of TLS counts as at least in a read. Those of a burst are read
	 * together; but a read of a server whose records have a byte each must not take long. */
	CHANNEL_RECORD_COST = 64,
};

struct channel {
	int fd;
	SSL *ssl;       /* NULL: no TLS */
	bool is_secure; /* the handshake is complete: reads and writes go through TLS */
	/* After CHANNEL_AGAIN: the operation waits for the opposite of what its name suggests.
	 * Happens with TLS only. */
	bool write_wants_read;
	bool read_wants_write;
	bool is_corked;    /* more follows at once: the kernel keeps what is written until then */
	bool is_held_back; /* it keeps what was written last */
	bool is_at_end;    /* the peer has ended the connection below TLS */
	bool is_pressed;   /* others wait: OpenSSL gets little at a time (TLS_READ_SMALL) */
	const char *error; /* after CHANNEL_BROKEN: the reason in words; static */
	bool handshake_is_broken;
	unsigned long handshake_error; /* then: OpenSSL's, or 0 */
	struct tls_controls controls;
	size_t n_records_max; /* of one call */
	/* Bytes of the handshake, below TLS. Later ones are not counted: a size_t of 32 bits would
	 * wrap. */
	size_t n_received;
	size_t n_answered; /* n_received when TLS last wrote something */
	/* Until the handshake is complete, no more are read. */
	size_t n_received_max;
};

enum channel_result {
	/* all was written; all that is available was read; the handshake is complete */
	CHANNEL_OK,
	CHANNEL_AGAIN,  /* nothing more can be done now: poll */
	CHANNEL_ENDED,  /* the peer ended the stream */
	CHANNEL_BROKEN, /* the connection cannot be used any more */
};

/* Describes @error, an errno. The text is static. */
const char *channel_error(int error);

/* Closes the socket and frees the TLS connection. May run twice. */
void channel_deinit(struct channel *channel);

/* Writes from @data. *ret_n_written is the number of bytes taken, also with CHANNEL_BROKEN. After
 * CHANNEL_AGAIN the next write must begin with the bytes not taken and must not be shorter. */
_must_check_ enum channel_result channel_write(struct channel *channel, const char *data, size_t n,
					       size_t *ret_n_written);

/* Reads up to @size bytes. *ret_n_read may be more than 0 with any result. With CHANNEL_OK there
 * may be more to read: either the socket is readable or channel_has_pending() returns true. */
_must_check_ enum channel_result channel_read(struct channel *channel, char *data, size_t size,
					      size_t *ret_n_read);

/* Whether TLS holds bytes that have not been read yet. Polling the socket does not show them. */
static inline bool channel_has_pending(const struct channel *channel)
{
	return channel->is_secure && SSL_has_pending(channel->ssl);
}

/* Whether the peer floods. */
static inline bool channel_is_flooded(const struct channel *channel)
{
	return tls_controls_are_too_many(&channel->controls);
}

/* Whether a call has read as many records as it may. */
static inline bool channel_has_read_enough(const struct channel *channel)
{
	return channel->controls.n_records >= channel->n_records_max;
}

/* Whether a TLS message that is no data has arrived in part. OpenSSL holds up to 131 KB for it, and
 * writes nothing until it is complete. */
static inline bool channel_is_in_message(const struct channel *channel)
{
	return channel->is_secure && SSL_in_init(channel->ssl);
}

/* Reads from the socket, below TLS, and discards the bytes. Returns whether more may come. */
bool channel_discard(struct channel *channel, char *data, size_t size);

/* Takes ownership of @ssl, also on failure, and connects it to the socket. Writes go out in clear
 * until channel_handshake() has returned CHANNEL_OK. From now on @channel must not move. Returns 0
 * or -ENOMEM. */
_must_check_ int channel_secure(struct channel *channel, SSL *ssl);

/* Whether the handshake stopped because it has read as much as it may. */
static inline bool channel_is_stopped(const struct channel *channel)
{
	return channel->n_received >= channel->n_received_max;
}

/* Continues the handshake. After CHANNEL_BROKEN the reason is channel.error or, if that is NULL, in
 * OpenSSL's error queue; later calls return both again. */
_must_check_ enum channel_result channel_handshake(struct channel *channel);

/* The owner has nothing more to write now: sends what the kernel keeps. */
void channel_push(struct channel *channel);

/* Sends close_notify, then FIN. CHANNEL_BROKEN: nothing can be sent or will arrive any more. */
_must_check_ enum channel_result channel_shutdown(struct channel *channel);
