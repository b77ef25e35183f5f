/* SPDX-License-Identifier: MIT */
#include "gateway/ops/probe-state.h"
#include "gateway/upstream/stand-in.h"

/* The order of targets. */

static const char *tls_words(const struct probe *probe, const struct srv_target *target)
{
	if (target->is_direct) {
		return "direct TLS";
	}
	switch (domain_rule_tls(probe->rule)) {
	case DOMAIN_TLS_OFF:
		return "without TLS";
	case DOMAIN_TLS_OPPORTUNISTIC:
		return "STARTTLS if offered";
	default:
		return "STARTTLS";
	}
}

static void on_ordered(void *userdata, const struct srv_target *targets, size_t n_targets)
{
	struct probe *probe = userdata;

	if (probe->is_retry) {
		return;
	}
	probe_show_unanswered(probe);
	probe_section(probe, PROBE_SECTION_DNS, "DNS");
	if (!probe->is_redirected) {
		probe->facts.direct = probe->direct;
	}
	if (probe->starttls == PROBE_SERVICE_NONE && probe->direct == PROBE_SERVICE_NONE) {
		sheet_line(&probe->sheet, "no SRV record", SHEET_PLAIN, NULL,
			   "trying the domain itself");
	}
	if (probe_has_proxy(probe) && probe->rule->egress_resolves) {
		sheet_line(&probe->sheet, "names", SHEET_PLAIN, NULL,
			   "the proxy looks them up; there are no SRV records");
	}
	for (size_t i = 0; i < n_targets; i++) {
		sheet_line(&probe->sheet, i ? "" : "order", SHEET_PLAIN, NULL, "%zu. %s:%u, %s",
			   i + 1, targets[i].host, targets[i].port, tls_words(probe, &targets[i]));
		probe_json_order(probe, &targets[i]);
	}
	probe_flush(probe);
}

/* Addresses. */

static struct probe_attempt *attempt_find(struct probe *probe, const struct address *address)
{
	for (size_t i = 0; i < probe->n_attempts; i++) {
		struct probe_attempt *attempt = &probe->attempts[i];

		if (address_is_same(&attempt->address, address)) {
			return attempt;
		}
	}
	return NULL;
}

/* "192.0.2.1:5222", or "xmpp.example.org:5222" where a proxy looks up the name. */
static const char *place_text(const struct srv_target *target, const struct address *address,
			      char text[static PROBE_SERVER_MAX])
{
	char address_text[ADDRESS_TEXT_MAX];

	if (target && stand_in_is(address)) {
		(void)snprintf(text, PROBE_SERVER_MAX, "%s:%u", target->host, target->port);
	} else {
		(void)snprintf(text, PROBE_SERVER_MAX, "%s", address_format(address, address_text));
	}
	return text;
}

/* "xmpp.example.org 192.0.2.1:5222" */
static const char *server_text(const struct srv_target *target, const struct address *address,
			       char text[static PROBE_SERVER_MAX])
{
	char address_text[ADDRESS_TEXT_MAX];

	if (!target || stand_in_is(address)) {
		return place_text(target, address, text);
	}
	(void)snprintf(text, PROBE_SERVER_MAX, "%s %s", target->host,
		       address_format(address, address_text));
	return text;
}

/* Says something about the IPv6 of this machine. */
static bool is_of_ipv6(const struct probe *probe, const struct address *address)
{
	return address->any.sa_family == AF_INET6 && !probe_has_proxy(probe);
}

static void attempt_start(struct probe *probe, const struct srv_target *target,
			  const struct address *address)
{
	if (probe->n_attempts < RACE_ATTEMPTS_MAX) {
		struct probe_attempt *attempt = &probe->attempts[probe->n_attempts++];

		*attempt = (struct probe_attempt){
			.address = *address,
			.started_us = probe_now_us(),
			.has_target = target != NULL,
		};
		if (target) {
			attempt->target = *target;
		}
		place_text(target, address, attempt->place);
	}
	probe->facts.n_ipv6 += is_of_ipv6(probe, address);
}

static const struct srv_target *target_of(const struct probe_attempt *attempt)
{
	return attempt->has_target ? &attempt->target : NULL;
}

static void show_failed(struct probe *probe, const struct srv_target *target,
			const struct address *address, const struct failure *failure)
{
	struct probe_attempt *attempt = attempt_find(probe, address);
	struct sheet_times times = probe_times(probe, probe_now_us());
	char text[PROBE_SERVER_MAX], server[PROBE_SERVER_MAX];

	if (attempt) {
		times = probe_times(probe, attempt->started_us);
		probe->facts.n_ipv6_failed += is_of_ipv6(probe, address);
		*attempt = probe->attempts[--probe->n_attempts];
	} else {
		/* It was not dialled. */
		times.step_us = SHEET_NO_TIME;
	}
	probe_note_trouble(probe, server_text(target, address, server),
			   failure_sentence(failure->kind));
	probe_json_address(probe, target, address, "failed", failure, &times);
	probe_show_failure(probe, place_text(target, address, text), &times, failure);
}

/* Shows the attempts that were given up for the winner. One that was started earlier than the
 * winner delays each session. */
static void show_given_up(struct probe *probe, int64_t winner_us)
{
	for (size_t i = 0; i < probe->n_attempts; i++) {
		const struct probe_attempt *attempt = &probe->attempts[i];
		struct sheet_times times = probe_times(probe, attempt->started_us);
		bool is_slow = attempt->started_us < winner_us;
		char text[PROBE_SERVER_MAX];

		if (is_slow) {
			const char *server =
				server_text(target_of(attempt), &attempt->address, text);

			probe->facts.n_ipv6_failed += is_of_ipv6(probe, &attempt->address);
			probe_note_trouble(probe, server, "it is slow, or does not answer");
		}
		probe_json_address(probe, target_of(attempt), &attempt->address, "given-up", NULL,
				   &times);
		sheet_line(&probe->sheet, attempt->place, is_slow ? SHEET_WARNING : SHEET_FAINT,
			   &times, "%s",
			   is_slow ? "no answer before another one connected" : "not needed");
	}
	probe->n_attempts = 0;
}

static void show_connected(struct probe *probe, const struct srv_target *target,
			   const struct address *address)
{
	const struct probe_attempt *attempt = attempt_find(probe, address);
	int64_t started_us = attempt ? attempt->started_us : probe_now_us();
	struct sheet_times times = probe_times(probe, started_us);
	char text[PROBE_SERVER_MAX];

	if (attempt) {
		probe->attempts[attempt - probe->attempts] = probe->attempts[--probe->n_attempts];
	}
	show_given_up(probe, started_us);
	if (probe->is_slow) {
		/* The slow server is replaced by this one. */
		enum probe_section section = probe->section;

		probe_forget_server(probe);
		probe->section = section;
	}
	probe->step_us = probe_now_us();
	bool is_direct =
		target ? target->is_direct : domain_rule_tls(probe->rule) == DOMAIN_TLS_DIRECT;

	probe->is_dialling = false;
	probe->awaited = is_direct ? "handshake" : "header";
	server_text(target, address, probe->connected);
	probe_json_address(probe, target, address, "connected", NULL, &times);
	sheet_line(&probe->sheet, place_text(target, address, text), SHEET_GOOD, &times,
		   "connected%s", probe_has_proxy(probe) ? " through the proxy" : "");
}

static void show_tunnelling(struct probe *probe, const struct srv_target *target,
			    const struct address *address)
{
	const struct probe_attempt *attempt = attempt_find(probe, address);
	struct sheet_times times =
		probe_times(probe, attempt ? attempt->started_us : probe_now_us());
	char place[PROBE_SERVER_MAX], proxy[EGRESS_TEXT_MAX];

	sheet_line(&probe->sheet, "proxy", SHEET_GOOD, &times, "%s: connected, asked for %s",
		   egress_format(&probe->rule->egress, proxy), place_text(target, address, place));
}

static void on_dialled(void *userdata, enum dial_step step, const struct srv_target *target,
		       const struct address *address, const struct failure *failure)
{
	struct probe *probe = userdata;

	probe_section_dial(probe);
	switch (step) {
	case DIAL_STARTED:
		attempt_start(probe, target, address);
		break;
	case DIAL_TUNNELLING:
		show_tunnelling(probe, target, address);
		break;
	case DIAL_CONNECTED:
		show_connected(probe, target, address);
		break;
	case DIAL_FAILED:
		show_failed(probe, target, address, failure);
		break;
	case DIAL_GIVEN_UP:
		/* Shown once the winner is known. */
		break;
	}
	probe_flush(probe);
}

void probe_show_pending_attempts(struct probe *probe)
{
	for (size_t i = 0; i < probe->n_attempts; i++) {
		const struct probe_attempt *attempt = &probe->attempts[i];
		struct sheet_times times = probe_times(probe, attempt->started_us);

		probe_json_address(probe, target_of(attempt), &attempt->address, "no-answer", NULL,
				   &times);
		sheet_line(&probe->sheet, attempt->place, SHEET_BAD, &times, "no answer");
	}
	probe->n_attempts = 0;
}

void probe_observe_dial(struct probe *probe)
{
	probe->dial_observer = (struct dial_observer){
		.ordered = on_ordered,
		.dialled = on_dialled,
		.userdata = probe,
	};
}
