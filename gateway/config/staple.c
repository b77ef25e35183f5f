/* SPDX-License-Identifier: MIT */
#include "gateway/config/staple.h"

#include <errno.h>
#include <openssl/ocsp.h>

/* Belongs to the context. */
struct staple {
	unsigned char *der;
	int n;
	ASN1_GENERALIZEDTIME *until; /* NULL: newer ones are there at any time */
};

static void staple_free(struct staple *staple)
{
	if (staple) {
		OPENSSL_free(staple->der);
		ASN1_GENERALIZEDTIME_free(staple->until);
		OPENSSL_free(staple);
	}
}

static void on_context_freed(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index,
			     long number, void *argument)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)number;
	(void)argument;
	staple_free(pointer);
}

static int slot = -1;

static void make_slot(void)
{
	slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_freed);
}

static int on_asked(SSL *ssl, void *userdata)
{
	const struct staple *staple = userdata;
	unsigned char *copy;

	if (staple->until && X509_cmp_current_time(staple->until) < 0) {
		return SSL_TLSEXT_ERR_NOACK;
	}
	copy = OPENSSL_memdup(staple->der, (size_t)staple->n);
	if (!copy) {
		return SSL_TLSEXT_ERR_NOACK;
	}
	/* Takes it. */
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, staple->n);
	return SSL_TLSEXT_ERR_OK;
}

/* Finds when the first of the answers in @basic is out of date. Returns 0 or -ENOMEM. */
static int end_of(OCSP_BASICRESP *basic, ASN1_GENERALIZEDTIME **ret_until)
{
	ASN1_GENERALIZEDTIME *until = NULL;

	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		ASN1_GENERALIZEDTIME *next = NULL;

		OCSP_single_get0_status(OCSP_resp_get0(basic, i), NULL, NULL, NULL, &next);
		if (next && (!until || ASN1_TIME_compare(next, until) < 0)) {
			until = next;
		}
	}
	*ret_until = until ? ASN1_STRING_dup(until) : NULL;
	return until && !*ret_until ? -ENOMEM : 0;
}

static OCSP_RESPONSE *read_response(const char *file)
{
	BIO *bio = BIO_new_file(file, "rb");
	OCSP_RESPONSE *response = bio ? d2i_OCSP_RESPONSE_bio(bio, NULL) : NULL;

	BIO_free(bio);
	return response;
}

static int keep(SSL_CTX *context, OCSP_RESPONSE *response, OCSP_BASICRESP *basic)
{
	static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
	struct staple *staple = OPENSSL_zalloc(sizeof(*staple));

	if (!staple || !CRYPTO_THREAD_run_once(&once, make_slot) || slot < 0) {
		staple_free(staple);
		return -ENOMEM;
	}
	staple->n = i2d_OCSP_RESPONSE(response, &staple->der);
	if (staple->n <= 0 || end_of(basic, &staple->until) < 0 ||
	    SSL_CTX_set_ex_data(context, slot, staple) != 1) {
		staple_free(staple);
		return -ENOMEM;
	}
	SSL_CTX_set_tlsext_status_cb(context, on_asked);
	SSL_CTX_set_tlsext_status_arg(context, staple);
	return 0;
}

int staple_load(SSL_CTX *context, const char *file)
{
	OCSP_RESPONSE *response = read_response(file);
	/* A response of another status has no contents. */
	OCSP_BASICRESP *basic = response ? OCSP_response_get1_basic(response) : NULL;
	int r = basic ? keep(context, response, basic) : -EINVAL;

	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	return r;
}
