/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/upstream/proxy-header.h"
#include "gateway/xmpp/link-state.h"

static void tlsa_forget(struct link_opening *opening)
{
	resolver_query_cancel(opening->query);
	opening->query = NULL;
	free(opening->tlsa);
	opening->tlsa = NULL;
	opening->secure_due = false;
}

void link_opening_stop(struct link *link)
{
	if (link->opening) {
		tlsa_forget(link->opening);
	}
}

void link_opening_end(struct link *link)
{
	struct link_opening *opening = link->opening;

	if (opening) {
		tlsa_forget(opening);
		buffer_deinit(&opening->text);
		free(opening);
		link->opening = NULL;
	}
}

static int keep_target(struct link *link, const struct stream_target *target)
{
	struct link_opening *opening = link->opening;
	char unicode[DOMAIN_UNICODE_MAX + 1];
	int r = domain_to_unicode(link->domain, unicode);
	const struct sv texts[] = {sv_from(unicode), target->from, target->lang, target->version};
	struct sv *const kept[] = {&opening->target.to, &opening->target.from, &opening->target.lang,
				   &opening->target.version};

	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(texts); i++) {
		r = buffer_append_sv(&opening->text, texts[i]);
	}
	if (r < 0) {
		return r;
	}
	struct sv rest = buffer_sv(&opening->text);

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		*kept[i] = sv_first(rest, texts[i].n);
		rest = sv_skip(rest, texts[i].n);
	}
	return 0;
}

int link_opening_new(struct link *link, const struct stream_target *target)
{
	link->opening = calloc(1, sizeof(*link->opening));
	link->domain = strndup(target->to.data, target->to.n);
	if (!link->opening || !link->domain) {
		return -ENOMEM;
	}
	link->opening->has_client = target->client != NULL;
	if (target->client) {
		link->opening->client = *target->client;
	}
	if (target->route) {
		link->opening->route = *target->route;
		link->opening->redirected = true;
	}
	return keep_target(link, target);
}

static void open_stream(struct link *link, bool secure)
{
	struct link_opening *opening = link->opening;
	int r = stream_open(&link->stream, &opening->target, secure);

	buffer_deinit(&opening->text);
	/* The stream knows it from now on, also for another connection. */
	opening->target = (struct stream_target){.to = SV_EMPTY};
	if (r == 0) {
		r = link_send_out(link);
	}
	if (r < 0) {
		link_fail_kind(link, FAILURE_INTERNAL);
	}
}

void link_secure(struct link *link)
{
	const struct link_observer *observer = link->env->observer;
	struct link_opening *opening = link->opening;
	const struct domain_rule *rule = link->rule;
	struct tls_wish wish = {
		.domain = link->domain,
		.ca_file = rule ? rule->ca_file : NULL,
		.verify = link_tls(link) != DOMAIN_TLS_OPPORTUNISTIC,
		.direct = link->direct,
		.pins = rule ? rule->pins : NULL,
		.n_pins = rule ? rule->n_pins : 0,
		.host = opening->tlsa ? opening->host : NULL,
		.tlsa = opening->tlsa,
	};
	SSL *ssl;

	if (opening->query) {
		opening->secure_due = true;
		return;
	}
	if (observer) {
		observer->handshake(observer->userdata, link->direct);
	}
	int r = tls_connection_new(link->env->tls_store, &wish, &ssl);

	if (r == 0) {
		r = transport_secure(link->transport, ssl, link->env->open_timeout_ms);
	}
	if (r < 0) {
		link_fail_kind(link, FAILURE_INTERNAL);
	}
}

/* RFC 7673. An answer that cannot be had may be kept from us by who would be found out by it. */
static void on_tlsa(void *userdata, enum resolver_result result, const struct tlsa_set *set)
{
	struct link *link = userdata;
	struct link_opening *opening = link->opening;
	struct failure failure;

	opening->query = NULL;
	if (result == RESOLVER_OK) {
		opening->tlsa = malloc(sizeof(*opening->tlsa));
		if (!opening->tlsa) {
			link_fail_kind(link, FAILURE_INTERNAL);
			return;
		}
		*opening->tlsa = *set;
	} else if (result != RESOLVER_NO_NAME) {
		failure_set(&failure, result == RESOLVER_TIMEOUT ? FAILURE_DNS_TIMEOUT : FAILURE_DNS_FAILED,
			    "TLSA records of %s", opening->host);
		link_fail(link, &failure);
		return;
	}
	if (opening->secure_due) {
		opening->secure_due = false;
		link_secure(link);
	}
}

/* Asks what signed DNS says of the server's certificate, while the stream's first words are exchanged. */
static int ask_tlsa(struct link *link, const struct dial_result *result)
{
	struct link_opening *opening = link->opening;
	enum domain_tls tls = link_tls(link);

	tlsa_forget(opening);
	/* Only where the domain's own signed DNS led: what a redirection names, which anybody on the way may have written, vouches for
	 * itself only. */
	if (!link->env->trusts_dnssec || !result->authentic || opening->redirected || tls == DOMAIN_TLS_OFF ||
	    tls == DOMAIN_TLS_OPPORTUNISTIC) {
		return 0;
	}
	memcpy(opening->host, result->host, strlen(result->host) + 1);
	return resolver_ask_tlsa(link->env->dialer.resolver, opening->host, result->port, on_tlsa, link,
				 &opening->query);
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
	size_t n = proxy_header_write(rule->proxy, link->opening->has_client ? &link->opening->client : NULL, &local, header);

	return transport_write(link->transport, header, n);
}

void link_on_dialled(void *userdata, struct transport *transport, const struct dial_result *result)
{
	struct link *link = userdata;

	link->dial = NULL;
	link_leave_slow(link);
	link->transport = transport;
	link->address = *result->address;
	link->direct = result->direct;
	/* What a server named is the only place to go. */
	link_arm(link, result->has_others && !link->opening->redirected);
	if (send_proxy_header(link) < 0 || ask_tlsa(link, result) < 0) {
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
	const struct failure *first = &link->opening->failure;

	link->dial = NULL;
	if (link->transport) {
		/* The slow server is the only one: it has the rest of the time. */
		return;
	}
	/* That there is no other server says less than what came of the one that was there. */
	link_fail(link, first->kind ? first : failure);
}

void link_tell_secured(const struct link *link, const struct failure *failure)
{
	const struct link_observer *observer = link->env->observer;

	if (observer) {
		observer->secured(observer->userdata, transport_tls(link->transport), failure);
	}
}

void link_on_secured(void *userdata)
{
	struct link *link = userdata;

	link_tell_secured(link, NULL);
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
	const struct link_observer *observer = link->env->observer;
	static const char farewell[] = "</stream:stream>";
	struct redirect redirect;

	if (!link->opening || link->opening->n_redirects == LINK_REDIRECTS_MAX ||
	    !stream_event_redirect(&link->stream, &redirect)) {
		return false;
	}
	link->opening->n_redirects++;
	link->opening->redirected = true;
	if (observer) {
		observer->redirected(observer->userdata, &redirect);
	}
	/* Without memory for the farewell the server learns it from the FIN. */
	(void)!transport_write(link->transport, farewell, sizeof(farewell) - 1);
	transport_finish(link->transport, LINK_CLOSE_TIMEOUT_MS);
	link->transport = NULL;
	link_leave_server(link);
	link->opening->is_slow = false;
	link->dial = dial_free(link->dial);
	if (dial_new_redirected(&link->env->dialer, link->domain, &redirect, link->direct,
				link->rule, &link_dial_callbacks, link, &link->dial) < 0) {
		link_fail_kind(link, FAILURE_INTERNAL);
	} else {
		link_arm(link, false);
	}
	return true;
}

/* Starting. */

static void on_refused(uv_timer_t *timer)
{
	struct link *link = CONTAINER_OF(timer, struct link, timer);

	link_fail(link, &link->opening->failure);
}

/* Whether the rule lets the session begin: else *ret_kind says why not. Returns 0 or -ENOMEM. */
static int admit(struct link *link, enum failure_kind *ret_kind)
{
	const struct domain_rule *rule = link->rule;

	*ret_kind = rule && rule->gone ? FAILURE_DOMAIN_GONE : FAILURE_NONE;
	if (!rule || rule->gone || !rule->max_sessions) {
		return 0;
	}
	int r = census_enter_domain(link->env->census, link->domain, rule->max_sessions);

	if (r == -EUSERS) {
		*ret_kind = FAILURE_TOO_MANY;
		return 0;
	}
	link->is_counted = r == 0;
	return r;
}

int link_start(struct link *link)
{
	enum failure_kind refusal;
	int r = admit(link, &refusal);

	if (r < 0) {
		return r;
	}
	if (refusal) {
		failure_set(&link->opening->failure, refusal, "%s", link->domain);
		uv_timer_start(&link->timer, on_refused, 0, 0);
		return 0;
	}
	r = link->opening->route.port
		    ? dial_new_redirected(&link->env->dialer, link->domain, &link->opening->route,
					  link_tls(link) == DOMAIN_TLS_DIRECT, link->rule, &link_dial_callbacks,
					  link, &link->dial)
		    : dial_new(&link->env->dialer, link->domain, link->rule, &link_dial_callbacks, link,
			       &link->dial);
	if (r == 0) {
		link->opening->deadline = mono_add_ms(link_now(link), link->env->open_timeout_ms);
		link_arm(link, false);
	}
	return r;
}
