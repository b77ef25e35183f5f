/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_SESSION
#include "gateway/session-log.h"

#include "common/log.h"

enum {
	/* The four that each line has, and those of its own. */
	COMMON_FIELDS = 4,
	FIELDS_MAX = COMMON_FIELDS + 4,
};

void session_log_init(struct session_log *log, struct worker_env *env,
		      enum metrics_transport transport, const struct address *client,
		      struct sv name, const struct session_log_owner *owner)
{
	*log = (struct session_log){
		.env = env,
		.client = client,
		.transport = transport,
		.owner = owner,
	};
	name = sv_first(name, SESSION_LOG_NAME_MAX);
	memcpy(log->name, name.data, name.n);
}

/* Asked before the first line, because a session that is refused has none. */
static bool may_log(struct session_log *log)
{
	if (!log->is_asked) {
		log->is_asked = true;
		log->may_log = worker_may_log(log->env, CLIENT_LOG_SESSION, log->client);
	}
	return log->may_log;
}

/* One session can open and lose any number of streams over BOSH. */
static bool may_log_stream(struct session_log *log)
{
	return may_log(log) && (log->transport != METRICS_BOSH ||
				worker_may_log(log->env, CLIENT_LOG_STREAM, log->client));
}

static void write_line(const struct session_log *log, const char *event, const char *domain,
		       const struct log_field *fields, size_t n_fields)
{
	char client[ADDRESS_TEXT_MAX];
	struct log_field all[FIELDS_MAX] = {
		LOG_STR("client", address_format_host(log->client, client)),
		LOG_STR("transport", metrics_transport_name(log->transport)),
		LOG_STR("session", log->name),
		LOG_STR("domain", domain),
	};

	for (size_t i = 0; i < n_fields; i++) {
		all[COMMON_FIELDS + i] = fields[i];
	}
	log_event(LOG_LEVEL_INFO, event, all, COMMON_FIELDS + n_fields);
}

static int64_t ms_since(const struct session_log *log, struct mono then)
{
	return mono_diff_ms(worker_now(log->env), then);
}

/* Numbers. */

static void add(struct session_log *log, enum metrics_value of_bosh, int64_t n)
{
	metrics_add(log->env->metrics, of_bosh + log->transport, n);
}

static void observe(struct session_log *log, enum metrics_histogram_id of_bosh, int64_t us)
{
	metrics_observe(log->env->metrics, of_bosh + log->transport, us);
}

/* @n is 1 or -1. */
static void add_to_state(struct session_log *log, int64_t n)
{
	static const enum metrics_value values[] = {
		[SESSION_CONNECTING] = METRIC_CONNECTING_BOSH,
		[SESSION_READY] = METRIC_READY_BOSH,
		[SESSION_ONLINE] = METRIC_ONLINE_BOSH,
	};

	add(log, values[log->state], n);
}

static void set_state(struct session_log *log, enum session_state state)
{
	if (log->is_open && state > log->state) {
		add_to_state(log, -1);
		log->state = state;
		add_to_state(log, 1);
	}
}

const char *session_state_name(enum session_state state)
{
	static const char *const names[] = {
#define X(id, name) [SESSION_##id] = name,
		SESSION_STATES(X)
#undef X
	};

	return names[state];
}

void session_log_online(struct session_log *log)
{
	set_state(log, SESSION_ONLINE);
}

void session_log_from_client(struct session_log *log, size_t n, size_t n_bytes)
{
	log->n_from_client += n_bytes;
	add(log, METRIC_BYTES_IN_BOSH, (int64_t)n_bytes);
	add(log, METRIC_STANZAS_IN_BOSH, (int64_t)n);
	if (log->asked_ns == 0) {
		log->asked_ns = uv_hrtime();
	}
}

void session_log_to_client(struct session_log *log, size_t n, size_t n_bytes)
{
	log->n_to_client += n_bytes;
	add(log, METRIC_BYTES_OUT_BOSH, (int64_t)n_bytes);
	add(log, METRIC_STANZAS_OUT_BOSH, (int64_t)n);
	if (log->asked_ns) {
		observe(log, METRIC_HISTOGRAM_ROUND_TRIP_BOSH,
			(int64_t)(uv_hrtime() - log->asked_ns) / 1000);
		log->asked_ns = 0;
	}
}

/* Lines. */

void session_log_open(struct session_log *log, const char *domain)
{
	log->is_open = true;
	log->opened = worker_now(log->env);
	LIST_INSERT_HEAD(&log->env->sessions, log, in_worker);
	add(log, METRIC_OPENED_BOSH, 1);
	add_to_state(log, 1);
	if (may_log(log)) {
		write_line(log, "session-open", domain, NULL, 0);
	}
}

void session_log_stream(struct session_log *log, const char *domain)
{
	if (may_log_stream(log)) {
		write_line(log, "stream-open", domain, NULL, 0);
	}
}

void session_log_ready(struct session_log *log, const char *domain, const struct link *link,
		       struct mono since)
{
	char server[ADDRESS_TEXT_MAX];
	struct address address;

	set_state(log, SESSION_READY);
	observe(log, METRIC_HISTOGRAM_OPEN_BOSH, ms_since(log, since) * 1000);
	if (!may_log_stream(log)) {
		return;
	}
	const char *text =
		link_address(link, &address) == 0 ? address_format(&address, server) : "";
	const struct log_field fields[] = {
		LOG_STR("server", text),
		LOG_STR("tls", link_tls_version(link)),
		LOG_STR("cipher", link_tls_cipher(link)),
		LOG_NUMBER("ms", ms_since(log, since)),
	};

	write_line(log, "session-ready", domain, fields, ARRAY_LENGTH(fields));
}

void session_log_failed(struct session_log *log, const char *domain, const struct failure *failure,
			bool is_last)
{
	const struct log_field fields[] = {
		LOG_STR("failure", failure_name(failure->kind)),
		LOG_STR("detail", failure->detail),
	};

	metrics_fail(log->env->metrics, log->transport, failure->kind);
	if (failure->kind == FAILURE_LOGIN_TIMEOUT) {
		metrics_refuse(log->env->metrics, METRIC_REFUSAL_LOGIN_TIMEOUT);
	}
	if (is_last) {
		session_log_set_reason(log, failure_name(failure->kind));
	}
	if (may_log_stream(log)) {
		write_line(log, "session-failed", domain, fields, ARRAY_LENGTH(fields));
	}
}

void session_log_ended(struct session_log *log, const char *domain, const char *rule)
{
	const struct log_field fields[] = {LOG_STR("rule", rule)};

	session_log_set_reason(log, rule);
	if (may_log(log)) {
		write_line(log, "session-ended", domain, fields, ARRAY_LENGTH(fields));
	}
}

void session_log_out_of_memory(struct session_log *log)
{
	session_log_set_reason(log, SESSION_REASON_MEMORY);
	if (may_log(log)) {
		write_line(log, "session-out-of-memory", "", NULL, 0);
	}
}

void session_log_set_reason(struct session_log *log, const char *reason)
{
	if (!log->reason) {
		log->reason = reason;
	}
}

void session_log_closed(struct session_log *log, const char *domain)
{
	const struct log_field fields[] = {
		LOG_STR("reason", log->reason),
		LOG_NUMBER("ms", ms_since(log, log->opened)),
		LOG_NUMBER("bytes_from_client", log->n_from_client),
		LOG_NUMBER("bytes_to_client", log->n_to_client),
	};

	if (!log->is_open) {
		return;
	}
	LIST_REMOVE(log, in_worker);
	add_to_state(log, -1);
	if (may_log(log)) {
		write_line(log, "session-closed", domain, fields, ARRAY_LENGTH(fields));
	}
}
