/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The size of a client's hello, before OpenSSL sees it. An engine.
 *
 * OpenSSL takes a hello of up to 131 KB, and makes room for all of it as soon as four bytes have
 * said how long it will be: a client of nine bytes has 154 KB until its time is over.
 *
 * hello  the messages that a client sends in clear at the beginning of a handshake: one, or with
 *        TLS 1.3 a second one, after the server has asked for another key
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	/* Hellos have 200 bytes to 2 KB, with large keys and many tickets somewhat more. */
	HELLO_MAX = 16384,
	HELLO_RECORD_HEADER = 5,
	HELLO_MESSAGE_HEADER = 4,
};

/* Initialise it with zeros, before the first byte arrives. */
struct hello {
	unsigned char record[HELLO_RECORD_HEADER], message[HELLO_MESSAGE_HEADER];
	uint8_t n_record, n_message; /* what is there of these headers */
	uint16_t n_record_left;      /* of the record behind its header */
	uint16_t n_message_left;     /* likewise */
	bool is_complete;            /* a whole message has arrived */
	bool is_other;               /* what came before that begins no hello of TLS */
	bool is_too_large;           /* hello_read() ignores what follows */
};

/* Reads what has come next, whatever the records and the pieces are. Records that are not a
 * handshake's are passed over. */
void hello_read(struct hello *hello, const unsigned char *bytes, size_t n);
