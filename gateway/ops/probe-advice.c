/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "gateway/ops/probe-state.h"

enum {
	DAY_S = 24 * 60 * 60,
	INDENT = 2, /* of the lines after the first, which begins with "! " */
};

struct advice {
	struct sheet *sheet;
	bool has_any;
};

static void begin(struct advice *advice)
{
	if (!advice->has_any) {
		advice->has_any = true;
		sheet_gap(advice->sheet);
	}
}

#define advise(advice, ...)                                                           \
	do {                                                                          \
		begin(advice);                                                        \
		sheet_paragraph((advice)->sheet, SHEET_WARNING, INDENT, __VA_ARGS__); \
	} while (0)

static void advise_certificate(struct advice *advice, const struct probe_facts *facts,
			       int64_t now_s)
{
	int64_t days = (facts->tls.to - now_s) / DAY_S;
	char date[PROBE_DATE_MAX];

	if (!facts->has_tls || !facts->tls.has_certificate || days >= PROBE_EXPIRY_DAYS) {
		return;
	}
	probe_date(facts->tls.to, date);
	if (facts->tls.to < now_s) {
		advise(advice, "The certificate expired on %s.", date);
	} else if (days == 0) {
		advise(advice, "The certificate expires within a day, on %s.", date);
	} else {
		advise(advice, "The certificate expires in %" PRId64 " day%s, on %s.", days,
		       days == 1 ? "" : "s", date);
	}
}

static void advise_login(struct advice *advice, const struct probe_facts *facts)
{
	if (features_are_weak(&facts->features)) {
		advise(advice, "%s is the best login mechanism, so the server sees every password.",
		       features_best(&facts->features));
	}
}

static void advise_addresses(struct advice *advice, const struct probe_facts *facts)
{
	for (size_t i = 0; i < facts->n_troubles; i++) {
		advise(advice, "%s: %s.", facts->troubles[i].server, facts->troubles[i].words);
	}
	if (facts->n_ipv6 && facts->n_ipv6 == facts->n_ipv6_failed) {
		advise(advice,
		       "IPv6 does not work: none of the IPv6 addresses could be used from here.");
	}
}

static void advise_services(struct advice *advice, const struct probe_facts *facts)
{
	if (facts->lacks_reply) {
		advise(advice, "The DNS did not answer about one of the two services: sessions "
			       "wait for it, then continue without it.");
	} else if (facts->direct == PROBE_SERVICE_NONE) {
		advise(advice, "There is no direct TLS (SRV _xmpps-client._tcp, XEP-0368), which "
			       "would save two round trips.");
	}
}

void probe_advise(struct sheet *sheet, const struct probe_facts *facts, int64_t now_s)
{
	struct advice advice = {.sheet = sheet};

	advise_certificate(&advice, facts, now_s);
	advise_login(&advice, facts);
	advise_addresses(&advice, facts);
	advise_services(&advice, facts);
}
