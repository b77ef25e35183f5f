/* SPDX-License-Identifier: MIT */
#pragma once
/* A folder with the files that a `tls` section names. For one source file of a program, after
 * cmocka.h. */
#include <grp.h>
#include <malloc.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "gateway/config/tls-server.h"
#include "tests/unit/gateway/config/config-case.h"
#include "tests/unit/gateway/upstream/tls-case.h"

static char folder[] = "/tmp/doab-listener-XXXXXX";

/* The path of @name in the folder of this test, until the fourth call from now. */
static inline const char *in_folder(const char *name)
{
	static char paths[4][64];
	static unsigned i;
	char *path = paths[i++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static inline void write_key(const char *name, EVP_PKEY *key, const char *password)
{
	FILE *file = fopen(in_folder(name), "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, key, password ? EVP_aes_128_cbc() : NULL, NULL,
					      0, NULL, (void *)(uintptr_t)password),
			 1);
	fclose(file);
}

static inline void write_certificate(const char *name, X509 *certificate, EVP_PKEY *key)
{
	FILE *file = fopen(in_folder(name), "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	if (key) {
		assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	}
	fclose(file);
}

static inline void write_ocsp(const char *name, const struct identity *identity, int status)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, identity->certificate, identity->certificate);
	ASN1_TIME *now = X509_gmtime_adj(NULL, 0);

	assert_non_null(
		OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, now, NULL));
	assert_int_equal(
		OCSP_basic_sign(basic, identity->certificate, identity->key, EVP_sha256(), NULL, 0),
		1);
	OCSP_RESPONSE *response = OCSP_response_create(
		status, status == OCSP_RESPONSE_STATUS_SUCCESSFUL ? basic : NULL);
	BIO *bio = BIO_new_file(in_folder(name), "wb");

	assert_int_equal(i2d_OCSP_RESPONSE_bio(bio, response), 1);
	BIO_free(bio);
	OCSP_RESPONSE_free(response);
	ASN1_TIME_free(now);
	OCSP_CERTID_free(id);
	OCSP_BASICRESP_free(basic);
}

static inline int setup_files(void **state)
{
	if (setup(state) < 0 || !mkdtemp(folder)) {
		return -1;
	}
	struct identity ours = identity_new(&(struct identity_spec){.name = "chat.example"});
	struct identity others = identity_new(&(struct identity_spec){.name = "other.example"});

	write_certificate("cert.pem", ours.certificate, NULL);
	write_certificate("both.pem", ours.certificate, ours.key);
	write_key("key.pem", ours.key, NULL);
	write_key("other.pem", others.key, NULL);
	write_key("locked.pem", ours.key, "secret");
	write_ocsp("good.der", &ours, OCSP_RESPONSE_STATUS_SUCCESSFUL);
	write_ocsp("bad.der", &ours, OCSP_RESPONSE_STATUS_TRYLATER);
	identity_free(&ours);
	identity_free(&others);
	return 0;
}

static inline int remove_files(void **state)
{
	static const char *const names[] = {"cert.pem",   "both.pem", "key.pem", "other.pem",
					    "locked.pem", "good.der", "bad.der"};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		(void)unlink(in_folder(names[i]));
	}
	return rmdir(folder) | teardown(state);
}
