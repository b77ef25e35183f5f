/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "gateway/xmpp/link-state.h"

static void note_unusable(struct link *link)
{
	history_note_unusable(link->env->dialer.history, link->domain, &link->address,
			      link_now(link));
}

/* Sets out for a server that has not been tried. Returns 0 or -ENOMEM. */
static int dial_another(struct link *link)
{
	struct link_opening *opening = link->opening;

	opening->tried[opening->n_tried++] = link->address;
	int r = dial_new(&link->env->dialer, link->domain, link->rule, &link_dial_callbacks, link,
			 &link->dial);

	if (r == 0) {
		dial_avoid(link->dial, opening->tried, opening->n_tried);
	}
	link_arm(link, false);
	return r;
}

/* Whether what failed says something about the server. A client that asks for another version of
 * XMPP is answered accordingly (RFC 6120, 4.7.5): without features, so also without STARTTLS. It
 * must not be able to move everybody's sessions to another server of the domain. */
static bool is_blamed(const struct link *link)
{
	return !link->stream.version || strcmp(link->stream.version, "1.0") == 0;
}

/* A server that is slow is kept until another one is connected: there may be none, as long as
 * look-ups are under way or addresses have not been dialled. */
static void look_for_another(struct link *link)
{
	const struct link_observer *observer = link->env->observer;

	link->opening->is_slow = true;
	if (observer) {
		observer->slow(observer->userdata);
	}
	/* Without memory for the search it has the rest of the time. */
	(void)!dial_another(link);
}

static void on_open_timeout(uv_timer_t *timer)
{
	struct link *link = CONTAINER_OF(timer, struct link, timer);
	struct link_opening *opening = link->opening;
	struct failure failure;

	if (!link->transport) {
		dial_failure(link->dial, &failure);
	} else {
		if (is_blamed(link)) {
			note_unusable(link);
		}
		if (!mono_reached(opening->deadline, link_now(link))) {
			look_for_another(link);
			return;
		}
		failure_set(&failure, FAILURE_STREAM_TIMEOUT, NULL);
	}
	/* There is no time for another one. */
	opening->n_tried = LINK_SERVERS_MAX - 1;
	link->dial = dial_free(link->dial);
	link_fail(link, opening->failure.kind ? &opening->failure : &failure);
}

void link_arm(struct link *link, bool has_others)
{
	struct mono now = link_now(link);
	struct mono end = link->opening->deadline;

	if (has_others && link->opening->n_tried < LINK_SERVERS_MAX - 1) {
		end = mono_earlier(end,
				   mono_add_ms(now, link->env->open_timeout_ms / LINK_SERVERS_MAX));
	}
	int64_t ms = mono_diff_ms(end, now);

	uv_timer_start(&link->timer, on_open_timeout, ms > 0 ? (uint64_t)ms : 0, 0);
}

void link_leave_server(struct link *link)
{
	link->transport = transport_free(link->transport);
	link_opening_stop(link);
	link->header_due = false;
	stream_rewind(&link->stream);
}

void link_leave_slow(struct link *link)
{
	struct link_opening *opening = link->opening;

	opening->is_slow = false;
	if (!link->transport) {
		return;
	}
	if (!opening->failure.kind) {
		failure_set(&opening->failure, FAILURE_STREAM_TIMEOUT, NULL);
	}
	link_leave_server(link);
}

void link_keep_server(struct link *link)
{
	struct link_opening *opening = link->opening;

	if (!opening) {
		return;
	}
	link->dial = dial_free(link->dial);
	if (!opening->is_slow) {
		history_forget_unusable(link->env->dialer.history, link->domain, &link->address,
					link_now(link));
	}
	link_opening_end(link);
}

static bool is_of_tls(enum failure_kind kind)
{
	switch (kind) {
	case FAILURE_TLS_NOT_OFFERED:
	case FAILURE_TLS_HANDSHAKE:
	case FAILURE_TLS_PROTOCOL:
	case FAILURE_CERTIFICATE_EARLY:
	case FAILURE_CERTIFICATE_SELF_SIGNED:
	case FAILURE_CERTIFICATE_WEAK:
	case FAILURE_CERTIFICATE_EXPIRED:
	case FAILURE_CERTIFICATE_NAME:
	case FAILURE_CERTIFICATE_UNTRUSTED:
	case FAILURE_CERTIFICATE_INVALID:
	case FAILURE_CERTIFICATE_PIN:
	case FAILURE_CERTIFICATE_DANE:
		return true;
	default:
		return false;
	}
}

/* Whether it is the server's own, so that another server of the domain may be better. */
static bool is_of_server(enum failure_kind kind)
{
	switch (kind) {
	case FAILURE_DNS_TIMEOUT:
	case FAILURE_DNS_FAILED:
	case FAILURE_STREAM_MALFORMED:
	case FAILURE_STREAM_CLOSED:
	case FAILURE_STREAM_TIMEOUT:
	case FAILURE_STREAM_TOO_LARGE:
	case FAILURE_CONNECTION_LOST:
		return true;
	default:
		/* The server's own words (STREAM_ERROR), what no other server would change, and
		 * what comes before there is one. */
		return is_of_tls(kind);
	}
}

/* With nothing under way, the search for another server than the slow one has been in vain. */
static bool may_try_another(const struct link_opening *opening, const struct dial *dial)
{
	return !opening->redirected &&
	       (opening->is_slow ? dial != NULL : opening->n_tried < LINK_SERVERS_MAX - 1);
}

bool link_try_another(struct link *link, const struct failure *failure)
{
	const struct link_observer *observer = link->env->observer;
	struct link_opening *opening = link->opening;

	if (!opening || !link->transport) {
		return false;
	}
	/* A stream that comes to its end is not noted: what the client says in its header may be
	 * the reason. */
	if (is_of_tls(failure->kind) && is_blamed(link)) {
		note_unusable(link);
	}
	if (!is_of_server(failure->kind) || !may_try_another(opening, link->dial)) {
		return false;
	}
	if (observer) {
		observer->left(observer->userdata, failure);
	}
	if (!opening->failure.kind) {
		opening->failure = *failure;
	}
	link_leave_server(link);
	return opening->is_slow || dial_another(link) == 0;
}
