/* SPDX-License-Identifier: MIT */
/* What a `tls` section makes of OpenSSL: the context of a listener, also without memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>

#include "tests/unit/gateway/config/listener-case.h"
#include "tests/unit/gateway/upstream/tls-case.h"

/* What a client says after its handshake, and whether OpenSSL has freed memory with that in it. */
#define SECRET "a password that nobody may find in memory that is free"
static bool is_left;

/* The next block that OpenSSL asks for is not there. */
static bool has_no_block;

static void *openssl_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (has_no_block) {
		has_no_block = false;
		return NULL;
	}
	return malloc(n);
}

static void openssl_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	if (block && memmem(block, malloc_usable_size(block), SECRET, strlen(SECRET))) {
		is_left = true;
	}
	free(block);
}

static void *openssl_realloc(void *block, size_t n, const char *file, int line)
{
	size_t n_before = malloc_usable_size(block);
	void *moved = malloc(n);

	if (moved && block) {
		memcpy(moved, block, n_before < n ? n_before : n);
		openssl_free(block, file, line);
	}
	return moved;
}

static void pass_secret(SSL *from, SSL *to)
{
	char bytes[sizeof(SECRET)];

	assert_int_equal(SSL_write(from, SECRET, sizeof(SECRET)), sizeof(SECRET));
	assert_int_equal(SSL_read(to, bytes, sizeof(bytes)), sizeof(SECRET));
	assert_string_equal(bytes, SECRET);
	/* What is not read is freed with the connection. */
	assert_int_equal(SSL_write(from, SECRET, sizeof(SECRET)), sizeof(SECRET));
	assert_int_equal(SSL_read(to, bytes, 1), 1);
}

/* The handshake of a client that offers @alpn, and @version or any; NULL when it fails, or the
 * protocol that was chosen. */
static const char *handshake_with(SSL_CTX *server, int version, const char *alpn)
{
	static char chosen[16];
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	const unsigned char *name;
	unsigned n;

	if (version) {
		SSL_CTX_set_min_proto_version(client, version);
		SSL_CTX_set_max_proto_version(client, version);
	}
	assert_int_equal(SSL_CTX_set_alpn_protos(client, (const unsigned char *)alpn,
						 (unsigned)strlen(alpn)),
			 0);
	SSL *one = SSL_new(client);
	SSL *two = SSL_new(server);
	BIO *a;
	BIO *b;

	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(one, a, a);
	SSL_set_bio(two, b, b);
	SSL_set_connect_state(one);
	SSL_set_accept_state(two);
	int r = shake_hands(one, two);

	SSL_get0_alpn_selected(one, &name, &n);
	snprintf(chosen, sizeof(chosen), "%.*s", (int)n, (const char *)name);
	if (r == 1) {
		pass_secret(one, two);
	}
	ERR_clear_error();
	SSL_free(one);
	SSL_free(two);
	SSL_CTX_free(client);
	assert_false(is_left);
	return r == 1 ? chosen : NULL;
}

static void test_context(void **state)
{
	char none[] = "";
	struct config_listener_tls tls = {
		.certificate = (char *)(uintptr_t)in_folder("both.pem"),
		.ciphers = none,
		.ciphersuites = none,
		.versions = CONFIG_TLS_1_3,
		.tickets = true,
	};
	char why[TLS_SERVER_WHY_MAX];
	SSL_CTX *context;

	(void)state;
	assert_int_equal(tls_server_new(&tls, why, &context), 0);
	assert_string_equal(handshake_with(context, 0, "\x02h2\x08http/1.1"), "http/1.1");
	assert_string_equal(handshake_with(context, 0, "\x02h2"), "");
	assert_null(handshake_with(context, TLS1_2_VERSION, "\x02h2"));
	SSL_CTX_free(context);

	tls.versions = CONFIG_TLS_1_2;
	assert_int_equal(tls_server_new(&tls, why, &context), 0);
	assert_non_null(handshake_with(context, TLS1_2_VERSION, "\x02h2"));
	assert_null(handshake_with(context, TLS1_3_VERSION, "\x02h2"));
	SSL_CTX_free(context);

	tls.verify = CONFIG_VERIFY_REQUIRED;
	tls.client_ca = tls.certificate;
	assert_int_equal(tls_server_new(&tls, why, &context), 0);
	assert_null(handshake_with(context, TLS1_2_VERSION, "\x02h2"));
	SSL_CTX_free(context);
	tls.verify = CONFIG_VERIFY_OPTIONAL;
	assert_int_equal(tls_server_new(&tls, why, &context), 0);
	assert_non_null(handshake_with(context, TLS1_2_VERSION, "\x02h2"));
	SSL_CTX_free(context);
}

/* OpenSSL's function that has no memory for its first block while it sets up a context. */
static const char *without_memory = "";
/* It makes one, and calls some of the functions below. */
static bool makes_context;

#define REAL(name) (__extension__(__typeof__(&(name))) dlsym(RTLD_NEXT, #name))

/* Defines the function @name in place of OpenSSL's. */
#define WITHOUT_MEMORY(type, name, parameters, arguments)                            \
	type name parameters                                                         \
	{                                                                            \
		has_no_block = !makes_context && strcmp(without_memory, #name) == 0; \
		type result = REAL(name) arguments;                                  \
                                                                                     \
		has_no_block = false;                                                \
		return result;                                                       \
	}

WITHOUT_MEMORY(int, SSL_CTX_use_certificate_chain_file, (SSL_CTX * context, const char *file),
	       (context, file))
WITHOUT_MEMORY(int, SSL_CTX_use_PrivateKey_file, (SSL_CTX * context, const char *file, int type),
	       (context, file, type))
WITHOUT_MEMORY(int, SSL_CTX_set_cipher_list, (SSL_CTX * context, const char *list), (context, list))
WITHOUT_MEMORY(int, SSL_CTX_set_ciphersuites, (SSL_CTX * context, const char *list),
	       (context, list))
WITHOUT_MEMORY(STACK_OF(X509_NAME) *, SSL_load_client_CA_file, (const char *file), (file))

/* In place of OpenSSL's. */
SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
{
	makes_context = true;
	SSL_CTX *context = REAL(SSL_CTX_new)(method);

	makes_context = false;
	return context;
}

/* OpenSSL takes no list of groups with this in it. NULL: it takes what it can. */
static const char *unknown_group;
/* What it says of those. 0: nothing. */
static int unknown_reason;
/* The last list that was not one of those. */
static char groups_tried[64];

static long set_groups(SSL_CTX *context, int command, long number, void *list)
{
	if (unknown_group && (strstr(list, unknown_group) || strcmp(list, "none") == 0)) {
		if (unknown_reason) {
			ERR_raise(ERR_LIB_SSL, unknown_reason);
		}
		return 0;
	}
	snprintf(groups_tried, sizeof(groups_tried), "%s", (const char *)list);
	has_no_block = strcmp(without_memory, "groups") == 0;
	if (has_no_block) {
		/* Only once. */
		without_memory = "";
	}
	long r = REAL(SSL_CTX_ctrl)(context, command, number, list);

	has_no_block = false;
	return r;
}

/* In place of OpenSSL's. */
long SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *pointer)
{
	return command == SSL_CTRL_SET_GROUPS_LIST && !makes_context
		     ? set_groups(context, command, number, pointer)
		     : REAL(SSL_CTX_ctrl)(context, command, number, pointer);
}

static struct config_listener_tls whole_section(void)
{
	static char ciphers[] = "ECDHE+AESGCM", ciphersuites[] = "TLS_AES_128_GCM_SHA256";

	return (struct config_listener_tls){
		.certificate = (char *)(uintptr_t)in_folder("both.pem"),
		.ciphers = ciphers,
		.ciphersuites = ciphersuites,
		.versions = CONFIG_TLS_1_2 | CONFIG_TLS_1_3,
		.verify = CONFIG_VERIFY_REQUIRED,
		.client_ca = (char *)(uintptr_t)in_folder("both.pem"),
	};
}

/* Returns what tls_server_new() returns, and frees what it makes. */
static int try_section(const struct config_listener_tls *tls, char why[static TLS_SERVER_WHY_MAX])
{
	SSL_CTX *context = NULL;
	int r = tls_server_new(tls, why, &context);

	assert_int_equal(ERR_peek_error(), 0);
	SSL_CTX_free(context);
	return r;
}

/* What fopen(3) says of a file, where it is not to open it. */
static int fopen_error;
static const char *fopen_refused = "";

/* In the place of the C library's, which OpenSSL calls. */
FILE *fopen64(const char *path, const char *mode)
{
	if (strcmp(path, fopen_refused) == 0) {
		errno = fopen_error;
		return NULL;
	}
	return REAL(fopen64)(path, mode);
}

/* The same for memory that a file needs to be opened; other reasons are named. */
static void test_without_file(void **state)
{
	struct config_listener_tls tls = whole_section();
	char why[TLS_SERVER_WHY_MAX];

	(void)state;
	tls.certificate = strdup(in_folder("cert.pem"));
	tls.key = strdup(in_folder("key.pem"));
	tls.client_ca = strdup(in_folder("both.pem"));
	const char *const files[] = {tls.certificate, tls.key, tls.client_ca};

	assert_int_equal(try_section(&tls, why), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		fopen_refused = files[i];
		fopen_error = ENOMEM;
		int r = try_section(&tls, why);

		fopen_error = EMFILE;
		int others = try_section(&tls, why);

		fopen_refused = "";
		if (r != -ENOMEM || others != -EINVAL || !strstr(why, strerror(EMFILE))) {
			fail_msg("%s: %d, %d, %s", files[i], r, others, why);
		}
	}
	free(tls.certificate);
	free(tls.key);
	free(tls.client_ca);
}

/* It is not said of a file or a list that it is wrong. */
static void test_without_memory(void **state)
{
	static const char *const functions[] = {
		"SSL_CTX_use_certificate_chain_file",
		"SSL_CTX_use_PrivateKey_file",
		"SSL_CTX_set_cipher_list",
		"SSL_CTX_set_ciphersuites",
		"SSL_load_client_CA_file",
		"groups",
	};
	const struct config_listener_tls tls = whole_section();
	char why[TLS_SERVER_WHY_MAX];

	(void)state;
	assert_int_equal(try_section(&tls, why), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(functions); i++) {
		without_memory = functions[i];
		int r = try_section(&tls, why);

		without_memory = "";
		if (r != -ENOMEM) {
			fail_msg("%s: %d", functions[i], r);
		}
	}
}

static void test_groups(void **state)
{
	const struct config_listener_tls tls = whole_section();
	char why[TLS_SERVER_WHY_MAX];

	(void)state;
	unknown_group = "MLKEM";
	unknown_reason = ERR_R_PASSED_INVALID_ARGUMENT;
	assert_int_equal(try_section(&tls, why), 0);
	assert_string_equal(groups_tried, "X25519:P-256:P-384");
	unknown_reason = 0;
	assert_int_equal(try_section(&tls, why), 0);
	assert_string_equal(groups_tried, "X25519:P-256:P-384");
	/* Not the next list, which is worse. */
	unknown_reason = ERR_R_MALLOC_FAILURE;
	assert_int_equal(try_section(&tls, why), -ENOMEM);
	unknown_group = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_without_file),
		cmocka_unit_test(test_groups),
	};

	/* Before OpenSSL allocates. */
	if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free)) {
		return 1;
	}
	return cmocka_run_group_tests(tests, setup_files, remove_files);
}
