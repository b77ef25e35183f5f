/* SPDX-License-Identifier: MIT */
#include "policy/throttle.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* A full bucket of one token, which a success empties: "known" is that it is not full. */
static const struct bucket_rate known_rate = {1, THROTTLE_KNOWN_S};

struct throttle {
	pthread_mutex_t mutex;
	struct bucket_table *connections, *sessions; /* by client */
	struct bucket_table *domain_sessions;        /* by domain */
	struct bucket_table *client_failed_logins;   /* by client and domain */
	struct bucket_table *domain_failed_logins;   /* by domain */
	struct bucket_table *known;                  /* by client and domain */
	struct bucket_table *warnings;               /* by client */
	struct bucket warnings_all;
};

int throttle_new(struct throttle **ret_throttle)
{
	struct throttle *throttle = calloc(1, sizeof(*throttle));

	if (!throttle) {
		return -ENOMEM;
	}
	struct bucket_table **tables[] = {
		&throttle->connections,
		&throttle->sessions,
		&throttle->domain_sessions,
		&throttle->client_failed_logins,
		&throttle->domain_failed_logins,
		&throttle->known,
		&throttle->warnings,
	};
	int r = -pthread_mutex_init(&throttle->mutex, NULL);

	if (r < 0) {
		free(throttle);
		return r;
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(tables); i++) {
		r = bucket_table_new(tables[i]);
	}
	if (r < 0) {
		throttle_free(throttle);
		return r;
	}
	*ret_throttle = throttle;
	return 0;
}

struct throttle *throttle_free(struct throttle *throttle)
{
	if (!throttle) {
		return NULL;
	}
	bucket_table_free(throttle->connections);
	bucket_table_free(throttle->sessions);
	bucket_table_free(throttle->domain_sessions);
	bucket_table_free(throttle->client_failed_logins);
	bucket_table_free(throttle->domain_failed_logins);
	bucket_table_free(throttle->known);
	bucket_table_free(throttle->warnings);
	pthread_mutex_destroy(&throttle->mutex);
	free(throttle);
	return NULL;
}

/* What one request concerns. */
struct query {
	struct throttle *throttle;
	const struct throttle_limits *limits;
	const struct address *client;
	struct sv domain;
	struct mono now;
};

static bool has(const struct query *query, const struct bucket_table *table,
		const struct address *client, struct sv domain, struct bucket_rate rate)
{
	const struct bucket *bucket = bucket_table_find(table, bucket_key(table, client, domain));

	return !bucket || bucket_has(bucket, rate, query->now);
}

static void charge(const struct query *query, struct bucket_table *table,
		   const struct address *client, struct sv domain, struct bucket_rate rate)
{
	if (rate.n_tokens) {
		uint64_t key = bucket_key(table, client, domain);

		bucket_charge(bucket_table_get(table, key, query->now), rate, query->now);
	}
}

static bool client_may_fail(const struct query *query)
{
	return has(query, query->throttle->client_failed_logins, query->client, query->domain,
		   query->limits->client_failed_logins);
}

static enum throttle_result judge_logins(const struct query *query)
{
	const struct throttle *throttle = query->throttle;

	if (!client_may_fail(query)) {
		return THROTTLE_E_CLIENT_LOGINS;
	}
	if (!has(query, throttle->domain_failed_logins, NULL, query->domain,
		 query->limits->domain_failed_logins) &&
	    has(query, throttle->known, query->client, query->domain, known_rate)) {
		return THROTTLE_E_DOMAIN_LOGINS;
	}
	return THROTTLE_OK;
}

enum throttle_result throttle_connection(struct throttle *throttle,
					 const struct throttle_limits *limits,
					 const struct address *client, struct mono now)
{
	const struct query query = {throttle, limits, client, SV_EMPTY, now};

	pthread_mutex_lock(&throttle->mutex);
	bool may = has(&query, throttle->connections, client, SV_EMPTY, limits->connections);

	if (may) {
		charge(&query, throttle->connections, client, SV_EMPTY, limits->connections);
	}
	pthread_mutex_unlock(&throttle->mutex);
	return may ? THROTTLE_OK : THROTTLE_E_CLIENT;
}

static enum throttle_result judge_session(const struct query *query, bool is_exempt)
{
	const struct throttle *throttle = query->throttle;
	const struct throttle_limits *limits = query->limits;

	if (!is_exempt &&
	    !has(query, throttle->sessions, query->client, SV_EMPTY, limits->sessions)) {
		return THROTTLE_E_CLIENT;
	}
	if (!has(query, throttle->domain_sessions, NULL, query->domain, limits->domain_sessions)) {
		return THROTTLE_E_DOMAIN;
	}
	return is_exempt ? THROTTLE_OK : judge_logins(query);
}

enum throttle_result throttle_session(struct throttle *throttle,
				      const struct throttle_limits *limits,
				      const struct address *client, bool is_exempt,
				      struct sv domain, struct mono now)
{
	const struct query query = {throttle, limits, client, domain, now};

	pthread_mutex_lock(&throttle->mutex);
	enum throttle_result result = judge_session(&query, is_exempt);

	if (result == THROTTLE_OK) {
		if (!is_exempt) {
			charge(&query, throttle->sessions, client, SV_EMPTY, limits->sessions);
		}
		charge(&query, throttle->domain_sessions, NULL, domain, limits->domain_sessions);
	}
	pthread_mutex_unlock(&throttle->mutex);
	return result;
}

enum throttle_result throttle_login(struct throttle *throttle, const struct throttle_limits *limits,
				    const struct address *client, struct sv domain, struct mono now)
{
	const struct query query = {throttle, limits, client, domain, now};

	pthread_mutex_lock(&throttle->mutex);
	enum throttle_result result = judge_logins(&query);

	pthread_mutex_unlock(&throttle->mutex);
	return result;
}

enum throttle_result throttle_login_failed(struct throttle *throttle,
					   const struct throttle_limits *limits,
					   const struct address *client, struct sv domain,
					   struct mono now)
{
	const struct query query = {throttle, limits, client, domain, now};

	pthread_mutex_lock(&throttle->mutex);
	if (client_may_fail(&query)) {
		charge(&query, throttle->domain_failed_logins, NULL, domain,
		       limits->domain_failed_logins);
	}
	charge(&query, throttle->client_failed_logins, client, domain,
	       limits->client_failed_logins);
	enum throttle_result result = judge_logins(&query);

	pthread_mutex_unlock(&throttle->mutex);
	return result;
}

void throttle_login_succeeded(struct throttle *throttle, const struct address *client,
			      struct sv domain, struct mono now)
{
	pthread_mutex_lock(&throttle->mutex);
	uint64_t key = bucket_key(throttle->known, client, domain);
	struct bucket *bucket = bucket_table_get(throttle->known, key, now);

	*bucket = (struct bucket){0};
	bucket_charge(bucket, known_rate, now);
	pthread_mutex_unlock(&throttle->mutex);
}

bool throttle_warning(struct throttle *throttle, const struct address *client, struct mono now)
{
	const struct query query = {.throttle = throttle, .client = client, .now = now};

	pthread_mutex_lock(&throttle->mutex);
	bool may = has(&query, throttle->warnings, client, SV_EMPTY, THROTTLE_WARNINGS) &&
		   bucket_take(&throttle->warnings_all, THROTTLE_WARNINGS_ALL, now);

	if (may) {
		charge(&query, throttle->warnings, client, SV_EMPTY, THROTTLE_WARNINGS);
	}
	pthread_mutex_unlock(&throttle->mutex);
	return may;
}
