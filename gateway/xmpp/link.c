/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/xmpp/link-state.h"

enum domain_tls link_tls(const struct link *link)
{
	return link->rule ? link->rule->tls : DOMAIN_TLS_REQUIRED;
}

static void on_closed(uv_handle_t *handle)
{
	struct link *link = CONTAINER_OF((uv_timer_t *)handle, struct link, timer);

	stream_deinit(&link->stream);
	free(link->domain);
	free(link);
}

/* The owner is gone; so is all that could call back. */
static void let_go(struct link *link)
{
	link->callbacks = NULL;
	gather_drop(&link->env->gather, link);
	keepalive_leave(&link->env->keepalive, &link->keepalive);
	if (link->is_counted) {
		link->is_counted = false;
		census_leave_domain(link->env->census, link->domain);
	}
	link->dial = dial_free(link->dial);
	link_opening_end(link);
	uv_close((uv_handle_t *)&link->timer, on_closed);
}

int link_send_out(struct link *link)
{
	struct buffer *out = &link->stream.out;

	if (out->n == 0 || !link->transport) {
		return 0;
	}
	int r = transport_write(link->transport, buffer_sv(out).data, out->n);

	link->keepalive.wrote = true;
	buffer_deinit(out);
	return r;
}

/* The connection ends behind what waits, and behind </stream:stream> if @closes_stream. */
static void end(struct link *link, bool closes_stream)
{
	gather_flush(&link->env->gather, link);
	if (link->transport && link->stream.state != STREAM_STATE_HANDSHAKE) {
		if (closes_stream) {
			/* Without memory for the farewell the server learns it from the FIN. */
			(void)!stream_close(&link->stream);
		}
		(void)!link_send_out(link);
		transport_finish(link->transport, LINK_CLOSE_TIMEOUT_MS);
		link->transport = NULL;
	}
	link->transport = transport_free(link->transport);
	let_go(link);
}

struct link *link_close(struct link *link)
{
	if (link) {
		end(link, true);
	}
	return NULL;
}

struct link *link_drop(struct link *link)
{
	if (link) {
		end(link, !link->stream.managed);
	}
	return NULL;
}

void link_fail(struct link *link, const struct failure *failure)
{
	if (!link->callbacks || link->failing || link_try_another(link, failure)) {
		return;
	}
	link->failing = true;
	link->dial = dial_free(link->dial);
	uv_timer_stop(&link->timer);
	link_opening_stop(link);
	keepalive_leave(&link->env->keepalive, &link->keepalive);
	if (failure->kind != FAILURE_STREAM_ERROR && failure->kind != FAILURE_STREAM_CLOSED) {
		/* Otherwise the owner can still answer the server's farewell. */
		link->transport = transport_free(link->transport);
	}
	link->callbacks->over(link->userdata, failure);
}

void link_fail_kind(struct link *link, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	link_fail(link, &failure);
}

/* A header before TLS is no affair of the client's: it is told of the one whose features it gets, or that has none. */
static void tell_header(struct link *link)
{
	if (!link->header_due || link->stream.state != STREAM_STATE_OPEN) {
		return;
	}
	link->header_due = false;
	if (link->opening) {
		uv_timer_stop(&link->timer);
		link_keep_server(link);
		if (link->paused) {
			transport_pause(link->transport, true);
		}
	}
	link->callbacks->header(link->userdata);
}

/* From the second features on: those behind the login, during which there may be no whitespace (RFC 6120, 6.3.5). */
static void keep_alive(struct link *link)
{
	if (stream_event_is_repeated(&link->stream)) {
		return;
	}
	if (link->offered) {
		keepalive_enter(&link->env->keepalive, &link->keepalive);
	}
	link->offered = true;
}

/* Tells one event. False when the link is over, or its owner gone. */
static bool tell(struct link *link, enum stream_event_kind kind)
{
	const struct link_observer *observer = link->env->observer;

	switch (kind) {
	case STREAM_EVENT_HEADER:
		if (observer) {
			observer->header(observer->userdata, &link->stream);
		}
		link->header_due = true;
		tell_header(link);
		break;
	case STREAM_EVENT_SECURE:
		link_secure(link);
		return false;
	case STREAM_EVENT_FEATURES:
		tell_header(link);
		if (link->callbacks) {
			keep_alive(link);
			link->callbacks->element(link->userdata, kind);
		}
		break;
	case STREAM_EVENT_ELEMENT:
		link->callbacks->element(link->userdata, kind);
		break;
	case STREAM_EVENT_ERROR:
		if (link_follow(link)) {
			return false;
		}
		link->callbacks->element(link->userdata, kind);
		if (link->callbacks) {
			link_fail(link, &link->stream.failure);
		}
		return false;
	case STREAM_EVENT_CLOSED:
	case STREAM_EVENT_FAILED:
		link_fail(link, &link->stream.failure);
		return false;
	case STREAM_EVENT_NONE:
		return false;
	}
	return link->callbacks != NULL;
}

/* Tells all that there is to tell. @r: what came of feeding the stream. */
static void tell_all(struct link *link, int r)
{
	enum stream_event_kind kind;

	do {
		if (r == 0) {
			r = stream_next(&link->stream, &kind);
		}
		if (r < 0) {
			link_fail_kind(link, FAILURE_INTERNAL);
			return;
		}
	} while (tell(link, kind));
	if (!link->callbacks || link->failing) {
		return;
	}
	if (link_send_out(link) < 0) {
		link_fail_kind(link, FAILURE_INTERNAL);
		return;
	}
	link->callbacks->flush(link->userdata);
}

static void on_data(void *userdata, const char *data, size_t n)
{
	struct link *link = userdata;

	tell_all(link, stream_feed(&link->stream, data, n));
}

static void on_drained(void *userdata)
{
	struct link *link = userdata;

	if (link->callbacks) {
		link->callbacks->drained(link->userdata);
	}
}

static void on_ended(void *userdata)
{
	link_fail_kind(userdata, FAILURE_CONNECTION_LOST);
}

static void on_failed(void *userdata, const struct failure *failure)
{
	struct link *link = userdata;
	const SSL *ssl = transport_tls(link->transport);

	if (ssl && !SSL_is_init_finished(ssl)) {
		link_tell_secured(link, failure);
	}
	link_fail(link, failure);
}

const struct dial_callbacks link_dial_callbacks = {
	.transport = {
		.secured = link_on_secured,
		.data = on_data,
		.drained = on_drained,
		.ended = on_ended,
		.failed = on_failed,
	},
	.done = link_on_dialled,
	.failed = link_on_not_dialled,
};

int link_new(struct link_env *env, const struct stream_target *target, const struct domain_rule *rule,
	     const struct link_callbacks *callbacks, void *userdata, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link) {
		return -ENOMEM;
	}
	link->env = env;
	link->rule = rule;
	link->callbacks = callbacks;
	link->userdata = userdata;
	stream_init(&link->stream, env->pool, &env->scan_options, link_tls(link));
	uv_timer_init(env->dialer.loop, &link->timer);
	int r = link_opening_new(link, target);

	if (r == 0) {
		r = link_start(link);
	}
	if (r < 0) {
		link_drop(link);
		return r;
	}
	*ret_link = link;
	return 0;
}

/* Whether @n bytes may be written now. Returns 0, -EPROTO, -ENOBUFS, or 1: nobody wants them any more. */
static int may_write(const struct link *link, size_t n)
{
	const struct link_env *env = link->env;

	if (link->stream.state != STREAM_STATE_OPEN) {
		/* A link that is over tells so by itself. */
		return link->failing || link->stream.state == STREAM_STATE_OVER ? 1 : -EPROTO;
	}
	if (!link->transport) {
		return 1;
	}
	n += transport_waiting(link->transport) + gather_waiting(&env->gather, link);
	return n > env->n_waiting_max ? -ENOBUFS : 0;
}

int link_write(struct link *link, struct sv elements)
{
	int r = may_write(link, elements.n);

	if (r != 0) {
		return r < 0 ? r : 0;
	}
	gather_flush(&link->env->gather, link);
	link->keepalive.wrote = true;
	return transport_write(link->transport, elements.data, elements.n);
}

int link_gather(struct link *link, struct sv elements)
{
	int r = may_write(link, elements.n);

	if (r != 0) {
		return r < 0 ? r : 0;
	}
	link->keepalive.wrote = true;
	return gather_add(&link->env->gather, link, elements);
}

static void on_turn(uv_timer_t *timer)
{
	struct link *link = CONTAINER_OF(timer, struct link, timer);

	if (link->lost) {
		link_fail_kind(link, FAILURE_INTERNAL);
	} else if (stream_repeats(&link->stream)) {
		tell_all(link, 0);
	}
}

/* This may be within a call of the owner's, or into another link: something is to be told later. */
static void tell_at_next_turn(struct link *link)
{
	uv_timer_start(&link->timer, on_turn, 0, 0);
}

void link_write_gathered(struct link *link, struct sv bytes)
{
	if (link->transport && transport_write(link->transport, bytes.data, bytes.n) < 0) {
		link->lost = true;
		tell_at_next_turn(link);
	}
}

int link_restart(struct link *link, const struct stream_target *target)
{
	gather_flush(&link->env->gather, link);
	int r = stream_restart(&link->stream, target);

	if (r == 0 && stream_repeats(&link->stream) && !link->failing) {
		tell_at_next_turn(link);
	}
	return r < 0 ? r : link_send_out(link);
}

bool link_is_congested(const struct link *link)
{
	return link->transport && transport_is_congested(link->transport);
}

void link_pause(struct link *link, bool pause)
{
	link->paused = pause;
	/* What the gateway itself has to talk over with the server goes on. */
	if (link->transport && !link->opening) {
		transport_pause(link->transport, pause);
	}
}

const struct stream *link_stream(const struct link *link)
{
	return &link->stream;
}

void link_keep_alive(struct keepalive_member *member)
{
	struct link *link = CONTAINER_OF(member, struct link, keepalive);

	/* All that was written before are whole elements, so a space can only fall between two. A header
	 * that has not been answered yet (stream.state) is a check of its own. */
	if (link->stream.state == STREAM_STATE_OPEN && link_write(link, SV(" ")) == -ENOMEM) {
		link_fail_kind(link, FAILURE_INTERNAL);
	}
}
