/* SPDX-License-Identifier: MIT */
#include "gateway/ws/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/random.h"
#include "gateway/ws/framing.h"
#include "gateway/ws/server.h"
#include "gateway/ws/upgrade.h"

enum {
	/* Names a session in the log; it opens nothing. */
	SESSION_NAME_LENGTH = 6,
	/* The id in an <open/> of ours, when the server has none to tell. */
	OPEN_ID_LENGTH = 22,
	/* A client that answers our <close/> with nothing must not keep the descriptor. */
	CLOSE_TIMEOUT_S = 10,
};

/* A socket on its way through the handshake: how `opened` knows who it is. */
struct request {
	struct address client;
	struct address peer;
	struct http_exchange *exchange; /* the one that came by HTTP; NULL for a socket of its own */
};

struct session {
	LIST_ENTRY(session) in_endpoint;
	struct ws_endpoint *endpoint;
	struct ws_connection *connection;
	struct framing framing;
	struct link *link;
	struct address client;
	char name[SESSION_NAME_LENGTH + 1];
	char domain[DOMAIN_MAX + 1];
	char *lang;         /* of the client's <open/>, for an <open/> of ours */
	bool counted;       /* has a place in the census */
	bool open_sent;     /* our <open/> is out */
	bool awaits_features; /* the stream is not the client's yet: what it sends early waits in its socket */
	bool link_congested;  /* the server does not keep up: likewise */
	bool paused_server;   /* the client does not keep up */
	bool over;          /* <close/> is out: nothing more is said */
};

struct ws_endpoint {
	struct worker_env *env;
	struct ws_server *server;
	LIST_HEAD(, session) sessions;
	struct xml_scan_options scan_options;
	struct buffer scratch; /* the message that is being written */
	bool shut;
};

/* Saying. */

static void log_session(const struct session *session, const char *event)
{
	char client[ADDRESS_TEXT_MAX];

	log_info(event, LOG_STR("client", address_format_host(&session->client, client)),
		 LOG_STR("transport", "websocket"), LOG_STR("session", session->name),
		 LOG_STR("domain", session->domain));
}

static void log_failure(const struct session *session, const char *failure, const char *detail)
{
	char client[ADDRESS_TEXT_MAX];

	log_info("session-failed", LOG_STR("client", address_format_host(&session->client, client)),
		 LOG_STR("transport", "websocket"), LOG_STR("session", session->name),
		 LOG_STR("domain", session->domain), LOG_STR("failure", failure), LOG_STR("detail", detail));
}

/* Sends what scratch holds. Out of memory ends the session: the client must not miss a message in silence. */
static int send_scratch(struct session *session, int write_result)
{
	struct buffer *scratch = &session->endpoint->scratch;
	int r = write_result < 0 ? write_result : ws_send(session->connection, buffer_sv(scratch));

	buffer_clear(scratch);
	return r;
}

static void drop_link(struct session *session)
{
	session->link = link_drop(session->link);
}

/* Nothing can be said any more. */
static void abandon(struct session *session)
{
	session->over = true;
	drop_link(session);
	ws_close(session->connection, WS_CLOSE_INTERNAL);
}

/* RFC 7395, 3.6: <close/>, and the WebSocket's own closing behind it. */
static void say_goodbye(struct session *session, enum ws_close_status status)
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

/* RFC 7395, 3.4: also an error at opening stands behind an <open/>. */
static int send_own_open(struct session *session)
{
	char id[OPEN_ID_LENGTH + 1];
	int r = random_name(id, OPEN_ID_LENGTH);

	if (session->open_sent) {
		return 0;
	}
	session->open_sent = true;
	if (r == 0) {
		r = framing_write_open(&session->endpoint->scratch, session->domain, id, session->lang);
	}
	return send_scratch(session, r);
}

static void say_error(struct session *session, const char *condition, const char *text, const char *detail,
		      enum ws_close_status status)
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

static void fail(struct session *session, const struct failure *failure)
{
	log_failure(session, failure_name(failure->kind), failure->detail);
	say_error(session, failure_stream_condition(failure->kind), failure_sentence(failure->kind),
		  failure->detail, WS_CLOSE_NORMAL);
	drop_link(session);
}

static void fail_kind(struct session *session, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	fail(session, &failure);
}

static void set_reading(struct session *session, bool awaits_features, bool link_congested)
{
	session->awaits_features = awaits_features;
	session->link_congested = link_congested;
	ws_pause(session->connection, awaits_features || link_congested);
}

/* From the server. */

static void on_header(void *userdata)
{
	struct session *session = userdata;
	const struct stream *stream = link_stream(session->link);
	const char *from = stream->from ? stream->from : session->domain;

	session->open_sent = true;
	if (send_scratch(session, framing_write_open(&session->endpoint->scratch, from, stream->id,
						     stream->lang)) < 0) {
		abandon(session);
	}
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	struct session *session = userdata;

	if (kind == STREAM_EVENT_FEATURES && session->awaits_features) {
		set_reading(session, false, session->link_congested);
	}
	/* A server may end a stream before it has one to tell of. */
	if (send_own_open(session) < 0 ||
	    send_scratch(session,
			 stream_event_write(link_stream(session->link), &session->endpoint->scratch)) < 0) {
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

static void on_link_drained(void *userdata)
{
	struct session *session = userdata;

	if (session->link_congested) {
		set_reading(session, session->awaits_features, false);
	}
}

static void on_link_over(void *userdata, const struct failure *failure)
{
	struct session *session = userdata;

	if (failure->kind == FAILURE_STREAM_ERROR || failure->kind == FAILURE_STREAM_CLOSED) {
		/* The error itself has been passed on. */
		log_failure(session, failure_name(failure->kind), failure->detail);
		session->link = link_close(session->link);
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
	.over = on_link_over,
};

/* From the client. */

static int enter_census(struct session *session)
{
	int r = census_enter_session(session->endpoint->env->census, &session->client);

	session->counted = r == 0;
	return r;
}

static void open_link(struct session *session, const struct framing_event *event)
{
	struct worker_env *env = session->endpoint->env;
	struct stream_target target = {
		.to = sv_from(session->domain),
		.from = event->from,
		.lang = event->lang,
		.version = event->version,
	};
	const struct domain_rule *rule = domain_rules_find(&env->config->domains, session->domain);

	if (rule && rule->deny) {
		fail_kind(session, FAILURE_DOMAIN_REFUSED);
		return;
	}
	int r = enter_census(session);

	if (r < 0) {
		fail_kind(session, r == -ENOMEM ? FAILURE_INTERNAL : FAILURE_TOO_MANY);
		return;
	}
	log_session(session, "session-open");
	if (link_new(&env->link, &target, rule, &link_callbacks, session, &session->link) < 0) {
		fail_kind(session, FAILURE_INTERNAL);
		return;
	}
	set_reading(session, true, false);
}

static void on_open(struct session *session, const struct framing_event *event)
{
	struct failure failure;
	int r = domain_to_ascii(event->to, session->domain);

	session->lang = event->lang.n ? strndup(event->lang.data, event->lang.n) : NULL;
	if (r == -ENOMEM) {
		fail_kind(session, FAILURE_INTERNAL);
	} else if (r < 0) {
		failure_set(&failure, FAILURE_DOMAIN_REFUSED, "'%.*s' is not the name of a domain",
			    SV_ARGS(sv_first(event->to, 100)));
		session->domain[0] = '\0';
		fail(session, &failure);
	} else {
		open_link(session, event);
	}
}

static void on_restart(struct session *session, const struct framing_event *event)
{
	struct stream_target target = {
		.from = event->from,
		.lang = event->lang,
		.version = event->version,
	};

	if (link_restart(session->link, &target) < 0) {
		fail_kind(session, FAILURE_INTERNAL);
		return;
	}
	set_reading(session, true, session->link_congested);
}

static void on_stanza(struct session *session, const struct framing_event *event)
{
	int r = link_write(session->link, event->element);

	if (r == -EPROTO) {
		fail_kind(session, FAILURE_TOO_EARLY);
	} else if (r < 0) {
		fail_kind(session, FAILURE_INTERNAL);
	} else if (link_is_congested(session->link) && !session->link_congested) {
		set_reading(session, session->awaits_features, true);
	}
}

static void on_close(struct session *session)
{
	session->link = link_close(session->link);
	/* RFC 7395, 3.4: not even a refused stream goes without our <open/>. */
	if (send_own_open(session) < 0) {
		abandon(session);
		return;
	}
	say_goodbye(session, WS_CLOSE_NORMAL);
}

static void on_event(struct session *session, const struct framing_event *event)
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
		log_failure(session, "client-error", event->condition);
		say_error(session, event->condition, NULL, NULL, WS_CLOSE_NORMAL);
		drop_link(session);
		break;
	case FRAMING_EVENT_NONE:
		break;
	}
}

static void on_piece(void *userdata, const char *data, size_t n, bool final, bool text)
{
	struct session *session = userdata;
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
}

static void on_drained(void *userdata)
{
	struct session *session = userdata;

	if (session->paused_server && session->link) {
		session->paused_server = false;
		link_pause(session->link, false);
	}
}

/* Life of a session. */

static int on_opened(void *userdata, struct ws_connection *connection, void *request_pointer, void **ret_session)
{
	struct ws_endpoint *endpoint = userdata;
	const struct request *request = request_pointer;
	struct session *session = calloc(1, sizeof(*session));

	if (!session) {
		return -ENOMEM;
	}
	int r = random_name(session->name, SESSION_NAME_LENGTH);

	if (r == 0) {
		r = framing_init(&session->framing, endpoint->env->pool, &endpoint->scan_options);
	}
	if (r < 0) {
		free(session);
		return r;
	}
	session->endpoint = endpoint;
	session->connection = connection;
	session->client = request->client;
	LIST_INSERT_HEAD(&endpoint->sessions, session, in_endpoint);
	*ret_session = session;
	return 0;
}

/* Without a <close/> the client is only gone: the server keeps what can be resumed (XEP-0198). */
static void on_closed(void *userdata, bool clean)
{
	struct session *session = userdata;

	(void)clean;
	log_session(session, "session-closed");
	drop_link(session);
	if (session->counted) {
		census_leave_session(session->endpoint->env->census, &session->client);
	}
	LIST_REMOVE(session, in_endpoint);
	framing_deinit(&session->framing);
	free(session->lang);
	free(session);
}

/* The socket of @request is closed. */
static void release(struct ws_endpoint *endpoint, const struct request *request)
{
	if (request->exchange) {
		http_exchange_release(request->exchange);
	} else {
		worker_leave_connection(endpoint->env, &request->peer);
	}
}

static void on_released(void *userdata, void *request)
{
	release(userdata, request);
	free(request);
}

static void adopt(struct ws_endpoint *endpoint, int fd, struct sv key, const struct request *request)
{
	_cleanup_(buffer_deinit) struct buffer handshake = BUFFER_INIT;
	struct request *copy = malloc(sizeof(*copy));

	if (!copy || upgrade_write(endpoint->env->config->websocket_path, key, &handshake) < 0) {
		free(copy);
		close(fd);
		release(endpoint, request);
		return;
	}
	*copy = *request;
	ws_server_adopt(endpoint->server, fd, buffer_sv(&handshake), copy);
}

void ws_endpoint_adopt(struct ws_endpoint *endpoint, int fd, struct sv key, const struct address *client,
		       const struct address *peer)
{
	adopt(endpoint, fd, key, &(struct request){.client = *client, .peer = *peer});
}

void ws_endpoint_upgrade(struct ws_endpoint *endpoint, struct http_exchange *exchange)
{
	const struct site *site = endpoint->env->site;
	struct upgrade upgrade = {
		.connection = http_exchange_header(exchange, "Connection"),
		.upgrade = http_exchange_header(exchange, "Upgrade"),
		.version = http_exchange_header(exchange, "Sec-WebSocket-Version"),
		.key = http_exchange_header(exchange, "Sec-WebSocket-Key"),
		.protocol = http_exchange_header(exchange, "Sec-WebSocket-Protocol"),
		.origin_allowed = site_allows(site, http_exchange_header(exchange, "Origin"),
					      http_exchange_header(exchange, "Host")),
	};
	enum upgrade_result result = upgrade_check(&upgrade);
	struct request request = {.exchange = exchange};
	int fd;

	if (result != UPGRADE_OK) {
		site_answer_text(site, exchange, upgrade_status(result), upgrade_sentence(result));
		return;
	}
	if (endpoint->shut || http_exchange_detach(exchange, &fd) < 0) {
		site_answer_text(site, exchange, 503, "The gateway has no room for this connection now.\n");
		return;
	}
	request.peer = *http_exchange_peer(exchange);
	request.client = client_address(&endpoint->env->config->proxies, &request.peer,
					http_exchange_header(exchange, "X-Forwarded-For"));
	adopt(endpoint, fd, upgrade.key, &request);
}

/* Life of the endpoint. */

int ws_endpoint_new(struct worker_env *env, struct ws_endpoint **ret_endpoint)
{
	struct ws_endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint) {
		return -ENOMEM;
	}
	endpoint->env = env;
	endpoint->scan_options = framing_options(env->config->n_body_max);
	LIST_INIT(&endpoint->sessions);
	int r = ws_server_new(
		&(struct ws_server_options){
			.loop = env->loop,
			.timeout_s = CLOSE_TIMEOUT_S,
			.ping_interval_s = env->config->ping_interval_s,
			.opened = on_opened,
			.piece = on_piece,
			.drained = on_drained,
			.closed = on_closed,
			.released = on_released,
			.userdata = endpoint,
		},
		&endpoint->server);

	if (r < 0) {
		free(endpoint);
		return r;
	}
	*ret_endpoint = endpoint;
	return 0;
}

void ws_endpoint_shut(struct ws_endpoint *endpoint)
{
	struct session *session;
	struct failure failure;

	endpoint->shut = true;
	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	LIST_FOREACH(session, &endpoint->sessions, in_endpoint) {
		if (!session->over) {
			say_error(session, failure_stream_condition(failure.kind), failure_sentence(failure.kind),
				  NULL, WS_CLOSE_GOING_AWAY);
			session->link = link_close(session->link);
		}
	}
}

void ws_endpoint_stop(struct ws_endpoint *endpoint)
{
	ws_server_stop(endpoint->server);
}

struct ws_endpoint *ws_endpoint_free(struct ws_endpoint *endpoint)
{
	if (!endpoint) {
		return NULL;
	}
	ws_server_free(endpoint->server);
	buffer_deinit(&endpoint->scratch);
	free(endpoint);
	return NULL;
}
