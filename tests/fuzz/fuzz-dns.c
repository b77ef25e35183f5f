/* SPDX-License-Identifier: MIT */
/*
 * upstream/dns/reply.h and srv.h. The first byte decides what was asked for; the rest is the
 * message. The reply keeps its bounds; the order of its targets is by priority, and none is lost. A
 * message with too many records is cut to one with as many as it may have.
 *
 * covers: gateway/upstream/dns/reply.c gateway/upstream/dns/names.c gateway/upstream/dns/srv.c
 * covers: gateway/upstream/dns/answers.c gateway/upstream/dns/walk.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/upstream/dns/answers.h"
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/srv.h"
#include "gateway/upstream/dns/tlsa.h"

enum {
	HEADER_SIZE = 12,
	ANSWERS_AT = 6,
};

static const char question[] = "_xmpp-client._tcp.a.example";

static uint32_t draw(void *userdata, uint32_t max)
{
	uint32_t *random = userdata;

	*random = *random * 1664525 + 1013904223;
	return max == UINT32_MAX ? *random : *random % (max + 1);
}

static void check_targets(const struct srv_target *targets, size_t n)
{
	FUZZ_CHECK(n <= SRV_TARGETS_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *host = targets[i].host;

		FUZZ_CHECK(strnlen(host, SRV_HOST_MAX + 1) <= SRV_HOST_MAX);
		FUZZ_CHECK(!host[0] || targets[i].port != 0);
		/* A host name, or an address. */
		FUZZ_CHECK(strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"0123456789-_.:") == strlen(host));
	}
}

static bool has_target(const struct srv_target *targets, size_t n, const struct srv_target *target)
{
	size_t n_found = 0;

	for (size_t i = 0; i < n; i++) {
		n_found += strcmp(targets[i].host, target->host) == 0 &&
			   targets[i].port == target->port &&
			   targets[i].priority == target->priority &&
			   targets[i].is_direct == target->is_direct;
	}
	return n_found == 1;
}

static void check_order(const struct srv_set *set, uint32_t random)
{
	struct srv_set ordered = *set;

	srv_order(ordered.targets, ordered.n_targets, draw, &random);
	for (size_t i = 0; i < set->n_targets; i++) {
		FUZZ_CHECK(i == 0 ||
			   ordered.targets[i - 1].priority <= ordered.targets[i].priority);
		FUZZ_CHECK(has_target(ordered.targets, set->n_targets, &set->targets[i]));
	}
}

static void check_reply(const struct dns_reply *reply, enum dns_kind kind, uint32_t random)
{
	struct srv_set set = {0};

	FUZZ_CHECK((reply->result == RESOLVER_OK) == (reply->n_records > 0));
	FUZZ_CHECK(reply->n_bytes < 64 * 1024);
	if (kind != DNS_KIND_SRV) {
		return;
	}
	check_targets(reply->targets, reply->n_records);
	enum resolver_result result = srv_merge(reply, reply, &set);

	FUZZ_CHECK(result != RESOLVER_OK || set.n_targets > 0);
	if (result == RESOLVER_OK) {
		check_targets(set.targets, set.n_targets);
		check_order(&set, random);
	}
}

static size_t count_answers(const unsigned char *message, size_t n)
{
	return n < HEADER_SIZE ? 0 : (size_t)message[ANSWERS_AT] << 8 | message[ANSWERS_AT + 1];
}

/* What is cut has as much as it may have, and is not cut again. @copy is one of @input. */
static void check_cut(struct sv input, unsigned char *copy)
{
	size_t n_before = count_answers(copy, input.n);
	size_t n = dns_answers_cut(copy, input.n);
	size_t n_answers = count_answers(copy, n);

	FUZZ_CHECK(n <= input.n);
	FUZZ_CHECK(n || input.n == 0 || n_before > DNS_ANSWERS_MAX);
	if (n_before <= DNS_ANSWERS_ADDRESSES_MAX) {
		FUZZ_CHECK(n == input.n && (n == 0 || memcmp(copy, input.data, n) == 0));
	} else if (n) {
		FUZZ_CHECK(n_answers >= DNS_ANSWERS_ADDRESSES_MAX && n_answers <= DNS_ANSWERS_MAX);
		FUZZ_CHECK(dns_answers_cut(copy, n) == n);
		FUZZ_CHECK(count_answers(copy, n) == n_answers);
	}
}

/* What can be cut before the rest of @input has come is cut to the same. */
static void check_begun(struct sv input, size_t n_begun)
{
	unsigned char *whole = (unsigned char *)fuzz_copy(input);
	unsigned char *begun = (unsigned char *)fuzz_copy(sv_first(input, n_begun));
	size_t n = dns_answers_cut(whole, input.n), n_cut = dns_answers_cut_begun(begun, n_begun);

	FUZZ_CHECK(n_cut <= n_begun && n_cut <= n);
	if (n_cut) {
		FUZZ_CHECK(memcmp(begun, whole, HEADER_SIZE - 2) == 0);
		FUZZ_CHECK(memcmp(begun + HEADER_SIZE, whole + HEADER_SIZE, n_cut - HEADER_SIZE) ==
			   0);
	} else {
		FUZZ_CHECK(n_begun == 0 || memcmp(begun, input.data, n_begun) == 0);
	}
	free(whole);
	free(begun);
}

void fuzz_one(struct sv input)
{
	enum dns_kind kind = fuzz_byte(&input) & 1 ? DNS_KIND_TLSA : DNS_KIND_SRV;
	struct dns_reply *reply;
	char *copy = fuzz_copy(input);

	assert_int_equal(
		dns_reply_read(kind, question, (const unsigned char *)copy, input.n, &reply), 0);
	check_cut(input, (unsigned char *)copy);
	check_begun(input, input.n ? fuzz_hash(input) % (input.n + 1) : 0);
	/* The reply owns its records. */
	free(copy);
	check_reply(reply, kind, fuzz_hash(input));
	dns_reply_unref(reply);
}
