/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "gateway/config/config.h"
#include "tests/unit/gateway/config/config-case.h"

#define PIN "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static const struct {
	const char *text;
	unsigned line;
	const char *what;
} refused_values[] = {
	{"# a\n# b\n\nwait = 9999\n", 4, "wait: expected a number from 0 to 600, got 9999\n"},
	{"/* a\n\n*/ wait = 9999", 3, "wait: expected"},
	{"wait = \"\"", 1, "wait: expected a number from 0 to 600, got \n"},
	{"wait = 0x10", 1, "wait: expected"},
	{"wait = 6O", 1, "wait: expected"},
	{"wait = 60s", 1, "wait: expected"},
	{"wait = 99999999999999999999999", 1, "wait: expected"},
	{"hold = 1.5", 1, "hold: expected"},

	{"log_level = verbose", 1, "log_level: expected error, warning, info or debug, got 'v"},

	{"admin = localhost", 1, "admin: expected an IP address and a port, as in"},
	{"admin = 127.0.0.1", 1, "admin: expected an IP address and a port"},
	{"admin = \"127.0.0.1:0\"", 1, "admin: expected an IP address and a port"},
	{"listen = {\"127.0.0.1:80\"}\nadmin = \"127.0.0.1:80\"", 2, "admin: expected a port or a"},
	{"listen = {\"0.0.0.0:80\"}\nadmin = \"127.0.0.1:80\"", 2, "admin: expected a port or a"},
	{"\nadmin = \"[::1]:5280\"", 2, "admin: expected a port or a path that no listener has"},

	{"log_format = xml", 1, "log_format: expected logfmt or json, got 'xml'\n"},
	{"log_to = stdout", 1, "log_to: expected \"stderr\", \"syslog\", \"syslog:/path/of/its/s"},
	{"log_to = \"\"", 1, "log_to: expected"},
	{"log_to = \"syslog:dev/log\"", 1, "log_to: expected"},
	{"log_levels = {\"bosh=debug\",\n\"bush=debug\"}", 2,
	 "log_levels: expected one of the areas "},
	{"log_levels = {\"bosh=loud\"}", 1, "log_levels: expected \"=\" and error, warning, in"},
	{"log_levels = {\"bosh\"}", 1, "log_levels: expected \"=\" and"},
	{"log_levels = {\"=debug\"}", 1, "log_levels: expected one of the areas main, listener"},

	{"listen = {\n\"127.0.0.1:1\",\n\n\"localhost:1\"}", 4, "listen: expected an IP addr"},
	{"listen = {\"127.0.0.1:0\"}", 1, "listen: expected an IP address and a port"},
	{"listen = {\"127.0.0.1:65536\"}", 1, "listen: expected"},
	{"listen = {\"\"}", 1, "listen: expected"},
	{"\nlisten = {}\nwait = 1", 2, "listen: expected at least one address\n"},
	{"listen = {\"127.0.0.1\",\n\"127.0.0.1:5280\"}", 2, "listen: expected each address on"},
	{"listen = {\"127.0.0.1\",\n\"[::ffff:127.0.0.1]:5280\"}", 2, "listen: expected each ad"},
	{"listen += {\"[::1]\"}", 1, "listen: expected each address once, got '[::1]'"},
	{"listen = {\"0.0.0.0:80\",\n\"127.0.0.1:80\"}", 2,
	 "listen: expected no other address on the port of 0.0.0.0"},
	{"listen = {\"[2001:db8::1]:80\",\n\"[::]:80\"}", 2,
	 "listen: expected no other address on the port of 0.0.0.0"},

	{"bosh_path = \"http-bind\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"/a b\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"/a?b\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"/a%20b\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"/b\xc3\xbc\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"//a\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"/a//b\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"/a/../b\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"/.\"", 1, "bosh_path: expected a path of"},
	{"bosh_path = \"/\"", 1, "bosh_path: expected a path that is not one of the gateway's"},
	{"bosh_path = \"/crossdomain.xml\"", 1, "bosh_path: expected a path that is not one"},
	{"websocket_path = \"/clientaccesspolicy.xml\"", 1, "websocket_path: expected a path t"},
	{"\nwebsocket_path = \"/http-bind\"\n", 2, "bosh_path and websocket_path: expected two"},
	{"websocket_path = /x\n\nbosh_path = /x\n", 3, "bosh_path and websocket_path: expected"},

	{"allow_origins = {\"*\",\n\"https://a/\"}", 2, "allow_origins: expected \"*\" or an ori"},
	{"allow_origins = {\"null\"}", 1, "allow_origins: expected"},
	{"allow_origins = {*}", 1, "*, + and ${ are allowed in quotes only\n"},
	{"own_hosts = {\"a.example\",\n\"*\"}", 2,
	 "own_hosts: expected a host name, as in \"chat."},
	{"own_hosts = {\"a.example:80\"}", 1, "own_hosts: expected"},
	{"public_bosh_url = \"http://a/\"", 1, "public_bosh_url: expected a URL as in \"https://"},
	{"public_bosh_url = \"https://a/{b}\"", 1, "public_bosh_url: expected a URL"},
	{"public_bosh_url = \"https://a/b|c\"", 1, "public_bosh_url: expected a URL"},
	{"public_bosh_url = \"https://a/%4g\"", 1, "public_bosh_url: expected a URL"},
	{"public_bosh_url = \"https://a/%4\"", 1, "public_bosh_url: expected a URL"},
	{"public_bosh_url = \"https://a/#b\"", 1, "public_bosh_url: expected a URL"},
	{"public_websocket_url = \"wss://a/^\"", 1, "public_websocket_url: expected a URL"},
	{"public_websocket_url = \"ws://a/\"", 1,
	 "public_websocket_url: expected a URL as in \"wss:"},
	{"crossdomain_file = \"/none\"", 1,
	 "crossdomain_file: expected a document of at most 65536"},
	{"trusted_proxies = {\"10.0.0.0/33\"}", 1, "trusted_proxies: expected an address or"},
	{"trusted_proxies = {\"localhost\"}", 1, "trusted_proxies: expected"},
	{"resolvers = {\"dns.example\"}", 1, "resolvers: expected an IP address"},
	{"resolvers = {\"127.0.0.1:0\"}", 1, "resolvers: expected an IP address"},
	{"\ncompression = 2\n", 2, "compression: expected true or false, got '2'"},
	{"allowed_ports = {\"443\",\n\"1024-\"}", 2,
	 "allowed_ports: expected a port or a range of ports, as in \"443\" or "
	 "\"1024-65535\", got '1024-'\n"},
	{"allowed_routes = {\"a.example:5222\",\n\"a.example\"}", 2,
	 "allowed_routes: expected a host and a port, as in \"xmpp.example.org:5222\", got "
	 "'a.example'\n"},
	{"see_other_uri = \"http://a.example/\"", 1, "see_other_uri: expected a URI"},
	{"see_other_uri = \"wss://a.example/\"", 1, "see_other_uri: expected a URI"},
	{"websocket_see_other_uri = \"ws://a.example/\"", 1,
	 "websocket_see_other_uri: expected a URI"},
	{"websocket_see_other_uri = \"wss://\"", 1, "websocket_see_other_uri: expected a URI"},
	{"allowed_ports = {0}", 1, "allowed_ports: expected a port"},

	{"inactivity = 10\npolling = 10\n", 2, "polling: expected less than inactivity (10), got"},
	{"polling = 60\n", 1, "polling: expected less than inactivity (60), got 60\n"},
};

static void test_refused_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(refused_values); i++) {
		refused(refused_values[i].text, refused_values[i].line, refused_values[i].what);
	}
}

static void test_refused_syntax(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *what;
	} rows[] = {
		{"# c\nwiat = 5\n", 2, "unknown key 'wiat': did you mean 'wait'?\n"},
		{"max_stream = 5\n", 1, "unknown key 'max_stream': did you mean 'max_streams'?"},
		{"port = 5 # x\nnonsense = 1\n", 1,
		 "unknown key 'port': expected one of include, l"},
		{"domian a.example { }\n", 1, "unknown key 'domian': did you mean 'domain'?\n"},
		{"domain a.example { conect = {} }\n", 1,
		 "unknown key 'conect': did you mean 'con"},
		{"tls = required\n", 1, "unknown key 'tls': expected it in a section 'listener'\n"},
		{"pin = {}\n", 1, "unknown key 'pin': expected it in a section 'domain'\n"},
		{"\xef\xbb\xbfwait = 5\n", 1, "the file begins with a byte order mark: expected U"},
		{"\xff\xfew", 1, "the file is in UTF-16: expected UTF-8\n"},
		{"\nserver \"x\" { }\n", 2, "unknown key 'server': expected one of"},
		{"server {\n a = 1\n}\n", 1, "unknown key 'server': expected one of"},
		{"WAIT = 5\n", 1, "unknown key 'WAIT'"},
		{"\n\"\" = 5\n", 2, "unknown key ''"},
		{"include(\"/dev/null\")\n", 1, "include: expected '=' and a value\n"},
		{"domain \"a.example\" {\n  # c\n  wait = 5\n}\n", 3,
		 "unknown key 'wait': expected it outside of the section 'domain'\n"},
		{"domain \"a.example\" {\n  # c\n  nonsense = 5\n}\n", 3,
		 "unknown key 'nonsense': expected one of connect, name_form, tls, ca_file, pin, "
		 "proxy_protocol, proxy, proxy_dns, source_address, max_sessions, deny, gone, "
		 "allow_private\n"},
		{"domain \"a.example\" {\n  domain \"b.example\" { }\n}\n", 2,
		 "unknown key 'domain'"},
		{"wait 5\n", 1, "wait: expected '=' and a value\n"},
		{"wait = {5}\n", 1, "wait: expected one value without braces\n"},
		{"wait += 5\n", 1, "wait: expected '=', got '+='\n"},
		{"wait = 5\n}\n", 2, "expected a key, got '}'\n"},
		{"\n= 5\n", 2, "expected a key, got '='\n"},
		{"wait =\n\n{}", 1, "wait: expected one value without braces\n"},
		{"wait = =", 1, "expected a value after '='\n"},
		{"domain { }\n", 1, "domain: expected a domain and '{'\n"},
		{"domain = 5\n", 1, "domain: expected a domain and '{'\n"},
		{"domain a.example = 5\n", 1, "domain: expected a domain and '{'\n"},
		{"resolvers = {127.0.0.1 127.0.0.2}\n", 1, "expected ',' or '}' after an entry"},
		{"resolvers = {127.0.0.1,\n, 127.0.0.2}\n", 2,
		 "expected an entry of a list or '}'"},
		{"resolvers = {{127.0.0.1}}\n", 1, "expected an entry of a list or '}'"},
		{"wait = 5\n\nwait = 5\n", 3, "wait: expected each key once, got it again, after "},
		{"domain a.example { deny = true\ndeny = true }\n", 2,
		 "deny: expected each key once"},
		{"a (5)", 1, "unknown key 'a'"},
		{"\ndomain \"a.example\" {\n\n", 2, "this { has no matching }\n"},
		{"listen = {\"127.0.0.1\"\n\n", 1, "this { has no matching }\n"},
		{"wait =\n", 2, "expected a value after '=', got the end of the file\n"},
		{"wait = \"5\n", 1, "this string is not closed\n"},
		{"wait = 5\n/* x\n", 2, "this comment is not closed\n"},
		{"bosh_path = \"${HOME}\"\n", 1, "${...} is not expanded"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		refused(rows[i].text, rows[i].line, rows[i].what);
	}
	/* The rest of an unknown section is not reported as another mistake. */
	refused("server \"x\" {\n}\n", 1, "unknown key 'server'");
	assert_ptr_equal(strchr(errors_text, '\n'), errors_text + errors_n - 1);
	/* A mistake in one file is forgotten in the next. */
	config_unref(made("wait = 5\n"));
}

static const struct {
	const char *text;
	unsigned line;
	const char *what;
} refused_domains[] = {
	{"\ndomain \"192.0.2.1\" {\n}\n", 2,
	 "domain: expected connect in the section of an address, a name of one label or one with "
	 "\"_\", got '192.0.2.1'\n"},
	{"domain \"chat\" { deny = true }", 1, "domain: expected connect in the section of an"},
	{"domain \"a_b.example\" { }", 1, "domain: expected connect in the section of an addr"},
	{"domain \"*.a_b.example\" { connect = {a} }", 1, "domain: expected a domain name"},
	{"domain \"192.0.2.1:1\" { connect = {a} }", 1, "domain: expected a domain name"},
	{"domain \"::1\" { connect = {a} }", 1, "domain: expected a domain name"},
	{"domain chat { connect = {a} }\ndomain CHAT. { connect = {a} }", 2,
	 "domain: expected each domain once, got 'chat' again"},
	{"domain a.example { name_form = latin }", 1,
	 "name_form: expected unicode or ascii, got 'latin'\n"},
	{"domain \"a.example:5222\" { }", 1, "domain: expected a domain name"},
	{"domain \"example\" { }", 1, "domain: expected connect in the section of an address"},
	{"domain \"*.*.example.org\" { }", 1,
	 "domain: expected a domain name, \"*.\" and a name, or \"*\", got "
	 "'*.*.example.org'\n"},
	{"domain \"a.*.example.org\" { }", 1, "domain: expected a domain name"},
	{"domain \"*example.org\" { }", 1, "domain: expected a domain name"},
	{"domain \"*.bücher.example\" {}\ndomain \"*.xn--bcher-kva.example\" {}\n", 2,
	 "domain: expected each domain once, got '*.xn--bcher-kva.example' again, after "},
	{"domain a.example {\n pin = {\"sha256//AAAA\"} }", 2,
	 "pin: expected the SHA-256 of a public key, \"sha256//\" and 44 characters of "
	 "base64, got "
	 "'sha256//AAAA'\n"},
	{"\ndomain a.example {\n tls = opportunistic\n pin = {\"" PIN "\"}\n}", 4,
	 "pin: expected only with tls = required or direct, got tls = opportunistic\n"},
	{"domain a.example { max_sessions = 1000001 }", 1,
	 "max_sessions: expected a number from 0 to 1000000, got 1000001\n"},
	{"domain a.example {\nmax_sessions = -1 }", 2, "max_sessions: expected a number from 0"},
	{"domain a.example { max_sessions = 010x }", 1, "max_sessions: expected a number from 0"},
	{"\n\ndomain a.example { deny = true gone = true }", 3,
	 "deny and gone: expected at most one of them\n"},
	{"domain a.example { gone = perhaps }", 1, "gone: expected true or false"},
	{"domain a.example { proxy_protocol = v3 }", 1,
	 "proxy_protocol: expected off, v1 or v2, got 'v3'\n"},
	{"\ndomain a.example {\n proxy_protocol = v1 }", 3,
	 "proxy_protocol: expected only together with connect\n"},
	{"domain a.example { tls = off pin = {\"" PIN "\"} }", 1,
	 "pin: expected only with tls = required or direct, got tls = off\n"},
	{"domain \"\" { }", 1,
	 "domain: expected a domain name, \"*.\" and a name, or \"*\", got ''\n"},
	{"domain a.example { }\n\ndomain a.example { }\n", 3,
	 "domain: expected each domain once, got 'a.example' again, after "},
	{"domain a.example { connect = {\"127.0.0.1\"} }\n\ndomain A.example. {\n}\n", 3,
	 "domain: expected each domain once, got 'a.example' again, after "},
	{"domain \"bücher.example\" {}\ndomain xn--bcher-kva.example {}\n", 2,
	 "domain: expected each domain once"},
	{"domain a.example {\n  tls = \"require\"\n}", 2,
	 "tls: expected required, direct, opportunistic or off, got 'require': did you mean "
	 "'required'?\n"},
	{"domain a.example {\n  tls = \"none\"\n}", 2,
	 "tls: expected required, direct, opportunistic or off, got 'none'\n"},
	{"domain a.example {\n\n  deny = maybe }", 3, "deny: expected true or false, got 'maybe'"},
	{"domain a.example { allow_private = 2 }", 1, "allow_private: expected true or false"},
	{"domain a.example { connect = {\"b.example:0\"} }", 1,
	 "connect: expected a host or an IP address, as in"},
	{"domain a.example { connect = {\"b.example:65536\"} }", 1, "connect: expected a host"},
	{"domain a.example { connect = {\"b.example:\"} }", 1, "connect: expected a host or"},
	{"domain a.example { connect = {\"b c\"} }", 1, "connect: expected a host or an IP add"},
	{"domain a.example { connect = {\"\"} }", 1, "connect: expected a host or an IP address"},
	{"domain a.example { connect = {\"1.1.1\"} }", 1, "connect: expected a host or an IP a"},
	{"domain a.example { connect = {\"2001:db8::1\"} }", 1,
	 "connect: expected an IPv6 address in brackets, as in"},
	{"domain a.example { connect = {\"1.1.1.1:0\"} }", 1, "connect: expected a host or an IP"},
	{"domain a.example { connect = {\"1.1.1.1\",\n\"2.2.2.2:99999\"} }", 2, "connect: expect"},
	{"domain a.example {\n ca_file = \"/nonexistent/ca.pem\"\n}", 2,
	 "ca_file: expected a file that can be read, got "
	 "'/nonexistent/ca.pem' (No such file or directory)\n"},
	{"domain a.example { ca_file = \"/tmp\" }", 1,
	 "ca_file: expected a file that can be read, got '/tmp' (Is a dir"},
};

static void test_refused_domains(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(refused_domains); i++) {
		refused(refused_domains[i].text, refused_domains[i].line, refused_domains[i].what);
	}
}

static void test_all_mistakes_of_one_run(void **state)
{
	static const char *const parts[] = {
		":1: wait: ", ":3: unknown key 'bog': ", ":5: tls: ",    ":5: deny: ",
		":7: hold: ", ":8: log_level: ",         ":9: domain: ", ":4: domain: ",
	};
	struct config *config = NULL;
	size_t n_lines = 0;

	(void)state;
	assert_int_equal(read_text("wait = 601\n"
				   "polling = 3\n"
				   "bog = 3\n"
				   "domain \"x y\" {\n"
				   "  tls = x deny = x\n"
				   "}\n"
				   "hold = 0 # none\n"
				   "log_level = \"x\"\n"
				   "domain \"z\" { }\n",
				   &config),
			 -EINVAL);
	assert_null(config);
	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		if (!strstr(errors_text, parts[i])) {
			fail_msg("no '%s' in\n%s", parts[i], errors_text);
		}
	}
	for (size_t i = 0; i < errors_n; i++) {
		n_lines += errors_text[i] == '\n';
	}
	assert_int_equal(n_lines, ARRAY_LENGTH(parts));
}

static void test_unreadable(void **state)
{
	struct config *config = NULL;

	(void)state;
	assert_int_equal(read_path("/nonexistent/doab.conf", &config), -ENOENT);
	assert_string_equal(errors_text,
			    "/nonexistent/doab.conf: cannot be read: No such file or directory\n");
	assert_int_equal(read_path("/tmp", &config), -EISDIR);
	assert_string_equal(errors_text, "/tmp: cannot be read: Is a directory\n");
	assert_null(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_values),
		cmocka_unit_test(test_refused_syntax),
		cmocka_unit_test(test_refused_domains),
		cmocka_unit_test(test_all_mistakes_of_one_run),
		cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
