/* SPDX-License-Identifier: MIT */
#include "common/blob.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

int blob_new(size_t n, struct blob **ret_blob)
{
	struct blob *blob = malloc(sizeof(*blob) + n);

	if (!blob) {
		return -ENOMEM;
	}
	atomic_init(&blob->n_refs, 1);
	blob->n = n;
	blob->n_before = 0;
	blob->data = blob->bytes;
	*ret_blob = blob;
	return 0;
}

int blob_copy(struct sv bytes, struct blob **ret_blob)
{
	int r = blob_new(bytes.n, ret_blob);

	if (r == 0 && bytes.n) {
		memcpy((*ret_blob)->data, bytes.data, bytes.n);
	}
	return r;
}

int blob_take(struct buffer *buffer, struct blob **ret_blob)
{
	struct blob *blob;
	int r = blob_new(0, &blob);

	if (r < 0) {
		return r;
	}
	assert(buffer->n && buffer->offset <= UINT_MAX);
	blob->n = buffer->n;
	blob->n_before = (unsigned)buffer->offset;
	blob->data = buffer_release(buffer);
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
		char *memory = blob->data - blob->n_before;
		size_t n = blob->n_before + blob->n;

		explicit_bzero(memory, n < BUFFER_WIPE_MAX ? n : BUFFER_WIPE_MAX);
		if (blob->data != blob->bytes) {
			free(memory);
		}
		free(blob);
	}
	return NULL;
}
