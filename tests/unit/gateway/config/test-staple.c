/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <openssl/ocsp.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/config/staple.h"
#include "tests/unit/gateway/upstream/tls-case.h"

enum { TURNS_MAX = 10 };

/* The allocation of OpenSSL's that fails: 1 is the next, 0: none. */
static unsigned n_to_failure;

static bool fails(void)
{
	return n_to_failure && --n_to_failure == 0;
}

static void *on_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails() ? NULL : malloc(n);
}

static void *on_realloc(void *block, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return fails() ? NULL : realloc(block, n);
}

static void on_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	free(block);
}

static struct {
	struct identity identity;
	char file[64];
} one;

/* Writes a response that is out of date in @seconds. */
static void write_response(long seconds)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, one.identity.certificate, one.identity.certificate);
	ASN1_TIME *from = X509_gmtime_adj(NULL, -3600), *until = X509_gmtime_adj(NULL, seconds);

	assert_non_null(
		OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, from, until));
	assert_int_equal(OCSP_basic_sign(basic, one.identity.certificate, one.identity.key,
					 EVP_sha256(), NULL, 0),
			 1);
	OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	BIO *bio = BIO_new_file(one.file, "wb");

	assert_int_equal(i2d_OCSP_RESPONSE_bio(bio, response), 1);
	BIO_free(bio);
	OCSP_RESPONSE_free(response);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	OCSP_CERTID_free(id);
	OCSP_BASICRESP_free(basic);
}

/* The length of what a client of @context gets that asks for a staple; -1: nothing. */
static long staple_of(SSL_CTX *context)
{
	SSL_CTX *clients = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(clients), *server = SSL_new(context);
	const unsigned char *response;
	BIO *ours, *theirs;

	assert_int_equal(BIO_new_bio_pair(&ours, 0, &theirs, 0), 1);
	SSL_set_bio(client, ours, ours);
	SSL_set_bio(server, theirs, theirs);
	SSL_set_connect_state(client);
	SSL_set_accept_state(server);
	assert_int_equal(SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp), 1);
	for (int i = 0; i < TURNS_MAX; i++) {
		(void)SSL_do_handshake(client);
		(void)SSL_do_handshake(server);
	}
	assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(server));
	long n = SSL_get_tlsext_status_ocsp_resp(client, &response);

	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(clients);
	return n;
}

static int setup(void **state)
{
	(void)state;
	one.identity = identity_new(&(struct identity_spec){.name = "front"});
	snprintf(one.file, sizeof(one.file), "/tmp/doab-staple-XXXXXX");
	int fd = mkstemp(one.file);

	assert_true(fd >= 0);
	close(fd);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(one.file);
	identity_free(&one.identity);
	return 0;
}

static void test_until_it_is_out_of_date(void **state)
{
	SSL_CTX *context = server_new(&one.identity, NULL, 0);

	(void)state;
	write_response(3600);
	assert_int_equal(staple_load(context, one.file), 0);
	assert_true(staple_of(context) > 0);
	SSL_CTX_free(context);

	context = server_new(&one.identity, NULL, 0);
	write_response(-60);
	assert_int_equal(staple_load(context, one.file), 0);
	assert_int_equal(staple_of(context), -1);
	SSL_CTX_free(context);
}

/* Whichever allocation fails, what is out of date is not sent. */
static void test_no_memory(void **state)
{
	unsigned n_failed = 0;
	bool has_failed = true;

	(void)state;
	write_response(-60);
	for (unsigned i = 1; has_failed; i++) {
		SSL_CTX *context = server_new(&one.identity, NULL, 0);

		n_to_failure = i;
		int r = staple_load(context, one.file);

		has_failed = n_to_failure == 0;
		n_to_failure = 0;
		ERR_clear_error();
		assert_true(r == 0 || r == -ENOMEM || r == -EINVAL);
		if (r == 0) {
			assert_int_equal(staple_of(context), -1);
		}
		n_failed += r < 0;
		SSL_CTX_free(context);
	}
	assert_true(n_failed > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_until_it_is_out_of_date, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	/* Before OpenSSL allocates. */
	if (!CRYPTO_set_mem_functions(on_malloc, on_realloc, on_free)) {
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
