/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "common/random.h"
#include "gateway/ws/endpoint-state.h"

static void log_client_failure(struct ws_session *session, const char *what, const char *rule)
{
	struct failure failure;

	failure_set(&failure, FAILURE_CLIENT, "%s: %s", what, rule);
	session_log_failed(&session->log, session->domain, &failure, true);
}

static void set_reading(struct ws_session *session, bool awaits_features, bool is_link_congested)
{
	session->awaits_features = awaits_features;
	session->is_link_congested = is_link_congested;
	ws_pause(session->connection, awaits_features || is_link_congested);
}

/* From the server. */

static void on_header(void *userdata)
{
	struct ws_session *session = userdata;
	const struct stream *stream = link_stream(session->link);
	const char *from = stream->from ? stream->from : session->domain;

	session->has_sent_open = true;
	if (!session->is_ready) {
		session->is_ready = true;
		session_log_ready(&session->log, session->domain, session->link,
				  session->log.opened);
	}
	set_reading(session, false, session->is_link_congested);
	if (ws_session_send(session, framing_write_open(&session->endpoint->scratch, from,
							stream->id, stream->lang)) < 0) {
		ws_session_abandon(session);
	}
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	struct ws_session *session = userdata;
	struct failure failure;

	(void)kind; /* a server may send a stream error before its features */
	if (session->is_over) {
		/* It came together with the one that ended the session. */
		(void)!link_return_event(session->link);
		return;
	}
	ws_session_look_for_login(session);
	if (ws_session_send_own_open(session) < 0) {
		(void)!link_return_event(session->link);
		ws_session_abandon(session);
		return;
	}
	struct buffer *scratch = &session->endpoint->scratch;
	struct sv rest = SV_EMPTY;
	int r = stream_event_split(link_stream(session->link), scratch, &rest);

	size_t n = scratch->n + rest.n;

	session->is_served = true;
	if (ws_session_send_parts(session, r, rest) < 0) {
		(void)!link_return_event(session->link);
		ws_session_abandon(session);
		return;
	}
	session_log_to_client(&session->log, 1, n);
	if (!login_guard_received(&session->log, session->domain, session->link, &failure)) {
		ws_session_fail(session, &failure);
		return;
	}
	if (ws_is_congested(session->connection) && !session->server_is_paused) {
		session->server_is_paused = true;
		link_pause(session->link, true);
	}
}

static void on_flush(void *userdata)
{
	(void)userdata;
}

static void on_held(void *userdata)
{
	ws_session_charge(userdata);
}

static void on_link_drained(void *userdata)
{
	struct ws_session *session = userdata;

	ws_session_charge(session);
	if (session->is_link_congested) {
		set_reading(session, session->awaits_features, false);
	}
}

/* The stream ends as it should. */
static void say_goodbye(struct ws_session *session)
{
	const struct ws_goodbye goodbye = {.status = WS_CLOSE_NORMAL};

	ws_session_say_goodbye(session, &goodbye);
}

static void on_link_over(void *userdata, const struct failure *failure)
{
	struct ws_session *session = userdata;
	bool is_told = failure->kind == FAILURE_STREAM_ERROR;

	if (session->is_over) {
		/* The client is told nothing more. A server that has closed its stream still takes
		 * back what waits; one that is gone does not, and nobody else could. */
		if (!link_can_return(session->link)) {
			ws_session_release_link(session);
		}
		return;
	}
	/* The server's error has been passed on; the end of an open stream is <close/> (RFC 7395,
	 * 3.6). A client that has got nothing from its server is told why. */
	if (is_told || (failure->kind == FAILURE_STREAM_CLOSED && session->has_sent_open &&
			session->is_served)) {
		session_log_failed(&session->log, session->domain, failure, true);
		ws_session_close_link(session);
		say_goodbye(session);
		return;
	}
	ws_session_fail(session, failure);
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
		.client = &session->client.address,
	};
	const struct link_options options = {rule, &link_callbacks, session};

	session_log_open(&session->log, session->domain);
	if (link_new(&env->link, &target, &options, &session->link) < 0) {
		ws_session_fail_kind(session, FAILURE_INTERNAL);
		return;
	}
	set_reading(session, true, false);
}

static void on_open(struct ws_session *session, const struct framing_event *event)
{
	const struct admission_request request = {
		.transport = METRICS_WEBSOCKET,
		.client = &session->client.address,
		.is_secure = session->client.is_secure,
		.to = event->to,
	};
	struct admission admission;
	bool is_admitted = admission_judge(session->endpoint->env, &request, &admission);

	ws_set_deadline(session->connection, 0);
	session->lang = event->lang.n ? strndup(event->lang.data, event->lang.n) : NULL;
	session->seats = admission.seats;
	session->is_foreign = admission.is_foreign;
	memcpy(session->domain, admission.domain, sizeof(session->domain));
	if (is_admitted) {
		open_link(session, event, admission.rule);
	} else if (admission.uri) {
		ws_session_send_elsewhere(session, admission.uri);
	} else {
		ws_session_tell(session, &admission.verdict);
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
	session->has_sent_open = false;
	session->is_served = false;
	if (link_restart(session->link, &target) < 0) {
		ws_session_fail_kind(session, FAILURE_INTERNAL);
		return;
	}
	set_reading(session, true, session->is_link_congested);
}

static void on_stanza(struct ws_session *session, const struct framing_event *event)
{
	struct failure failure;

	if (!login_guard_sent(&session->log, session->domain, session->link, event->element,
			      &failure)) {
		ws_session_fail(session, &failure);
		return;
	}
	int r = link_gather(session->link, event->element);

	if (r == LINK_OK) {
		session_log_from_client(&session->log, 1, event->element.n);
	}
	if (r != LINK_OK) {
		ws_session_fail_kind(session, r == LINK_E_EARLY     ? FAILURE_TOO_EARLY
					      : r == LINK_E_STALLED ? FAILURE_SERVER_STALLED
								    : FAILURE_INTERNAL);
	} else if (link_is_congested(session->link) && !session->is_link_congested) {
		set_reading(session, session->awaits_features, true);
	}
}

static void on_close(struct ws_session *session)
{
	session_log_set_reason(&session->log, SESSION_REASON_CLIENT);
	ws_session_close_link(session);
	/* Also a stream that never opened must begin with <open/> (RFC 7395, 3.4). */
	if (ws_session_send_own_open(session) < 0) {
		ws_session_abandon(session);
		return;
	}
	say_goodbye(session);
}

static void on_bad(struct ws_session *session, const struct framing_event *event)
{
	static const enum ws_close_status statuses[] = {
		[FRAMING_FAULT_CONTENT] = WS_CLOSE_POLICY,
		[FRAMING_FAULT_BINARY] = WS_CLOSE_UNSUPPORTED,
		[FRAMING_FAULT_SIZE] = WS_CLOSE_TOO_LARGE,
	};
	const struct ws_goodbye goodbye = {
		.condition = event->condition,
		.text = event->reason,
		.status = statuses[event->fault],
	};

	log_client_failure(session, event->condition, event->reason);
	ws_session_drop_link(session);
	ws_session_say_error(session, &goodbye);
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

void ws_session_on_piece(void *userdata, const char *data, size_t n, bool is_final, bool is_text)
{
	struct ws_session *session = userdata;
	struct framing_event event;

	if (session->is_over) {
		return;
	}
	if (is_final && !worker_takes_request(session->endpoint->env, &session->client.address,
					      &session->messages)) {
		ws_session_fail_kind(session, FAILURE_TOO_MANY_REQUESTS);
		return;
	}
	if (framing_feed(&session->framing, data, n, is_final, is_text) < 0) {
		ws_session_fail_kind(session, FAILURE_INTERNAL);
		return;
	}
	do {
		framing_next(&session->framing, &event);
		on_event(session, &event);
	} while (event.kind != FRAMING_EVENT_NONE && !session->is_over);
	ws_session_charge(session);
}

void ws_session_on_drained(void *userdata)
{
	struct ws_session *session = userdata;

	if (session->server_is_paused && session->link && !session->is_over) {
		session->server_is_paused = false;
		link_pause(session->link, false);
	}
	ws_session_charge(session);
}

void ws_session_on_held(void *userdata)
{
	ws_session_charge(userdata);
}

/* A client that does not open a stream must not hold a descriptor. */
void ws_session_on_late(void *userdata)
{
	const struct ws_goodbye goodbye = {
		.condition = "connection-timeout",
		.text = "the client did not send <open/> in time",
		.status = WS_CLOSE_POLICY,
	};

	log_client_failure(userdata, goodbye.condition, goodbye.text);
	ws_session_say_error(userdata, &goodbye);
}

void ws_session_on_failed(void *userdata, const char *rule)
{
	struct ws_session *session = userdata;

	if (session->is_over) {
		return;
	}
	session->is_over = true;
	if (rule) {
		log_client_failure(session, "WebSocket", rule);
	} else {
		session_log_set_reason(&session->log, SESSION_REASON_MEMORY);
	}
	ws_session_drop_link(session);
}

/* For the list of sessions. */

static const char *domain_of(const struct session_log *log)
{
	return CONTAINER_OF(log, struct ws_session, log)->domain;
}

static void end_session(struct session_log *log, const struct failure *failure)
{
	struct ws_session *session = CONTAINER_OF(log, struct ws_session, log);

	if (!session->is_over) {
		ws_session_fail(session, failure);
	}
}

static const struct session_log_owner log_owner = {
	.domain = domain_of,
	.end = end_session,
};

size_t ws_session_message_max(void *userdata)
{
	const struct ws_session *session = userdata;

	return session->framing.n_message_max;
}

void ws_session_on_too_large(void *userdata)
{
	struct ws_session *session = userdata;
	const struct framing_event event = framing_too_large();

	if (!session->is_over) {
		on_bad(session, &event);
	}
}

/* Life. */

int ws_session_new(struct ws_endpoint *endpoint, struct ws_connection *connection,
		   struct ws_client *client, struct ws_session **ret_session)
{
	struct ws_session *session = calloc(1, sizeof(*session));

	if (!session) {
		return -ENOMEM;
	}
	char name[WS_SESSION_NAME_LENGTH + 1];
	int r = random_name(name, WS_SESSION_NAME_LENGTH);

	if (r < 0) {
		free(session);
		return r;
	}
	framing_init(&session->framing, endpoint->env->pool, &endpoint->scan_options);
	if (session->framing.n_message_max > endpoint->env->config->n_login_message_max) {
		session->framing.n_message_max = endpoint->env->config->n_login_message_max;
	}
	session->endpoint = endpoint;
	session->connection = connection;
	session->client = *client;
	client->has_seat = false;
	session->charge = ws_session_charge_init(endpoint);
	session_log_init(&session->log, endpoint->env, METRICS_WEBSOCKET, &session->client.address,
			 sv_from(name), &log_owner);
	ws_set_deadline(connection, endpoint->env->config->header_timeout_s);
	LIST_INSERT_HEAD(&endpoint->sessions, session, in_endpoint);
	*ret_session = session;
	return 0;
}

void ws_session_shut(struct ws_session *session)
{
	struct failure failure;

	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	if (!session->is_over) {
		session_log_set_reason(&session->log, failure_name(failure.kind));
		ws_session_tell(session, &failure);
	}
}

/* A client that did not send <close/> may come back and resume its stream (XEP-0198). */
void ws_session_on_closed(void *userdata, struct sv unsent)
{
	struct ws_session *session = userdata;

	if (session->link) {
		(void)!link_return(session->link, unsent);
	}
	session_log_set_reason(&session->log, SESSION_REASON_LOST);
	session_log_closed(&session->log, session->domain);
	session->drops_link = session->drops_link || !session->is_over;
	ws_session_release_link(session);
	admission_leave_client(session->endpoint->env, &session->seats, &session->client.address);
	if (session->client.has_seat) {
		worker_leave_forwarded(session->endpoint->env, &session->client.address);
	}
	LIST_REMOVE(session, in_endpoint);
	ws_session_release_charge(session);
	framing_deinit(&session->framing);
	free(session->lang);
	free(session);
}
