/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bytes that do not change any more and that several owners hold: an answer is kept by its session for a repeat,
 * by the HTTP server until it is written, perhaps on another thread. The last one to let go frees it.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "common/macro.h"
#include "common/sv.h"

struct blob {
	atomic_uint n_refs;
	size_t n;
	char data[];
};

/* @n uninitialised bytes with one reference. Returns 0 or -ENOMEM. */
_must_check_ int blob_new(size_t n, struct blob **ret_blob);
struct blob *blob_ref(struct blob *blob);
struct blob *blob_unref(struct blob *blob);

static inline struct sv blob_sv(const struct blob *blob)
{
	return (struct sv){blob->data, blob->n};
}

DEFINE_CLEANUP(struct blob *, blob_unref);
