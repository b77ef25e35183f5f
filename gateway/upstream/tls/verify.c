/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/tls/verify.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/upstream/tls/certificate.h"
#include "gateway/upstream/tls/pin.h"

enum {
	USAGE_DANE_EE = 3, /* RFC 7218 */
};

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free);

/* The usable records, sorted: the DNS gives them in any order. */
struct usable {
	size_t n;
	const struct tlsa_record *records[TLSA_RECORDS_MAX];
};

struct verify *verify_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

void verify_free(SSL *ssl)
{
	struct verify *verify = verify_of(ssl);

	if (verify) {
		SSL_SESSION_free(verify->fresh);
	}
	free(verify);
	SSL_set_app_data(ssl, NULL);
}

/* The trust key. */

/* Each field has its length before it, so that different lists of fields have different digests. */
static bool add_field(EVP_MD_CTX *digest, const void *data, size_t n)
{
	return EVP_DigestUpdate(digest, &n, sizeof(n)) && EVP_DigestUpdate(digest, data, n);
}

static bool add_text(EVP_MD_CTX *digest, const char *text)
{
	return add_field(digest, text ? text : "", text ? strlen(text) : 0);
}

static bool add_record(EVP_MD_CTX *digest, const struct tlsa_record *record)
{
	const uint8_t kind[] = {record->usage, record->selector, record->matching};

	return add_field(digest, kind, sizeof(kind)) &&
	       add_field(digest, record->data, record->n_data);
}

static bool add_policy(EVP_MD_CTX *digest, const struct tls_policy *policy,
		       const struct usable *usable)
{
	bool is_good = add_field(digest, &policy->must_verify, sizeof(policy->must_verify)) &&
		       add_text(digest, policy->domain);

	if (!is_good || !policy->must_verify) {
		return is_good;
	}
	is_good = add_text(digest, policy->ca_file) &&
		  add_field(digest, policy->pins, policy->n_pins * sizeof(*policy->pins)) &&
		  add_text(digest, usable->n ? policy->host : NULL);
	for (size_t i = 0; is_good && i < usable->n; i++) {
		is_good = add_record(digest, usable->records[i]);
	}
	return is_good;
}

static int make_trust_key(const struct tls_policy *policy, const struct usable *usable,
			  unsigned char ret_key[static TRUST_KEY_SIZE])
{
	_cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *digest = EVP_MD_CTX_new();

	if (!digest || !EVP_DigestInit_ex(digest, EVP_sha256(), NULL) ||
	    !add_policy(digest, policy, usable) || !EVP_DigestFinal_ex(digest, ret_key, NULL)) {
		return -ENOMEM;
	}
	return 0;
}

/* DANE. */

static int record_compare(const void *a, const void *b)
{
	const struct tlsa_record *x = *(const struct tlsa_record *const *)a;
	const struct tlsa_record *y = *(const struct tlsa_record *const *)b;

	if (x->n_data != y->n_data) {
		return x->n_data < y->n_data ? -1 : 1;
	}
	int order = memcmp(x->data, y->data, x->n_data);

	/* The three bytes of the kind are the first members. */
	return order ? order : memcmp(x, y, offsetof(struct tlsa_record, n_data));
}

static int add_tlsa(SSL *ssl, const struct tls_policy *policy, struct usable *usable)
{
	if (!policy->must_verify || !policy->tlsa || policy->tlsa->n_records == 0) {
		return 0;
	}
	assert(policy->tlsa->n_records <= TLSA_RECORDS_MAX);
	if (SSL_dane_enable(ssl, policy->host) <= 0) {
		return -ENOMEM;
	}
	/* OpenSSL would accept only this name, and would look for it in the CN as well. */
	X509_VERIFY_PARAM_set1_host(SSL_get0_param(ssl), NULL, 0);
	for (size_t i = 0; i < policy->tlsa->n_records; i++) {
		const struct tlsa_record *record = &policy->tlsa->records[i];
		int r = SSL_dane_tlsa_add(ssl, record->usage, record->selector, record->matching,
					  record->data, record->n_data);

		if (r < 0) {
			return -ENOMEM;
		}
		if (r > 0) {
			usable->records[usable->n++] = record;
		}
	}
	ERR_clear_error();
	qsort(usable->records, usable->n, sizeof(*usable->records), record_compare);
	return 0;
}

int verify_new(SSL *ssl, const struct tls_policy *policy, struct session_cache *cache)
{
	struct usable usable = {0};
	int r = add_tlsa(ssl, policy, &usable);

	if (r < 0) {
		return r;
	}
	size_t n_domain = strlen(policy->domain) + 1;
	size_t n_host = usable.n ? strlen(policy->host) + 1 : 0;
	size_t n_pins = policy->n_pins * sizeof(*policy->pins);
	struct verify *verify = calloc(1, sizeof(*verify) + n_domain + n_host + n_pins);

	if (!verify || !SSL_set_app_data(ssl, verify)) {
		free(verify);
		return -ENOMEM;
	}
	verify->cache = cache;
	verify->epoch = session_cache_epoch(cache);
	verify->is_direct = policy->is_direct;
	verify->domain = memcpy(verify->bytes, policy->domain, n_domain);
	verify->host = n_host ? memcpy(verify->bytes + n_domain, policy->host, n_host) : NULL;
	if (n_pins) {
		/* Its alignment is that of bytes. */
		verify->pins = memcpy(verify->bytes + n_domain + n_host, policy->pins, n_pins);
		verify->n_pins = policy->n_pins;
	}
	r = make_trust_key(policy, &usable, verify->key);
	if (r < 0) {
		return r;
	}
	return SSL_set_session_id_context(ssl, verify->key, TRUST_KEY_SIZE) ? 0 : -ENOMEM;
}

static void keep_dane(SSL *ssl, struct verify_dane *dane)
{
	dane->is_found = SSL_get0_dane_tlsa(ssl, &dane->usage, &dane->selector, &dane->matching,
					    NULL, NULL) >= 0;
}

/* Whether a DANE-EE record matched. Then nothing else in the certificate matters. */
static bool has_dane_ee(const struct verify *verify)
{
	return verify->dane.is_found && verify->dane.usage == USAGE_DANE_EE;
}

static bool is_named(const struct verify *verify, const X509 *certificate)
{
	return has_dane_ee(verify) || certificate_names(certificate, verify->domain) ||
	       (verify->host && certificate_names(certificate, verify->host));
}

/* Frees all certificates that the server has sent but its own. OpenSSL would keep them in the
 * session, for as long as the connection, the cache and what is resumed from it live. Nobody signs
 * what stands in those that prove nothing: 30 KB of names of one letter take 360 KB of memory. */
static void drop_issuers(STACK_OF(X509) * sent, struct verify *verify)
{
	verify->n_sent = (size_t)sk_X509_num(sent);
	while (sk_X509_num(sent) > 1) {
		X509_free(sk_X509_pop(sent));
	}
}

static int verify_chain(X509_STORE_CTX *verification, SSL *ssl, struct verify *verify)
{
	if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE) {
		return 1;
	}
	if (X509_verify_cert(verification) <= 0) {
		return 0;
	}
	const X509 *certificate = X509_STORE_CTX_get0_cert(verification);

	keep_dane(ssl, &verify->dane);
	if (!is_named(verify, certificate)) {
		X509_STORE_CTX_set_error(verification, X509_V_ERR_HOSTNAME_MISMATCH);
		return 0;
	}
	if (verify->n_pins && !pins_match(verify->pins, verify->n_pins, certificate)) {
		X509_STORE_CTX_set_error(verification, X509_V_ERR_APPLICATION_VERIFICATION);
		return 0;
	}
	return 1;
}

int verify_certificate(X509_STORE_CTX *verification, void *userdata)
{
	(void)userdata;
	SSL *ssl = X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct verify *verify = verify_of(ssl);
	int r;

	/* First: what OpenSSL makes of the certificate when it is verified or used takes most of
	 * the memory. */
	verify->is_too_large = i2d_X509(X509_STORE_CTX_get0_cert(verification), NULL) > TLS_OWN_MAX;
	if (verify->is_too_large) {
		/* Without it, OpenSSL goes on whatever this function says. */
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
		X509_STORE_CTX_set_error(verification, X509_V_ERR_UNSPECIFIED);
		r = 0;
	} else {
		r = verify_chain(verification, ssl, verify);
	}
	drop_issuers(X509_STORE_CTX_get0_untrusted(verification), verify);
	return r;
}

static int64_t end_of(const X509 *certificate)
{
	struct tm utc;

	return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) ? (int64_t)timegm(&utc) : 0;
}

int64_t verify_until(SSL *ssl, int64_t now)
{
	STACK_OF(X509) *chain = has_dane_ee(verify_of(ssl)) ? NULL : SSL_get0_verified_chain(ssl);
	int n_chain = chain ? sk_X509_num(chain) : 0;
	int64_t until = now + TLS_SESSION_AGE_MAX;

	for (int i = 0; i < n_chain; i++) {
		int64_t end = end_of(sk_X509_value(chain, i));

		until = end < until ? end : until;
	}
	return until;
}
