/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * c-ares on a libuv loop: watches the sockets that c-ares opens and wakes it when its time has come.
 */
#include <ares.h>
#include <uv.h>

#include "common/macro.h"

struct ares_loop;

struct ares_loop_options {
	const char *servers; /* as c-ares writes them ("127.0.0.1:5300,[::1]:53"), or NULL for the system's */
	unsigned timeout_ms; /* for the first question to a server; then twice and four times as long */
	unsigned n_tries;    /* of each server */
	/* Runs whenever c-ares has been at work, with nothing of it on the stack. May free the ares_loop. */
	void (*worked)(void *userdata);
	void *userdata;
};

/* Returns 0, -EINVAL for bad servers, -ENOMEM. */
_must_check_ int ares_loop_new(uv_loop_t *loop, const struct ares_loop_options *options, struct ares_loop **ret_ares);

/* Answers all that was asked with ARES_EDESTRUCTION, now, and closes its handles; memory goes at a later turn of
 * the loop. `worked` does not run any more. NULL is fine. Returns NULL. */
struct ares_loop *ares_loop_free(struct ares_loop *ares);

/* For c-ares' own calls. Its callbacks run when they like, also from the very call that asks. */
ares_channel ares_loop_channel(struct ares_loop *ares);

/* To be called after c-ares was asked something: it may want to be woken earlier now. */
void ares_loop_arm(struct ares_loop *ares);
