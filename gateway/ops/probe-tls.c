/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <time.h>

#include "common/writer.h"
#include "gateway/ops/probe-state.h"

enum {
	DAY_S = 24 * 60 * 60,
};

/* Makes "TLS 1.3" of "TLSv1.3". */
static void keep_version(struct probe_facts *facts)
{
	const char *version = facts->tls.version ? facts->tls.version : "TLS";
	struct sv text = sv_from(version);
	bool has_number = sv_starts_with(text, SV("TLSv"));

	(void)snprintf(facts->tls_version, sizeof(facts->tls_version), "%s%s",
		       has_number ? "TLS " : "", has_number ? version + 4 : version);
}

static void show_connection(struct probe *probe, const struct failure *failure,
			    const struct sheet_times *times)
{
	const struct tls_report *tls = &probe->facts.tls;

	if (!tls->cipher) {
		probe_show_failure(probe, "handshake", times, failure);
		return;
	}
	sheet_line(&probe->sheet, "handshake", SHEET_PLAIN, times, "%s, %s%s%s%s",
		   probe->facts.tls_version, tls->cipher, tls->group ? ", " : "",
		   tls->group ? tls->group : "", tls->has_alpn ? ", ALPN xmpp-client" : "");
}

/* Returns 0 or -ENOMEM. */
static int list_names(const struct tls_report *tls, struct buffer *list)
{
	static const char *const kinds[] = {
		[CERTIFICATE_NAME_SRV] = "SRV ",
		[CERTIFICATE_NAME_XMPP] = "XMPP ",
		[CERTIFICATE_NAME_DNS] = "",
	};
	size_t n = tls->n_names < TLS_REPORT_NAMES_MAX ? tls->n_names : TLS_REPORT_NAMES_MAX;
	struct writer writer = writer_begin(list);

	for (size_t i = 0; i < n; i++) {
		writer_printf(&writer, "%s%s%s", i ? ", " : "", kinds[tls->names[i].kind],
			      tls->names[i].text);
	}
	if (tls->n_names > n) {
		writer_printf(&writer, ", and %zu more", tls->n_names - n);
	}
	return writer_end(&writer);
}

static void show_names(struct probe *probe)
{
	_cleanup_(buffer_deinit) struct buffer list = BUFFER_INIT;

	if (list_names(&probe->facts.tls, &list) < 0) {
		return;
	}
	if (list.n == 0) {
		/* RFC 6125, 6.4.4 allows the CN as a last resort, but this gateway does not. */
		sheet_line(&probe->sheet, "names", SHEET_BAD, NULL,
			   "no usable name (the CN does not count)");
	} else {
		sheet_line(&probe->sheet, "names", SHEET_PLAIN, NULL, "%.*s",
			   SV_ARGS(buffer_sv(&list)));
	}
}

static void show_dates(struct probe *probe)
{
	const struct tls_report *tls = &probe->facts.tls;
	int64_t now = time(NULL);
	char from[PROBE_DATE_MAX], to[PROBE_DATE_MAX];
	int64_t days = (tls->to - now) / DAY_S;
	const char *s = days == 1 || days == -1 ? "" : "s";

	probe_date(tls->from, from);
	probe_date(tls->to, to);
	if (now > tls->to) {
		sheet_line(&probe->sheet, "valid", SHEET_BAD, NULL,
			   "%s to %s: it expired %" PRId64 " day%s ago", from, to, -days, s);
	} else if (now < tls->from) {
		sheet_line(&probe->sheet, "valid", SHEET_BAD, NULL, "%s to %s: not yet", from, to);
	} else {
		sheet_line(&probe->sheet, "valid",
			   days < PROBE_EXPIRY_DAYS ? SHEET_WARNING : SHEET_PLAIN, NULL,
			   "%s to %s, %" PRId64 " day%s left", from, to, days, s);
	}
}

static void show_certificate(struct probe *probe)
{
	const struct tls_report *tls = &probe->facts.tls;

	sheet_line(&probe->sheet, "subject", SHEET_PLAIN, NULL, "%s", tls->subject);
	show_names(probe);
	sheet_line(&probe->sheet, "issuer", SHEET_PLAIN, NULL, "%s", tls->issuer);
	show_dates(probe);
	sheet_line(&probe->sheet, "key", SHEET_PLAIN, NULL, "%s, signed with %s", tls->key,
		   tls->signature);
	sheet_line(&probe->sheet, "pin", SHEET_FAINT, NULL, "%s", tls->pin);
}

/* The checks. */

static const char not_asked[] = "not checked: the DNS vouches for the key itself";

static void show_chain(struct probe *probe)
{
	const struct tls_report *tls = &probe->facts.tls;
	const char *store = probe->rule && probe->rule->ca_file ? "ca_file" : "this system";

	switch (tls->chain) {
	case TLS_FINDING_NOT_ASKED:
		if (tls->dane == TLS_FINDING_GOOD) {
			sheet_line(&probe->sheet, "chain", SHEET_FAINT, NULL, "%s", not_asked);
		}
		break;
	case TLS_FINDING_GOOD:
		sheet_line(&probe->sheet, "chain", SHEET_GOOD, NULL, "leads to %s, which %s trusts",
			   tls->anchor,
			   tls->dane == TLS_FINDING_GOOD ? "the DNS or the store of authorities"
							 : store);
		break;
	case TLS_FINDING_BAD:
		sheet_line(&probe->sheet, "chain", SHEET_BAD, NULL,
			   "%s (the server sent %zu certificate%s)", tls->chain_words, tls->n_sent,
			   tls->n_sent == 1 ? "" : "s");
		break;
	}
}

static void show_name(struct probe *probe)
{
	const struct tls_report *tls = &probe->facts.tls;

	if (tls->name == TLS_FINDING_BAD) {
		sheet_line(&probe->sheet, "name", SHEET_BAD, NULL, "none of the names is for %s",
			   probe->domain);
	} else if (tls->named) {
		sheet_line(&probe->sheet, "name", SHEET_GOOD, NULL, "is for %s", tls->named);
	} else {
		sheet_line(&probe->sheet, "name", SHEET_FAINT, NULL, "%s", not_asked);
	}
}

static void show_pinned(struct probe *probe)
{
	switch (probe->facts.tls.pinned) {
	case TLS_FINDING_NOT_ASKED:
		break;
	case TLS_FINDING_GOOD:
		sheet_line(&probe->sheet, "pinned", SHEET_GOOD, NULL,
			   "the key is among those in the configuration");
		break;
	case TLS_FINDING_BAD:
		sheet_line(&probe->sheet, "pinned", SHEET_BAD, NULL,
			   "the key is not among those in the configuration");
		break;
	}
}

static void show_dane(struct probe *probe)
{
	static const char *const usages[] = {"PKIX-TA", "PKIX-EE", "DANE-TA", "DANE-EE"};
	const struct tls_report *tls = &probe->facts.tls;
	const struct probe_tlsa *tlsa = &probe->tlsa;
	struct sheet *sheet = &probe->sheet;

	if (tls->dane == TLS_FINDING_GOOD) {
		sheet_line(sheet, "DANE", SHEET_GOOD, NULL, "matches TLSA record %u %u %u (%s)",
			   tls->dane_usage, tls->dane_selector, tls->dane_matching,
			   tls->dane_usage < 4 ? usages[tls->dane_usage] : "?");
	} else if (tls->dane == TLS_FINDING_BAD) {
		sheet_line(sheet, "DANE", SHEET_BAD, NULL, "%zu TLSA record%s, no match",
			   tlsa->n_records, tlsa->n_records == 1 ? "" : "s");
	} else if (!probe->env.trusts_dnssec) {
		sheet_line(sheet, "DANE", SHEET_FAINT, NULL, "not used (trust_dnssec is false)");
	} else if (!tlsa->has_reply) {
		sheet_line(sheet, "DANE", SHEET_FAINT, NULL,
			   "not used: no signed SRV record led here");
	} else if (tlsa->result == RESOLVER_OK && !tlsa->is_authentic) {
		sheet_line(sheet, "DANE", SHEET_FAINT, NULL, "the TLSA records are not signed");
	} else {
		sheet_line(sheet, "DANE", SHEET_FAINT, NULL, "no usable TLSA record");
	}
}

static void show_verdict(struct probe *probe, const struct failure *failure)
{
	if (failure) {
		sheet_line(&probe->sheet, "accepted", SHEET_BAD, NULL, "no: %s",
			   failure_sentence(failure->kind));
	} else {
		sheet_line(&probe->sheet, "accepted", SHEET_GOOD, NULL, "yes");
	}
}

void probe_show_tls(struct probe *probe, SSL *ssl, const struct failure *failure)
{
	struct tls_report *tls = &probe->facts.tls;
	struct sheet_times times = probe_next_times(probe);

	tls_report(ssl, tls);
	probe->facts.has_tls = !failure;
	/* A failure is shown here already. */
	probe->awaited = failure ? NULL : "header";
	keep_version(&probe->facts);
	probe_section(probe, PROBE_SECTION_TLS, "TLS");
	probe_json_handshake(probe, failure, &times);
	show_connection(probe, failure, &times);
	if (!tls->has_certificate) {
		return;
	}
	show_certificate(probe);
	if (domain_rule_tls(probe->rule) == DOMAIN_TLS_OPPORTUNISTIC) {
		sheet_line(&probe->sheet, "accepted", SHEET_WARNING, NULL,
			   "without verification: tls is \"opportunistic\"");
		return;
	}
	show_chain(probe);
	show_name(probe);
	show_pinned(probe);
	show_dane(probe);
	show_verdict(probe, failure);
}
