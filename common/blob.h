/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bytes that no longer change and have several owners. The BOSH session keeps a response in case
 * the client asks again, while the HTTP server, perhaps on another thread, is still writing it. The
 * last owner wipes the blob, its first 64 KB if it is longer, and frees it.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/macro.h"
#include "common/sv.h"

struct blob {
	atomic_uint n_refs;
	unsigned n_before; /* of memory that was a buffer's: bytes before `data` */
	size_t n;
	char *data; /* `bytes`, or in the memory of a buffer */
	char bytes[];
};

/* Makes a blob of @n uninitialised bytes with one reference. Returns 0 or -ENOMEM. */
_must_check_ int blob_new(size_t n, struct blob **ret_blob);
/* Makes a blob of a copy of @bytes, with one reference. Returns 0 or -ENOMEM. */
_must_check_ int blob_copy(struct sv bytes, struct blob **ret_blob);
/* Makes a blob of the bytes of @buffer, at least one, with one reference, without copying them: it
 * takes their memory, and the buffer is empty afterwards. Returns 0, or -ENOMEM (nothing
 * changed). */
_must_check_ int blob_take(struct buffer *buffer, struct blob **ret_blob);
/* Returns @blob. Thread-safe, as is blob_unref(). */
struct blob *blob_ref(struct blob *blob);
/* Takes NULL; returns NULL. */
struct blob *blob_unref(struct blob *blob);

static inline struct sv blob_sv(const struct blob *blob)
{
	return (struct sv){blob->data, blob->n};
}

DEFINE_CLEANUP(struct blob *, blob_unref);
