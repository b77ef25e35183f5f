/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Runs c-ares on a libuv loop: watches the sockets that c-ares opens, and its time-outs.
 */
#include <ares.h>
#include <uv.h>

#include "common/macro.h"
#include "gateway/upstream/dns/ares-bill.h"

struct ares_loop;

struct ares_loop_options {
	/* in the notation of c-ares ("127.0.0.1:5300,[::1]:53"); NULL: the system's */
	const char *servers;
	unsigned timeout_ms; /* for the first question to a server; doubled for each further one */
	unsigned n_tries;    /* of each server */
	/* Runs after c-ares has done something, outside of its calls. May free the ares_loop. */
	void (*worked)(void *userdata);
	void *userdata;
	struct ares_bill bill; /* who pays for what c-ares does; may be all zero */
};

/* Returns 0, -EINVAL when the servers cannot be parsed, or -ENOMEM. */
_must_check_ int ares_loop_new(uv_loop_t *loop, const struct ares_loop_options *options,
			       struct ares_loop **ret_ares);

/* Ends all questions at once with ARES_EDESTRUCTION and closes the handles; the memory is freed at
 * a later iteration of the loop. `worked` does not run any more. Returns NULL; takes NULL. */
struct ares_loop *ares_loop_free(struct ares_loop *ares);

/* The channel, for calls of c-ares. Callbacks of c-ares may run inside the call that asks. */
ares_channel ares_loop_channel(struct ares_loop *ares);

/* A question of @crowd has been answered: charges it with what c-ares has done for that since the
 * one before. */
void ares_loop_charge(struct ares_loop *ares, uint32_t crowd);

/* To be called after a question was put to c-ares, because its next time-out may be earlier now. */
void ares_loop_arm(struct ares_loop *ares);
