/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Which addresses the gateway may dial. Judges the address that is passed to connect(2), after
 * resolution, so that no name can lead into the operator's own network. Stops SRV and A records
 * that point inside, and DNS rebinding.
 */
#include <stdbool.h>

#include "common/address.h"

/* Whether @address is a public unicast address. Not public are: unspecified, loopback, private (RFC
 * 1918, RFC 4193), shared (RFC 6598), link-local, multicast, broadcast, documentation,
 * benchmarking, protocol assignments, reserved (240/4), and all of IPv6 outside 2000::/3. The
 * latter includes IPv4-compatible addresses and local NAT64 (64:ff9b:1::/48, where the position of
 * the IPv4 address is unknown).
 *
 * Of addresses that embed an IPv4 address, that address decides: IPv4-mapped, NAT64 (64:ff9b::/96,
 * what DNS64 gives for servers without IPv6) and 6to4 (2002::/16). Teredo (2001::/32) is never
 * public. */
bool address_is_public(const struct address *address);
