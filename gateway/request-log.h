/* SPDX-License-Identifier: MIT */
#pragma once
/* Log lines about HTTP requests that were not served. */
#include "gateway/env.h"
#include "gateway/http/exchange.h"

/* HTTP refused @exchange of @client. Browsers hide such answers from the page, so its developer has
 * only this line to find the cause. @reason: one word, or "". Nothing is logged if the answer has a
 * status below 400. */
void request_log_refused(const struct worker_env *env, const struct http_exchange *exchange,
			 struct address client, const char *reason);

/* A request of @client was cut off, because its bytes were needed for others (policy/budget.h).
 * Counts the failure, too. */
void request_log_dropped(const struct worker_env *env, struct address client);

/* The answer to a request of @client, which did not read it, was dropped, and its connection ended,
 * because of foreign_bytes (@is_for_all), or foreign_bytes_per_address. Counts the failure, too. */
void request_log_unread(const struct worker_env *env, const struct address *client,
			bool is_for_all);
