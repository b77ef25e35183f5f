/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "common/clock.h"
#include "gateway/xmpp/bounce.h"
#include "gateway/xmpp/link-state.h"

/* Tells the owner, as the last thing in a callback of the loop. */
static void fail(struct link *link, const struct failure *failure)
{
	if (!link->callbacks || link->is_failing) {
		return;
	}
	link->is_failing = true;
	/* These tries were not given up by the client (login_guard_left()). */
	link->stream.login.n_open = 0;
	link->opening = opening_free(link->opening);
	timeout_stop(&link->timer);
	keepalive_leave(&link->env->keepalive, &link->keepalive);
	if (failure->kind != FAILURE_STREAM_ERROR && failure->kind != FAILURE_STREAM_CLOSED) {
		/* After those two, the owner can still answer the server's </stream:stream>. */
		link->transport = transport_free(link->transport);
	}
	link->callbacks->over(link->userdata, failure);
}

static void fail_kind(struct link *link, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	fail(link, &failure);
}

static void on_login_timeout(struct timeout *timer)
{
	fail_kind(CONTAINER_OF(timer, struct link, timer), FAILURE_LOGIN_TIMEOUT);
}

/* Sets the timer to the end of the time for the login, which begins with the first features. After
 * the login, stops it. */
static void await_login(struct link *link)
{
	struct mono now = clock_of_loop(link->env->dialer.loop);

	if (link->is_broken) {
		return; /* the timer is to tell so */
	}
	if (link->env->login_timeout_ms == 0 || link->stream.is_logged_in) {
		timeout_stop(&link->timer);
		return;
	}
	if (link->login_deadline.ms == 0) {
		link->login_deadline = mono_add_ms(now, link->env->login_timeout_ms);
	}
	timeout_start(&link->timer, on_login_timeout, mono_diff_ms(link->login_deadline, now));
}

/* Tells the owner that the server's header has arrived. Waits for the features, because a restarted
 * stream may fail before they arrive. */
static void tell_header(struct link *link)
{
	if (link->header_is_due && link->stream.state == STREAM_STATE_OPEN) {
		link->header_is_due = false;
		/* The time for a restart is over, if there was one. */
		await_login(link);
		link->callbacks->header(link->userdata);
	}
}

/* Features have come. From the second ones on, the server gets keepalives: during the login,
 * whitespace is not allowed (RFC 6120, 6.3.5). */
static void enter_keepalive(struct link *link)
{
	if (stream_event_is_repeated(&link->stream)) {
		return;
	}
	if (link->has_offered) {
		keepalive_enter(&link->env->keepalive, &link->keepalive);
	}
	link->has_offered = true;
}

/* Reports one event. Returns false when the link is over or its owner has let go. */
static bool tell(struct link *link, enum stream_event_kind kind)
{
	assert(kind != STREAM_EVENT_SECURE); /* never once it is the client's */
	switch (kind) {
	case STREAM_EVENT_HEADER:
		link->header_is_due = true;
		tell_header(link);
		break;
	case STREAM_EVENT_FEATURES:
		tell_header(link);
		if (link->callbacks) {
			enter_keepalive(link);
			link->callbacks->element(link->userdata, kind);
		}
		break;
	case STREAM_EVENT_ELEMENT:
		if (link->stream.login_result == LOGIN_SUCCEEDED) {
			await_login(link);
		}
		link->callbacks->element(link->userdata, kind);
		break;
	case STREAM_EVENT_ERROR:
		link->callbacks->element(link->userdata, kind);
		if (link->callbacks) {
			fail(link, &link->stream.failure);
		}
		return false;
	case STREAM_EVENT_CLOSED:
	case STREAM_EVENT_FAILED:
		fail(link, &link->stream.failure);
		return false;
	case STREAM_EVENT_SECURE:
	case STREAM_EVENT_NONE:
		return false;
	}
	return link->callbacks != NULL;
}

/* Reports all events that are due. @r is what stream_feed() returned. */
static void tell_all(struct link *link, int r)
{
	enum stream_event_kind kind;

	do {
		if (r == 0) {
			r = stream_next(&link->stream, &kind);
		}
		if (r < 0) {
			fail_kind(link, FAILURE_INTERNAL);
			return;
		}
	} while (tell(link, kind));
	if (!link->callbacks || link->is_failing) {
		return;
	}
	if (link_send_out(link) < 0) {
		fail_kind(link, FAILURE_INTERNAL);
		return;
	}
	link->callbacks->flush(link->userdata);
	if (link->callbacks) {
		link->callbacks->held(link->userdata);
	}
}

static char *on_room(void *userdata, size_t *ret_n_room)
{
	struct link *link = userdata;

	return stream_room(&link->stream, ret_n_room);
}

static void on_data(void *userdata, const char *data, size_t n)
{
	struct link *link = userdata;

	tell_all(link, stream_feed(&link->stream, data, n));
}

static void on_held(void *userdata)
{
	struct link *link = userdata;

	if (link->callbacks) {
		link->callbacks->held(link->userdata);
	}
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
	fail_kind(userdata, FAILURE_CONNECTION_LOST);
}

static void on_failed(void *userdata, const struct failure *failure)
{
	fail(userdata, failure);
}

static void on_received(void *userdata)
{
	struct link *link = userdata;

	link->callbacks->held(link->userdata);
}

static void on_opened(void *userdata, struct transport *transport, enum stream_event_kind kind)
{
	struct link *link = userdata;

	link->opening = NULL;
	link->transport = transport;
	link->header_is_due = true;
	if (link->is_paused) {
		transport_pause(transport, true);
	}
	if (tell(link, kind)) {
		tell_all(link, 0);
	}
}

static void on_not_opened(void *userdata, struct transport *transport,
			  const struct failure *failure)
{
	struct link *link = userdata;

	link->opening = NULL;
	link->transport = transport;
	if (failure->kind == FAILURE_STREAM_ERROR) {
		link->callbacks->element(link->userdata, STREAM_EVENT_ERROR);
	}
	fail(link, failure);
}

static const struct opening_callbacks opening_callbacks = {
	.transport =
		{
			.room = on_room,
			.data = on_data,
			.held = on_held,
			.drained = on_drained,
			.ended = on_ended,
			.failed = on_failed,
		},
	.received = on_received,
	.done = on_opened,
	.failed = on_not_opened,
};

/* Runs delayed callbacks. While the owner calls a link no callback may run, so they run in
 * the next iteration of the loop. */
static void on_turn(struct timeout *timer)
{
	struct link *link = CONTAINER_OF(timer, struct link, timer);

	await_login(link);
	if (link->is_broken) {
		fail_kind(link, FAILURE_INTERNAL);
	} else if (stream_repeats(&link->stream)) {
		tell_all(link, 0);
	}
}

static void tell_at_next_turn(struct link *link)
{
	timeout_plan(&link->timer, on_turn, 0);
}

/* The beginning. */

static int start(struct link *link, const struct stream_target *target,
		 const struct domain_rule *rule)
{
	link->domain = strndup(target->to.data, target->to.n);
	const struct opening_task task = {link->env, link->domain, rule, &link->stream};

	return link->domain ? opening_new(&task, target, &opening_callbacks, link, &link->opening)
			    : -ENOMEM;
}

int link_new(struct link_env *env, const struct stream_target *target,
	     const struct link_options *options, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link) {
		return -ENOMEM;
	}
	link->env = env;
	link->config = config_ref(env->config);
	link->callbacks = options->callbacks;
	link->userdata = options->userdata;
	stream_init(&link->stream, env->pool, &env->scan_options, domain_rule_tls(options->rule));
	timeout_init(&link->timer, env->dialer.loop);
	int r = start(link, target, options->rule);

	if (r < 0) {
		link_drop(link);
		return r;
	}
	*ret_link = link;
	return 0;
}

/* Whether what is written is of no use any more. The link itself reports that it is over. */
static bool is_over(const struct link *link)
{
	return link->is_failing || link->stream.state == STREAM_STATE_OVER ||
	       (link->stream.state == STREAM_STATE_OPEN && !link->transport);
}

/* Whether @n bytes may be written now. Returns LINK_OK or LINK_E_*. */
static enum link_result check_write(const struct link *link, size_t n)
{
	const struct link_env *env = link->env;

	if (link->stream.state != STREAM_STATE_OPEN) {
		return LINK_E_EARLY;
	}
	n += transport_waiting(link->transport) + outbox_waiting(&env->outbox, link);
	return n > env->n_waiting_max ? LINK_E_STALLED : LINK_OK;
}

int link_gather(struct link *link, struct sv elements)
{
	if (is_over(link)) {
		return LINK_OK;
	}
	enum link_result result = check_write(link, elements.n);

	if (result != LINK_OK) {
		return (int)result;
	}
	link->keepalive.has_written = true;
	return outbox_add(&link->env->outbox, link, elements);
}

bool link_can_return(const struct link *link)
{
	const struct stream *stream = &link->stream;
	/* A server that has closed its stream takes what is sent until ours is closed, too
	 * (RFC 6120, 4.4). */
	bool is_open = link->is_failing ? stream->failure.kind == FAILURE_STREAM_CLOSED
					: stream->state == STREAM_STATE_OPEN;

	return is_open && link->transport && stream->is_logged_in && !stream->is_managed;
}

int link_return(struct link *link, struct sv stanzas)
{
	_cleanup_(buffer_deinit) struct buffer answers = BUFFER_INIT;

	if (!link_can_return(link) || stanzas.n == 0) {
		return 0;
	}
	int r = bounce_stanzas(link->stream.pool, stanzas, &answers);

	link->has_lost = link->has_lost || r < 0;
	if (answers.n) {
		outbox_flush(&link->env->outbox, link);
		int put = link_put(link, buffer_sv(&answers));

		r = r < 0 ? r : put;
	}
	return r;
}

int link_return_event(struct link *link)
{
	_cleanup_(buffer_deinit) struct buffer element = BUFFER_INIT;

	if (!link_can_return(link)) {
		return 0;
	}
	int r = stream_event_write(&link->stream, &element);

	link->has_lost = link->has_lost || r < 0;
	return r < 0 ? r : link_return(link, buffer_sv(&element));
}

void link_write_gathered(struct link *link, struct sv bytes)
{
	if (link_put(link, bytes) < 0) {
		link->is_broken = true;
		tell_at_next_turn(link);
	}
}

static void on_restart_timeout(struct timeout *timer)
{
	fail_kind(CONTAINER_OF(timer, struct link, timer), FAILURE_STREAM_TIMEOUT);
}

int link_restart(struct link *link, const struct stream_target *target)
{
	outbox_flush(&link->env->outbox, link);
	int r = stream_restart(&link->stream, target);

	if (r == 0 && stream_repeats(&link->stream) && !link->is_failing) {
		tell_at_next_turn(link);
	} else if (r == 0 && link->transport && !link->is_failing) {
		/* A server that does not answer would hold the session and its connection for
		 * ever: nothing is read from the client meanwhile. */
		timeout_start(&link->timer, on_restart_timeout, link->env->open_timeout_ms);
	}
	return r < 0 ? r : link_send_out(link);
}

unsigned link_sent(struct link *link, struct sv elements)
{
	size_t n_tries = stream_sent(&link->stream, elements);

	return n_tries ? link->stream.login.n_open : 0;
}

void link_pause(struct link *link, bool is_paused)
{
	link->is_paused = is_paused;
	/* An opening reads on: what it negotiates does not go to the owner. */
	if (link->transport) {
		transport_pause(link->transport, is_paused);
	}
}

void link_keep_alive(struct keepalive_member *member)
{
	struct link *link = CONTAINER_OF(member, struct link, keepalive);

	/* All that was written before are whole elements, so a space can only fall between two. A
	 * header that has not been answered yet (stream.state) is a check of its own. */
	if (link->stream.state == STREAM_STATE_OPEN && link_gather(link, SV(" ")) == -ENOMEM) {
		fail_kind(link, FAILURE_INTERNAL);
	}
}
