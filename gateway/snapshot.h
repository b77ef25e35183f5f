/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A configuration in force, and what is made from it. Frozen: a reload makes a new one. Counted by
 * reference, because the workers change over one after the other. A session keeps only the
 * configuration that it was opened with (config_ref()).
 */
#include <openssl/ssl.h>
#include <stdatomic.h>

#include "gateway/config/config.h"

struct site;

struct snapshot {
	atomic_uint n_refs;
	const struct config *config;
	struct site *site;
	/* The TLS of each listener, NULL where it speaks clear text. The workers share them, so
	 * that each can resume the sessions of all. */
	SSL_CTX **tls;
};

/* Reads the files of the listeners' TLS. Takes over the caller's reference to @config, also on
 * failure. Returns 0, -ENOMEM, or -EINVAL if one of the files has changed since @config was
 * checked; that is logged. */
_must_check_ int snapshot_new(const struct config *config, struct snapshot **ret_snapshot);

struct snapshot *snapshot_ref(struct snapshot *snapshot);

/* Takes NULL; returns NULL. Thread-safe. */
struct snapshot *snapshot_unref(struct snapshot *snapshot);
