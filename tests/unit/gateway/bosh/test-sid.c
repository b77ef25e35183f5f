/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/bosh/sid.h"

enum {
	N_SIDS = 20000,
	N_BITS = 6 * SID_RANDOM_LENGTH,
};

static char sids[N_SIDS][SID_LENGTH + 1];

/* The kernel's generator, with a count of what was asked of it. */
static size_t n_random;
static unsigned random_flags;
static int random_failure;

ssize_t getrandom(void *data, size_t n, unsigned flags)
{
	if (random_failure) {
		errno = random_failure;
		return -1;
	}
	n_random += n;
	random_flags |= flags;
	return syscall(SYS_getrandom, data, n, flags);
}

static void test_sid(void **state)
{
	char sid[SID_LENGTH + 1];
	struct sid_owner owner;

	(void)state;
	for (unsigned i = 0; i < 4096; i += 63) {
		assert_int_equal(sid_make((struct sid_owner){i % 64, i}, sid), 0);
		assert_int_equal(strlen(sid), SID_LENGTH);
		assert_true(sid_owner(sv_from(sid), &owner));
		assert_int_equal(owner.generation, i % 64);
		assert_int_equal(owner.worker, i);
	}
	assert_false(sid_owner(sv_first(sv_from(sid), SID_LENGTH - 1), &owner));
	sid[0] = '!';
	assert_false(sid_owner(sv_from(sid), &owner));
	assert_false(sid_owner(SV_EMPTY, &owner));
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static unsigned bit_of(const char *sid, unsigned i)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *digit = strchr(digits, sid[SID_OWNER_LENGTH + i / 6]);

	return (unsigned)(digit - digits) >> i % 6 & 1;
}

/* Whether @n of N_SIDS is too far from half of them for a coin: seven standard deviations. Of all
 * that the tests ask this about, one in 40 million runs finds such a coin. */
static bool is_biased(unsigned n)
{
	const int64_t twice_off = 2 * (int64_t)n - N_SIDS;

	/* The square of twice 7 * sqrt(N_SIDS) / 2. */
	return twice_off * twice_off > 49 * (int64_t)N_SIDS;
}

/* All that is random comes from the kernel, and without it there is no sid. */
static void test_source(void **state)
{
	char sid[SID_LENGTH + 1];

	(void)state;
	n_random = 0;
	random_flags = 0;
	assert_int_equal(sid_make((struct sid_owner){1, 2}, sid), 0);
	assert_true(n_random * 6 >= 128 && n_random == SID_RANDOM_LENGTH);
	/* Neither GRND_INSECURE nor GRND_NONBLOCK. */
	assert_int_equal(random_flags, 0);
	random_failure = ENOSYS;
	assert_int_equal(sid_make((struct sid_owner){1, 2}, sid), -ENOSYS);
	random_failure = 0;
}

/* Each bit is a coin of its own, and no two agree more often than others: so there are as many
 * random bits as it seems. No sid comes twice. */
static void test_random_bits(void **state)
{
	static unsigned n_alike[N_BITS][N_BITS];

	(void)state;
	assert_true(N_BITS >= 128);
	for (unsigned n = 0; n < N_SIDS; n++) {
		unsigned char bits[N_BITS];

		assert_int_equal(sid_make((struct sid_owner){1, 2}, sids[n]), 0);
		for (unsigned i = 0; i < N_BITS; i++) {
			bits[i] = (unsigned char)bit_of(sids[n], i);
			n_alike[i][i] += bits[i];
			for (unsigned k = 0; k < i; k++) {
				n_alike[i][k] += bits[i] == bits[k];
			}
		}
	}
	for (unsigned i = 0; i < N_BITS; i++) {
		for (unsigned k = 0; k <= i; k++) {
			if (is_biased(n_alike[i][k])) {
				fail_msg("bits %u and %u: %u", i, k, n_alike[i][k]);
			}
		}
	}
	for (unsigned i = 0; i < N_BITS; i++) {
		unsigned n_repeated = 0;

		for (unsigned n = 1; n < N_SIDS; n++) {
			n_repeated += bit_of(sids[n], i) == bit_of(sids[n - 1], i);
		}
		assert_false(is_biased(n_repeated));
	}
	qsort(sids, N_SIDS, sizeof(*sids), compare);
	for (unsigned n = 1; n < N_SIDS; n++) {
		assert_string_not_equal(sids[n], sids[n - 1]);
	}
}

static void test_find(void **state)
{
	static const struct {
		const char *body, *sid;
		bool is_decided;
	} rows[] = {
		{"", "", false},
		{"<body rid='1'", "", false},
		{"<body rid='1' sid=", "", false},
		{"<body rid='1' sid='ab", "", false},
		{"<body rid='1' sid='ab'", "ab", true},
		{"<body sid=\"a'b\" rid='1'>", "a'b", true},
		{"<body rid='1'>", "", true},
		{"<body sid=a", "", true},
		{"<body rid='1'/>", "", true},
	};
	char body[SID_FIND_MAX];
	struct sv sid;

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_int_equal(sid_find(sv_from(rows[i].body), &sid), rows[i].is_decided);
		assert_true(sv_eq(sid, sv_from(rows[i].sid)));
	}
	memset(body, 'x', sizeof(body));
	assert_false(sid_find((struct sv){body, SID_FIND_MAX - 1}, &sid));
	assert_true(sid_find((struct sv){body, SID_FIND_MAX}, &sid));
	assert_int_equal(sid.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sid),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_random_bits),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
