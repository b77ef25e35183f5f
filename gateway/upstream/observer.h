/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Somebody who looks on while a domain is looked up and dialled, to show it (ops/probe.h). Sessions have nobody. He is told what
 * is, inside of what does it: he must neither ask, dial, nor free anything.
 */
#include <stddef.h>

#include "common/address.h"
#include "gateway/failure.h"
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/srv.h"

struct lookup_observer {
	/* A question goes out. */
	void (*asked)(void *userdata, enum dns_kind kind, const char *name);
	/* To a question that went out; or by itself, when the answer was known already. NULL for want of memory. */
	void (*answered)(void *userdata, enum dns_kind kind, const char *name, const struct dns_reply *reply);
	void *userdata;
};

enum dial_step {
	DIAL_STARTED,
	DIAL_CONNECTED, /* told of the first only, and last of all */
	DIAL_FAILED,    /* also what was never started, because a policy forbids it or there were no means */
	DIAL_GIVEN_UP,  /* another one was connected first */
};

struct dial_observer {
	/* The targets, in the order in which they are tried. Not told of fixed addresses. */
	void (*ordered)(void *userdata, const struct srv_target *targets, size_t n_targets);
	/* What became of @address, of @target (NULL: a fixed one); @failure with DIAL_FAILED. */
	void (*dialled)(void *userdata, enum dial_step step, const struct srv_target *target,
			const struct address *address, const struct failure *failure);
	void *userdata;
};
