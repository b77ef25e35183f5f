/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <grp.h>
#include <malloc.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "gateway/config/tls-server.h"
#include "tests/unit/gateway/config/config-case.h"
#include "tests/unit/gateway/upstream/tls-case.h"

static char folder[] = "/tmp/doab-listener-XXXXXX";

/* The path of @name in the folder of this test, until the fourth call from now. */
static const char *in_folder(const char *name)
{
	static char paths[4][64];
	static unsigned i;
	char *path = paths[i++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void write_key(const char *name, EVP_PKEY *key, const char *password)
{
	FILE *file = fopen(in_folder(name), "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, key, password ? EVP_aes_128_cbc() : NULL, NULL,
					      0, NULL, (void *)(uintptr_t)password),
			 1);
	fclose(file);
}

static void write_certificate(const char *name, X509 *certificate, EVP_PKEY *key)
{
	FILE *file = fopen(in_folder(name), "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	if (key) {
		assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	}
	fclose(file);
}

static void write_ocsp(const char *name, const struct identity *identity, int status)
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

static int setup_files(void **state)
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

static int remove_files(void **state)
{
	static const char *const names[] = {"cert.pem",   "both.pem", "key.pem", "other.pem",
					    "locked.pem", "good.der", "bad.der"};

	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		(void)unlink(in_folder(names[i]));
	}
	return rmdir(folder) | teardown(state);
}

static void check_defaults(const struct config_listener *listener)
{
	assert_int_equal(listener->kind, CONFIG_LISTENER_ADDRESS);
	assert_null(listener->path);
	assert_null(listener->fd_name);
	assert_int_equal(listener->mode, 0660);
	assert_null(listener->group);
	assert_int_equal(listener->backlog, 1024);
	assert_int_equal(listener->receive_buffer, 0);
	assert_int_equal(listener->send_buffer, 0);
	assert_true(listener->nodelay);
	assert_int_equal(listener->idle_s, 75);
	assert_int_equal(listener->allow.n, 0);
	assert_int_equal(listener->deny.n, 0);
	assert_int_equal(listener->proxy, DOMAIN_PROXY_OFF);
	assert_false(listener->tls.is_on);
	assert_string_equal(listener->tls.ciphers, "");
	assert_int_equal(listener->tls.versions, CONFIG_TLS_1_2 | CONFIG_TLS_1_3);
	assert_int_equal(listener->tls.verify, CONFIG_VERIFY_OFF);
	assert_true(listener->tls.tickets);
}

/* The short list is a list of sections with defaults. */
static void test_short_list(void **state)
{
	struct config *config = NULL;

	(void)state;
	assert_int_equal(read_path(NULL, &config), 0);
	assert_true(config->listens_by_default);
	assert_int_equal(config->listeners.n, 2);
	assert_string_equal(config->listeners.list[0].name, "127.0.0.1:5280");
	assert_string_equal(config->listeners.list[1].name, "[::1]:5280");
	check_defaults(&config->listeners.list[0]);
	config_unref(config);

	/* With a section, the default list is not listened on, but one that is written is. */
	config = made("listener 192.0.2.1:80 { }\n");
	assert_false(config->listens_by_default);
	assert_int_equal(config->listeners.n, 1);
	assert_int_equal(config->listen.n, 0);
	check_defaults(&config->listeners.list[0]);
	config_unref(config);

	config = made("listener \"192.0.2.1\" { }\nlisten = {\"127.0.0.1:5280\"}\n");
	assert_int_equal(config->listeners.n, 2);
	assert_string_equal(config->listeners.list[0].name, "192.0.2.1");
	assert_int_equal(address_port(&config->listeners.list[0].address), 5280);
	assert_string_equal(config->listeners.list[1].name, "127.0.0.1:5280");
	config_unref(config);
}

static void test_every_key(void **state)
{
	const struct group *group = getgrgid(getgid());
	char text[2048];

	(void)state;
	assert_non_null(group);
	snprintf(text, sizeof(text),
		 "listener \"unix:/run/doab.sock\" {\n"
		 "  mode = \"0600\" group = \"%s\" backlog = 7\n"
		 "  receive_buffer = 8 send_buffer = 9 nodelay = false idle_timeout = 10\n"
		 "  proxy_protocol = v2\n"
		 "}\n"
		 "listener \"fd:web\" { }\n"
		 "listener \"[::]:443\" {\n"
		 "  allow = {\"10.0.0.0/8\"} deny = {\"10.1.0.0/16\", \"::1\"}\n"
		 "  proxy_protocol = v1 proxy_peers = {\"10.0.0.1\"}\n"
		 "  tls {\n"
		 "    certificate = \"%s\" key = \"%s\" client_ca = \"%s\" ocsp_file = \"%s\"\n"
		 "    ciphers = \"ECDHE+AESGCM\" ciphersuites = \"TLS_AES_128_GCM_SHA256\"\n"
		 "    versions = {\"1.3\"} verify = optional tickets = false\n"
		 "  }\n"
		 "}\n",
		 group->gr_name, in_folder("cert.pem"), in_folder("key.pem"), in_folder("cert.pem"),
		 in_folder("good.der"));
	struct config *config = made(text);
	const struct config_listener *listener = config->listeners.list;

	assert_int_equal(config->listeners.n, 3);
	assert_int_equal(listener->kind, CONFIG_LISTENER_UNIX);
	assert_string_equal(listener->path, "/run/doab.sock");
	assert_int_equal(listener->mode, 0600);
	assert_int_equal(listener->gid, getgid());
	assert_int_equal(listener->backlog, 7);
	assert_int_equal(listener->receive_buffer, 8);
	assert_int_equal(listener->send_buffer, 9);
	assert_false(listener->nodelay);
	assert_int_equal(listener->idle_s, 10);
	assert_int_equal(listener->proxy, DOMAIN_PROXY_V2);

	listener++;
	assert_int_equal(listener->kind, CONFIG_LISTENER_FD);
	assert_string_equal(listener->fd_name, "web");
	assert_false(listener->tls.is_on);

	listener++;
	assert_int_equal(listener->kind, CONFIG_LISTENER_ADDRESS);
	assert_int_equal(address_port(&listener->address), 443);
	assert_int_equal(listener->allow.n, 1);
	assert_int_equal(listener->deny.n, 2);
	assert_int_equal(listener->proxy, DOMAIN_PROXY_V1);
	assert_int_equal(listener->proxy_peers.n, 1);
	assert_true(listener->tls.is_on);
	assert_string_equal(listener->tls.key, in_folder("key.pem"));
	assert_int_equal(listener->tls.versions, CONFIG_TLS_1_3);
	assert_int_equal(listener->tls.verify, CONFIG_VERIFY_OPTIONAL);
	assert_false(listener->tls.tickets);
	config_unref(config);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *what;
	} rows[] = {
		{"listener { }", 1, "listener: expected an address and '{'"},
		{"\nlistener localhost:80 { }", 2, "listener: expected an IP address and a port"},
		{"listener 192.0.2.1:0 { }", 1, "listener: expected an IP address and a port"},
		{"listener ::1 { }", 1, "listener: expected an IPv6 address in brackets, as in"},
		{"listener unix:run { }", 1, "listener: expected \"unix:\" and an absolute path"},
		{"listener fd: { }", 1, "listener: expected \"fd:\" and the FileDescriptorName"},
		{"listener fd:a:b { }", 1, "listener: expected \"fd:\" and the FileDescriptor"},
		{"listener 192.0.2.1:80 { }\nlistener [::]:80 { }\nlistener 0.0.0.0:80 { }", 3,
		 "listener: expected no other address on the port of 0.0.0.0 or [::], got "
		 "'0.0.0.0:80' beside '192.0.2.1:80'\n"},
		{"listen = {\"127.0.0.1:80\"}\nlistener 127.0.0.1:80 { }", 2,
		 "listener: expected each address once, got '127.0.0.1:80' beside "
		 "'127.0.0.1:80'\n"},
		{"listener unix:/a { }\nlistener unix:/a { }", 2, "listener: expected each name"},
		{"listener fd:a { }\nlistener fd:a { }", 2, "listener: expected each name once"},
		{"listener unix:/a {\nmode = 660 }", 2, "mode: expected the permissions of a file"},
		{"listener unix:/a { mode = 0888 }", 1, "mode: expected the permissions of a file"},
		{"listener unix:/a { mode = 1777 }", 1, "mode: expected the permissions of a file"},
		{"listener unix:/a { group = no-such-group }", 1, "group: expected a group of thi"},
		{"listener fd:a {\nmode = 0660 }", 2, "mode: expected only with a unix socket"},
		{"listener 127.0.0.1 { group = root }", 1,
		 "group: expected only with a unix socke"},
		{"listener fd:a { backlog = 0 }", 1, "backlog: expected a number from 1 to 65535"},
		{"listener fd:a { receive_buffer = 67108865 }", 1, "receive_buffer: expected a nu"},
		{"listener fd:a { idle_timeout = 3601 }", 1, "idle_timeout: expected a number"},
		{"listener fd:a { allow = {a} }", 1, "allow: expected an address or a network"},
		{"listener fd:a {\nproxy_protocol = v1 }", 2,
		 "proxy_protocol: expected proxy_peers beside it"},
		{"listener fd:a {\nproxy_peers = {\"::1\"} }", 2,
		 "proxy_peers: expected only together with proxy_protocol"},
		{"listener fd:a {\ntls { }\n}", 2, "certificate: expected a file in a tls section"},
		{"listener fd:a {\ntls { }\ntls { } }", 3, "tls: expected each section once, got"},
		{"listener fd:a {\ntls \"a\" { } }", 2, "tls: expected '{'"},
		{"listener fd:a { tls { versions = {\"1.1\"} } }", 1,
		 "versions: expected \"1.2\" or \"1.3\", got '1.1'\n"},
		{"listener fd:a { tls { versions = {} } }", 1, "versions: expected at least one"},
		{"listener fd:a { tls { verify = maybe } }", 1,
		 "verify: expected off, optional or required, got 'maybe'\n"},
		{"listener fd:a { tls { certificate = /nonexistent } }", 1,
		 "certificate: expected a file that can be read, got '/nonexistent' (No such"},
		{"listener fd:a { tls {\nwait = 5\n} }", 2, "unknown key 'wait'"},
		{"tls { }", 1, "unknown key 'tls'"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		refused(rows[i].text, rows[i].line, rows[i].what);
	}
}

static void test_number_of_sections(void **state)
{
	char text[65 * 32] = "";
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "listener fd:s%u { }\n", i);
	}
	config_unref(made(text));
	snprintf(text + n, sizeof(text) - n, "listener fd:more { }\n");
	refused(text, 65, "listener: expected at most 64 sections\n");
}

/* Files that are there, but do not fit together. */
static void test_files(void **state)
{
	static const struct {
		const char *certificate, *key, *ca, *ocsp, *more;
		const char *what; /* NULL: taken */
	} rows[] = {
		{"both.pem", NULL, NULL, NULL, "", NULL},
		{"cert.pem", "key.pem", NULL, "good.der", "", NULL},
		{"cert.pem", "key.pem", "cert.pem", NULL, "verify = required", NULL},
		{"cert.pem", NULL, NULL, NULL, "", "key: expected the PEM private key"},
		{"cert.pem", "other.pem", NULL, NULL, "", "key: expected the PEM private key"},
		{"cert.pem", "locked.pem", NULL, NULL, "", "key: expected the PEM private key"},
		{"key.pem", "key.pem", NULL, NULL, "", "certificate: expected a file of PEM"},
		{"both.pem", NULL, NULL, "cert.pem", "", "ocsp_file: expected a successful OCSP"},
		{"both.pem", NULL, NULL, "bad.der", "", "ocsp_file: expected a successful OCSP"},
		{"both.pem", NULL, NULL, NULL, "verify = required", "verify: expected client_ca"},
		{"both.pem", NULL, "key.pem", NULL, "verify = optional", "client_ca: expected a"},
		{"both.pem", NULL, NULL, NULL, "ciphers = NONSENSE", "ciphers: expected a list"},
		{"both.pem", NULL, NULL, NULL, "ciphersuites = NONSENSE", "ciphersuites: expect"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		char text[1024];

		snprintf(text, sizeof(text),
			 "listener fd:a {\ntls { certificate = \"%s\" key = \"%s\" client_ca = "
			 "\"%s\" ocsp_file = \"%s\" %s } }\n",
			 in_folder(rows[i].certificate), rows[i].key ? in_folder(rows[i].key) : "",
			 rows[i].ca ? in_folder(rows[i].ca) : "",
			 rows[i].ocsp ? in_folder(rows[i].ocsp) : "", rows[i].more);
		if (rows[i].what) {
			refused(text, 2, rows[i].what);
		} else {
			config_unref(made(text));
		}
	}
}

/* A mistake in one section does not hide those of another. */
static void test_mistakes_in_two_sections(void **state)
{
	struct config *config = NULL;

	(void)state;
	assert_int_equal(read_text("wait = 601\nlistener fd:a { backlog = 0 tls { } }\n"
				   "listener fd:b { tls { } }\n",
				   &config),
			 -EINVAL);
	assert_non_null(strstr(errors_text, ":2: backlog: expected"));
	assert_null(strstr(errors_text, ":2: certificate"));
	assert_non_null(strstr(errors_text, ":3: certificate: expected a file"));
}

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
		cmocka_unit_test(test_short_list),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_number_of_sections),
		cmocka_unit_test(test_mistakes_in_two_sections),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_without_memory),
		cmocka_unit_test(test_groups),
	};

	/* Before OpenSSL allocates. */
	if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free)) {
		return 1;
	}
	return cmocka_run_group_tests(tests, setup_files, remove_files);
}
