/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "common/random.h"
#include "gateway/ws/endpoint-state.h"

enum {
	/* Of the id in an <open/> that is not the server's. */
	OPEN_ID_LENGTH = 22,
};

/* To the client. */

/* Sends the content of the scratch buffer. A failure must end the session, because the client would
 * miss a message. */
static int send_scratch(struct ws_session *session, int write_result)
{
	struct buffer *scratch = &session->endpoint->scratch;
	int r = write_result < 0 ? write_result : ws_send(session->connection, buffer_sv(scratch));

	buffer_clear(scratch);
	return r;
}

static void drop_link(struct ws_session *session)
{
	session->link = link_drop(session->link);
	admission_leave_domain(session->endpoint->env, &session->seats, session->domain);
}

static void close_link(struct ws_session *session)
{
	session->link = link_close(session->link);
	drop_link(session);
}

/* Ends the session without a word to the client, for which there is no memory. */
static void abandon(struct ws_session *session)
{
	session_log_set_reason(&session->log, SESSION_REASON_MEMORY);
	session->over = true;
	drop_link(session);
	ws_close(session->connection, WS_CLOSE_INTERNAL);
}

/* Sends <close/> and then the close frame (RFC 7395, 3.6). */
static void say_goodbye(struct ws_session *session, enum ws_close_status status)
{
	if (session->over) {
		return;
	}
	session->over = true;
	if (send_scratch(session, framing_write_close(&session->endpoint->scratch)) < 0) {
		status = WS_CLOSE_INTERNAL;
	}
	ws_close(session->connection, status);
}

/* An error must follow an <open/>, also while the stream is being opened (RFC 7395, 3.4). */
static int send_own_open(struct ws_session *session)
{
	char id[OPEN_ID_LENGTH + 1];
	int r;

	if (session->open_sent) {
		return 0;
	}
	session->open_sent = true;
	r = random_name(id, OPEN_ID_LENGTH);
	if (r == 0) {
		r = framing_write_open(&session->endpoint->scratch, session->domain, id,
				       session->lang);
	}
	return send_scratch(session, r);
}

static void say_error(struct ws_session *session, const char *condition, const char *text,
		      const char *detail, enum ws_close_status status)
{
	struct buffer *scratch = &session->endpoint->scratch;

	if (session->over) {
		return;
	}
	int r = send_own_open(session);

	if (r == 0) {
		r = send_scratch(session, framing_write_error(scratch, condition, text, detail));
	}
	if (r < 0) {
		abandon(session);
		return;
	}
	say_goodbye(session, status);
}

/* Tells the client of @failure and ends the session. */
static void tell(struct ws_session *session, const struct failure *failure)
{
	enum ws_close_status status =
		failure->kind == FAILURE_SHUTDOWN ? WS_CLOSE_GOING_AWAY : WS_CLOSE_NORMAL;

	say_error(session, failure_stream_condition(failure->kind), failure_sentence(failure->kind),
		  failure->public_detail, status);
	drop_link(session);
}

static void fail(struct ws_session *session, const struct failure *failure)
{
	session_log_failed(&session->log, session->domain, failure, true);
	tell(session, failure);
}

static void fail_kind(struct ws_session *session, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	fail(session, &failure);
}

/* Before the login. */

static void on_evict(struct budget_charge *charge)
{
	struct ws_session *session = CONTAINER_OF(charge, struct ws_session, charge);

	fail_kind(session, FAILURE_TOO_MANY_BYTES);
	framing_deinit(&session->framing);
}

/* Charges the budget with what the session holds. */
static void charge(struct ws_session *session)
{
	struct budget *budget = session->endpoint->env->budget;

	if (session->over) {
		/* The rest of a message is thrown away. Its client may take long to close. */
		framing_deinit(&session->framing);
	}
	bool is_online = session->link && link_stream(session->link)->logged_in;

	if (is_online) {
		session_log_online(&session->log);
	}
	if (session->over || is_online) {
		budget_release(budget, &session->charge);
		return;
	}
	size_t n = framing_held(&session->framing) + ws_waiting(session->connection);

	n += session->link ? link_held(session->link) : 0;
	if (budget_hold(budget, &session->charge, &session->client, n) < 0) {
		fail_kind(session, FAILURE_INTERNAL);
	}
}

static void set_reading(struct ws_session *session, bool awaits_features, bool link_congested)
{
	session->awaits_features = awaits_features;
	session->link_congested = link_congested;
	ws_pause(session->connection, awaits_features || link_congested);
}

/* From the server. */

static void on_header(void *userdata)
{
	struct ws_session *session = userdata;
	const struct stream *stream = link_stream(session->link);
	const char *from = stream->from ? stream->from : session->domain;

	session->open_sent = true;
	if (!session->is_ready) {
		session->is_ready = true;
		session_log_ready(&session->log, session->domain, session->link,
				  session->log.opened);
	}
	set_reading(session, false, session->link_congested);
	if (send_scratch(session, framing_write_open(&session->endpoint->scratch, from, stream->id,
						     stream->lang)) < 0) {
		abandon(session);
	}
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	struct ws_session *session = userdata;

	(void)kind;
	/* A server may send a stream error before its features. */
	if (send_own_open(session) < 0) {
		abandon(session);
		return;
	}
	struct buffer *scratch = &session->endpoint->scratch;
	int r = stream_event_write(link_stream(session->link), scratch);

	session_log_to_client(&session->log, 1, scratch->n);
	if (send_scratch(session, r) < 0) {
		abandon(session);
		return;
	}
	if (ws_is_congested(session->connection) && !session->paused_server) {
		session->paused_server = true;
		link_pause(session->link, true);
	}
}

static void on_flush(void *userdata)
{
	(void)userdata;
}

static void on_held(void *userdata)
{
	charge(userdata);
}

static void on_link_drained(void *userdata)
{
	struct ws_session *session = userdata;

	charge(session);
	if (session->link_congested) {
		set_reading(session, session->awaits_features, false);
	}
}

static void on_link_over(void *userdata, const struct failure *failure)
{
	struct ws_session *session = userdata;
	bool is_told = failure->kind == FAILURE_STREAM_ERROR;

	/* The server's error has been passed on; the end of an open stream is <close/> (RFC 7395,
	 * 3.6). The client of a stream that never opened is told why. */
	if (is_told || (failure->kind == FAILURE_STREAM_CLOSED && session->open_sent)) {
		session_log_failed(&session->log, session->domain, failure, true);
		close_link(session);
		say_goodbye(session, WS_CLOSE_NORMAL);
		return;
	}
	fail(session, failure);
}

static const struct link_callbacks link_callbacks = {
	.header = on_header,
	.element = on_element,
	.flush = on_flush,
	.drained = on_link_drained,
	.held = on_held,
	.over = on_link_over,
};

/* From the client. */

static void open_link(struct ws_session *session, const struct framing_event *event,
		      const struct domain_rule *rule)
{
	struct worker_env *env = session->endpoint->env;
	struct stream_target target = {
		.to = sv_from(session->domain),
		.from = event->from,
		.lang = event->lang,
		.version = event->version,
		.client = &session->client,
	};

	session_log_open(&session->log, session->domain);
	if (link_new(&env->link, &target, rule, &link_callbacks, session, &session->link) < 0) {
		fail_kind(session, FAILURE_INTERNAL);
		return;
	}
	set_reading(session, true, false);
}

static void on_open(struct ws_session *session, const struct framing_event *event)
{
	const struct admission_request request = {
		.transport = ADMISSION_WEBSOCKET,
		.client = &session->client,
		.to = event->to,
	};
	struct admission admission;
	bool is_admitted = admission_judge(session->endpoint->env, &request, &admission);

	ws_set_deadline(session->connection, 0);
	session->lang = event->lang.n ? strndup(event->lang.data, event->lang.n) : NULL;
	session->seats = admission.seats;
	memcpy(session->domain, admission.domain, sizeof(session->domain));
	if (is_admitted) {
		open_link(session, event, admission.rule);
	} else {
		tell(session, &admission.verdict);
	}
}

static void on_restart(struct ws_session *session, const struct framing_event *event)
{
	struct stream_target target = {
		.from = event->from,
		.lang = event->lang,
		.version = event->version,
	};

	/* A later error must follow an <open/> of the new stream. */
	session->open_sent = false;
	if (link_restart(session->link, &target) < 0) {
		fail_kind(session, FAILURE_INTERNAL);
		return;
	}
	set_reading(session, true, session->link_congested);
}

static void on_stanza(struct ws_session *session, const struct framing_event *event)
{
	int r = link_gather(session->link, event->element);

	session_log_from_client(&session->log, 1, event->element.n);
	if (r == LINK_E_EARLY) {
		fail_kind(session, FAILURE_TOO_EARLY);
	} else if (r == LINK_E_STALLED) {
		fail_kind(session, FAILURE_SERVER_STALLED);
	} else if (r < 0) {
		fail_kind(session, FAILURE_INTERNAL);
	} else if (link_is_congested(session->link) && !session->link_congested) {
		set_reading(session, session->awaits_features, true);
	}
}

static void on_close(struct ws_session *session)
{
	session_log_set_reason(&session->log, SESSION_REASON_CLIENT);
	close_link(session);
	/* Also a stream that never opened must begin with <open/> (RFC 7395, 3.4). */
	if (send_own_open(session) < 0) {
		abandon(session);
		return;
	}
	say_goodbye(session, WS_CLOSE_NORMAL);
}

static void on_bad(struct ws_session *session, const struct framing_event *event)
{
	struct failure failure;

	failure_set(&failure, FAILURE_CLIENT, "%s: %s", event->condition, event->reason);
	session_log_failed(&session->log, session->domain, &failure, true);
	say_error(session, event->condition, event->reason, NULL, WS_CLOSE_NORMAL);
	drop_link(session);
}

static void on_event(struct ws_session *session, const struct framing_event *event)
{
	switch (event->kind) {
	case FRAMING_EVENT_OPEN:
		on_open(session, event);
		break;
	case FRAMING_EVENT_RESTART:
		on_restart(session, event);
		break;
	case FRAMING_EVENT_ELEMENT:
		on_stanza(session, event);
		break;
	case FRAMING_EVENT_CLOSE:
		on_close(session);
		break;
	case FRAMING_EVENT_BAD:
		on_bad(session, event);
		break;
	case FRAMING_EVENT_NONE:
		break;
	}
}

void ws_session_on_piece(void *userdata, const char *data, size_t n, bool final, bool text)
{
	struct ws_session *session = userdata;
	struct framing_event event;

	if (session->over) {
		return;
	}
	if (framing_feed(&session->framing, data, n, final, text) < 0) {
		fail_kind(session, FAILURE_INTERNAL);
		return;
	}
	do {
		framing_next(&session->framing, &event);
		on_event(session, &event);
	} while (event.kind != FRAMING_EVENT_NONE && !session->over);
	charge(session);
}

void ws_session_on_drained(void *userdata)
{
	struct ws_session *session = userdata;

	if (session->paused_server && session->link) {
		session->paused_server = false;
		link_pause(session->link, false);
	}
}

/* For the list of sessions. */

static const char *domain_of(const struct session_log *log)
{
	return CONTAINER_OF(log, struct ws_session, log)->domain;
}

static void end_session(struct session_log *log, const struct failure *failure)
{
	struct ws_session *session = CONTAINER_OF(log, struct ws_session, log);

	if (!session->over) {
		fail(session, failure);
	}
}

static const struct session_log_owner log_owner = {
	.domain = domain_of,
	.end = end_session,
};

/* Life. */

int ws_session_new(struct ws_endpoint *endpoint, struct ws_connection *connection,
		   const struct address *client, struct ws_session **ret_session)
{
	struct ws_session *session = calloc(1, sizeof(*session));

	if (!session) {
		return -ENOMEM;
	}
	char name[WS_SESSION_NAME_LENGTH + 1];
	int r = random_name(name, WS_SESSION_NAME_LENGTH);

	if (r == 0) {
		r = framing_init(&session->framing, endpoint->env->pool, &endpoint->scan_options);
	}
	if (r < 0) {
		free(session);
		return r;
	}
	session->endpoint = endpoint;
	session->connection = connection;
	session->client = *client;
	session->charge = BUDGET_CHARGE_INIT(endpoint->env->index, on_evict);
	session_log_init(&session->log, endpoint->env, ADMISSION_WEBSOCKET, &session->client,
			 sv_from(name), &log_owner);
	/* A client that never sends <open/> must not hold a descriptor. */
	ws_set_deadline(connection, endpoint->env->config->header_timeout_s);
	LIST_INSERT_HEAD(&endpoint->sessions, session, in_endpoint);
	*ret_session = session;
	return 0;
}

void ws_session_shut(struct ws_session *session)
{
	struct failure failure;

	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	if (!session->over) {
		session_log_set_reason(&session->log, failure_name(failure.kind));
		tell(session, &failure);
	}
}

/* A client that did not send <close/> may come back and resume its stream (XEP-0198). */
void ws_session_on_closed(void *userdata, bool clean)
{
	struct ws_session *session = userdata;

	(void)clean;
	session_log_set_reason(&session->log, SESSION_REASON_LOST);
	session_log_closed(&session->log, session->domain);
	drop_link(session);
	admission_leave_client(session->endpoint->env, &session->seats, &session->client);
	LIST_REMOVE(session, in_endpoint);
	budget_release(session->endpoint->env->budget, &session->charge);
	framing_deinit(&session->framing);
	free(session->lang);
	free(session);
}
