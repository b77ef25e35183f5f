/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/link-state.h"

static void on_open_timeout(uv_timer_t *timer)
{
	struct link *link = CONTAINER_OF(timer, struct link, timer);
	struct link_opening *opening = link->opening;
	struct failure failure;

	if (link->dial) {
		dial_failure(link->dial, &failure);
		link->dial = dial_free(link->dial);
	} else {
		failure_set(&failure, FAILURE_STREAM_TIMEOUT, NULL);
	}
	if (mono_reached(opening->deadline, link_now(link))) {
		/* There is no time for another one. */
		opening->n_tried = LINK_SERVERS_MAX - 1;
	}
	link_fail(link, opening->failure.kind ? &opening->failure : &failure);
}

void link_arm(struct link *link, bool has_others)
{
	struct mono now = link_now(link);
	struct mono end = link->opening->deadline;

	if (has_others && link->opening->n_tried < LINK_SERVERS_MAX - 1) {
		end = mono_earlier(end, mono_add_ms(now, link->env->open_timeout_ms / LINK_SERVERS_MAX));
	}
	int64_t ms = mono_diff_ms(end, now);

	uv_timer_start(&link->timer, on_open_timeout, ms > 0 ? (uint64_t)ms : 0, 0);
}

void link_leave_server(struct link *link)
{
	link_opening_stop(link);
	link->header_due = false;
	stream_rewind(&link->stream);
}

/* Whether it is the server's own, so that another server of the domain may be better. */
static bool is_of_server(enum failure_kind kind)
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
	case FAILURE_DNS_TIMEOUT:
	case FAILURE_DNS_FAILED:
	case FAILURE_STREAM_MALFORMED:
	case FAILURE_STREAM_CLOSED:
	case FAILURE_STREAM_TIMEOUT:
	case FAILURE_STREAM_TOO_LARGE:
	case FAILURE_CONNECTION_LOST:
		return true;
	default:
		/* The server's own words (STREAM_ERROR), what no other server would change, and what comes before there is one. */
		return false;
	}
}

bool link_try_another(struct link *link, const struct failure *failure)
{
	const struct link_observer *observer = link->env->observer;
	struct link_opening *opening = link->opening;
	struct dialer *dialer = &link->env->dialer;

	if (!opening || !link->transport || opening->redirected || !is_of_server(failure->kind) ||
	    opening->n_tried == LINK_SERVERS_MAX - 1) {
		return false;
	}
	if (observer) {
		observer->left(observer->userdata, failure);
	}
	if (!opening->failure.kind) {
		opening->failure = *failure;
	}
	/* Not for the history: a stranger's SRV records can name any server, whose certificate is then not theirs. */
	opening->tried[opening->n_tried++] = link->address;
	link->transport = transport_free(link->transport);
	link_leave_server(link);
	if (dial_new(dialer, link->domain, link->rule, &link_dial_callbacks, link, &link->dial) < 0) {
		return false;
	}
	link_arm(link, false);
	dial_avoid(link->dial, opening->tried, opening->n_tried);
	return true;
}
