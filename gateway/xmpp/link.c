/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/link.h"

#include <errno.h>
#include <stdlib.h>

#include "gateway/upstream/proxy-header.h"

struct link {
	struct link_env *env;
	const struct domain_rule *rule;
	const struct link_callbacks *callbacks; /* NULL when the owner has let go */
	void *userdata;
	struct dial *dial;
	struct transport *transport;
	struct stream stream;
	char *domain; /* ascii form, for DNS, SNI and certificates */
	struct stream_target target; /* into target_text, until the stream is opened; its `to` is in unicode form */
	struct buffer target_text;
	struct address address;
	unsigned n_redirects;
	struct address client;
	bool has_client;
	uv_timer_t timer; /* runs until the stream is the client's; its close is where the link's memory goes */
	struct failure failure;
	struct keepalive_member keepalive;
	bool failing;    /* `over` is due */
	bool direct;     /* TLS comes before the stream on this connection */
	bool header_due; /* the server's header came, and whether it is the client's is not known yet */
	bool offered;    /* the client has been told features */
};

static enum domain_tls tls_of(const struct link *link)
{
	return link->rule ? link->rule->tls : DOMAIN_TLS_REQUIRED;
}

static void on_closed(uv_handle_t *handle)
{
	struct link *link = CONTAINER_OF((uv_timer_t *)handle, struct link, timer);

	stream_deinit(&link->stream);
	buffer_deinit(&link->target_text);
	free(link->domain);
	free(link);
}

/* The owner is gone; so is all that could call back. */
static void let_go(struct link *link)
{
	link->callbacks = NULL;
	keepalive_leave(&link->env->keepalive, &link->keepalive);
	link->dial = dial_free(link->dial);
	uv_close((uv_handle_t *)&link->timer, on_closed);
}

struct link *link_drop(struct link *link)
{
	if (!link) {
		return NULL;
	}
	link->transport = transport_free(link->transport);
	let_go(link);
	return NULL;
}

static int send_out(struct link *link)
{
	struct buffer *out = &link->stream.out;

	if (out->n == 0 || !link->transport) {
		return 0;
	}
	int r = transport_write(link->transport, buffer_sv(out).data, out->n);

	link->keepalive.wrote = true;
	buffer_deinit(out);
	return r;
}

struct link *link_close(struct link *link)
{
	if (!link) {
		return NULL;
	}
	if (link->transport && link->stream.state != STREAM_STATE_HANDSHAKE) {
		/* Without memory for the farewell the server learns it from the FIN. */
		(void)!stream_close(&link->stream);
		(void)!send_out(link);
		transport_finish(link->transport, LINK_CLOSE_TIMEOUT_MS);
		link->transport = NULL;
	}
	return link_drop(link);
}

/* Tells the owner, last thing in a callback of the loop. */
static void fail(struct link *link, const struct failure *failure)
{
	if (!link->callbacks || link->failing) {
		return;
	}
	link->failing = true;
	uv_timer_stop(&link->timer);
	keepalive_leave(&link->env->keepalive, &link->keepalive);
	if (failure->kind != FAILURE_STREAM_ERROR && failure->kind != FAILURE_STREAM_CLOSED) {
		/* Otherwise the owner can still answer the server's farewell. */
		link->transport = transport_free(link->transport);
	}
	link->callbacks->over(link->userdata, failure);
}

static void fail_kind(struct link *link, enum failure_kind kind)
{
	failure_set(&link->failure, kind, NULL);
	fail(link, &link->failure);
}

static void open_stream(struct link *link, bool secure)
{
	int r = stream_open(&link->stream, &link->target, secure);

	buffer_deinit(&link->target_text);
	/* The stream knows it from now on, also for another connection. */
	link->target = (struct stream_target){.to = SV_EMPTY};
	if (r == 0) {
		r = send_out(link);
	}
	if (r < 0) {
		fail_kind(link, FAILURE_INTERNAL);
	}
}

static void secure(struct link *link)
{
	const struct domain_rule *rule = link->rule;
	struct tls_wish wish = {
		.domain = link->domain,
		.ca_file = rule ? rule->ca_file : NULL,
		.verify = tls_of(link) != DOMAIN_TLS_OPPORTUNISTIC,
		.direct = link->direct,
		.pins = rule ? rule->pins : NULL,
		.n_pins = rule ? rule->n_pins : 0,
	};
	SSL *ssl;
	int r = tls_connection_new(link->env->tls_store, &wish, &ssl);

	if (r == 0) {
		r = transport_secure(link->transport, ssl, link->env->open_timeout_ms);
	}
	if (r < 0) {
		fail_kind(link, FAILURE_INTERNAL);
	}
}

/* The first bytes of the connection, before TLS, where the rule wants it: the operator's own server is told who comes. */
static int send_proxy_header(struct link *link)
{
	const struct domain_rule *rule = link->rule;
	char header[PROXY_HEADER_MAX];
	struct address local;

	if (!rule || rule->proxy == DOMAIN_PROXY_OFF || !domain_rule_names_address(rule, &link->address)) {
		return 0;
	}
	int r = transport_local_address(link->transport, &local);

	if (r < 0) {
		return r;
	}
	size_t n = proxy_header_write(rule->proxy, link->has_client ? &link->client : NULL, &local, header);

	return transport_write(link->transport, header, n);
}

static void on_dial_done(void *userdata, struct transport *transport, const struct dial_result *result)
{
	struct link *link = userdata;

	link->dial = NULL;
	link->transport = transport;
	link->address = *result->address;
	link->direct = result->direct;
	if (send_proxy_header(link) < 0) {
		fail_kind(link, FAILURE_INTERNAL);
		return;
	}
	if (link->direct) {
		secure(link);
	} else {
		open_stream(link, false);
	}
}

static void on_dial_failed(void *userdata, const struct failure *failure)
{
	struct link *link = userdata;

	link->dial = NULL;
	fail(link, failure);
}

static void on_secured(void *userdata)
{
	struct link *link = userdata;

	if (link->direct) {
		open_stream(link, true);
		return;
	}
	int r = stream_secured(&link->stream);

	if (r == 0) {
		r = send_out(link);
	}
	if (r < 0) {
		fail_kind(link, FAILURE_INTERNAL);
	}
}

static const struct dial_callbacks dial_callbacks;

/* Whether the server's error says that another one is to be asked, and the link is on its way there or has failed. */
static bool follow(struct link *link)
{
	static const char farewell[] = "</stream:stream>";
	struct redirect redirect;

	if (link->n_redirects == LINK_REDIRECTS_MAX || !stream_event_redirect(&link->stream, &redirect)) {
		return false;
	}
	link->n_redirects++;
	/* Without memory for the farewell the server learns it from the FIN. */
	(void)!transport_write(link->transport, farewell, sizeof(farewell) - 1);
	transport_finish(link->transport, LINK_CLOSE_TIMEOUT_MS);
	link->transport = NULL;
	link->header_due = false;
	stream_rewind(&link->stream);
	if (dial_new_redirected(&link->env->dialer, &redirect, link->direct, link->rule,
				&dial_callbacks, link, &link->dial) < 0) {
		fail_kind(link, FAILURE_INTERNAL);
	}
	return true;
}

/* A header before TLS is no affair of the client's: it is told of the one whose features it gets, or that has none. */
static void tell_header(struct link *link)
{
	if (link->header_due && link->stream.state == STREAM_STATE_OPEN) {
		link->header_due = false;
		uv_timer_stop(&link->timer);
		link->callbacks->header(link->userdata);
	}
}

/* From the second features on: those behind the login, during which there may be no whitespace (RFC 6120, 6.3.5). */
static void keep_alive(struct link *link)
{
	if (link->offered) {
		keepalive_enter(&link->env->keepalive, &link->keepalive);
	}
	link->offered = true;
}

/* Tells one event. False when the link is over, or its owner gone. */
static bool tell(struct link *link, enum stream_event_kind kind)
{
	switch (kind) {
	case STREAM_EVENT_HEADER:
		link->header_due = true;
		tell_header(link);
		break;
	case STREAM_EVENT_SECURE:
		secure(link);
		return false;
	case STREAM_EVENT_FEATURES:
		tell_header(link);
		if (link->callbacks) {
			keep_alive(link);
			link->callbacks->element(link->userdata, kind);
		}
		break;
	case STREAM_EVENT_ELEMENT:
		link->callbacks->element(link->userdata, kind);
		break;
	case STREAM_EVENT_ERROR:
		if (follow(link)) {
			return false;
		}
		link->callbacks->element(link->userdata, kind);
		if (link->callbacks) {
			fail(link, &link->stream.failure);
		}
		return false;
	case STREAM_EVENT_CLOSED:
	case STREAM_EVENT_FAILED:
		fail(link, &link->stream.failure);
		return false;
	case STREAM_EVENT_NONE:
		return false;
	}
	return link->callbacks != NULL;
}

static void on_data(void *userdata, const char *data, size_t n)
{
	struct link *link = userdata;
	enum stream_event_kind kind;
	int r = stream_feed(&link->stream, data, n);

	do {
		if (r == 0) {
			r = stream_next(&link->stream, &kind);
		}
		if (r < 0) {
			fail_kind(link, FAILURE_INTERNAL);
			return;
		}
	} while (tell(link, kind));
	if (!link->callbacks || link->failing) {
		return;
	}
	if (send_out(link) < 0) {
		fail_kind(link, FAILURE_INTERNAL);
		return;
	}
	link->callbacks->flush(link->userdata);
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

static void on_open_timeout(uv_timer_t *timer)
{
	struct link *link = CONTAINER_OF(timer, struct link, timer);

	link->dial = dial_free(link->dial);
	fail_kind(link, FAILURE_STREAM_TIMEOUT);
}

static const struct dial_callbacks dial_callbacks = {
	.transport = {
		.secured = on_secured,
		.data = on_data,
		.drained = on_drained,
		.ended = on_ended,
		.failed = on_failed,
	},
	.done = on_dial_done,
	.failed = on_dial_failed,
};

/* Copies @target. In the stream header the domain has the form that it has in addresses (RFC 6120, 4.7.2; RFC 7622, 3.2). */
static int keep_target(struct link *link, const struct stream_target *target)
{
	struct buffer *text = &link->target_text;
	char unicode[DOMAIN_UNICODE_MAX + 1];

	link->domain = strndup(target->to.data, target->to.n);
	if (!link->domain) {
		return -ENOMEM;
	}
	int r = domain_to_unicode(link->domain, unicode);
	struct sv to = sv_from(unicode);

	if (r == 0) {
		r = buffer_append_sv(text, to);
	}
	if (r == 0) {
		r = buffer_append_sv(text, target->from);
	}
	if (r == 0) {
		r = buffer_append_sv(text, target->lang);
	}
	if (r == 0) {
		r = buffer_append_sv(text, target->version);
	}
	if (r < 0) {
		return r;
	}
	struct sv rest = buffer_sv(text);

	link->target.to = sv_first(rest, to.n);
	rest = sv_skip(rest, to.n);
	link->target.from = sv_first(rest, target->from.n);
	rest = sv_skip(rest, target->from.n);
	link->target.lang = sv_first(rest, target->lang.n);
	link->target.version = sv_skip(rest, target->lang.n);
	return 0;
}

int link_new(struct link_env *env, const struct stream_target *target, const struct domain_rule *rule,
	     const struct link_callbacks *callbacks, void *userdata, struct link **ret_link)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link) {
		return -ENOMEM;
	}
	link->env = env;
	link->rule = rule;
	link->callbacks = callbacks;
	link->userdata = userdata;
	link->has_client = target->client != NULL;
	if (target->client) {
		link->client = *target->client;
	}
	stream_init(&link->stream, env->pool, &env->scan_options, tls_of(link));
	uv_timer_init(env->dialer.loop, &link->timer);
	int r = keep_target(link, target);

	if (r == 0) {
		r = dial_new(&env->dialer, link->domain, rule, &dial_callbacks, link, &link->dial);
	}
	if (r < 0) {
		link_drop(link);
		return r;
	}
	uv_timer_start(&link->timer, on_open_timeout, (uint64_t)env->open_timeout_ms, 0);
	*ret_link = link;
	return 0;
}

int link_write(struct link *link, struct sv elements)
{
	if (link->stream.state != STREAM_STATE_OPEN) {
		/* A link that is over tells so by itself. */
		return link->failing || link->stream.state == STREAM_STATE_OVER ? 0 : -EPROTO;
	}
	link->keepalive.wrote = true;
	return link->transport ? transport_write(link->transport, elements.data, elements.n) : 0;
}

int link_restart(struct link *link, const struct stream_target *target)
{
	int r = stream_restart(&link->stream, target);

	return r < 0 ? r : send_out(link);
}

bool link_is_congested(const struct link *link)
{
	return link->transport && transport_is_congested(link->transport);
}

void link_pause(struct link *link, bool pause)
{
	if (link->transport) {
		transport_pause(link->transport, pause);
	}
}

const struct stream *link_stream(const struct link *link)
{
	return &link->stream;
}

void link_keep_alive(struct keepalive_member *member)
{
	struct link *link = CONTAINER_OF(member, struct link, keepalive);

	/* All that was written before are whole elements, so a space can only fall between two. A header
	 * that has not been answered yet (stream.state) is a check of its own. */
	if (link->stream.state == STREAM_STATE_OPEN && link_write(link, SV(" ")) < 0) {
		fail_kind(link, FAILURE_INTERNAL);
	}
}
