/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The parts of a probe. Private to gateway/ops.
 *
 * probe.c         sets up everything, runs the loop, gives the verdict
 * probe-dns.c     shows the replies of the DNS
 * probe-dial.c    shows the order of the targets, and the addresses as they are dialled
 * probe-stream.c  shows the stream: headers, STARTTLS, features
 * probe-tls.c     shows the handshake and the certificate
 * probe-advice.c  warns about what an operator should know although it works
 * probe-json.c    collects what the other parts find out for one JSON document, and writes it
 * probe-lines.c   common functions: times, sections, dates, the current server
 *
 * step  an event that is shown in a line, with the time it took and the time since the start
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/ops/features.h"
#include "gateway/ops/probe.h"
#include "gateway/ops/sheet.h"
#include "gateway/upstream/race.h"
#include "gateway/upstream/tls/report.h"
#include "gateway/xmpp/link.h"

enum {
	/* Questions under way at the same time: two services, the addresses of a target, its TLSA
	 * records. */
	PROBE_QUESTIONS_MAX = 8,
	PROBE_NAME_MAX = 300,
	/* Addresses that failed; they are listed at the end. */
	PROBE_TROUBLES_MAX = 2 * RACE_ATTEMPTS_MAX,
	PROBE_SERVER_MAX = SRV_HOST_MAX + ADDRESS_TEXT_MAX + 2,
	/* By then a certificate should have been renewed. */
	PROBE_EXPIRY_DAYS = 14,
	PROBE_DATE_MAX = 32, /* "2026-01-31" and a NUL, whatever the year */
};

/* The heading of the current line. */
enum probe_section {
	PROBE_SECTION_NONE,
	PROBE_SECTION_DNS,
	PROBE_SECTION_DIAL,
	PROBE_SECTION_CLEAR, /* before STARTTLS */
	PROBE_SECTION_TLS,
	PROBE_SECTION_STREAM,
};

struct probe_question {
	enum dns_kind kind;
	char name[PROBE_NAME_MAX];
	int64_t asked_us;
	/* the reply came when a server was connected already: shown only if it is used */
	bool came_late;
};

struct probe_attempt {
	struct address address;
	char place[PROBE_SERVER_MAX]; /* how it is shown */
	int64_t started_us;
	bool has_target;
	struct srv_target target; /* a copy: the dial may end before the attempt is shown */
};

/* What the DNS says about a service. */
enum probe_service {
	PROBE_SERVICE_UNKNOWN, /* not asked, or no reply */
	PROBE_SERVICE_NONE,
	PROBE_SERVICE_OFFERED,
};

/* An address or a server that failed before another one was tried. */
struct probe_trouble {
	char server[PROBE_SERVER_MAX];
	const char *words; /* static */
};

/* What the verdict and the advice are based on. */
struct probe_facts {
	enum probe_service direct; /* of the domain itself */
	bool lacks_reply;          /* there was no reply about one of the services */
	size_t n_troubles;
	struct probe_trouble troubles[PROBE_TROUBLES_MAX];
	size_t n_ipv6, n_ipv6_failed; /* of the IPv6 addresses dialled */
	bool has_tls;
	/* of the last handshake; outlives its connection except for the version, which is copied
	 * below */
	struct tls_report tls;
	char tls_version[32];
	bool has_features;
	bool is_readable; /* the features could be parsed */
	struct features features;
};

/* The TLSA records of the connected server. */
struct probe_tlsa {
	bool has_reply; /* and there was a reply */
	enum resolver_result result;
	size_t n_records;
	bool is_authentic;
};

/* The elements of lists in the JSON document, with commas between them; empty if it is not
 * wanted. */
struct probe_json {
	struct buffer services, order, addresses, handshakes;
};

struct probe {
	const struct config *config;
	const char *path;               /* of the configuration; NULL: the defaults */
	const struct domain_rule *rule; /* NULL when the domain has none */
	char domain[DOMAIN_MAX + 1];
	FILE *out;
	struct sheet sheet;
	struct probe_json json;
	enum probe_section section;
	uv_loop_t loop;
	struct link_env env;
	struct link *link;
	struct lookup_observer lookup_observer;
	struct dial_observer dial_observer;
	struct link_observer link_observer;
	int64_t start_us;
	int64_t step_us; /* end of the last step on the connection */
	struct probe_question questions[PROBE_QUESTIONS_MAX];
	size_t n_questions;
	struct probe_attempt attempts[RACE_ATTEMPTS_MAX];
	size_t n_attempts;                   /* those running */
	enum probe_service starttls, direct; /* according to the last replies */
	bool is_dialling;                    /* no server is connected */
	/* label of the next step on the connection; NULL when none is expected or it has been
	 * shown */
	const char *awaited;
	bool is_retry;      /* trying another server of the same domain: the DNS has been shown */
	bool is_slow;       /* the connected server is slow: it may still answer or be replaced */
	bool is_redirected; /* a server has redirected us */
	char connected[PROBE_SERVER_MAX]; /* host and address of the connected server */
	struct probe_tlsa tlsa;
	struct probe_facts facts;
	struct failure failure;
	bool is_over;
};

int64_t probe_now_us(void);

/* The times of a step that began at @since_us and ends now. */
struct sheet_times probe_times(const struct probe *probe, int64_t since_us);

/* The times of the next step on the connection; it began when the previous one ended. */
struct sheet_times probe_next_times(struct probe *probe);

/* Starts a section, unless it is the current one. */
void probe_section(struct probe *probe, enum probe_section section, const char *title);

/* Starts the section about addresses, as above. */
void probe_section_dial(struct probe *probe);

/* Prints what has been written so far, unless it is JSON, which is written at the end. */
void probe_flush(struct probe *probe);

/* Whether the servers are reached through a proxy. */
bool probe_has_proxy(const struct probe *probe);

/* Set up the observers. */
void probe_observe_dns(struct probe *probe);
void probe_observe_dial(struct probe *probe);
void probe_observe_stream(struct probe *probe);

/* Forgets what was known of the last server before another one is tried. */
void probe_forget_server(struct probe *probe);

/* Shows @failure in place of the step that was expected. */
void probe_show_end(struct probe *probe, const struct failure *failure);

/* Shows a step that failed. @times may be NULL. */
void probe_show_failure(struct probe *probe, const char *label, const struct sheet_times *times,
			const struct failure *failure);

/* Remembers an address or a server that failed, for the advice. */
void probe_note_trouble(struct probe *probe, const char *server, const char *words);

/* Shows the services without which the dial continues, because the DNS has not replied in time. */
void probe_show_unanswered(struct probe *probe);

/* Show what has no answer when the probe ends. */
void probe_show_pending_questions(struct probe *probe);
void probe_show_pending_attempts(struct probe *probe);

/* Shows the handshake on @ssl. @failure is NULL if it succeeded. */
void probe_show_tls(struct probe *probe, SSL *ssl, const struct failure *failure);

/* Add to the JSON document; these do nothing if it is not wanted.
 *
 * reply    NULL when out of memory
 * target   NULL for an address of the configuration
 * outcome  "connected", "failed", "given-up" (for one that connected first) or "no-answer"
 * failure  NULL if there is none */
void probe_json_service(struct probe *probe, const char *name, const struct dns_reply *reply,
			const struct sheet_times *times);
void probe_json_order(struct probe *probe, const struct srv_target *target);
void probe_json_address(struct probe *probe, const struct srv_target *target,
			const struct address *address, const char *outcome,
			const struct failure *failure, const struct sheet_times *times);
void probe_json_handshake(struct probe *probe, const struct failure *failure,
			  const struct sheet_times *times);

/* Writes the document. Returns 0, or -ENOMEM if that, or a part of it, could not be made. */
_must_check_ int probe_json_write(struct probe *probe, enum probe_status status);
void probe_json_deinit(struct probe_json *json);

/* For the link of the probe. */
extern const struct link_callbacks probe_link_callbacks;

/* Writes warnings about @facts, if there are any. */
void probe_advise(struct sheet *sheet, const struct probe_facts *facts, int64_t now_s);

/* Formats the day of @seconds (time(2)) as "2026-01-31". Returns @text. */
const char *probe_date(int64_t seconds, char text[static PROBE_DATE_MAX]);
