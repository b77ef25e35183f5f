/* SPDX-License-Identifier: MIT */
/*
 * policy/bucket.h and throttle.h. The input is the rates, a line, and events of clients. Within the
 * time of a rate, no client gets more than two bursts; who was refused gets a token after the wait
 * that the bucket names. Time that stands still gives nothing.
 *
 * covers: policy/bucket.c policy/throttle.c
 */
#include "tests/fuzz/fuzz.h"

#include "policy/throttle.h"

enum {
	CLIENTS = 4,
	EVENTS_MAX = 400,
};

static struct address client_of(unsigned number)
{
	static const char *const texts[CLIENTS] = {"192.0.2.1", "192.0.2.2", "2001:db8::1",
						   "2001:db8:0:1::1"};
	struct address address;

	assert_int_equal(address_parse(sv_from(texts[number]), 1, &address), 0);
	return address;
}

static void check_bucket(struct bucket_rate rate, struct sv events)
{
	struct bucket bucket = {0};
	struct mono now = {0}, start = {0};
	uint64_t n_taken = 0;

	for (unsigned n = 0; n < EVENTS_MAX && events.n; n++) {
		now = mono_add_ms(now, (int64_t)fuzz_byte(&events) * 7);
		if (mono_diff_ms(now, start) >= (int64_t)rate.seconds * 1000) {
			start = now;
			n_taken = 0;
		}
		if (bucket_take(&bucket, rate, now)) {
			n_taken++;
			FUZZ_CHECK(rate.n_tokens == 0 || n_taken <= 2 * (uint64_t)rate.n_tokens);
			continue;
		}
		int64_t wait_ms = bucket_wait_ms(&bucket, rate, now);
		struct bucket later = bucket;

		FUZZ_CHECK(rate.n_tokens && wait_ms > 0);
		FUZZ_CHECK(wait_ms <= (int64_t)rate.seconds * 1000);
		FUZZ_CHECK(bucket_take(&later, rate, mono_add_ms(now, wait_ms)));
	}
}

static void check_throttle(const struct throttle_limits *limits, struct sv events)
{
	struct mono now = {0};
	struct throttle *throttle;
	unsigned n_connections[CLIENTS] = {0}, n_warnings[CLIENTS] = {0};

	assert_int_equal(throttle_new(&throttle), 0);
	for (unsigned n = 0; n < EVENTS_MAX && events.n; n++) {
		unsigned what = fuzz_byte(&events), which = what >> 3 & 3;
		struct address client = client_of(which);
		struct sv domain = what & 32 ? SV("a.example") : SV("b.example");

		enum throttle_result result = THROTTLE_OK;

		switch (what & 7) {
		case 0:
		case 1:
			result = throttle_connection(throttle, limits, &client, now);
			n_connections[which] += result == THROTTLE_OK;
			break;
		case 2:
		case 3:
			result =
				throttle_session(throttle, limits, &client, what & 64, domain, now);
			break;
		case 4:
			result = throttle_login(throttle, limits, &client, domain, now);
			break;
		case 5:
			result = throttle_login_failed(throttle, limits, &client, domain, now);
			break;
		case 6:
			throttle_login_succeeded(throttle, &client, domain, now);
			break;
		default:
			n_warnings[which] += throttle_warning(throttle, &client, now);
			break;
		}
		FUZZ_CHECK(limits->connections.n_tokens || result == THROTTLE_OK);
		FUZZ_CHECK(n_warnings[which] <= 1);
		/* The time stands still: each client has its burst, and no more. */
		FUZZ_CHECK(limits->connections.n_tokens == 0 ||
			   n_connections[which] <= limits->connections.n_tokens);
	}
	throttle_free(throttle);
}

void fuzz_one(struct sv input)
{
	struct sv text = fuzz_part(&input, '\n');
	struct throttle_limits limits;
	struct bucket_rate rate;

	if (bucket_rate_parse(text, &rate) < 0) {
		return;
	}
	FUZZ_CHECK(rate.n_tokens <= BUCKET_TOKENS_MAX && rate.seconds <= BUCKET_SECONDS_MAX);
	FUZZ_CHECK(rate.n_tokens == 0 || rate.seconds > 0);
	limits = (struct throttle_limits){rate, rate, rate, rate, rate};
	check_bucket(rate, input);
	check_throttle(&limits, input);
}
