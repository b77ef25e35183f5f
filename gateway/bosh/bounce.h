/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a server is told of stanzas that came for a client which is gone (XEP-0206, "recipient-unavailable"; RFC 6121, 8.5): a message
 * comes back as an error with its content, so that the server can keep it for later; the asker of an <iq/> learns that nobody answers;
 * presence, errors, answers, and what names no sender come to nothing.
 */
#include "common/xml.h"

/* Appends the answers to @stanzas (completed, one behind the other) to @answers; what is no stanza, or not to be understood, is passed
 * over. @pool as for bodies. Returns 0 or -ENOMEM. */
_must_check_ int bosh_bounce(struct xml_pool *pool, struct sv stanzas, struct buffer *answers);
