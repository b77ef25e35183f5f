/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Which addresses the gateway may dial. Asked with the very address that goes into connect(2), after
 * resolution, so that no name can lead into the operator's own network (field of attack: SRV and A
 * records that point inside, DNS rebinding).
 */
#include <stdbool.h>

#include "common/address.h"

/* Whether @address is a public unicast address. Not public: unspecified, loopback, private (RFC 1918,
 * RFC 4193), shared (RFC 6598), link-local, multicast, broadcast, documentation, benchmarking, protocol
 * assignments, reserved (240/4), and of IPv6 all that is outside 2000::/3, so also the compatible form and
 * local NAT64 (64:ff9b:1::/48, where nobody can tell which bits are the IPv4 address).
 * The other forms that carry an IPv4 address are as public as that address is: mapped, NAT64 (64:ff9b::/96: what
 * DNS64 gives for every server of the old Internet) and 6to4 (2002::/16). Teredo (2001::/32) never is. */
bool address_is_public(const struct address *address);
