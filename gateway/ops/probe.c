/* SPDX-License-Identifier: MIT */
#include "gateway/ops/probe.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/admission.h"
#include "gateway/ops/probe-state.h"
#include "gateway/outbound.h"

enum {
	TLS_TEXT_MAX = 128,
	RULE_TEXT_MAX = 256, /* for the keys of a section */
};

/* Before the first step. */

static bool wants_colours(FILE *out)
{
	const char *refused = getenv("NO_COLOR"); /* no-color.org: counts if set and not empty */
	const char *terminal = getenv("TERM");

	return isatty(fileno(out)) && !(refused && refused[0]) &&
	       !(terminal && strcmp(terminal, "dumb") == 0);
}

static int show_heading(struct probe *probe)
{
	char unicode[DOMAIN_UNICODE_MAX + 1];
	char heading[DOMAIN_UNICODE_MAX + DOMAIN_MAX + 8];
	int r = domain_to_unicode(probe->domain, unicode);

	if (r < 0) {
		return r;
	}
	if (strcmp(unicode, probe->domain) == 0) {
		sheet_heading(&probe->sheet, unicode);
	} else {
		(void)snprintf(heading, sizeof(heading), "%s (%s)", unicode, probe->domain);
		sheet_heading(&probe->sheet, heading);
	}
	return 0;
}

/* Shows what the configuration says about the domain, as far as it differs from the defaults. */
static void show_rule(struct probe *probe)
{
	const struct domain_rule *rule = probe->rule;
	const char *path = probe->path;
	const char *file = path ? path : "the built-in defaults";

	if (!rule) {
		sheet_line(&probe->sheet, "configuration", SHEET_FAINT, NULL, "%s%s", file,
			   path ? ", no section for this domain" : "");
		return;
	}
	const struct {
		bool is_set;
		const char *key;
	} keys[] = {
		{rule->deny, "deny"},
		{rule->is_gone, "gone"},
		{rule->n_connect, "connect"},
		{rule->form != DOMAIN_FORM_UNICODE, "name_form"},
		{rule->ca_file, "ca_file"},
		{rule->n_pins, "pin"},
		{rule->allow_private && !rule->n_connect, "allow_private"},
		{rule->proxy != DOMAIN_PROXY_OFF, "proxy_protocol"},
		{rule->egress.kind != EGRESS_NONE, "proxy"},
		{rule->egress_resolves, "proxy_dns"},
		{rule->sources.n, "source_address"},
		{rule->max_sessions, "max_sessions"},
	};
	char list[RULE_TEXT_MAX] = "";
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
		if (keys[i].is_set) {
			n += (size_t)snprintf(list + n, sizeof(list) - n, ", %s", keys[i].key);
			assert(n < sizeof(list));
		}
	}
	sheet_line(&probe->sheet, "configuration", SHEET_PLAIN, NULL,
		   "%s, domain \"%s%s%s\": tls = \"%s\"%s", file, rule->is_pattern ? "*" : "",
		   rule->is_pattern && rule->name[0] ? "." : "", rule->name,
		   domain_tls_name(rule->tls), list);
}

/* The verdict. */

static enum probe_status fail(struct probe *probe, const char *words, const char *detail)
{
	sheet_gap(&probe->sheet);
	sheet_paragraph(&probe->sheet, SHEET_BAD, 0, "No session would work: %s%s%s.", words,
			detail[0] ? ": " : "", detail);
	return PROBE_FAILS;
}

static void describe_tls(const struct probe *probe, char text[static TLS_TEXT_MAX])
{
	const struct probe_facts *facts = &probe->facts;
	char date[PROBE_DATE_MAX];

	if (!facts->has_tls) {
		(void)snprintf(text, TLS_TEXT_MAX, "without TLS");
	} else if (domain_rule_tls(probe->rule) == DOMAIN_TLS_OPPORTUNISTIC) {
		(void)snprintf(text, TLS_TEXT_MAX, "%s, certificate not checked",
			       facts->tls_version);
	} else {
		(void)snprintf(text, TLS_TEXT_MAX, "%s, certificate valid until %s",
			       facts->tls_version, probe_date(facts->tls.to, date));
	}
}

/* Judges whether a client could log in. */
static enum probe_status judge_login(struct probe *probe)
{
	const struct probe_facts *facts = &probe->facts;
	const char *best = features_best(&facts->features);
	size_t n_others = features_count_others(&facts->features);
	char tls[TLS_TEXT_MAX];

	describe_tls(probe, tls);
	if (facts->has_features && !facts->is_readable) {
		return fail(probe, "the server's features cannot be read", "");
	}
	if (facts->has_features && !best && !facts->features.has_legacy) {
		bool has_any = facts->features.sasl.n + facts->features.sasl2.n > 0;

		return fail(
			probe,
			has_any ? "the server offers no way to log in that works through a gateway"
				: "the server offers no way to log in",
			"");
	}
	probe_advise(&probe->sheet, facts, time(NULL));
	sheet_gap(&probe->sheet);
	if (!facts->has_features) {
		sheet_paragraph(&probe->sheet, SHEET_GOOD, 0,
				"A session would work: %s, with a server older than XMPP 1.0.",
				tls);
	} else if (!best) {
		sheet_paragraph(&probe->sheet, SHEET_GOOD, 0,
				"A session would work: %s, login without SASL (XEP-0078).", tls);
	} else if (n_others) {
		sheet_paragraph(&probe->sheet, SHEET_GOOD, 0,
				"A session would work: %s, %s and %zu more.", tls, best, n_others);
	} else {
		sheet_paragraph(&probe->sheet, SHEET_GOOD, 0, "A session would work: %s, %s.", tls,
				best);
	}
	return PROBE_WORKS;
}

static enum probe_status judge(struct probe *probe)
{
	if (probe->failure.kind != FAILURE_NONE) {
		probe_show_pending_questions(probe);
		probe_show_pending_attempts(probe);
		probe_show_end(probe, &probe->failure);
		return fail(probe, failure_sentence(probe->failure.kind), probe->failure.detail);
	}
	return judge_login(probe);
}

/* The run. */

/* Returns 0 or a negative errno. */
static int start(struct probe *probe)
{
	const struct stream_target target = {.to = sv_from(probe->domain)};

	probe->start_us = probe_now_us();
	probe->step_us = probe->start_us;
	probe->is_dialling = true;
	enum failure_kind refusal = admission_judge_rule(probe->rule);

	if (refusal) {
		failure_set(&probe->failure, refusal, refusal == FAILURE_DOMAIN_GONE ? "%s" : NULL,
			    probe->domain);
		probe->is_over = true;
		return 0;
	}
	const struct link_options options = {probe->rule, &probe_link_callbacks, probe};

	return link_new(&probe->env, &target, &options, &probe->link);
}

/* Prints what is left to print. Returns 0 or -ENOMEM. */
static int finish(struct probe *probe, enum probe_status status)
{
	if (probe->sheet.form == SHEET_JSON) {
		return probe_json_write(probe, status);
	}
	probe_flush(probe);
	return probe->sheet.r;
}

static int run(struct probe *probe, enum probe_status *ret_status)
{
	int r;

	probe_observe_dns(probe);
	probe_observe_dial(probe);
	probe_observe_stream(probe);
	r = outbound_init(&probe->env, &probe->loop, probe->config, NULL, &probe->lookup_observer);
	probe->env.dialer.observer = &probe->dial_observer;
	probe->env.observer = &probe->link_observer;
	if (r == 0) {
		r = start(probe);
	}
	while (r == 0 && !probe->is_over) {
		uv_run(&probe->loop, UV_RUN_ONCE);
	}
	if (r == 0) {
		*ret_status = judge(probe);
		r = finish(probe, *ret_status);
	}
	probe->is_over = true;
	/* The result is shown. Close the connection to the server properly. */
	probe->link = link_close(probe->link);
	outbound_close(&probe->env);
	uv_run(&probe->loop, UV_RUN_DEFAULT);
	outbound_deinit(&probe->env);
	return r;
}

/* Writes to standard error, escaped, because the domain may come from somebody other than the
 * caller. */
static enum probe_status complain(const char *what, const char *why)
{
	_cleanup_(buffer_deinit) struct buffer text = BUFFER_INIT;

	if (sheet_escape(&text, sv_from(what)) == 0) {
		fprintf(stderr, "doab: --probe: %.*s: %s\n", SV_ARGS(buffer_sv(&text)), why);
	}
	return PROBE_CANNOT;
}

DEFINE_CLEANUP(void *, free);

/* Shows what is known beforehand, then probes. Returns 0 or a negative errno. */
static int run_loop(struct probe *probe, enum probe_status *ret_status)
{
	int r;

	r = show_heading(probe);
	if (r < 0) {
		return r;
	}
	show_rule(probe);
	r = uv_loop_init(&probe->loop);
	if (r < 0) {
		return r;
	}
	r = run(probe, ret_status);
	uv_loop_close(&probe->loop);
	return r;
}

enum probe_status probe_run(const struct config *config, const char *path, const char *domain,
			    enum probe_form form, FILE *out)
{
	_cleanup_(freep) void *memory = calloc(1, sizeof(struct probe));
	enum probe_status status = PROBE_CANNOT;
	struct probe *probe = memory;

	if (!probe) {
		return complain(domain, strerror(ENOMEM));
	}
	probe->config = config;
	probe->path = path;
	probe->out = out;
	probe->sheet.form = form == PROBE_FORM_JSON ? SHEET_JSON : SHEET_TEXT;
	probe->sheet.is_coloured = wants_colours(out);
	int r = domain_rules_judge(&config->domains, sv_from(domain), probe->domain, &probe->rule);

	if (r == -EINVAL) {
		return complain(domain, "not a domain: expected one like example.org");
	}
	if (r == 0) {
		r = run_loop(probe, &status);
	}
	sheet_deinit(&probe->sheet);
	probe_json_deinit(&probe->json);
	if (r < 0) {
		return complain(domain, strerror(-r));
	}
	return ferror(out) ? complain("the output", strerror(errno)) : status;
}
