/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "common/writer.h"
#include "gateway/ops/probe-state.h"

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
		probe->facts.lacks_reply = probe->facts.lacks_reply || result != RESOLVER_NO_NAME;
		show_no_answer(probe, label, result, times);
		return;
	}
	const char *is_signed = reply->is_authentic ? ", signed" : "";

	if (srv_offers_nothing(reply->targets, reply->n_records)) {
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

	probe_section_dial(probe);
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
		.has_reply = true,
		.result = reply ? reply->result : RESOLVER_FAILED,
		.n_records = reply ? reply->n_records : 0,
		.is_authentic = reply && reply->is_authentic,
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
	if (kind == DNS_KIND_ADDRESSES && !probe->is_dialling) {
		question->came_late = true;
		return;
	}
	show_reply(probe, question, reply);
	question_end(probe, question);
	probe_flush(probe);
}

void probe_show_unanswered(struct probe *probe)
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
		probe->facts.lacks_reply = true;
		probe->questions[i] = probe->questions[--probe->n_questions];
	}
}

void probe_show_pending_questions(struct probe *probe)
{
	probe_show_unanswered(probe);
	for (size_t i = 0; i < probe->n_questions; i++) {
		struct sheet_times times = probe_times(probe, probe->questions[i].asked_us);

		if (probe->is_dialling && !probe->questions[i].came_late) {
			sheet_line(&probe->sheet, probe->questions[i].name, SHEET_BAD, &times,
				   "no answer");
		}
	}
	probe->n_questions = 0;
}

void probe_observe_dns(struct probe *probe)
{
	probe->lookup_observer = (struct lookup_observer){
		.asked = on_asked,
		.answered = on_answered,
		.userdata = probe,
	};
}
