/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * An address that stands for a host which only a proxy looks up. Races and the history tell servers
 * apart by their addresses. A host whose address the gateway does not know therefore gets one made
 * from its name, in the block for discarding packets (RFC 6666). Nothing connects to it. An engine.
 */
#include "common/address.h"
#include "common/macro.h"

/* Makes the address for @host and @port. Returns 0 or -ENOMEM. */
_must_check_ int stand_in_make(const char *host, uint16_t port, struct address *ret_address);

/* Whether @address is such an address. */
bool stand_in_is(const struct address *address);
