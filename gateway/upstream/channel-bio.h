/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The socket of a channel as OpenSSL sees it. OpenSSL's own kind writes without MSG_NOSIGNAL, knows
 * nothing of floods, and sends each record alone. Private to channel*.c.
 */
#include <sys/types.h>

#include "gateway/upstream/channel.h"

/* As send(2), without EINTR. Bytes that others follow are held back by the kernel. */
ssize_t channel_send(struct channel *channel, const char *data, size_t n);

/* Returns NULL if out of memory. @channel must not move. */
BIO *channel_bio_new(struct channel *channel);
