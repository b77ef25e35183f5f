/* SPDX-License-Identifier: MIT */
#include "gateway/ops/client-log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/log.h"
#include "policy/quota.h"

struct client_log {
	pthread_mutex_t mutex;
	struct quota *quotas[CLIENT_LOG_KIND_COUNT];
};

static const struct {
	const char *name;
	enum log_level level;
} kinds[] = {
#define X(id, name, level) [CLIENT_LOG_##id] = {name, LOG_LEVEL_##level},
	CLIENT_LOG_KINDS(X)
#undef X
};

static struct quota_limits limits_of(enum client_log_kind kind, const struct census_limits *limits)
{
	bool is_session = kind == CLIENT_LOG_SESSION || kind == CLIENT_LOG_STREAM;

	return (struct quota_limits){
		.n_client = is_session ? limits->sessions_per_client : CLIENT_LOG_LINES_MAX,
		.n_others = is_session ? limits->sessions : CLIENT_LOG_LINES_OTHERS_MAX,
		.interval_ms = CLIENT_LOG_INTERVAL_S * INT64_C(1000),
	};
}

void client_log_set_limits(struct client_log *log, const struct census_limits *limits)
{
	pthread_mutex_lock(&log->mutex);
	for (unsigned kind = 0; kind < CLIENT_LOG_KIND_COUNT; kind++) {
		const struct quota_limits of_kind = limits_of(kind, limits);

		quota_set_limits(log->quotas[kind], &of_kind);
	}
	pthread_mutex_unlock(&log->mutex);
}

int client_log_new(const struct census_limits *limits, struct client_log **ret_log)
{
	struct client_log *log = calloc(1, sizeof(*log));

	if (!log) {
		return -ENOMEM;
	}
	int r = -pthread_mutex_init(&log->mutex, NULL);

	for (unsigned kind = 0; r == 0 && kind < CLIENT_LOG_KIND_COUNT; kind++) {
		const struct quota_limits of_kind = limits_of(kind, limits);

		r = quota_new(&of_kind, &log->quotas[kind]);
	}
	if (r < 0) {
		client_log_free(log);
		return r;
	}
	*ret_log = log;
	return 0;
}

struct client_log *client_log_free(struct client_log *log)
{
	if (!log) {
		return NULL;
	}
	for (unsigned kind = 0; kind < CLIENT_LOG_KIND_COUNT; kind++) {
		quota_free(log->quotas[kind]);
	}
	pthread_mutex_destroy(&log->mutex);
	free(log);
	return NULL;
}

static void log_excess(enum client_log_kind kind, const struct quota_excess *excess)
{
	char text[ADDRESS_TEXT_MAX];
	const char *client = "others";

	if (!excess->is_others) {
		client = address_format_host(&excess->client, text);
	}

	log_event(kinds[kind].level, "log-suppressed",
		  LOG_FIELDS(LOG_STR("client", client), LOG_STR("kind", kinds[kind].name),
			     LOG_NUMBER("n", excess->n)));
}

bool client_log_admits(struct client_log *log, enum client_log_kind kind,
		       const struct address *client, struct mono now)
{
	struct quota_excess excess;

	pthread_mutex_lock(&log->mutex);
	bool is_admitted = quota_take(log->quotas[kind], client, now, &excess);

	pthread_mutex_unlock(&log->mutex);
	if (excess.n) {
		log_excess(kind, &excess);
	}
	return is_admitted;
}

static bool take_excess(struct client_log *log, enum client_log_kind kind, struct mono now,
			struct quota_excess *ret_excess)
{
	pthread_mutex_lock(&log->mutex);
	bool is_found = quota_expire(log->quotas[kind], now, ret_excess);

	pthread_mutex_unlock(&log->mutex);
	return is_found;
}

void client_log_sum_up(struct client_log *log, struct mono now)
{
	for (unsigned kind = 0; kind < CLIENT_LOG_KIND_COUNT; kind++) {
		struct quota_excess excess;

		while (take_excess(log, (enum client_log_kind)kind, now, &excess)) {
			log_excess((enum client_log_kind)kind, &excess);
		}
	}
}
