/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/upstream/proxy-header.h"
#include "gateway/xmpp/link-state.h"

int link_keep_target(struct link *link, const struct stream_target *target)
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

static void open_stream(struct link *link, bool secure)
{
	int r = stream_open(&link->stream, &link->target, secure);

	buffer_deinit(&link->target_text);
	/* The stream knows it from now on, also for another connection. */
	link->target = (struct stream_target){.to = SV_EMPTY};
	if (r == 0) {
		r = link_send_out(link);
	}
	if (r < 0) {
		link_fail_kind(link, FAILURE_INTERNAL);
	}
}

void link_secure(struct link *link)
{
	const struct domain_rule *rule = link->rule;
	struct tls_wish wish = {
		.domain = link->domain,
		.ca_file = rule ? rule->ca_file : NULL,
		.verify = link_tls(link) != DOMAIN_TLS_OPPORTUNISTIC,
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
		link_fail_kind(link, FAILURE_INTERNAL);
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

void link_on_dialled(void *userdata, struct transport *transport, const struct dial_result *result)
{
	struct link *link = userdata;

	link->dial = NULL;
	link->transport = transport;
	link->address = *result->address;
	link->direct = result->direct;
	if (send_proxy_header(link) < 0) {
		link_fail_kind(link, FAILURE_INTERNAL);
		return;
	}
	if (link->direct) {
		link_secure(link);
	} else {
		open_stream(link, false);
	}
}

void link_on_not_dialled(void *userdata, const struct failure *failure)
{
	struct link *link = userdata;

	link->dial = NULL;
	link_fail(link, failure);
}

void link_on_secured(void *userdata)
{
	struct link *link = userdata;

	if (link->direct) {
		open_stream(link, true);
		return;
	}
	int r = stream_secured(&link->stream);

	if (r == 0) {
		r = link_send_out(link);
	}
	if (r < 0) {
		link_fail_kind(link, FAILURE_INTERNAL);
	}
}

bool link_follow(struct link *link)
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
				&link_dial_callbacks, link, &link->dial) < 0) {
		link_fail_kind(link, FAILURE_INTERNAL);
	}
	return true;
}
