/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Observers of DNS lookups and of dialling, for displaying, logging and measuring them
 * (ops/probe.h, ops/trace.h). The callbacks run inside the code that they observe: they must not
 * ask, dial or free anything.
 */
#include <stddef.h>

#include "common/address.h"
#include "gateway/failure.h"
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/srv.h"

struct lookup_observer {
	/* A question is sent. May be NULL. */
	void (*asked)(void *userdata, enum dns_kind kind, const char *name);
	/* The reply to a question that was sent, or one known already. @reply is NULL when out of
	 * memory. */
	void (*answered)(void *userdata, enum dns_kind kind, const char *name,
			 const struct dns_reply *reply);
	/* A question that was sent has been answered, or given up, after @us microseconds. May be
	 * NULL. */
	void (*took)(void *userdata, int64_t us);
	void *userdata;
};

enum dial_step {
	DIAL_STARTED,
	DIAL_TUNNELLING, /* a proxy is connected, and is asked for the address */
	DIAL_CONNECTED,  /* the first to connect; the last step of a dial */
	DIAL_FAILED,     /* also when it was never started, by policy or for lack of resources */
	DIAL_GIVEN_UP,   /* another address connected first */
};

struct dial_observer {
	/* The targets in the order of trying. Not called for fixed addresses. May be NULL. */
	void (*ordered)(void *userdata, const struct srv_target *targets, size_t n_targets);
	/* A step of the attempt to connect to @address, which belongs to @target (NULL for a fixed
	 * address). It is a stand-in (stand-in.h) where a proxy looks up the target. @failure is
	 * set with DIAL_FAILED. */
	void (*dialled)(void *userdata, enum dial_step step, const struct srv_target *target,
			const struct address *address, const struct failure *failure);
	/* With DIAL_CONNECTED: @us microseconds since DIAL_STARTED. May be NULL. */
	void (*took)(void *userdata, int64_t us);
	void *userdata;
};
