/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "gateway/upstream/tls/pin.h"
#include "tests/unit/gateway/upstream/tls-case.h"

/* RFC 7218 */
enum {
	PKIX_TA,
	PKIX_EE,
	DANE_TA,
	DANE_EE,
};

enum {
	SELECTOR_CERT,
	SELECTOR_SPKI,
};

enum {
	MATCH_FULL,
	MATCH_SHA256,
	MATCH_SHA512,
};

static struct identity authority; /* trusted by the client */
static struct identity stranger;  /* not trusted */
static char authority_file[TRUST_PATH_SIZE];
static struct tls_store *store;
static struct tls_policy policy;

/* The client's verdict on a server with @identity, whose chain includes @issuer. */
static enum failure_kind show(const struct identity *identity, const struct identity *issuer)
{
	SSL_CTX *server = server_new(identity, issuer, 0);
	struct outcome outcome = visit(store, &policy, server);

	SSL_CTX_free(server);
	assert_int_equal(outcome.is_open, outcome.failure.kind == FAILURE_NONE);
	return outcome.failure.kind;
}

static struct identity identity_of(const char *names, const struct identity *issuer)
{
	return identity_new(&(struct identity_spec){.name = "x", .names = names, .issuer = issuer});
}

/* Pins. */

static void test_pin_text(void **state)
{
	static const char good[] = "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
	static const char *const bad[] = {
		"",
		"sha256//",
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"sha1//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"SHA256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
		"sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU==",
		/* unused bits that are not 0 */
		"sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
		/* the URL variant of base64 */
		"sha256//47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
		"sha256// 7DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA",
		"sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF==",
		/* a list, as curl accepts it */
		"sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;sha256//47DEQpj8HBSa",
	};
	/* SHA-256 of an empty text. */
	static const unsigned char first[] = {0xe3, 0xb0, 0xc4, 0x42},
				   last[] = {0x78, 0x52, 0xb8, 0x55};
	char text[PIN_TEXT_MAX];
	struct pin pin;

	(void)state;
	assert_int_equal(pin_parse(sv_from(good), &pin), 0);
	assert_memory_equal(pin.sha256, first, 4);
	assert_memory_equal(pin.sha256 + PIN_SIZE - 4, last, 4);
	assert_string_equal(pin_format(&pin, text), good);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct pin untouched = pin;

		if (pin_parse(sv_from(bad[i]), &untouched) != -EINVAL) {
			fail_msg("taken: %s", bad[i]);
		}
		assert_memory_equal(&untouched, &pin, sizeof(pin));
	}
}

/* The fingerprint of curl and the openssl tool, not OpenSSL's X509_pubkey_digest(). */
static void test_pin_of(void **state)
{
	struct identity identity = identity_of("DNS:example.org", &authority);
	unsigned char *der = NULL, digest[PIN_SIZE];
	int n = i2d_PUBKEY(identity.key, &der);
	struct pin pin;

	(void)state;
	assert_true(n > 0);
	assert_int_equal(EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL), 1);
	assert_int_equal(pin_of(identity.certificate, &pin), 0);
	assert_memory_equal(pin.sha256, digest, PIN_SIZE);
	OPENSSL_free(der);
	identity_free(&identity);
}

static void test_pins(void **state)
{
	struct identity identity = identity_of("DNS:example.org", &authority);
	struct identity other = identity_of("DNS:example.org", &authority);
	struct pin pins[2] = {{{0}}, {{0}}};

	(void)state;
	assert_int_equal(pin_of(identity.certificate, &pins[1]), 0);
	policy.pins = pins;
	policy.n_pins = 2;
	assert_int_equal(show(&identity, NULL), FAILURE_NONE);
	assert_int_equal(show(&other, NULL), FAILURE_CERTIFICATE_PIN);
	policy.n_pins = 1;
	assert_int_equal(show(&identity, NULL), FAILURE_CERTIFICATE_PIN);
	/* The authority has another key than the server. */
	assert_int_equal(pin_of(authority.certificate, &pins[0]), 0);
	assert_int_equal(show(&identity, &authority), FAILURE_CERTIFICATE_PIN);
	identity_free(&identity);
	identity_free(&other);
}

/* A new certificate with the old key is accepted. A failure says what to write into the
 * configuration. */
static void test_pin_words(void **state)
{
	struct identity identity = identity_of("DNS:example.org", &authority);
	struct identity renewed = identity_new(&(struct identity_spec){.name = "y",
								       .names = "DNS:example.org",
								       .issuer = &authority,
								       .key = identity.key});
	SSL_CTX *server = server_new(&identity, NULL, 0);
	struct pin pins[1] = {{{0}}}, shown;
	char text[PIN_TEXT_MAX];

	(void)state;
	policy.pins = pins;
	policy.n_pins = 1;
	struct failure failure = visit(store, &policy, server).failure;

	assert_int_equal(failure.kind, FAILURE_CERTIFICATE_PIN);
	assert_int_equal(pin_parse(sv_skip(sv_from(failure.detail), strlen("it is ")), &pins[0]),
			 0);
	assert_int_equal(pin_of(identity.certificate, &shown), 0);
	assert_string_equal(failure.detail + strlen("it is "), pin_format(&shown, text));
	assert_int_equal(show(&identity, NULL), FAILURE_NONE);
	assert_int_equal(show(&renewed, NULL), FAILURE_NONE);
	SSL_CTX_free(server);
	identity_free(&identity);
	identity_free(&renewed);
}

/* Pins only restrict: chain, name and dates are checked as well. */
static void test_pin_is_not_enough(void **state)
{
	struct identity_spec rows[] = {
		{.name = "x", .names = "DNS:example.org", .issuer = &stranger},
		{.name = "x", .names = "DNS:example.com", .issuer = &authority},
		{.name = "x",
		 .names = "DNS:example.org",
		 .issuer = &authority,
		 .from_s = -20,
		 .to_s = -10},
	};
	static const enum failure_kind kinds[] = {FAILURE_CERTIFICATE_UNTRUSTED,
						  FAILURE_CERTIFICATE_NAME,
						  FAILURE_CERTIFICATE_EXPIRED};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct identity identity = identity_new(&rows[i]);
		struct pin pin;

		assert_int_equal(pin_of(identity.certificate, &pin), 0);
		policy.pins = &pin;
		policy.n_pins = 1;
		assert_int_equal(show(&identity, NULL), kinds[i]);
		identity_free(&identity);
	}
}

/* DANE. */

static struct tlsa_record record_of(const struct identity *identity, uint8_t usage,
				    uint8_t selector, uint8_t matching)
{
	struct tlsa_record record = {.usage = usage, .selector = selector, .matching = matching};
	unsigned char *der = NULL;
	int n = selector == SELECTOR_CERT ? i2d_X509(identity->certificate, &der)
					  : i2d_PUBKEY(identity->key, &der);
	unsigned n_data = (unsigned)n;

	assert_in_range(n, 1, TLSA_DATA_MAX);
	if (matching == MATCH_FULL) {
		memcpy(record.data, der, n_data);
	} else {
		assert_int_equal(EVP_Digest(der, (size_t)n, record.data, &n_data,
					    matching == MATCH_SHA256 ? EVP_sha256() : EVP_sha512(),
					    NULL),
				 1);
	}
	record.n_data = (uint16_t)n_data;
	OPENSSL_free(der);
	return record;
}

/* The same, for a client that knows one record, of @said. */
static enum failure_kind show_with(const struct identity *identity, const struct identity *issuer,
				   const struct identity *said, uint8_t usage)
{
	struct tlsa_set set = {.n_records = 1,
			       .records = {record_of(said, usage, SELECTOR_SPKI, MATCH_SHA256)}};

	policy.host = "xmpp.hoster.test";
	policy.tlsa = &set;
	return show(identity, issuer);
}

static void test_usages(void **state)
{
	struct identity good = identity_of("DNS:example.org", &authority);
	struct identity foreign = identity_of("DNS:example.org", &stranger);
	struct identity alone = identity_of("DNS:example.org", NULL);
	const struct {
		uint8_t usage;
		const struct identity *shown, *issuer, *said;
		enum failure_kind kind;
	} rows[] = {
		/* With these usages the chain must also lead to a trusted authority. */
		{PKIX_TA, &good, &authority, &authority, FAILURE_NONE},
		{PKIX_TA, &good, NULL, &authority, FAILURE_NONE},
		{PKIX_TA, &good, &authority, &stranger, FAILURE_CERTIFICATE_DANE},
		{PKIX_TA, &foreign, &stranger, &stranger, FAILURE_CERTIFICATE_UNTRUSTED},
		{PKIX_EE, &good, NULL, &good, FAILURE_NONE},
		{PKIX_EE, &good, NULL, &foreign, FAILURE_CERTIFICATE_DANE},
		{PKIX_EE, &good, NULL, &authority, FAILURE_CERTIFICATE_DANE},
		{PKIX_EE, &foreign, NULL, &foreign, FAILURE_CERTIFICATE_UNTRUSTED},
		{PKIX_EE, &alone, NULL, &alone, FAILURE_CERTIFICATE_SELF_SIGNED},
		/* The record names the authority; the server must show its certificate (RFC 7671,
		 * 5.2). */
		{DANE_TA, &foreign, &stranger, &stranger, FAILURE_NONE},
		{DANE_TA, &foreign, &stranger, &authority, FAILURE_CERTIFICATE_DANE},
		{DANE_TA, &foreign, NULL, &stranger, FAILURE_CERTIFICATE_DANE},
		{DANE_TA, &good, &authority, &stranger, FAILURE_CERTIFICATE_DANE},
		/* The record alone decides. */
		{DANE_EE, &foreign, NULL, &foreign, FAILURE_NONE},
		{DANE_EE, &alone, NULL, &alone, FAILURE_NONE},
		{DANE_EE, &good, NULL, &foreign, FAILURE_CERTIFICATE_DANE},
		{DANE_EE, &good, &authority, &authority, FAILURE_CERTIFICATE_DANE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		enum failure_kind kind =
			show_with(rows[i].shown, rows[i].issuer, rows[i].said, rows[i].usage);

		if (kind != rows[i].kind) {
			fail_msg("row %zu: %s, not %s", i, failure_name(kind),
				 failure_name(rows[i].kind));
		}
	}
	identity_free(&good);
	identity_free(&foreign);
	identity_free(&alone);
}

/* The host that signed DNS led to is as good a name as the domain (RFC 7673, 4.1). DANE-EE requires
 * no name. */
static void test_dane_names(void **state)
{
	static const struct {
		const char *names;
		enum failure_kind kind;
	} rows[] = {
		{"DNS:example.org", FAILURE_NONE},
		{"DNS:xmpp.hoster.test", FAILURE_NONE},
		{"DNS:*.hoster.test", FAILURE_NONE},
		{"DNS:hoster.test", FAILURE_CERTIFICATE_NAME},
		{"DNS:other.test", FAILURE_CERTIFICATE_NAME},
		{NULL, FAILURE_CERTIFICATE_NAME},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct identity good = identity_of(rows[i].names, &authority);
		struct identity foreign = identity_of(rows[i].names, &stranger);

		assert_int_equal(show_with(&good, &authority, &authority, PKIX_TA), rows[i].kind);
		assert_int_equal(show_with(&good, &authority, &good, PKIX_EE), rows[i].kind);
		assert_int_equal(show_with(&foreign, &stranger, &stranger, DANE_TA), rows[i].kind);
		assert_int_equal(show_with(&foreign, &stranger, &foreign, DANE_EE), FAILURE_NONE);
		/* Without a record the host does not count. */
		policy.tlsa = NULL;
		if (i == 1 || i == 2) {
			assert_int_equal(show(&good, NULL), FAILURE_CERTIFICATE_NAME);
		}
		identity_free(&good);
		identity_free(&foreign);
	}
}

static void test_dane_dates(void **state)
{
	struct identity_spec old = {.name = "x",
				    .names = "DNS:example.org",
				    .issuer = &stranger,
				    .from_s = -20,
				    .to_s = -10};
	struct identity identity = identity_new(&old);

	(void)state;
	/* RFC 7671, 5.1 */
	assert_int_equal(show_with(&identity, &stranger, &identity, DANE_EE), FAILURE_NONE);
	assert_int_equal(show_with(&identity, &stranger, &stranger, DANE_TA),
			 FAILURE_CERTIFICATE_EXPIRED);
	identity_free(&identity);
}

static void test_selectors(void **state)
{
	struct identity identity = identity_of("DNS:example.org", &stranger);
	struct tlsa_set set = {.n_records = 1};

	(void)state;
	policy.host = "h.test";
	policy.tlsa = &set;
	for (uint8_t selector = SELECTOR_CERT; selector <= SELECTOR_SPKI; selector++) {
		for (uint8_t matching = MATCH_FULL; matching <= MATCH_SHA512; matching++) {
			set.records[0] = record_of(&identity, DANE_EE, selector, matching);
			assert_int_equal(show(&identity, NULL), FAILURE_NONE);
			set.records[0] = record_of(&stranger, DANE_EE, selector, matching);
			assert_int_equal(show(&identity, NULL), FAILURE_CERTIFICATE_DANE);
		}
	}
	identity_free(&identity);
}

static void test_sets(void **state)
{
	struct identity foreign = identity_of("DNS:example.org", &stranger);
	struct identity next = identity_of("DNS:example.org", &stranger);
	struct tlsa_set set = {.n_records = TLSA_RECORDS_MAX};

	(void)state;
	policy.host = "h.test";
	policy.tlsa = &set;
	/* One matching record is enough, at any position: this allows keys to be changed. */
	for (size_t i = 0; i < TLSA_RECORDS_MAX; i++) {
		set.records[i] = record_of(&next, DANE_EE, SELECTOR_SPKI, MATCH_SHA256);
		set.records[i].data[0] ^= (unsigned char)(i + 1);
	}
	assert_int_equal(show(&foreign, NULL), FAILURE_CERTIFICATE_DANE);
	for (size_t i = 0; i < TLSA_RECORDS_MAX; i++) {
		struct tlsa_record wrong = set.records[i];

		set.records[i] = record_of(&foreign, DANE_EE, SELECTOR_SPKI, MATCH_SHA256);
		assert_int_equal(show(&foreign, NULL), FAILURE_NONE);
		set.records[i] = wrong;
	}
	identity_free(&foreign);
	identity_free(&next);
}

/* RFC 6698, 4.1: as if there were no record. */
static void test_unusable(void **state)
{
	struct identity good = identity_of("DNS:example.org", &authority);
	struct identity foreign = identity_of("DNS:example.org", &stranger);
	struct tlsa_record usable = record_of(&foreign, DANE_EE, SELECTOR_SPKI, MATCH_SHA256);
	struct tlsa_record rows[7];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		rows[i] = usable;
	}
	rows[0].usage = 4;
	rows[1].selector = 2;
	rows[2].matching = 3;
	rows[3].n_data--;
	rows[4].n_data = 0;
	rows[5].matching = MATCH_FULL; /* a digest in place of a key */
	rows[6].usage = 255;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct tlsa_set set = {.n_records = 1, .records = {rows[i]}};

		policy.host = "h.test";
		policy.tlsa = &set;
		assert_int_equal(show(&good, NULL), FAILURE_NONE);
		assert_int_equal(show(&foreign, NULL), FAILURE_CERTIFICATE_UNTRUSTED);
		/* Next to a usable record, unusable ones are ignored. */
		set.n_records = 2;
		set.records[1] = usable;
		assert_int_equal(show(&foreign, NULL), FAILURE_NONE);
		assert_int_equal(show(&good, NULL), FAILURE_CERTIFICATE_DANE);
	}
	policy.tlsa = &(struct tlsa_set){.n_records = 0};
	assert_int_equal(show(&good, NULL), FAILURE_NONE);
	assert_int_equal(show(&foreign, NULL), FAILURE_CERTIFICATE_UNTRUSTED);
	identity_free(&good);
	identity_free(&foreign);
}

static void test_dane_words(void **state)
{
	struct identity good = identity_of("DNS:other.test", &authority);
	struct tlsa_set set = {
		.n_records = 1,
		.records = {record_of(&stranger, DANE_TA, SELECTOR_SPKI, MATCH_SHA256)}};
	SSL_CTX *server = server_new(&good, &authority, 0);

	(void)state;
	policy.host = "xmpp.hoster.test";
	policy.tlsa = &set;
	assert_string_equal(visit(store, &policy, server).failure.detail,
			    "no TLSA record of xmpp.hoster.test matches it");
	set.records[0] = record_of(&authority, DANE_TA, SELECTOR_SPKI, MATCH_SHA256);
	assert_string_equal(
		visit(store, &policy, server).failure.detail,
		"names in the certificate: other.test; wanted: example.org or xmpp.hoster.test");
	SSL_CTX_free(server);
	identity_free(&good);
}

/* Pins also restrict what a record allows. Without verification, neither counts. */
static void test_dane_with_others(void **state)
{
	struct identity foreign = identity_of("DNS:example.org", &stranger);
	struct pin pin;

	(void)state;
	assert_int_equal(pin_of(stranger.certificate, &pin), 0);
	policy.pins = &pin;
	policy.n_pins = 1;
	assert_int_equal(show_with(&foreign, NULL, &foreign, DANE_EE), FAILURE_CERTIFICATE_PIN);
	assert_int_equal(pin_of(foreign.certificate, &pin), 0);
	assert_int_equal(show_with(&foreign, NULL, &foreign, DANE_EE), FAILURE_NONE);
	memset(&pin, 0, sizeof(pin));
	policy.must_verify = false;
	assert_int_equal(show_with(&foreign, NULL, &authority, DANE_EE), FAILURE_NONE);
	identity_free(&foreign);
}

static int make(void **state)
{
	(void)state;
	authority =
		identity_new(&(struct identity_spec){.name = "authority", .is_authority = true});
	stranger = identity_new(&(struct identity_spec){.name = "stranger", .is_authority = true});
	trust_file(&authority, authority_file);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	unlink(authority_file);
	identity_free(&authority);
	identity_free(&stranger);
	return 0;
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
	tls_store_free(store);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pin_text),
		cmocka_unit_test(test_pin_of),
		cmocka_unit_test_setup_teardown(test_pins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pin_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pin_is_not_enough, setup, teardown),
		cmocka_unit_test_setup_teardown(test_usages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dane_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dane_dates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_selectors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unusable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dane_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dane_with_others, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make, destroy);
}
