/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * An address that stands for a host which only a proxy looks up. Races and the history tell servers
 * apart by their addresses, so a host of which nobody here knows the address gets one: always the
 * same, out of the block that is for discarding packets (RFC 6666). Nothing connects to it. An
 * engine.
 */
#include "common/address.h"

/* Makes the address for @host and @port. */
void stand_in_make(const char *host, uint16_t port, struct address *ret_address);

/* Whether @address is such an address. */
bool stand_in_is(const struct address *address);
