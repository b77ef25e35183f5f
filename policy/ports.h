/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Which ports the gateway may dial. Judges the port that is passed to connect(2). Stops SRV records
 * and redirects that would make the gateway talk to a mail or ssh server of a third party.
 *
 * range  a port ("443") or ports ("1024-65535"), both ends included
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

struct ports_range {
	uint16_t first, last;
};

struct ports {
	struct ports_range *ranges; /* owned */
	size_t n_ranges;
};

/* Returns 0, -ENOMEM, or -EINVAL, then *ret_bad is the index of the first text that is not a range:
 * decimal numbers from 1 to 65535, the first no larger than the second, and nothing else. */
_must_check_ int ports_init(struct ports *ports, const char *const *texts, size_t n,
			    size_t *ret_bad);
void ports_deinit(struct ports *ports);

/* Whether @port is in one of the ranges. */
bool ports_allow(const struct ports *ports, uint16_t port);
