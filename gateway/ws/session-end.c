/* SPDX-License-Identifier: MIT */
#include "common/random.h"
#include "gateway/ws/endpoint-state.h"

enum {
	/* Of the id in an <open/> that is not the server's. */
	OPEN_ID_LENGTH = 22,
};

int ws_session_send_parts(struct ws_session *session, int write_result, struct sv rest)
{
	struct buffer *scratch = &session->endpoint->scratch;
	int r = write_result < 0 ? write_result
				 : ws_send(session->connection, buffer_sv(scratch), rest);

	buffer_clear(scratch);
	return r;
}

int ws_session_send(struct ws_session *session, int write_result)
{
	return ws_session_send_parts(session, write_result, SV_EMPTY);
}

void ws_session_release_link(struct ws_session *session)
{
	if (session->link) {
		login_guard_left(&session->log, session->domain, session->link);
	}
	session->link = session->drops_link ? link_drop(session->link) : link_close(session->link);
	admission_leave_domain(session->endpoint->env, &session->seats, session->domain);
}

/* @must_drop: link_drop(), else link_close(). */
static void let_go(struct ws_session *session, bool must_drop)
{
	session->drops_link = must_drop;
	if (session->link && link_can_return(session->link) && ws_is_waiting(session->connection)) {
		/* What the server sends from now on goes back behind that. */
		link_pause(session->link, true);
		ws_return_unsent(session->connection);
	} else {
		ws_session_release_link(session);
	}
}

void ws_session_on_emptied(void *userdata)
{
	ws_session_release_link(userdata);
}

void ws_session_drop_link(struct ws_session *session)
{
	let_go(session, true);
}

void ws_session_close_link(struct ws_session *session)
{
	let_go(session, false);
}

void ws_session_abandon(struct ws_session *session)
{
	session_log_set_reason(&session->log, SESSION_REASON_MEMORY);
	session->is_over = true;
	ws_session_drop_link(session);
	ws_close(session->connection, WS_CLOSE_INTERNAL, SV_EMPTY);
}

void ws_session_say_goodbye(struct ws_session *session, const struct ws_goodbye *goodbye)
{
	enum ws_close_status status = goodbye->status;

	if (session->is_over) {
		return;
	}
	session->is_over = true;
	if (ws_session_send(session, framing_write_close(&session->endpoint->scratch,
							 goodbye->see_other_uri)) < 0) {
		status = WS_CLOSE_INTERNAL;
	}
	ws_close(session->connection, status, sv_from(goodbye->text));
}

int ws_session_send_own_open(struct ws_session *session)
{
	char id[OPEN_ID_LENGTH + 1];
	int r;

	if (session->has_sent_open) {
		return 0;
	}
	session->has_sent_open = true;
	r = random_name(id, OPEN_ID_LENGTH);
	if (r == 0) {
		r = framing_write_open(&session->endpoint->scratch, session->domain, id,
				       session->lang);
	}
	return ws_session_send(session, r);
}

void ws_session_say_error(struct ws_session *session, const struct ws_goodbye *goodbye)
{
	struct buffer *scratch = &session->endpoint->scratch;

	if (session->is_over) {
		return;
	}
	int r = ws_session_send_own_open(session);

	if (r == 0 && goodbye->condition) {
		r = ws_session_send(session, framing_write_error(scratch, goodbye->condition,
								 goodbye->text, goodbye->detail));
	}
	if (r < 0) {
		ws_session_abandon(session);
		return;
	}
	ws_session_say_goodbye(session, goodbye);
}

/* RFC 6455, 7.4.1: what fits best. The stream error says the rest. */
static enum ws_close_status status_of(enum failure_kind kind)
{
	switch (kind) {
	case FAILURE_SHUTDOWN:
		return WS_CLOSE_GOING_AWAY;
	case FAILURE_INTERNAL:
		return WS_CLOSE_INTERNAL;
	case FAILURE_CLIENT:
	case FAILURE_TOO_EARLY:
	case FAILURE_TOO_MANY:
	case FAILURE_TOO_MANY_BYTES:
		return WS_CLOSE_POLICY;
	default:
		return WS_CLOSE_NORMAL;
	}
}

void ws_session_tell(struct ws_session *session, const struct failure *failure)
{
	/* It may be the link's. */
	const struct failure copy = *failure;
	const struct ws_goodbye goodbye = {
		.condition = failure_stream_condition(copy.kind),
		.text = failure_sentence(copy.kind),
		.detail = copy.public_detail,
		.status = status_of(copy.kind),
	};

	/* First, because the error waits, too. */
	ws_session_drop_link(session);
	ws_session_say_error(session, &goodbye);
}

void ws_session_send_elsewhere(struct ws_session *session, const char *uri)
{
	const struct ws_goodbye goodbye = {
		.text = failure_sentence(FAILURE_SEE_OTHER_URI),
		.see_other_uri = uri,
		.status = WS_CLOSE_NORMAL,
	};

	ws_session_say_error(session, &goodbye);
	ws_session_drop_link(session);
}

void ws_session_fail(struct ws_session *session, const struct failure *failure)
{
	session_log_failed(&session->log, session->domain, failure, true);
	ws_session_tell(session, failure);
}

void ws_session_fail_kind(struct ws_session *session, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	ws_session_fail(session, &failure);
}
