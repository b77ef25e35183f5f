/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/attempt.h"

#include "common/turn.h"
#include "gateway/upstream/proxy-header.h"
#include "policy/client.h"

static void fail_kind(struct attempt *attempt, enum failure_kind kind)
{
	struct failure failure;

	failure_set(&failure, kind, NULL);
	attempt->callbacks->failed(attempt->userdata, &failure);
}

static int send_out(struct attempt *attempt)
{
	struct buffer *out = &attempt->task->stream->out;

	if (out->n == 0 || !attempt->transport) {
		return 0;
	}
	int r = transport_write(attempt->transport, buffer_sv(out).data, out->n);

	buffer_deinit(out);
	return r;
}

/* TLS. */

static void on_handshake_failed(void *userdata, const struct failure *failure)
{
	struct attempt *attempt = userdata;

	attempt->callbacks->failed(attempt->userdata, failure);
}

static void secure(struct attempt *attempt)
{
	if (handshake_start(&attempt->handshake, attempt->transport, attempt->is_direct) < 0) {
		fail_kind(attempt, FAILURE_INTERNAL);
	}
}

static void tell_secured(const struct attempt *attempt, const struct failure *failure)
{
	const struct link_observer *observer = attempt->task->env->observer;

	if (observer) {
		observer->secured(observer->userdata, attempt->task->domain,
				  transport_tls(attempt->transport), failure);
	}
	if (observer && observer->took && !failure) {
		observer->took(observer->userdata,
			       (int64_t)(uv_hrtime() - attempt->handshake.started_ns) / 1000);
	}
}

static uint32_t crowd_of(const struct attempt *attempt)
{
	const struct turn *turn = attempt->task->env->dialer.turn;

	return turn && attempt->has_client
		     ? client_hash(client_key(&attempt->client), &turn->secret)
		     : TURN_NO_CROWD;
}

uint32_t attempt_dns_crowd(const struct attempt *attempt)
{
	bool is_exempt = attempt->has_client &&
			 networks_contain(&attempt->task->env->config->exempt, &attempt->client);

	return is_exempt ? TURN_NO_CROWD : crowd_of(attempt);
}

/* DANE counts only where the domain's own signed DNS led to the server. A redirection may have been
 * written by anybody on the way, and its target would vouch for itself. */
static int look_up_tlsa(struct attempt *attempt, const struct dial_result *result,
			bool is_redirected)
{
	enum domain_tls tls = domain_rule_tls(attempt->task->rule);

	if (!attempt->task->env->trusts_dnssec || !result->is_authentic || is_redirected ||
	    tls == DOMAIN_TLS_OFF || tls == DOMAIN_TLS_OPPORTUNISTIC) {
		return RESOLVER_ASKED;
	}
	return handshake_look_up(&attempt->handshake, attempt_dns_crowd(attempt), result->host,
				 result->port);
}

/* The stream. */

/* Opens it for the target that the stream has been given. */
static void open_stream(struct attempt *attempt, bool is_secure)
{
	const struct stream_target same = {.to = SV_EMPTY};
	int r = stream_open(attempt->task->stream, &same, is_secure);

	if (r == 0) {
		r = send_out(attempt);
	}
	if (r < 0) {
		fail_kind(attempt, FAILURE_INTERNAL);
	}
}

static void on_secured(void *userdata)
{
	struct attempt *attempt = userdata;

	tell_secured(attempt, NULL);
	if (attempt->is_direct) {
		open_stream(attempt, true);
		return;
	}
	int r = stream_secured(attempt->task->stream);

	if (r == 0) {
		r = send_out(attempt);
	}
	if (r < 0) {
		fail_kind(attempt, FAILURE_INTERNAL);
	}
}

/* Handles a header. Returns whether the features are still to come. */
static bool take_header(struct attempt *attempt)
{
	const struct link_observer *observer = attempt->task->env->observer;

	if (observer) {
		observer->header(observer->userdata, attempt->task->stream);
	}
	if (attempt->task->stream->state != STREAM_STATE_OPEN) {
		return true;
	}
	attempt->callbacks->usable(attempt->userdata, STREAM_EVENT_HEADER);
	return false;
}

/* Handles one event. Returns whether to ask for the next one. After a callback the attempt may be
 * over. */
static bool take(struct attempt *attempt, enum stream_event_kind kind)
{
	switch (kind) {
	case STREAM_EVENT_HEADER:
		return take_header(attempt);
	case STREAM_EVENT_FEATURES:
		attempt->callbacks->usable(attempt->userdata, kind);
		break;
	case STREAM_EVENT_SECURE:
		secure(attempt);
		break;
	case STREAM_EVENT_ERROR:
		attempt->callbacks->refused(attempt->userdata);
		break;
	case STREAM_EVENT_CLOSED:
	case STREAM_EVENT_FAILED:
		attempt->callbacks->failed(attempt->userdata, &attempt->task->stream->failure);
		break;
	case STREAM_EVENT_ELEMENT: /* never comes before the server is usable */
	case STREAM_EVENT_NONE:
		break;
	}
	return false;
}

static void on_data(void *userdata, const char *data, size_t n)
{
	struct attempt *attempt = userdata;
	enum stream_event_kind kind = STREAM_EVENT_NONE;
	int r = stream_feed(attempt->task->stream, data, n);

	do {
		if (r == 0) {
			r = stream_next(attempt->task->stream, &kind);
		}
	} while (r == 0 && take(attempt, kind));
	/* The engine wants something written when it has nothing more to tell, or before TLS. */
	if (r == 0 && (kind == STREAM_EVENT_NONE || kind == STREAM_EVENT_SECURE)) {
		r = send_out(attempt);
	}
	if (r < 0) {
		fail_kind(attempt, FAILURE_INTERNAL);
	} else if (kind == STREAM_EVENT_NONE) {
		attempt->callbacks->received(attempt->userdata);
	}
}

static void on_held(void *userdata)
{
	struct attempt *attempt = userdata;

	attempt->callbacks->received(attempt->userdata);
}

static void on_drained(void *userdata)
{
	(void)userdata;
}

static void on_ended(void *userdata)
{
	fail_kind(userdata, FAILURE_CONNECTION_LOST);
}

static void on_failed(void *userdata, const struct failure *failure)
{
	struct attempt *attempt = userdata;
	const SSL *ssl = transport_tls(attempt->transport);

	if (ssl && !SSL_is_init_finished(ssl)) {
		tell_secured(attempt, failure);
	}
	attempt->callbacks->failed(attempt->userdata, failure);
}

static const struct transport_callbacks transport_callbacks = {
	.secured = on_secured,
	.data = on_data,
	.held = on_held,
	.drained = on_drained,
	.ended = on_ended,
	.failed = on_failed,
};

size_t attempt_held(const struct attempt *attempt)
{
	return attempt->transport ? transport_held(attempt->transport) : 0;
}

/* Beginning and end. */

void attempt_init(struct attempt *attempt, const struct opening_task *task,
		  const struct address *client, const struct attempt_callbacks *callbacks,
		  void *userdata)
{
	*attempt = (struct attempt){
		.task = task,
		.callbacks = callbacks,
		.userdata = userdata,
		.has_client = client != NULL,
	};
	if (client) {
		attempt->client = *client;
	}
	handshake_init(&attempt->handshake, task, on_handshake_failed, attempt);
}

/* Where the rule wants it, the operator's own server learns who the client is from the first bytes
 * of the connection, before TLS. */
static int send_proxy_header(struct attempt *attempt)
{
	const struct domain_rule *rule = attempt->task->rule;
	const struct address *client = attempt->has_client ? &attempt->client : NULL;
	char header[PROXY_HEADER_MAX];
	struct address local;

	if (!rule || rule->proxy == DOMAIN_PROXY_OFF ||
	    !(attempt->is_configured || domain_rule_names_address(rule, &attempt->address))) {
		return 0;
	}
	int r = transport_local_address(attempt->transport, &local);

	if (r < 0) {
		return r;
	}
	return transport_write(attempt->transport, header,
			       proxy_header_write(rule->proxy, client, &local, header));
}

void attempt_start(struct attempt *attempt, struct transport *transport,
		   const struct dial_result *result, bool is_redirected)
{
	attempt->transport = transport;
	attempt->address = *result->address;
	attempt->is_configured = result->is_configured;
	attempt->is_direct = result->is_direct;
	transport_hand_over(transport, &transport_callbacks, attempt);
	/* The stream shares the time of its client's crowd. Otherwise a client that runs a server
	 * of its own would get more of the worker's time. */
	transport_set_crowd(transport, crowd_of(attempt));
	int r = send_proxy_header(attempt);

	if (r == 0) {
		r = look_up_tlsa(attempt, result, is_redirected);
	}
	if (r != RESOLVER_ASKED) {
		fail_kind(attempt, r == RESOLVER_E_CROWD ? FAILURE_TOO_FAST : FAILURE_INTERNAL);
	} else if (attempt->is_direct) {
		secure(attempt);
	} else {
		open_stream(attempt, false);
	}
}

void attempt_leave(struct attempt *attempt)
{
	attempt->transport = transport_free(attempt->transport);
	handshake_deinit(&attempt->handshake);
	stream_rewind(attempt->task->stream);
}

void attempt_close(struct attempt *attempt)
{
	if (attempt->transport && attempt->task->stream->state != STREAM_STATE_HANDSHAKE) {
		/* Without memory for the farewell the server learns it from the FIN. */
		(void)!stream_close(attempt->task->stream);
		transport_will_finish(attempt->transport);
		(void)!send_out(attempt);
		transport_finish(attempt->transport, LINK_CLOSE_TIMEOUT_MS);
		attempt->transport = NULL;
	}
	attempt->transport = transport_free(attempt->transport);
	handshake_deinit(&attempt->handshake);
}

struct transport *attempt_take_transport(struct attempt *attempt,
					 const struct transport_callbacks *callbacks,
					 void *userdata)
{
	struct transport *transport = attempt->transport;

	if (transport) {
		transport_hand_over(transport, callbacks, userdata);
		attempt->transport = NULL;
	}
	handshake_deinit(&attempt->handshake);
	return transport;
}
