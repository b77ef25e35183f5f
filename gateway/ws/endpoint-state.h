/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of the WebSocket endpoint. Private to gateway/ws; users include endpoint.h.
 *
 * endpoint.c        handshakes; the list of sessions
 * session.c         a session: from <open/> to <close/>
 * session-charge.c  what it holds, which a budget bounds
 * session-end.c     what its client is told at the end
 */
#include <sys/queue.h>

#include "gateway/login-guard.h"
#include "gateway/ws/endpoint.h"
#include "gateway/ws/framing.h"
#include "gateway/ws/server.h"

enum {
	/* Length of a session's name in the log. Knowing the name gives no access to the
	 * session. */
	WS_SESSION_NAME_LENGTH = 6,
};

/* Who opens a WebSocket. */
struct ws_client {
	struct address address;
	bool is_secure; /* it came over TLS, as a trusted proxy says */
	bool has_seat;  /* it came through a proxy, and counts among the client's connections */
	bool is_coded;  /* messages may be compressed */
};

struct ws_session {
	LIST_ENTRY(ws_session) in_endpoint;
	struct ws_endpoint *endpoint;
	struct ws_connection *connection;
	struct framing framing;
	struct link *link;
	struct ws_client client;
	struct budget_charge
		charge; /* for what it holds, until its client has logged in or for ever */
	char domain[DOMAIN_MAX + 1];
	struct admission_seats seats;
	struct bucket messages; /* of the client */
	struct session_log log;
	char *lang;         /* from the client's <open/>, for the gateway's */
	bool is_ready;      /* the server's stream header has arrived */
	bool has_sent_open; /* the gateway's <open/> is sent; after a restart: the new stream's */
	bool is_served;     /* the client has got an element since the last restart */
	bool is_logged_in;
	bool is_foreign;
	/* the server's features are not there yet: the client is not read until they are */
	bool awaits_features;
	bool is_link_congested; /* the server does not keep up: the client is not read */
	bool server_is_paused;  /* the client does not keep up: the server is not read */
	bool is_over;           /* <close/> is sent: nothing may follow */
	/* link_drop() ends the link, else link_close(). Once the session is over, the link is there
	 * only as long as something waits that may have to go back to its server. */
	bool drops_link;
};

struct ws_endpoint {
	struct worker_env *env;
	struct ws_server *server;
	LIST_HEAD(, ws_session) sessions;
	size_t n_sockets; /* not released yet */
	struct xml_scan_options scan_options;
	struct buffer scratch;      /* the message being written */
	struct ws_client *adopting; /* whose handshake is being answered */
	bool is_stopped;
};

/* Creates the session of a WebSocket that has just opened. Takes the seat of @client, but not on
 * failure. Returns 0 or a negative errno. */
_must_check_ int ws_session_new(struct ws_endpoint *endpoint, struct ws_connection *connection,
				struct ws_client *client, struct ws_session **ret_session);

/* Tells the client that the gateway is shutting down, and ends the session. */
void ws_session_shut(struct ws_session *session);

/* Callbacks of the WebSocket server (ws/server.h); ws_session_on_closed() frees the session. */
void ws_session_on_piece(void *userdata, const char *data, size_t n, bool is_final, bool is_text);
void ws_session_on_drained(void *userdata);
void ws_session_on_emptied(void *userdata);
void ws_session_on_held(void *userdata);
void ws_session_on_late(void *userdata);
void ws_session_on_failed(void *userdata, const char *rule);
size_t ws_session_message_max(void *userdata);
void ws_session_on_too_large(void *userdata);
void ws_session_on_closed(void *userdata, struct sv unsent);

/* Returns the charge of a session that holds nothing yet. */
struct budget_charge ws_session_charge_init(const struct ws_endpoint *endpoint);

/* Charges a budget with what the session holds: one until the client has logged in, the other after
 * that, if the session is foreign (gateway/admission.h). */
void ws_session_charge(struct ws_session *session);

/* Looks whether the client has just logged in. From then on it is one of its server's users, whose
 * messages may be as large as theirs. */
void ws_session_look_for_login(struct ws_session *session);

/* The session holds nothing any more. */
void ws_session_release_charge(struct ws_session *session);

/* What the client is told at the end. Texts are borrowed for the call. */
struct ws_goodbye {
	const char *condition;     /* of a stream error; NULL: there is none */
	const char *text;          /* of the stream error and of the close frame; may be NULL */
	const char *detail;        /* behind the text of the stream error; may be NULL or empty */
	const char *see_other_uri; /* in <close/> (RFC 7395, 3.6.1); may be NULL */
	enum ws_close_status status;
};

/* Sends the content of the scratch buffer, if @write_result is 0. Returns that or -ENOMEM: the
 * session must then be abandoned, because the client would miss a message. */
_must_check_ int ws_session_send(struct ws_session *session, int write_result);

/* The same with @rest behind it. */
_must_check_ int ws_session_send_parts(struct ws_session *session, int write_result,
				       struct sv rest);

/* Sends an <open/> if the client has none: an error must follow one, also while the stream is being
 * opened (RFC 7395, 3.4). Returns as ws_session_send(). */
_must_check_ int ws_session_send_own_open(struct ws_session *session);

/* The session ends: link_drop() and link_close(). If something waits for the client, later: what
 * the client does not read by then goes back to the server. */
void ws_session_drop_link(struct ws_session *session);
void ws_session_close_link(struct ws_session *session);

/* Ends the link now. */
void ws_session_release_link(struct ws_session *session);

/* Ends the session without a word to the client, for which there is no memory. */
void ws_session_abandon(struct ws_session *session);

/* Sends <close/> and then the close frame (RFC 7395, 3.6). */
void ws_session_say_goodbye(struct ws_session *session, const struct ws_goodbye *goodbye);

/* Sends <open/>, if there was none, the stream error, and says goodbye. */
void ws_session_say_error(struct ws_session *session, const struct ws_goodbye *goodbye);

/* Tells the client of @failure and ends the session; ws_session_fail() logs it, too. */
void ws_session_tell(struct ws_session *session, const struct failure *failure);
void ws_session_fail(struct ws_session *session, const struct failure *failure);
void ws_session_fail_kind(struct ws_session *session, enum failure_kind kind);

/* Ends the session with <close see-other-uri='@uri'/>. */
void ws_session_send_elsewhere(struct ws_session *session, const char *uri);
