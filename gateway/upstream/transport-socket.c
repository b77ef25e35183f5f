/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/transport-state.h"

static int open_events(const struct transport *transport)
{
	const struct channel *channel = &transport->channel;
	bool is_reading = !transport->has_ended && !transport->is_paused;
	bool is_writing = transport->out.n > 0;
	int events = 0;

	if (is_reading || (is_writing && channel->write_wants_read)) {
		events |= UV_READABLE;
	}
	if ((is_writing && !channel->write_wants_read) ||
	    (is_reading && channel->read_wants_write)) {
		events |= UV_WRITABLE;
	}
	return events;
}

int transport_wanted_events(const struct transport *transport)
{
	switch (transport->state) {
	case TRANSPORT_CONNECTING:
		return transport->connect_error ? 0 : UV_WRITABLE;
	case TRANSPORT_TUNNEL:
		return UV_READABLE | (transport->tunnel->out.n ? UV_WRITABLE : 0);
	case TRANSPORT_OPEN:
		return open_events(transport);
	case TRANSPORT_HANDSHAKE:
		return transport->n_clear || transport->channel.read_wants_write ? UV_WRITABLE
										 : UV_READABLE;
	case TRANSPORT_FINISHING:
		return transport->has_sent_fin || transport->channel.write_wants_read ? UV_READABLE
										      : UV_WRITABLE;
	case TRANSPORT_FAILED:
	case TRANSPORT_CLOSED:
		break;
	}
	return 0;
}

bool transport_take_change(struct transport *transport)
{
	bool counts = channel_is_in_message(&transport->channel);
	bool is_changed = transport->held_is_due || counts != transport->message_counts;

	transport->message_counts = counts;
	transport->held_is_due = false;
	return is_changed;
}

void transport_flush(struct transport *transport, size_t n)
{
	size_t n_written;
	struct sv out = sv_first(buffer_sv(&transport->out), n);

	if (channel_write(&transport->channel, out.data, out.n, &n_written) == CHANNEL_BROKEN) {
		transport_set_broken(transport, transport->channel.error);
		return;
	}
	buffer_consume(&transport->out, n_written);
}

static size_t portion_of(const struct transport *transport)
{
	if (!transport->turn || !turn_is_watched(transport->turn, &transport->item)) {
		return TRANSPORT_READ_SIZE;
	}
	return transport->channel.is_pressed ? TRANSPORT_READ_SMALL : TRANSPORT_READ_WATCHED;
}

char *transport_place(const struct transport *transport, size_t *ret_n)
{
	const struct transport_callbacks *callbacks = transport->callbacks;
	size_t n_most = portion_of(transport);
	size_t n_room;
	char *room = callbacks->room ? callbacks->room(transport->userdata, &n_room) : NULL;

	*ret_n = room && n_room < n_most ? n_room : n_most;
	return room ? room : transport->read_buffer;
}
