/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common/clock.h"
#include "gateway/xmpp/link-state.h"

static void on_closed(uv_handle_t *handle)
{
	struct link *link = CONTAINER_OF((uv_timer_t *)handle, struct link, timer.uv);

	stream_deinit(&link->stream);
	free(link->domain);
	config_unref(link->config);
	free(link);
}

int link_put(struct link *link, struct sv bytes)
{
	int r = link->transport ? transport_write(link->transport, bytes.data, bytes.n) : 0;

	if (r < 0) {
		link->transport = transport_free(link->transport);
	}
	return r;
}

int link_send_out(struct link *link)
{
	struct buffer *out = &link->stream.out;

	if (out->n == 0 || !link->transport) {
		return 0;
	}
	int r = link_put(link, buffer_sv(out));

	link->keepalive.has_written = true;
	buffer_deinit(out);
	return r;
}

/* Whether the stream ends in order. It does not if it is to be resumed, nor if stanzas were lost:
 * the server would take them for delivered. */
static bool ends_in_order(const struct link *link)
{
	return !link->has_lost && !(link->is_dropped && link->stream.is_managed);
}

/* Ends the connection after what waits has been written, and </stream:stream> if it ends in
 * order. */
static void finish(struct link *link)
{
	if (link->transport) {
		if (ends_in_order(link)) {
			/* Without memory for the farewell the server learns it from the FIN. */
			(void)!stream_close(&link->stream);
		}
		transport_will_finish(link->transport);
		(void)!link_send_out(link);
	}
	if (link->transport) {
		transport_finish(link->transport, LINK_CLOSE_TIMEOUT_MS);
		link->transport = NULL;
	}
	uv_close((uv_handle_t *)&link->timer.uv, on_closed);
}

/* Returning what the server has sent. */

static struct mono now_of(const struct link *link)
{
	return clock_of_loop(link->env->dialer.loop);
}

static void stop_returning(struct link *link)
{
	struct link_env *env = link->env;

	TAILQ_REMOVE(&env->returning, link, in_returning);
	env->n_returning--;
	free(link->returning);
	link->returning = NULL;
	finish(link);
}

static void on_quiet(struct timeout *timer);

/* The timer is not moved with each read: when it runs too early, it is set anew. */
static void set_timer(struct link *link)
{
	timeout_start(&link->timer, on_quiet,
		      mono_diff_ms(returning_deadline(link->returning), now_of(link)));
}

static void on_quiet(struct timeout *timer)
{
	struct link *link = CONTAINER_OF(timer, struct link, timer);

	/* What is there may wait for its turn. */
	if (transport_has_unread(link->transport)) {
		returning_note_unread(link->returning, now_of(link));
	}
	if (mono_reached(returning_deadline(link->returning), now_of(link))) {
		stop_returning(link);
	} else {
		set_timer(link);
	}
}

/* Stops reading while the server does not read the errors that it is sent: they would fill the
 * memory. */
static void hold(struct link *link, bool is_held)
{
	returning_hold(link->returning, is_held, now_of(link));
	set_timer(link);
	transport_pause(link->transport, is_held);
}

static void take(struct link *link, struct sv bytes)
{
	_cleanup_(buffer_deinit) struct buffer answers = BUFFER_INIT;
	int r = returning_take(link->returning, bytes, now_of(link), &answers);

	link->has_lost = link->has_lost || r < 0;
	if (link_put(link, buffer_sv(&answers)) < 0 || r != RETURNING_MORE) {
		stop_returning(link);
	} else if (transport_is_congested(link->transport)) {
		hold(link, true);
	}
}

static void on_data(void *userdata, const char *data, size_t n)
{
	take(userdata, (struct sv){data, n});
}

static void on_drained(void *userdata)
{
	hold(userdata, false);
}

static void on_ended(void *userdata)
{
	stop_returning(userdata);
}

static void on_failed(void *userdata, const struct failure *failure)
{
	struct link *link = userdata;

	(void)failure;
	link->transport = transport_free(link->transport);
	stop_returning(link);
}

static const struct transport_callbacks returning_callbacks = {
	.data = on_data,
	.drained = on_drained,
	.ended = on_ended,
	.failed = on_failed,
};

/* Whether the server may have sent stanzas that nobody knows of yet. Before the login it sends
 * none. */
static bool has_unreturned(const struct link *link)
{
	const struct stream *stream = &link->stream;

	return link->transport && !link->is_failing && stream->state == STREAM_STATE_OPEN &&
	       stream->is_logged_in && !stream->is_managed &&
	       (stream->has_input || !xml_scan_is_idle(&stream->scan) ||
		transport_has_unread(link->transport));
}

/* Returns false if out of memory. */
static bool start_returning(struct link *link)
{
	struct link_env *env = link->env;

	link->returning = malloc(sizeof(*link->returning));
	if (!link->returning) {
		return false;
	}
	returning_init(link->returning, &link->stream, now_of(link));
	if (env->n_returning == LINK_RETURNING_MAX) {
		stop_returning(TAILQ_FIRST(&env->returning));
	}
	TAILQ_INSERT_TAIL(&env->returning, link, in_returning);
	env->n_returning++;
	transport_hand_over(link->transport, &returning_callbacks, link);
	set_timer(link);
	transport_pause(link->transport, false);
	/* The owner may have let go between two elements that came together. */
	take(link, SV_EMPTY);
	return true;
}

/* The end. The owner is gone; so is all that could call back. */

static void end(struct link *link, bool is_dropped)
{
	link->is_dropped = is_dropped;
	link->opening = opening_free(link->opening);
	outbox_flush(&link->env->outbox, link);
	link->callbacks = NULL;
	outbox_drop(&link->env->outbox, link);
	keepalive_leave(&link->env->keepalive, &link->keepalive);
	if (link->discards_waiting && link->transport && transport_is_congested(link->transport)) {
		link->transport = transport_free(link->transport);
	}
	if (!has_unreturned(link)) {
		finish(link);
	} else if (!start_returning(link)) {
		link->has_lost = true;
		finish(link);
	}
}

void link_discard_waiting(struct link *link)
{
	link->discards_waiting = true;
}

struct link *link_close(struct link *link)
{
	if (link) {
		end(link, false);
	}
	return NULL;
}

struct link *link_drop(struct link *link)
{
	if (link) {
		end(link, true);
	}
	return NULL;
}
