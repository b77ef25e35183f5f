/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "gateway/upstream/transport-state.h"

static void free_last(struct transport *transport)
{
	assert(transport->n_handles > 0);
	if (--transport->n_handles == 0) {
		free(transport);
	}
}

static void on_closed(uv_handle_t *handle)
{
	free_last(handle->data);
}

void transport_end_steps(struct transport *transport)
{
	free(transport->step);
	transport->step = NULL;
}

void transport_release(struct transport *transport)
{
	channel_deinit(&transport->channel);
	transport_end_steps(transport);
	free_last(transport);
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
	uv_close((uv_handle_t *)&transport->timer.uv, on_closed);
	uv_close((uv_handle_t *)&transport->poll, on_closed);
	buffer_deinit(&transport->out);
	transport_end_tunnel(transport);
	transport->n_handles++;
	if (!transport->step || helper_remove(transport->helper, &transport->step->job)) {
		transport_release(transport);
	}
	return NULL;
}

void transport_turn_finishing(struct transport *transport)
{
	if (transport->has_sent_fin) {
		if (!channel_discard(&transport->channel, transport->read_buffer,
				     TRANSPORT_READ_SIZE)) {
			transport_free(transport);
		}
		return;
	}
	if (transport->out.n) {
		transport_flush(transport, transport->out.n);
	}
	if (transport->broken) {
		transport_free(transport);
		return;
	}
	if (transport->out.n) {
		return;
	}
	enum channel_result result = channel_shutdown(&transport->channel);

	if (result == CHANNEL_AGAIN) {
		return;
	}
	transport->has_sent_fin = true;
	if (transport->has_ended || result == CHANNEL_BROKEN) {
		transport_free(transport);
	}
}
