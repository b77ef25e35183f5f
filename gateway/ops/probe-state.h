/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of a probe. Private to gateway/ops.
 *
 * probe-lines.c   what the others share: times, sections, dates, the current server
 * probe.c         makes all, runs the loop, gives the verdict
 * probe-dial.c    shows the DNS and the addresses
 * probe-stream.c  shows the stream: headers, STARTTLS, features
 * probe-tls.c     shows the handshake and the certificate
 * probe-advice.c  what an operator would want to know though it works
 *
 * step  what is shown in a line: it has the time it took, and the time since the probe's start
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
	/* Questions under way at the same time: two services, a target's addresses, its TLSA records. */
	PROBE_QUESTIONS_MAX = 8,
	PROBE_NAME_MAX = 300,
	/* Addresses that failed, which the operator is told of at the end. */
	PROBE_TROUBLES_MAX = 2 * RACE_ATTEMPTS_MAX,
	PROBE_SERVER_MAX = SRV_HOST_MAX + ADDRESS_TEXT_MAX + 2,
	/* Before a certificate ends, its renewal should have happened. */
	PROBE_EXPIRY_DAYS = 14,
};

/* The title that the last line stands under. */
enum probe_section {
	PROBE_SECTION_NONE,
	PROBE_SECTION_DNS,
	PROBE_SECTION_DIAL,
	PROBE_SECTION_CLEAR, /* the stream before STARTTLS */
	PROBE_SECTION_TLS,
	PROBE_SECTION_STREAM,
};

struct probe_question {
	enum dns_kind kind;
	char name[PROBE_NAME_MAX];
	int64_t asked_us;
	bool came_late; /* the answer, when a server was connected already: it is shown if it is of use */
};

struct probe_attempt {
	struct address address;
	int64_t started_us;
	const struct srv_target *target; /* the dial's own */
};

/* What the DNS said of a service. */
enum probe_service {
	PROBE_SERVICE_UNKNOWN, /* not asked, or no answer */
	PROBE_SERVICE_NONE,
	PROBE_SERVICE_OFFERED,
};

/* What became of an address or a server, when another one was to be tried. */
struct probe_trouble {
	char server[PROBE_SERVER_MAX];
	const char *words; /* for ever */
};

/* What is left of the steps for the verdict and the advice. */
struct probe_facts {
	enum probe_service direct; /* of the domain itself */
	bool unanswered;           /* this service, or the other */
	size_t n_troubles;
	struct probe_trouble troubles[PROBE_TROUBLES_MAX];
	size_t n_ipv6, n_ipv6_failed; /* IPv6 addresses that were dialled */
	bool has_tls;
	struct tls_report tls;      /* of the last handshake; what it says of the connection is in the next */
	char tls_version[32];
	bool has_features;
	bool readable; /* the features */
	struct features features;
};

/* The TLSA records of the server that is connected. */
struct probe_tlsa {
	bool asked; /* and answered */
	enum resolver_result result;
	size_t n_records;
	bool authentic;
};

struct probe {
	const struct config *config;
	const struct domain_rule *rule; /* NULL: none */
	char domain[DOMAIN_MAX + 1];
	FILE *out;
	struct sheet sheet;
	enum probe_section section;
	uv_loop_t loop;
	struct link_env env;
	struct link *link;
	struct lookup_observer lookup_observer;
	struct dial_observer dial_observer;
	struct link_observer link_observer;
	int64_t start_us;
	int64_t step_us; /* when the last step on the connection was over */
	struct probe_question questions[PROBE_QUESTIONS_MAX];
	size_t n_questions;
	struct probe_attempt attempts[RACE_ATTEMPTS_MAX];
	size_t n_attempts; /* running */
	enum probe_service starttls, direct; /* what the last answers said */
	bool dialling;   /* no server is connected */
	const char *awaited; /* label of the next step on the connection; NULL when none is due that has not been shown */
	bool is_retry;      /* on the way to another server of the same domain: what the DNS says is known */
	bool is_slow;    /* the server that is connected: it may still answer, or be replaced */
	bool redirected; /* to where a server has sent us */
	char connected[PROBE_SERVER_MAX]; /* the server: host and address */
	struct probe_tlsa tlsa;
	struct probe_facts facts;
	struct failure failure;
	bool is_over;
};

int64_t probe_now_us(void);

/* The times of a step that began at @since_us and is over now. */
struct sheet_times probe_times(const struct probe *probe, int64_t since_us);

/* The same for the next step on the connection, which began when the one before was over. */
struct sheet_times probe_next_times(struct probe *probe);

/* Goes on under this title; where it is the title already, nothing happens. */
void probe_section(struct probe *probe, enum probe_section section, const char *title);

/* Brings out what has been written, so that it is seen at once. */
void probe_flush(struct probe *probe);

enum domain_tls probe_tls_mode(const struct probe *probe);

/* Each makes the observers that it has. */
void probe_observe_dial(struct probe *probe);
void probe_observe_stream(struct probe *probe);

/* What was known of the last server does not hold for the next. */
void probe_forget_server(struct probe *probe);

/* The step that was awaited will not come, because of @failure. */
void probe_show_end(struct probe *probe, const struct failure *failure);

/* Remembers it for the advice. */
void probe_note_trouble(struct probe *probe, const char *server, const char *words);

/* What nobody has answered when all is over. */
void probe_show_pending(struct probe *probe);

/* A step of the handshake: done, or @failure. */
void probe_show_tls(struct probe *probe, SSL *ssl, const struct failure *failure);

/* What the link's owner is told. */
extern const struct link_callbacks probe_link_callbacks;

/* Lines about @facts, if there is anything to say. */
void probe_advise(struct sheet *sheet, const struct probe_facts *facts, int64_t now_s);

/* The day of @seconds (time(2)): "2026-01-31". */
enum {
	PROBE_DATE_MAX = 32,
};
const char *probe_date(int64_t seconds, char text[static PROBE_DATE_MAX]);
