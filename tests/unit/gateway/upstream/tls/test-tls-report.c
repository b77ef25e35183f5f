/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "tests/unit/gateway/upstream/tls-case.h"

/* Reports of completed and failed handshakes. */

static struct identity authority, stranger, good;
static char authority_file[TRUST_PATH_SIZE];
static struct tls_store *store;
static struct tls_policy policy;

static struct identity identity_of(const char *names, const struct identity *issuer)
{
	return identity_new(
		&(struct identity_spec){.name = "leaf", .names = names, .issuer = issuer});
}

static struct outcome show(const struct identity *identity, const struct identity *issuer,
			   int version)
{
	SSL_CTX *server = server_new(identity, issuer, version);
	struct outcome outcome = visit(store, &policy, server);

	SSL_CTX_free(server);
	return outcome;
}

static void test_good(void **state)
{
	struct outcome outcome = show(&good, &authority, TLS1_2_VERSION);
	const struct tls_report *report = &outcome.report;
	int64_t now = time(NULL);

	(void)state;
	assert_true(outcome.is_open);
	assert_string_equal(report->version, "TLSv1.2");
	assert_non_null(report->cipher);
	assert_true(report->has_certificate);
	assert_false(report->has_alpn);
	assert_string_equal(report->subject, "leaf");
	assert_string_equal(report->issuer, "authority");
	assert_in_range(report->from, now - 100, now);
	assert_in_range(report->to, now + 3500, now + 3600);
	assert_string_equal(report->key, "EC, 256 bits");
	assert_string_equal(report->signature, "ecdsa-with-SHA256");
	assert_int_equal(strncmp(report->pin, "sha256//", 8), 0);
	assert_int_equal(report->n_sent, 2);
	assert_int_equal(report->n_names, 2);
	assert_int_equal(report->names[0].kind, CERTIFICATE_NAME_DNS);
	assert_string_equal(report->names[0].text, "example.org");
	assert_string_equal(report->names[1].text, "*.example.org");
	assert_int_equal(report->chain, TLS_FINDING_GOOD);
	assert_string_equal(report->anchor, "authority");
	assert_int_equal(report->name, TLS_FINDING_GOOD);
	assert_int_equal(report->pinned, TLS_FINDING_NOT_ASKED);
	assert_int_equal(report->dane, TLS_FINDING_NOT_ASKED);
}

/* The name is checked even if the chain is bad, and the chain is reported even if the name is
 * wrong. */
static void test_bad(void **state)
{
	struct identity untrusted = identity_of("DNS:example.org", &stranger);
	struct identity misnamed = identity_of("DNS:www.example.org", &authority);
	struct outcome outcome = show(&untrusted, NULL, 0);

	(void)state;
	assert_false(outcome.is_open);
	assert_string_equal(outcome.report.version, "TLSv1.3");
	assert_int_equal(outcome.report.chain, TLS_FINDING_BAD);
	assert_string_equal(outcome.report.chain_words, "unable to get local issuer certificate");
	assert_int_equal(outcome.report.name, TLS_FINDING_GOOD);
	outcome = show(&misnamed, NULL, 0);
	assert_false(outcome.is_open);
	assert_int_equal(outcome.report.chain, TLS_FINDING_GOOD);
	assert_int_equal(outcome.report.name, TLS_FINDING_BAD);
	assert_null(outcome.report.named);
	identity_free(&untrusted);
	identity_free(&misnamed);
}

static void test_expired(void **state)
{
	struct identity old = identity_new(&(struct identity_spec){.name = "leaf",
								   .names = "DNS:example.org",
								   .issuer = &authority,
								   .from_s = -7200,
								   .to_s = -3600});
	struct outcome outcome = show(&old, NULL, 0);

	(void)state;
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_EXPIRED);
	assert_int_equal(outcome.report.chain, TLS_FINDING_BAD);
	assert_in_range(outcome.report.to, time(NULL) - 3700, time(NULL) - 3600);
	identity_free(&old);
}

static void test_pins(void **state)
{
	struct pin pins[1];

	(void)state;
	assert_int_equal(pin_of(good.certificate, pins), 0);
	policy.pins = pins;
	policy.n_pins = 1;
	assert_int_equal(show(&good, NULL, 0).report.pinned, TLS_FINDING_GOOD);
	pins[0].sha256[0] ^= 1;
	struct outcome outcome = show(&good, NULL, 0);

	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_PIN);
	assert_int_equal(outcome.report.pinned, TLS_FINDING_BAD);
	assert_int_equal(outcome.report.chain, TLS_FINDING_GOOD);
	assert_int_equal(outcome.report.name, TLS_FINDING_GOOD);
}

/* A record of the kind 3 1 1 that matches. */
static void use_record(struct tlsa_set *set, const struct identity *identity)
{
	struct pin pin;

	*set = (struct tlsa_set){
		.n_records = 1,
		.records = {{.usage = 3, .selector = 1, .matching = 1, .n_data = PIN_SIZE}}};
	assert_int_equal(pin_of(identity->certificate, &pin), 0);
	memcpy(set->records[0].data, pin.sha256, PIN_SIZE);
	policy.host = "host.example.org";
	policy.tlsa = set;
}

/* DANE-EE replaces chain and name; other usages do not. */
static void test_dane(void **state)
{
	static struct tlsa_set set;
	struct identity other = identity_of("DNS:other.example", &stranger);

	(void)state;
	use_record(&set, &other);
	struct outcome outcome = show(&other, NULL, 0);

	assert_true(outcome.is_open);
	assert_int_equal(outcome.report.dane, TLS_FINDING_GOOD);
	assert_int_equal(outcome.report.dane_usage, 3);
	assert_int_equal(outcome.report.dane_selector, 1);
	assert_int_equal(outcome.report.dane_matching, 1);
	assert_int_equal(outcome.report.chain, TLS_FINDING_NOT_ASKED);
	assert_int_equal(outcome.report.name, TLS_FINDING_GOOD);
	assert_null(outcome.report.named);
	outcome = show(&good, NULL, 0);
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_DANE);
	assert_int_equal(outcome.report.dane, TLS_FINDING_BAD);
	assert_int_equal(outcome.report.chain, TLS_FINDING_NOT_ASKED);
	assert_int_equal(outcome.report.name, TLS_FINDING_GOOD);
	identity_free(&other);
}

/* A wrong pin does not hide that a record matched. */
static void test_dane_and_wrong_pin(void **state)
{
	static struct tlsa_set set;
	struct identity other = identity_of("DNS:other.example", &stranger);
	struct pin pin;

	(void)state;
	use_record(&set, &other);
	assert_int_equal(pin_of(good.certificate, &pin), 0);
	policy.pins = &pin;
	policy.n_pins = 1;
	struct outcome outcome = show(&other, NULL, 0);

	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_PIN);
	assert_int_equal(outcome.report.pinned, TLS_FINDING_BAD);
	assert_int_equal(outcome.report.dane, TLS_FINDING_GOOD);
	assert_int_equal(outcome.report.dane_usage, 3);
	assert_int_equal(outcome.report.chain, TLS_FINDING_NOT_ASKED);
	assert_int_equal(outcome.report.name, TLS_FINDING_GOOD);
	identity_free(&other);
}

static void test_not_asked(void **state)
{
	struct identity other = identity_of("DNS:other.example", &stranger);

	(void)state;
	policy.must_verify = false;
	policy.is_direct = true;
	struct outcome outcome = show(&other, NULL, 0);

	assert_true(outcome.is_open);
	assert_string_equal(outcome.report.names[0].text, "other.example");
	assert_int_equal(outcome.report.chain, TLS_FINDING_NOT_ASKED);
	assert_int_equal(outcome.report.name, TLS_FINDING_NOT_ASKED);
	identity_free(&other);
}

/* Names beyond the limit are only counted; a stranger's bytes are stored unchanged, and cut. */
static void test_many_names(void **state)
{
	char names[4096] = "DNS:example.org";
	char common[201];

	(void)state;
	for (size_t i = 1; i < TLS_REPORT_NAMES_MAX + 5; i++) {
		size_t n = strlen(names);

		snprintf(names + n, sizeof(names) - n, ",DNS:n%zu.example", i);
	}
	/* A CN has 64 characters at most. */
	memset(common, 'x', sizeof(common));
	memcpy(common, "\033[2J\r\n", 6);
	common[64] = '\0';
	struct identity many = identity_new(
		&(struct identity_spec){.name = common, .names = names, .issuer = &authority});
	struct outcome outcome = show(&many, NULL, 0);

	assert_true(outcome.is_open);
	assert_int_equal(outcome.report.n_names, TLS_REPORT_NAMES_MAX + 5);
	assert_string_equal(outcome.report.names[TLS_REPORT_NAMES_MAX - 1].text, "n23.example");
	assert_string_equal(outcome.report.subject, common);
	identity_free(&many);
}

/* What a server sends beside its own certificate is counted, and not kept: neither where it proves
 * something nor where nothing has to be proved. */
static void test_issuers_are_not_kept(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(versions); i++) {
		SSL_CTX *server = server_new(&good, &authority, versions[i / 2]);

		SSL_CTX_add1_chain_cert(server, stranger.certificate);
		policy.must_verify = i % 2;
		policy.domain = i / 2 ? "a.example.org" : "example.org";
		for (int n = 0; n < 2; n++) {
			struct outcome outcome = visit(store, &policy, server);

			assert_true(outcome.is_open);
			assert_int_equal(outcome.is_resumed, n);
			assert_int_equal(outcome.n_kept, 1);
			assert_int_equal(outcome.report.n_sent, n ? 1 : 3);
			assert_string_equal(outcome.report.subject, "leaf");
		}
		SSL_CTX_free(server);
	}
}

/* The server never shows a certificate. */
static void test_nothing(void **state)
{
	struct outcome outcome = show(&good, NULL, TLS1_1_VERSION);

	(void)state;
	assert_false(outcome.is_open);
	assert_null(outcome.report.cipher);
	assert_false(outcome.report.has_certificate);
}

static int setup(void **state)
{
	(void)state;
	policy = (struct tls_policy){
		.domain = "example.org", .ca_file = authority_file, .must_verify = true};
	return tls_store_new(&store);
}

static int teardown(void **state)
{
	(void)state;
	store = tls_store_free(store);
	return 0;
}

static int setup_group(void **state)
{
	(void)state;
	authority =
		identity_new(&(struct identity_spec){.name = "authority", .is_authority = true});
	stranger = identity_new(&(struct identity_spec){.name = "stranger", .is_authority = true});
	good = identity_of("DNS:example.org,DNS:*.example.org", &authority);
	trust_file(&authority, authority_file);
	return 0;
}

static int teardown_group(void **state)
{
	(void)state;
	identity_free(&good);
	identity_free(&stranger);
	identity_free(&authority);
	return unlink(authority_file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_good),      TEST(test_bad),        TEST(test_expired),
		TEST(test_pins),      TEST(test_dane),       TEST(test_dane_and_wrong_pin),
		TEST(test_not_asked), TEST(test_many_names), TEST(test_issuers_are_not_kept),
		TEST(test_nothing),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
