/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Returns stanzas that could not be delivered to the client, as errors (XEP-0206,
 * "recipient-unavailable"; RFC 6121, 8.5). A message is returned with its content, so that the
 * server can store it. An <iq/> that asks is answered with an error. Presence, errors, answers, and
 * stanzas that name no sender are dropped.
 */
#include "common/xml.h"

/* Appends the answers to @stanzas to @answers. @stanzas have their namespaces declared and follow
 * each other without a root; what is no stanza is skipped. @pool as for bodies. Returns 0 or
 * -ENOMEM. */
_must_check_ int bounce_stanzas(struct xml_pool *pool, struct sv stanzas, struct buffer *answers);
