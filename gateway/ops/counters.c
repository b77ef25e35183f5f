/* SPDX-License-Identifier: MIT */
#include "gateway/ops/counters.h"

#include "common/log.h"

void counters_add(struct counters *counters, enum failure_kind kind)
{
	atomic_fetch_add_explicit(&counters->failures[kind], 1, memory_order_relaxed);
}

void counters_log(struct counters *counters)
{
	struct log_field fields[FAILURE_COUNT];
	size_t n = 0;

	for (unsigned i = FAILURE_NONE + 1; i < FAILURE_COUNT; i++) {
		unsigned long long count =
			atomic_load_explicit(&counters->failures[i], memory_order_relaxed);

		if (count) {
			fields[n++] = LOG_NUMBER(failure_name((enum failure_kind)i), count);
		}
	}
	log_event(LOG_LEVEL_INFO, "failures", fields, n);
}
