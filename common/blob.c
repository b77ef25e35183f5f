/* SPDX-License-Identifier: MIT */
#include "common/blob.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* What servers answer may have passwords and tokens in it, which must not stay in free
	 * memory (as in buffer.c). They come in short answers. A long answer is often no longer
	 * in the processor's cache, and wiping all of it takes a tenth of its round trip. */
	WIPE_MAX = 64 * 1024,
};

int blob_new(size_t n, struct blob **ret_blob)
{
	struct blob *blob = malloc(sizeof(*blob) + n);

	if (!blob) {
		return -ENOMEM;
	}
	atomic_init(&blob->n_refs, 1);
	blob->n = n;
	*ret_blob = blob;
	return 0;
}

struct blob *blob_ref(struct blob *blob)
{
	unsigned n_before = atomic_fetch_add_explicit(&blob->n_refs, 1, memory_order_relaxed);

	assert(n_before > 0);
	(void)n_before;
	return blob;
}

struct blob *blob_unref(struct blob *blob)
{
	if (blob && atomic_fetch_sub_explicit(&blob->n_refs, 1, memory_order_acq_rel) == 1) {
		explicit_bzero(blob->data, blob->n < WIPE_MAX ? blob->n : WIPE_MAX);
		free(blob);
	}
	return NULL;
}
