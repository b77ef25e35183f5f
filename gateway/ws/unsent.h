/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The frames that wait for a client, as an engine: which of them were sent, and the texts of those
 * that were not, when the client is gone. A client takes whole messages only: of one that was sent
 * in part it has got nothing.
 *
 * queue   frames that the gateway has written, one behind the other. Each is a whole message. The
 *         first ones may be sent, whole or in part
 * whole   a frame of which every byte was sent
 * begun   a frame of which a part was sent
 */
#include "common/buffer.h"
#include "gateway/http/coder.h"

/* The length of the whole frames at the beginning of @queue, of which @n_sent bytes were sent. */
size_t unsent_whole(struct sv queue, size_t n_sent);

/* The same with the begun frame behind them, if there is one. */
size_t unsent_begun(struct sv queue, size_t n_sent);

/* Appends the texts of the text messages in @queue to @texts, one behind the other. @coder expands
 * those that are compressed (RFC 7692); it may be NULL if none is. Returns 0, or -ENOMEM: those
 * that there was no memory for are missing. */
_must_check_ int unsent_texts(struct sv queue, struct coder *coder, struct buffer *texts);
