/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "gateway/upstream/transport-state.h"

static void on_closed(uv_handle_t *handle)
{
	struct transport *transport = handle->data;

	assert(transport->n_handles > 0);
	if (--transport->n_handles == 0) {
		free(transport);
	}
}

struct transport *transport_free(struct transport *transport)
{
	if (!transport || transport->state == TRANSPORT_CLOSED) {
		return NULL;
	}
	transport->state = TRANSPORT_CLOSED;
	if (transport->turn) {
		turn_remove(transport->turn, &transport->item);
	}
	uv_close((uv_handle_t *)&transport->timer, on_closed);
	uv_close((uv_handle_t *)&transport->poll, on_closed);
	channel_deinit(&transport->channel);
	buffer_deinit(&transport->out);
	transport_end_tunnel(transport);
	return NULL;
}
