/* SPDX-License-Identifier: MIT */
/*
 * tls/report.h, tls/verify.h and tls_failure(). The input is what the policy asks for, and a
 * certificate in DER that a server shows in a handshake, with a key of ours. A certificate is taken
 * only if it names the domain, or if DANE or the policy need no name; the failure and the report
 * agree on what is wrong, and the report is text that ends.
 *
 * covers: gateway/upstream/tls/report.c gateway/upstream/tls/failure.c
 * covers: gateway/upstream/tls/verify.c
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/gateway/upstream/tls-case.h"

enum {
	IS_VERIFIED = 1 << 0,
	IS_SIGNED = 1 << 1, /* by the authority that the policy trusts */
	HAS_PIN = 1 << 2,
	PIN_MATCHES = 1 << 3,
	HAS_TLSA = 1 << 4,
	TLSA_MATCHES = 1 << 5,
	IS_OLD = 1 << 6, /* TLS 1.2 */
	USAGE_EE = 3,
};

static const char domain[] = "a.example.org";
static const char host[] = "h.example.org";

/* Made once, as nothing in them depends on an input. */
static struct {
	struct identity authority;
	EVP_PKEY *key;
	char file[TRUST_PATH_SIZE];
} ours;

static void make_ours(void)
{
	if (!ours.key) {
		ours.authority = identity_new(
			&(struct identity_spec){.name = "authority", .is_authority = true});
		ours.key = EVP_EC_gen("P-256");
		trust_file(&ours.authority, ours.file);
	}
}

/* The certificate of the input with our key. NULL if it is none. */
static X509 *read_certificate(struct sv input, bool is_signed)
{
	const unsigned char *at = (const unsigned char *)input.data;
	X509 *certificate = d2i_X509(NULL, &at, (long)input.n);

	if (certificate && !X509_set_pubkey(certificate, ours.key)) {
		X509_free(certificate);
		return NULL;
	}
	if (certificate && is_signed) {
		(void)X509_set_issuer_name(certificate,
					   X509_get_subject_name(ours.authority.certificate));
		(void)X509_sign(certificate, ours.authority.key, EVP_sha256());
	}
	return certificate;
}

static SSL_CTX *server_of(X509 *certificate, int version)
{
	SSL_CTX *server = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(server, 0);
	if (SSL_CTX_use_certificate(server, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey(server, ours.key) != 1 ||
	    SSL_CTX_set_min_proto_version(server, version) != 1 ||
	    SSL_CTX_set_max_proto_version(server, version) != 1) {
		SSL_CTX_free(server);
		return NULL;
	}
	return server;
}

static void check_text(const char *text, size_t size)
{
	FUZZ_CHECK(strnlen(text, size) < size);
}

static void check_report(const struct tls_report *report)
{
	check_text(report->subject, sizeof(report->subject));
	check_text(report->issuer, sizeof(report->issuer));
	check_text(report->anchor, sizeof(report->anchor));
	check_text(report->key, sizeof(report->key));
	check_text(report->pin, sizeof(report->pin));
	for (size_t i = 0; i < report->n_names && i < TLS_REPORT_NAMES_MAX; i++) {
		check_text(report->names[i].text, sizeof(report->names[i].text));
	}
	FUZZ_CHECK(!report->named || strcmp(report->named, domain) == 0 ||
		   strcmp(report->named, host) == 0);
}

static bool is_by_key(const struct tls_report *report)
{
	return report->dane == TLS_FINDING_GOOD && report->dane_usage == USAGE_EE;
}

static void check_taken(const struct tls_report *report, const X509 *certificate)
{
	FUZZ_CHECK(is_by_key(report) || certificate_names(certificate, domain) ||
		   (report->dane == TLS_FINDING_GOOD && certificate_names(certificate, host)));
	FUZZ_CHECK(report->chain != TLS_FINDING_BAD && report->name == TLS_FINDING_GOOD);
	FUZZ_CHECK(report->pinned != TLS_FINDING_BAD && report->dane != TLS_FINDING_BAD);
}

static void check_refused(const struct tls_report *report, const struct failure *failure)
{
	check_text(failure->detail, sizeof(failure->detail));
	switch (failure->kind) {
	case FAILURE_CERTIFICATE_NAME:
		FUZZ_CHECK(report->name == TLS_FINDING_BAD && report->chain != TLS_FINDING_BAD);
		break;
	case FAILURE_CERTIFICATE_PIN:
		FUZZ_CHECK(report->pinned == TLS_FINDING_BAD && report->name == TLS_FINDING_GOOD);
		break;
	case FAILURE_CERTIFICATE_DANE:
		FUZZ_CHECK(report->dane == TLS_FINDING_BAD);
		break;
	case FAILURE_TLS_HANDSHAKE:
	case FAILURE_TLS_PROTOCOL:
		break;
	default:
		FUZZ_CHECK(report->chain == TLS_FINDING_BAD && report->chain_words);
		FUZZ_CHECK(failure->kind >= FAILURE_CERTIFICATE_EXPIRED &&
			   failure->kind <= FAILURE_CERTIFICATE_INVALID);
		break;
	}
}

static void shake(SSL *client, SSL_CTX *context, const X509 *certificate, bool is_verified)
{
	struct failure failure = {.kind = FAILURE_NONE};
	struct tls_report report;
	SSL *server = SSL_new(context);
	BIO *ours_bio, *theirs;

	assert_int_equal(BIO_new_bio_pair(&ours_bio, 128 * 1024, &theirs, 128 * 1024), 1);
	SSL_set_bio(client, ours_bio, ours_bio);
	SSL_set_bio(server, theirs, theirs);
	SSL_set_accept_state(server);
	bool is_open = shake_hands(client, server) == 1;

	if (!is_open) {
		tls_failure(client, &failure);
		FUZZ_CHECK(failure.kind != FAILURE_NONE);
	}
	tls_report(client, &report);
	check_report(&report);
	if (is_verified && is_open) {
		check_taken(&report, certificate);
	} else if (is_verified) {
		check_refused(&report, &failure);
	}
	SSL_free(server);
}

/* The records of the host: one of any kind from the input, and one that may match the key. */
static void read_records(struct sv *input, unsigned decisions, const struct pin *pin,
			 struct tlsa_set *ret_set)
{
	unsigned kind = fuzz_byte(input);
	struct tlsa_record *any = &ret_set->records[0], *own = &ret_set->records[1];

	*any = (struct tlsa_record){.usage = kind & 7,
				    .selector = kind >> 3 & 3,
				    .matching = kind >> 5 & 3,
				    .n_data = kind & 64 ? 32 : 64};
	memset(any->data, (int)kind, any->n_data);
	*own = (struct tlsa_record){
		.usage = USAGE_EE, .selector = 1, .matching = 1, .n_data = sizeof(pin->sha256)};
	memcpy(own->data, pin->sha256, sizeof(pin->sha256));
	ret_set->n_records = decisions & TLSA_MATCHES ? 2 : 1;
}

void fuzz_one(struct sv input)
{
	unsigned decisions = fuzz_byte(&input);
	struct tls_store *store;
	struct tlsa_set tlsa = {0};
	struct pin pin, other;
	SSL *client;

	make_ours();
	assert_int_equal(pin_of(ours.authority.certificate, &other), 0);
	pin = other;
	/* The key is always ours, whatever the certificate is. */
	X509 *sample = X509_new();

	FUZZ_CHECK(sample && X509_set_pubkey(sample, ours.key) && pin_of(sample, &pin) == 0);
	X509_free(sample);
	read_records(&input, decisions, &pin, &tlsa);
	X509 *certificate = read_certificate(input, decisions & IS_SIGNED);
	SSL_CTX *server = certificate ? server_of(certificate, decisions & IS_OLD ? TLS1_2_VERSION
										  : TLS1_3_VERSION)
				      : NULL;
	const struct tls_policy policy = {
		.domain = domain,
		.ca_file = ours.file,
		.must_verify = decisions & IS_VERIFIED,
		.pins = decisions & PIN_MATCHES ? &pin : &other,
		.n_pins = decisions & HAS_PIN ? 1 : 0,
		.host = decisions & HAS_TLSA ? host : NULL,
		.tlsa = decisions & HAS_TLSA ? &tlsa : NULL,
	};

	if (server) {
		assert_int_equal(tls_store_new(&store), 0);
		assert_int_equal(tls_connection_new(store, &policy, &client), 0);
		shake(client, server, certificate, policy.must_verify);
		tls_connection_free(client);
		tls_store_free(store);
		SSL_CTX_free(server);
	}
	X509_free(certificate);
	ERR_clear_error();
}
