/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/opening.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/timeout.h"
#include "gateway/xmpp/attempt.h"
#include "gateway/xmpp/servers.h"

struct opening {
	struct opening_task task;
	const struct opening_callbacks *callbacks;
	void *userdata;
	struct servers servers;
	struct dial *dial;      /* NULL: no search for a server is under way */
	struct attempt attempt; /* with the connected server; beside a dial, a slow one */
	bool is_over;
	struct timeout timer; /* for that server, or for the search; its close frees the memory */
	bool is_shared;       /* the timer leaves time for another server */
};

static void on_timeout(struct timeout *timer);
static const struct dial_callbacks dial_callbacks;

static struct mono now_of(const struct opening *opening)
{
	return clock_of_loop(opening->task.env->dialer.loop);
}

/* The end. */

static void on_closed(uv_handle_t *handle)
{
	free(CONTAINER_OF((uv_timer_t *)handle, struct opening, timer.uv));
}

/* Nothing calls back any more. */
static void end(struct opening *opening)
{
	opening->is_over = true;
	opening->dial = dial_free(opening->dial);
	uv_close((uv_handle_t *)&opening->timer.uv, on_closed);
}

struct opening *opening_free(struct opening *opening)
{
	if (opening) {
		attempt_close(&opening->attempt);
		end(opening);
	}
	return NULL;
}

size_t opening_held(const struct opening *opening)
{
	return attempt_held(&opening->attempt);
}

static struct transport *hand_over(struct opening *opening)
{
	return attempt_take_transport(&opening->attempt, &opening->callbacks->transport,
				      opening->userdata);
}

/* Which server. */

/* Allows the connected server, or the search for one, its share of the time. */
static void arm(struct opening *opening, bool has_others)
{
	struct mono now = now_of(opening);
	struct mono deadline = servers_deadline(&opening->servers, has_others, now);

	opening->is_shared = deadline.ms < opening->servers.deadline.ms;
	timeout_start(&opening->timer, on_timeout, mono_diff_ms(deadline, now));
}

/* Returns whether a failure says something about the server. A client that asks for another version
 * of XMPP gets no features (RFC 6120, 4.7.5), so also no STARTTLS. It must not be able to move
 * everybody's sessions to another server of the domain. */
static bool is_blamed(const struct opening *opening)
{
	const char *version = opening->task.stream->version;

	return !version || strcmp(version, "1.0") == 0;
}

static void note_unusable(struct opening *opening)
{
	if (is_blamed(opening)) {
		history_note_unusable(opening->task.env->dialer.history, opening->task.domain,
				      &opening->attempt.address, now_of(opening));
	}
}

/* Begins a search for a server. @options has what is special about this one. Returns 0 or
 * -ENOMEM. */
static int search(struct opening *opening, struct dial_options options)
{
	options.domain = opening->task.domain;
	options.rule = opening->task.rule;
	options.callbacks = &dial_callbacks;
	options.userdata = opening;
	options.crowd = attempt_dns_crowd(&opening->attempt);
	return dial_new(&opening->task.env->dialer, &options, &opening->dial);
}

/* Searches for a server that has not been tried. Returns 0 or -ENOMEM. */
static int dial_another(struct opening *opening)
{
	struct servers *servers = &opening->servers;

	servers_add_tried(servers, &opening->attempt.address);
	int r = search(opening, (struct dial_options){.avoided = servers->tried,
						      .n_avoided = servers->n_tried});

	arm(opening, false);
	return r;
}

/* Returns whether another server is tried after @failure. */
static bool try_another(struct opening *opening, const struct failure *failure)
{
	const struct link_observer *observer = opening->task.env->observer;
	struct servers *servers = &opening->servers;

	if (!opening->attempt.transport) {
		return false;
	}
	/* A stream that the server ended is not noted: the reason may be what the client said in
	 * its header. */
	if (servers_is_of_tls(failure)) {
		note_unusable(opening);
	}
	if (!servers_may_try_another(servers, failure, opening->dial != NULL)) {
		return false;
	}
	if (observer) {
		observer->left(observer->userdata, failure);
	}
	servers_note(servers, failure);
	attempt_leave(&opening->attempt);
	return servers->is_slow || dial_another(opening) == 0;
}

/* A server was left, so opening_held() returns less. */
static void tell_left(struct opening *opening)
{
	if (!opening->is_over) {
		opening->callbacks->received(opening->userdata);
	}
}

static void fail(struct opening *opening, const struct failure *failure)
{
	if (opening->is_over) {
		return;
	}
	if (try_another(opening, failure)) {
		tell_left(opening);
		return;
	}
	bool was_ended_by_server =
		failure->kind == FAILURE_STREAM_ERROR || failure->kind == FAILURE_STREAM_CLOSED;
	struct transport *transport = hand_over(opening);

	if (!was_ended_by_server) {
		transport = transport_free(transport);
	}
	end(opening);
	opening->callbacks->failed(opening->userdata, transport, failure);
}

static void fail_kind(struct opening *opening, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	fail(opening, &failure);
}

/* The slow server keeps its connection until another one is connected. There may be none, as long
 * as look-ups are under way or addresses have not been dialled. */
static void look_for_another(struct opening *opening)
{
	const struct link_observer *observer = opening->task.env->observer;

	opening->servers.is_slow = true;
	if (observer) {
		observer->slow(observer->userdata);
	}
	/* Without memory for the search this server has the rest of the time. */
	(void)!dial_another(opening);
}

static void on_timeout(struct timeout *timer)
{
	struct opening *opening = CONTAINER_OF(timer, struct opening, timer);
	struct servers *servers = &opening->servers;
	struct failure failure;

	if (!opening->attempt.transport) {
		dial_failure(opening->dial, &failure);
	} else {
		note_unusable(opening);
		if (opening->is_shared) {
			look_for_another(opening);
			return;
		}
		failure_set(&failure, FAILURE_STREAM_TIMEOUT, NULL);
	}
	/* There is no time for another server. */
	attempt_leave(&opening->attempt);
	fail(opening, servers->first.kind ? &servers->first : &failure);
}

/* What becomes of the connected server. */

static void on_usable(void *userdata, enum stream_event_kind kind)
{
	struct opening *opening = userdata;

	if (!opening->servers.is_slow) {
		history_forget_unusable(opening->task.env->dialer.history, opening->task.domain,
					&opening->attempt.address, now_of(opening));
	}
	struct transport *transport = hand_over(opening);

	end(opening);
	opening->callbacks->done(opening->userdata, transport, kind);
}

/* Goes to the server that the connected one has named. */
static void follow(struct opening *opening, const struct redirect *redirect)
{
	const struct link_observer *observer = opening->task.env->observer;
	struct attempt *attempt = &opening->attempt;

	if (observer) {
		observer->redirected(observer->userdata, redirect);
	}
	attempt_close(attempt);
	attempt_leave(attempt);
	opening->dial = dial_free(opening->dial);
	if (search(opening, (struct dial_options){.redirect = redirect,
						  .is_direct = attempt->is_direct}) < 0) {
		fail_kind(opening, FAILURE_INTERNAL);
	} else {
		arm(opening, false);
		tell_left(opening);
	}
}

static void on_refused(void *userdata)
{
	struct opening *opening = userdata;
	struct redirect redirect;

	if (stream_event_redirect(opening->task.stream, &redirect) &&
	    servers_redirect(&opening->servers)) {
		follow(opening, &redirect);
	} else {
		fail(opening, &opening->task.stream->failure);
	}
}

static void on_failed(void *userdata, const struct failure *failure)
{
	fail(userdata, failure);
}

static void on_received(void *userdata)
{
	struct opening *opening = userdata;

	opening->callbacks->received(opening->userdata);
}

static const struct attempt_callbacks attempt_callbacks = {
	.received = on_received,
	.usable = on_usable,
	.refused = on_refused,
	.failed = on_failed,
};

/* What becomes of the search. */

static void on_dialled(void *userdata, struct transport *transport,
		       const struct dial_result *result)
{
	struct opening *opening = userdata;
	bool gives_way = opening->attempt.transport;
	struct failure failure;

	opening->dial = NULL;
	opening->servers.is_slow = false;
	if (gives_way) {
		/* The slow server gives way to this one. */
		failure_set(&failure, FAILURE_STREAM_TIMEOUT, NULL);
		servers_note(&opening->servers, &failure);
		attempt_leave(&opening->attempt);
	}
	arm(opening, result->has_others);
	attempt_start(&opening->attempt, transport, result, opening->servers.is_redirected);
	if (gives_way) {
		tell_left(opening);
	}
}

static void on_not_dialled(void *userdata, const struct failure *failure)
{
	struct opening *opening = userdata;
	const struct failure *first = &opening->servers.first;

	opening->dial = NULL;
	if (opening->attempt.transport) {
		/* The slow server is the only one: it has the rest of the time. */
		return;
	}
	/* Why the first server failed says more than that there is no other. */
	fail(opening, first->kind ? first : failure);
}

/* The transport's own callbacks are set by attempt_start(). */
static const struct dial_callbacks dial_callbacks = {
	.done = on_dialled,
	.failed = on_not_dialled,
};

/* The beginning. */

/* Gives the stream what its header will say. */
static int set_target(struct opening *opening, const struct stream_target *target)
{
	const struct domain_rule *rule = opening->task.rule;
	char unicode[DOMAIN_UNICODE_MAX + 1];
	struct stream_target header = *target;
	int r = domain_to_unicode(opening->task.domain, unicode);

	if (r < 0) {
		return r;
	}
	header.to =
		sv_from(rule && rule->form == DOMAIN_FORM_ASCII ? opening->task.domain : unicode);
	return stream_set_target(opening->task.stream, &header);
}

int opening_new(const struct opening_task *task, const struct stream_target *target,
		const struct opening_callbacks *callbacks, void *userdata,
		struct opening **ret_opening)
{
	struct opening *opening = calloc(1, sizeof(*opening));

	if (!opening) {
		return -ENOMEM;
	}
	opening->task = *task;
	opening->callbacks = callbacks;
	opening->userdata = userdata;
	attempt_init(&opening->attempt, &opening->task, target->client, &attempt_callbacks,
		     opening);
	timeout_init(&opening->timer, task->env->dialer.loop);
	servers_init(&opening->servers, task->env->open_timeout_ms, target->route != NULL,
		     now_of(opening));
	int r = set_target(opening, target);

	if (r == 0) {
		r = search(opening,
			   (struct dial_options){
				   .redirect = target->route,
				   .is_direct = domain_rule_tls(task->rule) == DOMAIN_TLS_DIRECT,
			   });
	}
	if (r < 0) {
		opening_free(opening);
		return r;
	}
	arm(opening, false);
	*ret_opening = opening;
	return 0;
}
