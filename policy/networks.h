/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Sets of networks, and who may connect. A set may have a hundred thousand networks, as block lists
 * on the internet do: a look-up takes a binary search for each prefix length that occurs.
 *
 * list  the text of a file: one network a line, "#" or ";" begins a comment
 */
#include "common/address.h"

enum {
	NETWORKS_BITS_MAX = 128,
};

struct networks_entry;

/* All zero: empty. */
struct networks {
	struct networks_entry *entries; /* owned; sorted by networks_seal() */
	size_t n;
	bool has_v4[NETWORKS_BITS_MAX + 1]; /* whether a prefix of that length occurs */
	bool has_v6[NETWORKS_BITS_MAX + 1];
};

void networks_deinit(struct networks *networks);

/* Returns 0 or -ENOMEM. */
_must_check_ int networks_add(struct networks *networks, const struct network *network);

/* Adds the networks of a list. Returns 0, -ENOMEM, or -EINVAL; then *ret_line is the number of the
 * first line that is no network. */
_must_check_ int networks_add_list(struct networks *networks, struct sv list, unsigned *ret_line);

/* To be called after the last network has been added, before the set is asked. */
void networks_seal(struct networks *networks);

/* The prefix length of the most specific network that contains @address, or -1 if there is none. */
int networks_match(const struct networks *networks, const struct address *address);

/* Whether a network of the set contains @address. */
static inline bool networks_contain(const struct networks *networks, const struct address *address)
{
	return networks_match(networks, address) >= 0;
}

/* Whether a client at @address may connect. Of the networks that contain it, in both sets, the most
 * specific one decides, and of two equal ones the denied one. If none does, it may connect unless
 * @allowed has any networks. */
bool networks_admit(const struct networks *allowed, const struct networks *denied,
		    const struct address *address);
