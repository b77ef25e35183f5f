/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "common/writer.h"
#include "gateway/ops/probe-state.h"
#include "gateway/upstream/stand-in.h"

/* Starts the section about addresses. */
static void section_dial(struct probe *probe)
{
	const char *title = probe->is_retry ? "Connecting to another server" : "Connecting";

	probe_section(probe, PROBE_SECTION_DIAL, title);
}

/* DNS. */

static void on_asked(void *userdata, enum dns_kind kind, const char *name)
{
	struct probe *probe = userdata;

	if (probe->n_questions == PROBE_QUESTIONS_MAX) {
		return;
	}
	struct probe_question *question = &probe->questions[probe->n_questions++];

	question->kind = kind;
	question->asked_us = probe_now_us();
	(void)snprintf(question->name, sizeof(question->name), "%s", name);
}

static struct probe_question *question_find(struct probe *probe, enum dns_kind kind,
					    const char *name)
{
	for (size_t i = 0; i < probe->n_questions; i++) {
		struct probe_question *question = &probe->questions[i];

		if (question->kind == kind && strcmp(question->name, name) == 0) {
			return question;
		}
	}
	return NULL;
}

static void question_end(struct probe *probe, struct probe_question *question)
{
	*question = probe->questions[--probe->n_questions];
}

/* Shows why there is no reply. */
static void show_no_answer(struct probe *probe, const char *label, enum resolver_result result,
			   const struct sheet_times *times)
{
	static const char *const words[] = {
		[RESOLVER_NO_NAME] = "none",
		[RESOLVER_TIMEOUT] = "the DNS did not answer in time",
		[RESOLVER_FAILED] = "the DNS lookup failed",
	};

	sheet_line(&probe->sheet, label, result == RESOLVER_NO_NAME ? SHEET_PLAIN : SHEET_BAD,
		   times, "%s", words[result]);
}

/* "_xmpp-client._tcp" of "_xmpp-client._tcp.example.org". */
static size_t service_length(const char *name)
{
	const char *end = strstr(name, "._tcp.");

	return end ? (size_t)(end - name) + strlen("._tcp") : strlen(name);
}

static void show_targets(struct probe *probe, const struct dns_reply *reply)
{
	for (size_t i = 0; i < reply->n_records; i++) {
		const struct srv_target *target = &reply->targets[i];

		sheet_line(&probe->sheet, "", SHEET_PLAIN, NULL, "%5u %5u  %s:%u", target->priority,
			   target->weight, target->host[0] ? target->host : ".", target->port);
	}
}

static void show_service(struct probe *probe, const char *name, const struct dns_reply *reply,
			 const struct sheet_times *times)
{
	bool is_direct = strncmp(name, "_xmpps-", strlen("_xmpps-")) == 0;
	enum probe_service *service = is_direct ? &probe->direct : &probe->starttls;
	char label[PROBE_NAME_MAX];

	(void)snprintf(label, sizeof(label), "%.*s", (int)service_length(name), name);
	probe_section(probe, PROBE_SECTION_DNS, "DNS");
	probe_json_service(probe, name, reply, times);
	if (!reply || reply->result != RESOLVER_OK) {
		enum resolver_result result = reply ? reply->result : RESOLVER_FAILED;

		*service = result == RESOLVER_NO_NAME ? PROBE_SERVICE_NONE : PROBE_SERVICE_UNKNOWN;
		probe->facts.unanswered = probe->facts.unanswered || result != RESOLVER_NO_NAME;
		show_no_answer(probe, label, result, times);
		return;
	}
	const char *is_signed = reply->authentic ? ", signed" : "";

	if (srv_not_offered(reply->targets, reply->n_records)) {
		*service = PROBE_SERVICE_NONE;
		sheet_line(&probe->sheet, label, SHEET_PLAIN, times,
			   "\".\": not offered, TTL %" PRIu32 " s%s", reply->ttl_s, is_signed);
		return;
	}
	*service = PROBE_SERVICE_OFFERED;
	sheet_line(&probe->sheet, label, SHEET_PLAIN, times, "%zu target%s, TTL %" PRIu32 " s%s",
		   reply->n_records, reply->n_records == 1 ? "" : "s", reply->ttl_s, is_signed);
	show_targets(probe, reply);
}

static void show_addresses(struct probe *probe, const char *host, const struct dns_reply *reply,
			   const struct sheet_times *times)
{
	_cleanup_(buffer_deinit) struct buffer list = BUFFER_INIT;
	struct writer writer = writer_begin(&list);
	size_t n = reply && reply->result == RESOLVER_OK ? reply->n_records : 0;

	section_dial(probe);
	if (n == 0) {
		show_no_answer(probe, host,
			       reply && reply->result != RESOLVER_OK ? reply->result
								     : RESOLVER_FAILED,
			       times);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		char text[ADDRESS_TEXT_MAX];

		writer_printf(&writer, "%s%s", i ? ", " : "",
			      address_format_host(&reply->addresses[i], text));
	}
	if (writer_end(&writer) < 0) {
		return;
	}
	sheet_line(&probe->sheet, host, SHEET_PLAIN, times, "%.*s", SV_ARGS(buffer_sv(&list)));
}

static void note_tlsa(struct probe *probe, const struct dns_reply *reply)
{
	probe->tlsa = (struct probe_tlsa){
		.asked = true,
		.result = reply ? reply->result : RESOLVER_FAILED,
		.n_records = reply ? reply->n_records : 0,
		.authentic = reply && reply->authentic,
	};
	if (probe->tlsa.result != RESOLVER_OK && probe->tlsa.result != RESOLVER_NO_NAME) {
		/* The link gives the server up because of it. */
		probe->awaited = "DANE";
	}
}

static void show_reply(struct probe *probe, const struct probe_question *question,
		       const struct dns_reply *reply)
{
	struct sheet_times times = probe_times(probe, question->asked_us);

	if (question->came_late) {
		times.step_us = SHEET_NO_TIME;
	}
	switch (question->kind) {
	case DNS_KIND_SRV:
		show_service(probe, question->name, reply, &times);
		break;
	case DNS_KIND_ADDRESSES:
		show_addresses(probe, question->name, reply, &times);
		break;
	case DNS_KIND_TLSA:
	case DNS_KIND_COUNT:
		break;
	}
}

static void on_answered(void *userdata, enum dns_kind kind, const char *name,
			const struct dns_reply *reply)
{
	struct probe *probe = userdata;
	struct probe_question *question = question_find(probe, kind, name);

	if (probe->is_over) {
		return;
	}
	if (kind == DNS_KIND_TLSA) {
		note_tlsa(probe, reply);
	}
	/* Not asked for by a question that is shown: repeated on the way to another server. */
	if (!question) {
		return;
	}
	if (kind == DNS_KIND_ADDRESSES && !probe->dialling) {
		question->came_late = true;
		return;
	}
	show_reply(probe, question, reply);
	question_end(probe, question);
	probe_flush(probe);
}

/* The order of targets. */

/* Shows services that the dial continues without, because their reply has not come in time. */
static void show_unanswered(struct probe *probe)
{
	for (size_t i = 0; i < probe->n_questions;) {
		const struct probe_question *question = &probe->questions[i];
		struct sheet_times times = probe_times(probe, question->asked_us);
		char label[PROBE_NAME_MAX];

		if (question->kind != DNS_KIND_SRV) {
			i++;
			continue;
		}
		(void)snprintf(label, sizeof(label), "%.*s", (int)service_length(question->name),
			       question->name);
		probe_section(probe, PROBE_SECTION_DNS, "DNS");
		sheet_line(&probe->sheet, label, SHEET_WARNING, &times,
			   "no answer yet, continuing without it");
		probe->facts.unanswered = true;
		probe->questions[i] = probe->questions[--probe->n_questions];
	}
}

static const char *tls_words(const struct probe *probe, const struct srv_target *target)
{
	if (target->direct) {
		return "direct TLS";
	}
	switch (probe_tls_mode(probe)) {
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
	show_unanswered(probe);
	probe_section(probe, PROBE_SECTION_DNS, "DNS");
	if (!probe->redirected) {
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

		if (address_same_host(&attempt->address, address) &&
		    address_port(&attempt->address) == address_port(address)) {
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
	const char *words = failure_sentence(failure->kind);
	char text[PROBE_SERVER_MAX], server[PROBE_SERVER_MAX];

	if (attempt) {
		times = probe_times(probe, attempt->started_us);
		probe->facts.n_ipv6_failed += is_of_ipv6(probe, address);
		*attempt = probe->attempts[--probe->n_attempts];
	} else {
		/* It was not dialled. */
		times.step_us = SHEET_NO_TIME;
	}
	probe_note_trouble(probe, server_text(target, address, server), words);
	probe_json_address(probe, target, address, "failed", failure, &times);
	sheet_line(&probe->sheet, place_text(target, address, text), SHEET_BAD, &times, "%s%s%s",
		   words, failure->detail[0] ? ": " : "", failure->detail);
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
	bool is_direct = target ? target->direct : probe_tls_mode(probe) == DOMAIN_TLS_DIRECT;

	probe->dialling = false;
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

	section_dial(probe);
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

void probe_show_pending(struct probe *probe)
{
	show_unanswered(probe);
	for (size_t i = 0; i < probe->n_questions; i++) {
		struct sheet_times times = probe_times(probe, probe->questions[i].asked_us);

		if (probe->dialling && !probe->questions[i].came_late) {
			sheet_line(&probe->sheet, probe->questions[i].name, SHEET_BAD, &times,
				   "no answer");
		}
	}
	for (size_t i = 0; i < probe->n_attempts; i++) {
		const struct probe_attempt *attempt = &probe->attempts[i];
		struct sheet_times times = probe_times(probe, attempt->started_us);

		probe_json_address(probe, target_of(attempt), &attempt->address, "no-answer", NULL,
				   &times);
		sheet_line(&probe->sheet, attempt->place, SHEET_BAD, &times, "no answer");
	}
	probe->n_questions = 0;
	probe->n_attempts = 0;
}

void probe_observe_dial(struct probe *probe)
{
	probe->lookup_observer = (struct lookup_observer){
		.asked = on_asked,
		.answered = on_answered,
		.userdata = probe,
	};
	probe->dial_observer = (struct dial_observer){
		.ordered = on_ordered,
		.dialled = on_dialled,
		.userdata = probe,
	};
}
