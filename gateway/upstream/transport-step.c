/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/upstream/transport-state.h"

static void on_run(struct job *job)
{
	struct transport_step *step = CONTAINER_OF(job, struct transport_step, job);

	step->result = channel_handshake(&step->transport->channel);
}

static void on_done(struct job *job)
{
	struct transport_step *step = CONTAINER_OF(job, struct transport_step, job);
	struct transport *transport = step->transport;

	step->has_result = true;
	tls_connection_return(transport->channel.ssl);
	if (transport->state == TRANSPORT_CLOSED) {
		transport_release(transport);
	} else if (transport->state == TRANSPORT_HANDSHAKE) {
		turn_add_last(transport->turn, &transport->item);
	}
}

int transport_begin_steps(struct transport *transport)
{
	struct transport_step *step = malloc(sizeof(*step));

	if (!step) {
		return -ENOMEM;
	}
	*step = (struct transport_step){
		.job = {.item = &transport->item, .run = on_run, .done = on_done},
		.transport = transport,
	};
	transport->step = step;
	transport->channel.n_received_max =
		tls_connection_has_offered(transport->channel.ssl) ? TRANSPORT_RESUMED_MAX : 0;
	return 0;
}

static void lend(struct transport *transport)
{
	transport->channel.n_received_max = SIZE_MAX;
	tls_connection_lend(transport->channel.ssl);
	helper_add(transport->helper, &transport->step->job);
}

/* Takes the step as far as the loop may. Returns false if the helper has to go on. */
static bool take_short_step(struct transport *transport, enum channel_result *ret_result)
{
	struct channel *channel = &transport->channel;

	/* If the server resumes the session, this side answers once, at the end. If it has answered
	 * before, the server has asked for another key (HelloRetryRequest): with P-384 that takes
	 * 1 ms. */
	if (channel_is_stopped(channel) || channel->n_received_max == SIZE_MAX ||
	    channel->n_answered > 0) {
		return false;
	}
	*ret_result = channel_handshake(channel);
	return *ret_result != CHANNEL_AGAIN || !channel_is_stopped(channel);
}

bool transport_take_step(struct transport *transport, enum channel_result *ret_result)
{
	struct transport_step *step = transport->step;

	if (step && !step->has_result) {
		if (take_short_step(transport, ret_result)) {
			return true;
		}
		lend(transport);
		return false;
	}
	if (step && step->result != CHANNEL_BROKEN) {
		*ret_result = step->result;
	} else {
		/* If it has failed, it says why once more: OpenSSL's errors are the thread's. */
		*ret_result = channel_handshake(&transport->channel);
	}
	if (step) {
		step->has_result = false;
	}
	return true;
}
