/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/gateway/config/listener-case.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_list),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_number_of_sections),
		cmocka_unit_test(test_mistakes_in_two_sections),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, setup_files, remove_files);
}
