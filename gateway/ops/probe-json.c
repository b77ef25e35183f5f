/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "gateway/ops/probe-state.h"
#include "gateway/upstream/stand-in.h"

enum {
	STAMP_MAX = 32,
};

static bool is_wanted(const struct probe *probe)
{
	return probe->sheet.form == SHEET_JSON;
}

/* Begins an element, an object, of the list in @buffer. */
static struct writer begin(struct buffer *buffer)
{
	struct writer writer = json_begin_element(buffer);

	json_open_object(&writer, NULL);
	return writer;
}

/* Keeps the first error where those of the sheet are kept. */
static void end(struct probe *probe, struct writer *writer)
{
	json_close_object(writer);
	int r = writer_end(writer);

	if (probe->sheet.r == 0) {
		probe->sheet.r = r;
	}
}

/* A string, or null for NULL. */
static void member_text(struct writer *writer, const char *key, const char *text)
{
	if (text) {
		json_member_string(writer, key, sv_from(text));
	} else {
		json_member_null(writer, key);
	}
}

static void member_failure(struct writer *writer, const struct failure *failure)
{
	bool has_failed = failure && failure->kind != FAILURE_NONE;

	member_text(writer, "failure", has_failed ? failure_name(failure->kind) : NULL);
	member_text(writer, "detail", has_failed && failure->detail[0] ? failure->detail : NULL);
}

/* RFC 3339. @seconds is of time(2); 0 for a time that is not known. */
static void member_time(struct writer *writer, const char *key, int64_t seconds)
{
	time_t time = (time_t)seconds;
	char text[STAMP_MAX];
	struct tm utc;
	bool is_known = seconds && gmtime_r(&time, &utc) &&
			strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);

	member_text(writer, key, is_known ? text : NULL);
}

/* While the probe runs. */

static void put_target(struct writer *writer, const struct srv_target *target)
{
	json_open_object(writer, NULL);
	json_member_number(writer, "priority", target->priority);
	json_member_number(writer, "weight", target->weight);
	member_text(writer, "host", target->host[0] ? target->host : ".");
	json_member_number(writer, "port", target->port);
	json_close_object(writer);
}

void probe_json_service(struct probe *probe, const char *name, const struct dns_reply *reply,
			const struct sheet_times *times)
{
	static const char *const answers[] = {
		[RESOLVER_OK] = "found",
		[RESOLVER_NO_NAME] = "none",
		[RESOLVER_TIMEOUT] = "timeout",
		[RESOLVER_FAILED] = "failed",
	};
	enum resolver_result result = reply ? reply->result : RESOLVER_FAILED;
	bool is_found = result == RESOLVER_OK;

	if (!is_wanted(probe)) {
		return;
	}
	struct writer writer = begin(&probe->json.services);

	json_member_string(&writer, "name", sv_from(name));
	json_member_string(&writer, "answer", sv_from(answers[result]));
	json_member_bool(&writer, "signed", is_found && reply->is_authentic);
	json_member_number(&writer, "ttl_s", is_found ? reply->ttl_s : 0);
	json_open_array(&writer, "targets");
	for (size_t i = 0; is_found && i < reply->n_records; i++) {
		put_target(&writer, &reply->targets[i]);
	}
	json_close_array(&writer);
	sheet_json_times(&writer, times);
	end(probe, &writer);
}

void probe_json_order(struct probe *probe, const struct srv_target *target)
{
	if (!is_wanted(probe)) {
		return;
	}
	struct writer writer = begin(&probe->json.order);

	json_member_string(&writer, "host", sv_from(target->host));
	json_member_number(&writer, "port", target->port);
	json_member_bool(&writer, "direct_tls", target->is_direct);
	end(probe, &writer);
}

void probe_json_address(struct probe *probe, const struct srv_target *target,
			const struct address *address, const char *outcome,
			const struct failure *failure, const struct sheet_times *times)
{
	char text[ADDRESS_TEXT_MAX];

	if (!is_wanted(probe)) {
		return;
	}
	struct writer writer = begin(&probe->json.addresses);

	member_text(&writer, "host", target ? target->host : NULL);
	/* Of a name that a proxy looks up, nobody here knows the address. */
	member_text(&writer, "address",
		    stand_in_is(address) ? NULL : address_format_host(address, text));
	json_member_number(&writer, "port", address_port(address));
	json_member_string(&writer, "outcome", sv_from(outcome));
	member_failure(&writer, failure);
	sheet_json_times(&writer, times);
	end(probe, &writer);
}

static void put_names(struct writer *writer, const struct tls_report *tls)
{
	static const char *const kinds[] = {
		[CERTIFICATE_NAME_DNS] = "dns",
		[CERTIFICATE_NAME_SRV] = "srv",
		[CERTIFICATE_NAME_XMPP] = "xmpp",
	};

	json_open_array(writer, "names");
	for (size_t i = 0; i < tls->n_names && i < TLS_REPORT_NAMES_MAX; i++) {
		json_open_object(writer, NULL);
		json_member_string(writer, "kind", sv_from(kinds[tls->names[i].kind]));
		json_member_string(writer, "name", sv_from(tls->names[i].text));
		json_close_object(writer);
	}
	json_close_array(writer);
	json_member_number(writer, "n_names", (int64_t)tls->n_names);
}

static void put_certificate(struct writer *writer, const struct tls_report *tls)
{
	if (!tls->has_certificate) {
		json_member_null(writer, "certificate");
		return;
	}
	json_open_object(writer, "certificate");
	json_member_string(writer, "subject", sv_from(tls->subject));
	put_names(writer, tls);
	json_member_string(writer, "issuer", sv_from(tls->issuer));
	member_time(writer, "not_before", tls->from);
	member_time(writer, "not_after", tls->to);
	json_member_string(writer, "key", sv_from(tls->key));
	member_text(writer, "signature", tls->signature);
	json_member_string(writer, "pin", sv_from(tls->pin));
	json_member_number(writer, "n_sent", (int64_t)tls->n_sent);
	json_close_object(writer);
}

static void member_finding(struct writer *writer, const char *key, enum tls_finding finding)
{
	static const char *const names[] = {
		[TLS_FINDING_NOT_ASKED] = NULL,
		[TLS_FINDING_GOOD] = "good",
		[TLS_FINDING_BAD] = "bad",
	};

	member_text(writer, key, names[finding]);
}

static void put_checks(struct writer *writer, const struct tls_report *tls)
{
	bool is_chain_bad = tls->chain == TLS_FINDING_BAD;

	json_open_object(writer, "checks");
	member_finding(writer, "chain", tls->chain);
	member_text(writer, "chain_problem", is_chain_bad ? tls->chain_words : NULL);
	member_text(writer, "authority", tls->chain == TLS_FINDING_GOOD ? tls->anchor : NULL);
	member_finding(writer, "name", tls->name);
	member_text(writer, "named", tls->named);
	member_finding(writer, "pin", tls->pinned);
	member_finding(writer, "dane", tls->dane);
	json_close_object(writer);
}

void probe_json_handshake(struct probe *probe, const struct failure *failure,
			  const struct sheet_times *times)
{
	const struct tls_report *tls = &probe->facts.tls;
	bool is_checked =
		tls->has_certificate && domain_rule_tls(probe->rule) != DOMAIN_TLS_OPPORTUNISTIC;

	if (!is_wanted(probe)) {
		return;
	}
	struct writer writer = begin(&probe->json.handshakes);

	json_member_string(&writer, "server", sv_from(probe->connected));
	member_text(&writer, "version", tls->cipher ? probe->facts.tls_version : NULL);
	member_text(&writer, "cipher", tls->cipher);
	member_text(&writer, "group", tls->group);
	json_member_bool(&writer, "alpn", tls->has_alpn);
	put_certificate(&writer, tls);
	if (is_checked) {
		put_checks(&writer, tls);
	} else {
		json_member_null(&writer, "checks");
	}
	json_member_bool(&writer, "accepted", !failure);
	member_failure(&writer, failure);
	sheet_json_times(&writer, times);
	end(probe, &writer);
}

/* At the end. */

static void member_list(struct writer *writer, const char *key, const struct buffer *elements)
{
	json_open_array(writer, key);
	writer_put(writer, buffer_sv(elements));
	json_close_array(writer);
}

static void member_names(struct writer *writer, const char *key, const struct features_list *list)
{
	json_open_array(writer, key);
	for (size_t i = 0; i < list->n; i++) {
		json_next(writer);
		json_string(writer, sv_from(list->names[i]));
	}
	json_close_array(writer);
}

static void put_features(struct writer *writer, const struct probe_facts *facts)
{
	if (!facts->has_features || !facts->is_readable) {
		json_member_null(writer, "features");
		return;
	}
	json_open_object(writer, "features");
	member_names(writer, "sasl", &facts->features.sasl);
	member_names(writer, "sasl2", &facts->features.sasl2);
	member_names(writer, "others", &facts->features.others);
	member_text(writer, "best", features_best(&facts->features));
	json_close_object(writer);
}

static void put_verdict(struct writer *writer, const struct probe *probe, enum probe_status status)
{
	json_open_object(writer, "verdict");
	json_member_bool(writer, "works", status == PROBE_WORKS);
	member_failure(writer, &probe->failure);
	json_key(writer, "text");
	writer_put(writer, buffer_sv(&probe->sheet.paragraphs));
	json_close_object(writer);
}

static void put_configuration(struct writer *writer, const struct probe *probe)
{
	const struct domain_rule *rule = probe->rule;

	json_open_object(writer, "configuration");
	member_text(writer, "file", probe->path);
	member_text(writer, "section", rule ? rule->name : NULL);
	json_member_bool(writer, "is_pattern", rule && rule->is_pattern);
	json_member_string(writer, "tls", sv_from(domain_tls_name(domain_rule_tls(probe->rule))));
	json_close_object(writer);
}

int probe_json_write(struct probe *probe, enum probe_status status)
{
	_cleanup_(buffer_deinit) struct buffer document = BUFFER_INIT;
	struct probe_json *json = &probe->json;
	struct writer writer = writer_begin(&document);

	json_open_object(&writer, NULL);
	json_member_string(&writer, "domain", sv_from(probe->domain));
	json_member_string(&writer, "gateway", SV(DOAB_VERSION));
	member_time(&writer, "time", time(NULL));
	put_verdict(&writer, probe, status);
	member_list(&writer, "advice", &probe->sheet.warnings);
	put_configuration(&writer, probe);
	member_list(&writer, "services", &json->services);
	member_list(&writer, "order", &json->order);
	member_list(&writer, "addresses", &json->addresses);
	member_list(&writer, "handshakes", &json->handshakes);
	put_features(&writer, &probe->facts);
	member_list(&writer, "steps", &probe->sheet.out);
	json_close_object(&writer);
	writer_put(&writer, SV("\n"));
	int r = probe->sheet.r < 0 ? probe->sheet.r : writer_end(&writer);

	if (r == 0) {
		(void)fwrite(buffer_sv(&document).data, 1, document.n, probe->out);
		(void)fflush(probe->out);
	}
	return r;
}

void probe_json_deinit(struct probe_json *json)
{
	buffer_deinit(&json->services);
	buffer_deinit(&json->order);
	buffer_deinit(&json->addresses);
	buffer_deinit(&json->handshakes);
}
