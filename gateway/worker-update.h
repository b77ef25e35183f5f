/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a reload brings to a worker: a configuration, and the worker's share of the listening
 * sockets. Made by the main thread, used and freed by the worker.
 */
#include "gateway/listener/acceptor.h"
#include "gateway/listener/listening.h"
#include "gateway/snapshot.h"

/* Owns all. */
struct worker_update {
	struct snapshot *snapshot;
	struct acceptor_socket *sockets; /* that listen */
	size_t n_sockets;
	bool is_retried; /* a part of the worker could not use it at first */
};

/* Takes a reference to @snapshot and duplicates of the sockets. Returns 0 or a negative errno. */
_must_check_ int worker_update_new(struct snapshot *snapshot, const struct listening *listening,
				   unsigned index, unsigned n_workers,
				   struct worker_update **ret_update);

/* Takes NULL; returns NULL. */
struct worker_update *worker_update_free(struct worker_update *update);
