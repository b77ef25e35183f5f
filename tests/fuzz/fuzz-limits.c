/* SPDX-License-Identifier: MIT */
/*
 * policy/budget.h, census.h, quota.h and known-keys.h. The first byte decides which of them; then
 * come its limits, and what happens, a few bytes for each event. The engines answer as models do
 * that keep everything in arrays and search through all of it.
 *
 * covers: policy/budget.c policy/census.c policy/quota.c policy/known-keys.c
 */
#include "tests/fuzz/fuzz.h"

#include "policy/budget.h"
#include "policy/census.h"
#include "policy/known-keys.h"
#include "policy/quota.h"

enum {
	CLIENTS = 4,
	CHARGES = 12, /* less than BUDGET_VICTIMS_MAX, so that the limits hold at once */
	OWNERS = 2,
	DOMAINS = 2,
	EVENTS_MAX = 400,
	KILOBYTE = 1024,
};

static struct address client_of(unsigned number)
{
	static const char *const texts[CLIENTS] = {"192.0.2.1", "192.0.2.2", "2001:db8::1",
						   "2001:db8:0:1::1"};
	struct address address;

	assert_int_equal(address_parse(sv_from(texts[number % CLIENTS]), 1, &address), 0);
	return address;
}

/* The budget. */

struct held {
	struct budget_charge charge; /* the first member: evict() is given it */
	unsigned client;
	unsigned born; /* when it began to count */
	size_t n;      /* what counts, or did until it became a victim; 0: it holds nothing */
	bool is_victim, is_new;
};

struct books {
	struct budget *budget;
	struct budget_limits limits;
	struct held held[CHARGES];
	unsigned n_events;
	bool is_woken[OWNERS];
};

static void evict(struct budget_charge *charge)
{
	struct held *held = (struct held *)charge;

	FUZZ_CHECK(held->is_victim && held->n && !charge->is_victim && charge->n_bytes == 0);
	held->is_victim = false;
	held->n = 0;
}

static void wake(void *userdata)
{
	*(bool *)userdata = true;
}

static size_t sum_of(const struct books *books, const unsigned *client)
{
	size_t sum = 0;

	for (unsigned i = 0; i < CHARGES; i++) {
		const struct held *held = &books->held[i];

		sum += !held->is_victim && (!client || held->client == *client) ? held->n : 0;
	}
	return sum;
}

/* What all that have to go now, for their client or for all, held together. */
static size_t sum_of_new(const struct books *books, const unsigned *client, bool is_for_all)
{
	size_t sum = 0;

	for (unsigned i = 0; i < CHARGES; i++) {
		const struct held *held = &books->held[i];

		if (held->is_new && (!client || held->client == *client)) {
			sum += held->charge.is_for_all == is_for_all ? held->n : 0;
		}
	}
	return sum;
}

/* @victim had to go, and @other did not, though it could have. */
static void check_order(const struct books *books, const struct held *victim,
			const struct held *other)
{
	if (books->limits.order == BUDGET_OLDEST) {
		FUZZ_CHECK(victim->born < other->born);
	} else if (other->client == victim->client) {
		FUZZ_CHECK(victim->n >= other->n);
	} else {
		FUZZ_CHECK(sum_of(books, &other->client) <=
			   sum_of(books, &victim->client) +
				   sum_of_new(books, &victim->client, true));
	}
}

static void check_victim(const struct books *books, const struct held *victim,
			 const struct held *grown)
{
	bool is_for_all = victim->charge.is_for_all;

	FUZZ_CHECK(books->is_woken[victim->charge.owner]);
	FUZZ_CHECK(is_for_all || victim->client == grown->client);
	for (unsigned i = 0; i < CHARGES; i++) {
		const struct held *other = &books->held[i];

		if (other->n && !other->is_victim &&
		    (is_for_all || other->client == victim->client)) {
			check_order(books, victim, other);
		}
	}
}

/* After @grown holds something else than before. */
static void check_books(struct books *books, const struct held *grown)
{
	size_t n_clients = 0;

	for (unsigned i = 0; i < CHARGES; i++) {
		struct held *held = &books->held[i];

		held->is_new = held->charge.is_victim && !held->is_victim;
		held->is_victim = held->charge.is_victim;
		FUZZ_CHECK(held->charge.n_bytes == held->n || held->is_victim);
	}
	for (unsigned i = 0; i < CHARGES; i++) {
		if (books->held[i].is_new) {
			check_victim(books, &books->held[i], grown);
		}
	}
	for (unsigned client = 0; client < CLIENTS; client++) {
		n_clients += sum_of(books, &client) > 0;
		FUZZ_CHECK(sum_of(books, &client) <= books->limits.n_client);
	}
	FUZZ_CHECK(sum_of(books, NULL) <= books->limits.n_total);
	FUZZ_CHECK(budget_bytes(books->budget) == sum_of(books, NULL));
	FUZZ_CHECK(budget_clients(books->budget) == n_clients);

	/* None had to go without need. */
	size_t n_own = sum_of_new(books, &grown->client, false);
	size_t n_all = sum_of_new(books, NULL, true);

	FUZZ_CHECK(!n_own ||
		   sum_of(books, &grown->client) + n_own + sum_of_new(books, &grown->client, true) >
			   books->limits.n_client);
	FUZZ_CHECK(!n_all || sum_of(books, NULL) + n_all > books->limits.n_total);
}

static void hold(struct books *books, struct held *held, size_t n)
{
	struct address client = client_of(held->client);
	size_t n_steps = (n + BUDGET_STEP - 1) / BUDGET_STEP;

	if (held->n == 0) {
		held->born = books->n_events;
	}
	assert_int_equal(budget_hold(books->budget, &held->charge, &client, n), 0);
	held->n = n_steps > 1 ? n_steps * BUDGET_STEP : 0;
	held->is_victim = held->is_victim && held->n;
	check_books(books, held);
}

static void check_budget(struct sv input)
{
	struct books books = {.limits.order =
				      fuzz_byte(&input) & 1 ? BUDGET_LARGEST : BUDGET_OLDEST};

	books.limits.n_client = fuzz_number(&input, 1) * 4 * KILOBYTE;
	books.limits.n_total = fuzz_number(&input, 1) * 8 * KILOBYTE;
	assert_int_equal(budget_new(&books.limits, OWNERS, &books.budget), 0);
	for (unsigned i = 0; i < OWNERS; i++) {
		budget_set_wake(books.budget, i, wake, &books.is_woken[i]);
	}
	for (unsigned i = 0; i < CHARGES; i++) {
		books.held[i].client = i % CLIENTS;
		books.held[i].charge = BUDGET_CHARGE_INIT(i / CLIENTS % OWNERS, evict);
	}
	while (input.n && ++books.n_events < EVENTS_MAX) {
		unsigned what = fuzz_byte(&input);
		struct held *held = &books.held[what % CHARGES];

		if (what < 200) {
			hold(&books, held, fuzz_number(&input, 1) * KILOBYTE);
		} else if (what < 228) {
			budget_release(books.budget, &held->charge);
			held->n = 0;
			held->is_victim = false;
			check_books(&books, held);
		} else {
			budget_evict(books.budget, what % OWNERS);
			books.is_woken[what % OWNERS] = false;
			check_books(&books, held);
		}
	}
	for (unsigned i = 0; i < CHARGES; i++) {
		budget_release(books.budget, &books.held[i].charge);
	}
	FUZZ_CHECK(budget_bytes(books.budget) == 0 && budget_clients(books.budget) == 0);
	budget_free(books.budget);
}

/* The census. */

enum kind {
	KIND_CONNECTION,
	KIND_FORWARDED,
	KIND_SESSION,
	KIND_COUNT,
};

struct counts {
	size_t n[CLIENTS][KIND_COUNT];
	size_t n_all[KIND_COUNT];
	size_t n_domain[DOMAINS];
};

static int enter(struct census *census, enum kind kind, const struct address *client,
		 bool is_exempt)
{
	return kind == KIND_CONNECTION ? census_enter_connection(census, client, is_exempt)
	     : kind == KIND_FORWARDED  ? census_enter_forwarded(census, client, is_exempt)
				       : census_enter_session(census, client, is_exempt);
}

static void leave(struct census *census, enum kind kind, const struct address *client)
{
	if (kind == KIND_CONNECTION) {
		census_leave_connection(census, client);
	} else if (kind == KIND_FORWARDED) {
		census_leave_forwarded(census, client);
	} else {
		census_leave_session(census, client);
	}
}

static int expected_result(const struct counts *counts, const struct census_limits *limits,
			   enum kind kind, unsigned client, bool is_exempt)
{
	const size_t *own = counts->n[client];

	if (kind == KIND_SESSION) {
		return !is_exempt && own[kind] >= limits->sessions_per_client ? CENSUS_E_CLIENT_FULL
		     : counts->n_all[kind] >= limits->sessions                ? CENSUS_E_FULL
									      : CENSUS_OK;
	}
	if (!is_exempt &&
	    own[KIND_CONNECTION] + own[KIND_FORWARDED] >= limits->connections_per_client) {
		return CENSUS_E_CLIENT_FULL;
	}
	return kind == KIND_CONNECTION && limits->connections &&
			       counts->n_all[kind] >= limits->connections
		     ? CENSUS_E_FULL
		     : CENSUS_OK;
}

static void count(struct census *census, const struct census_limits *limits, struct counts *counts,
		  unsigned what)
{
	enum kind kind = what % KIND_COUNT;
	unsigned client = what / KIND_COUNT % CLIENTS;
	struct address address = client_of(client);
	bool is_exempt = what & 64;

	if (what < 160) {
		int r = enter(census, kind, &address, is_exempt);

		FUZZ_CHECK(r == expected_result(counts, limits, kind, client, is_exempt));
		counts->n[client][kind] += r == CENSUS_OK;
		counts->n_all[kind] += r == CENSUS_OK;
	} else if (counts->n[client][kind]) {
		leave(census, kind, &address);
		counts->n[client][kind]--;
		counts->n_all[kind]--;
	}
	FUZZ_CHECK(census_connections(census) == counts->n_all[KIND_CONNECTION]);
	FUZZ_CHECK(census_sessions(census) == counts->n_all[KIND_SESSION]);
}

static void count_domain(struct census *census, struct counts *counts, unsigned what)
{
	static const char *const domains[DOMAINS] = {"a.example", "b.example"};
	size_t *n = &counts->n_domain[what % DOMAINS];
	size_t n_max = 1 + what / DOMAINS % 4;

	if (what < 160) {
		bool is_full = *n >= n_max;

		FUZZ_CHECK(census_enter_domain(census, domains[what % DOMAINS], n_max) ==
			   (is_full ? CENSUS_E_DOMAIN_FULL : CENSUS_OK));
		*n += !is_full;
	} else if (*n) {
		census_leave_domain(census, domains[what % DOMAINS]);
		--*n;
	}
}

static struct census_limits read_census_limits(struct sv *input)
{
	return (struct census_limits){
		.sessions = fuzz_number(input, 1),
		.connections = fuzz_number(input, 1),
		.sessions_per_client = fuzz_number(input, 1),
		.connections_per_client = fuzz_number(input, 1),
	};
}

static void check_census(struct sv input)
{
	struct census_limits limits = read_census_limits(&input);
	struct counts counts = {0};
	struct census *census;

	assert_int_equal(census_new(&limits, &census), 0);
	for (unsigned n = 0; n < EVENTS_MAX && input.n; n++) {
		unsigned what = fuzz_byte(&input);

		if (what == UINT8_MAX) {
			limits = read_census_limits(&input);
			census_set_limits(census, &limits);
		} else if (what == UINT8_MAX - 1) {
			count_domain(census, &counts, fuzz_byte(&input));
		} else {
			count(census, &limits, &counts, what);
		}
	}
	census_free(census);
}

/* The quota. */

struct interval {
	int64_t end_ms; /* 0: none */
	size_t n_granted, n_excess;
	unsigned begun;
};

struct asked {
	struct quota *quota;
	struct quota_limits limits;
	struct interval intervals[CLIENTS];
	int64_t now_ms;
	unsigned n_begun;
};

static void take(struct asked *asked, unsigned client)
{
	struct interval *interval = &asked->intervals[client];
	struct address address = client_of(client);
	struct quota_excess excess;
	size_t n_excess = 0;

	if (!interval->end_ms || interval->end_ms <= asked->now_ms) {
		n_excess = interval->n_excess;
		*interval = (struct interval){.end_ms = asked->now_ms + asked->limits.interval_ms,
					      .begun = ++asked->n_begun};
	}
	bool is_granted = interval->n_granted < asked->limits.n_client;

	FUZZ_CHECK(quota_take(asked->quota, &address, (struct mono){asked->now_ms}, &excess) ==
		   is_granted);
	FUZZ_CHECK(excess.n == n_excess && !excess.is_others);
	interval->n_granted += is_granted;
	interval->n_excess += !is_granted;
}

/* The client whose interval is over, has an excess, and began first; CLIENTS if there is none. */
static unsigned find_over(const struct asked *asked)
{
	unsigned found = CLIENTS;

	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct interval *interval = &asked->intervals[i];

		if (interval->end_ms && interval->end_ms <= asked->now_ms && interval->n_excess &&
		    (found == CLIENTS || interval->begun < asked->intervals[found].begun)) {
			found = i;
		}
	}
	return found;
}

static void expire(struct asked *asked)
{
	struct quota_excess excess;

	for (;;) {
		unsigned over = find_over(asked);
		bool is_told = quota_expire(asked->quota, (struct mono){asked->now_ms}, &excess);

		FUZZ_CHECK(is_told == (over < CLIENTS));
		if (!is_told) {
			break;
		}
		struct address client = client_of(over);

		FUZZ_CHECK(excess.n == asked->intervals[over].n_excess);
		FUZZ_CHECK(address_is_same_host(&excess.client, &client));
		asked->intervals[over] = (struct interval){0};
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (asked->intervals[i].end_ms <= asked->now_ms) {
			asked->intervals[i] = (struct interval){0};
		}
	}
}

static void check_quota(struct sv input)
{
	struct asked asked = {.now_ms = 1};

	asked.limits.n_client = fuzz_number(&input, 1) % 8;
	asked.limits.interval_ms = 1 + (int64_t)fuzz_number(&input, 1);
	assert_int_equal(quota_new(&asked.limits, &asked.quota), 0);
	for (unsigned n = 0; n < EVENTS_MAX && input.n; n++) {
		unsigned what = fuzz_byte(&input);

		if (what < 160) {
			take(&asked, what % CLIENTS);
		} else if (what < 240) {
			asked.now_ms += what - 160;
		} else {
			expire(&asked);
		}
	}
	quota_free(asked.quota);
}

/* The known keys. */

struct shown {
	unsigned char keys[KNOWN_KEYS_MAX]; /* the last one first */
	size_t n;
	struct mono since;
	bool is_settled;
	struct bucket reports;
};

struct shown_all {
	struct shown domains[CLIENTS];
	struct bucket reports, counts;
	uint64_t n_missed;
};

static bool may_report(struct shown_all *all, struct shown *shown, struct mono now)
{
	bool may = bucket_has(&shown->reports, KNOWN_KEYS_DOMAIN_REPORTS, now);

	if (may && !shown->is_settled) {
		may = bucket_take(&all->reports, KNOWN_KEYS_REPORTS, now);
	}
	if (may) {
		bucket_charge(&shown->reports, KNOWN_KEYS_DOMAIN_REPORTS, now);
	}
	all->n_missed += !may;
	return may;
}

/* Returns whether @key is to be reported. */
static bool show(struct shown_all *all, struct shown *shown, unsigned char key, struct mono now)
{
	bool was_empty = shown->n == 0;
	size_t i = 0;

	while (i < shown->n && shown->keys[i] != key) {
		i++;
	}
	bool is_new = i == shown->n;

	if (was_empty) {
		shown->since = now;
	} else if (is_new && !may_report(all, shown, now)) {
		return false;
	}
	if (!is_new && mono_reached(mono_add_ms(shown->since, KNOWN_KEYS_SETTLE_MS), now)) {
		shown->is_settled = true;
	}
	if (is_new && shown->n < KNOWN_KEYS_MAX) {
		shown->n++;
	}
	for (size_t j = i < shown->n ? i : shown->n - 1; j > 0; j--) {
		shown->keys[j] = shown->keys[j - 1];
	}
	shown->keys[0] = key;
	return is_new && !was_empty;
}

static void check_missed(struct known_keys *keys, struct shown_all *all, struct mono now)
{
	uint64_t n_missed = 0;

	if (all->n_missed && bucket_take(&all->counts, KNOWN_KEYS_COUNTS, now)) {
		n_missed = all->n_missed;
		all->n_missed = 0;
	}
	FUZZ_CHECK(known_keys_missed(keys, now) == n_missed);
}

static void check_known_keys(struct sv input)
{
	static const char *const domains[CLIENTS] = {"a.example", "b.example", "a",
						     "a.example.org"};
	struct shown_all all = {0};
	struct mono now = {1};
	struct known_keys *keys;

	assert_int_equal(known_keys_new(&keys), 0);
	for (unsigned n = 0; n < EVENTS_MAX && input.n; n++) {
		unsigned what = fuzz_byte(&input), which = what % CLIENTS;
		struct shown *shown = &all.domains[which];
		struct pin key = {{(unsigned char)(what / CLIENTS % 8)}}, last = {{0}};
		unsigned char before = shown->keys[0];
		/* Up to eleven minutes, as an hour makes a difference. */
		int64_t step = what < 128 ? 0 : fuzz_byte(&input);

		now = mono_add_ms(now, step * step * 10);

		bool is_told = known_keys_note(keys, domains[which], &key, now, &last);

		FUZZ_CHECK(is_told == show(&all, shown, key.sha256[0], now));
		FUZZ_CHECK(!is_told || last.sha256[0] == before);
		check_missed(keys, &all, now);
	}
	known_keys_free(keys);
}

void fuzz_one(struct sv input)
{
	static void (*const checks[])(struct sv) = {check_budget, check_census, check_quota,
						    check_known_keys};

	checks[fuzz_byte(&input) % (sizeof(checks) / sizeof(*checks))](input);
}
