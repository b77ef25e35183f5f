/* SPDX-License-Identifier: MIT */
/* The keys about who may use the gateway and how much, and the names they had before. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "gateway/config/config.h"
#include "tests/unit/gateway/config/config-case.h"

static bool is_rate(struct bucket_rate rate, uint32_t n_tokens, uint32_t seconds)
{
	return rate.n_tokens == n_tokens && rate.seconds == seconds;
}

static bool admits(const struct config *config, const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), 1, &address), 0);
	return networks_admit(&config->allowed_clients, &config->denied_clients, &address);
}

static void test_defaults(void **state)
{
	struct config *config = made("");

	(void)state;
	assert_int_equal(config->limits.connections, 0);
	assert_int_equal(config->login_timeout_s, 300);
	assert_true(is_rate(config->throttle.connections, 2000, 10));
	assert_true(is_rate(config->throttle.sessions, 1000, 60));
	assert_true(is_rate(config->throttle.domain_sessions, 5000, 10));
	assert_true(is_rate(config->request_rate, 5000, 10));
	assert_true(is_rate(config->throttle.client_failed_logins, 20, 300));
	assert_true(is_rate(config->throttle.domain_failed_logins, 200, 300));
	assert_int_equal(config->exempt.n, 0);
	assert_int_equal(config->forwarded, FORWARDED_X);
	assert_true(admits(config, "192.0.2.1"));
	config_unref(config);
}

static void test_limits(void **state)
{
	struct config *config = made("limits {\n"
				     "  exempt = {\"10.0.0.0/8\", \"::1\"}\n"
				     "  max_connections = 7\n"
				     "  connection_rate = \"1/2\"\n"
				     "  session_rate = 3/4\n"
				     "  domain_session_rate = 0\n"
				     "  request_rate = \"5/6\"\n"
				     "  failed_logins_per_address = \"7/8\"\n"
				     "  failed_logins_per_domain = \"9/10\"\n"
				     "  login_timeout = 0\n"
				     "}\n");
	struct address address;

	(void)state;
	assert_int_equal(address_parse(SV("10.1.2.3"), 1, &address), 0);
	assert_int_equal(networks_match(&config->exempt, &address), 8);
	assert_int_equal(config->limits.connections, 7);
	assert_true(is_rate(config->throttle.connections, 1, 2));
	assert_true(is_rate(config->throttle.sessions, 3, 4));
	assert_true(is_rate(config->throttle.domain_sessions, 0, 0));
	assert_true(is_rate(config->request_rate, 5, 6));
	assert_true(is_rate(config->throttle.client_failed_logins, 7, 8));
	assert_true(is_rate(config->throttle.domain_failed_logins, 9, 10));
	assert_int_equal(config->login_timeout_s, 0);
	config_unref(config);
}

static void test_who(void **state)
{
	struct config *config = made("allow_clients = {\"192.0.2.0/24\", \"2001:db8::/32\"}\n"
				     "deny_clients = {\"192.0.2.7\"}\n"
				     "forwarded_headers = forwarded\n");

	(void)state;
	assert_true(admits(config, "192.0.2.6"));
	assert_false(admits(config, "192.0.2.7"));
	assert_true(admits(config, "2001:db8::1"));
	assert_false(admits(config, "198.51.100.1"));
	assert_int_equal(config->forwarded, FORWARDED_RFC7239);
	config_unref(config);
}

static const char *write_list(char path[static 64], const char *text)
{
	snprintf(path, 64, "/tmp/doab-networks-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static void test_files(void **state)
{
	char path[64];
	char text[256];

	(void)state;
	write_list(path, "# the net next door\n192.0.2.0/24\n\n 2001:db8::/32 ; a tunnel\r\n");
	snprintf(text, sizeof(text),
		 "allow_clients = {\"192.0.2.9\"}\ndeny_clients_file = \"%s\"\n", path);
	struct config *config = made(text);

	assert_false(admits(config, "192.0.2.1"));
	assert_true(admits(config, "192.0.2.9"));
	assert_false(admits(config, "2001:db8::1"));
	config_unref(config);
	snprintf(text, sizeof(text), "allow_clients_file = \"%s\"\n", path);
	config = made(text);
	assert_true(admits(config, "192.0.2.1"));
	assert_false(admits(config, "198.51.100.1"));
	config_unref(config);
	unlink(path);
}

static void test_bad_file(void **state)
{
	char path[64];
	char text[256];
	char what[128];
	struct config *config;

	(void)state;
	write_list(path, "192.0.2.0/24\n\nexample.org\n");
	snprintf(text, sizeof(text), "deny_clients_file = \"%s\"\n", path);
	assert_int_equal(read_text(text, &config), -EINVAL);
	snprintf(what, sizeof(what), "%s:3: expected an address or a network", path);
	assert_memory_equal(errors_text, what, strlen(what));
	unlink(path);
	refused("deny_clients_file = \"/nowhere/at/all\"\n", 1,
		"deny_clients_file: expected a file");
}

/* What cannot be read to its end is refused: without the rest of these lists more clients would be
 * let in than the operator wants. */
static void test_file_that_fails(void **state)
{
	/* Opens, and the first read fails. */
	static const char unread[] = "/proc/self/mem: cannot be read: ";
	static const char *const keys[] = {"allow_clients_file", "deny_clients_file"};
	char text[256];
	struct config *config;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%s = \"/proc/self/mem\"\n", keys[i]);
		assert_int_equal(read_text(text, &config), -EINVAL);
		assert_memory_equal(errors_text, unread, strlen(unread));
	}
}

/* Behind a NUL the rest of a line would not count. */
static void test_file_with_nul(void **state)
{
	char path[] = "/tmp/doab-networks-XXXXXX";
	static const char list[] = "192.0.2.0/24\n\0 198.51.100.0/24\n";
	int fd = mkstemp(path);
	char text[256];
	struct config *config;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, list, sizeof(list) - 1), sizeof(list) - 1);
	close(fd);
	snprintf(text, sizeof(text), "deny_clients_file = \"%s\"\n", path);
	assert_int_equal(read_text(text, &config), -EINVAL);
	snprintf(text, sizeof(text), "%s:2: expected an address or a network", path);
	assert_memory_equal(errors_text, text, strlen(text));
	unlink(path);
}

static void test_refused(void **state)
{
	(void)state;
	refused("limits {\nsession_rate = 5\n}", 2, "session_rate: expected a number and seconds");
	refused("limits { session_rate = \"5/0\" }", 1, "session_rate: expected");
	refused("limits { exempt = {\"x\"} }", 1, "exempt: expected an address or a network");
	refused("limits { wait = 5 }", 1, "unknown key 'wait'");
	refused("allow_clients = {\"10.0.0.0/33\"}", 1, "allow_clients: expected");
	refused("forwarded_headers = x\n", 1,
		"forwarded_headers: expected x-forwarded or forwarded");
	refused("session_rate = 5/5\n", 1, "unknown key 'session_rate'");
}

/* What stood in the file itself before there was a section. */
static void test_old_places(void **state)
{
	static const char text[] =
		"max_sessions = 19\nsessions_per_address = 20\nconnections_per_address = 21\n"
		"login_bytes_per_address = 3000001\nlogin_bytes = 3000002\nbody_bytes = 10001\n"
		"stanza_bytes = 10002\npending_bytes = 10003\nheader_timeout = 16\n";
	struct config *config = NULL;
	const char *rest;

	(void)state;
	assert_int_equal(read_text(text, &config), 0);
	assert_int_equal(config->limits.sessions, 19);
	assert_int_equal(config->limits.sessions_per_client, 20);
	assert_int_equal(config->limits.connections_per_client, 21);
	assert_int_equal(config->budget.n_client, 3000001);
	assert_int_equal(config->budget.n_total, 3000002);
	assert_int_equal(config->n_body_max, 10001);
	assert_int_equal(config->n_stanza_max, 10002);
	assert_int_equal(config->n_pending_max, 10003);
	assert_int_equal(config->header_timeout_s, 16);
	config_unref(config);
	assert_printed(1, "warning: max_sessions is now in the section limits\n");
	rest = errors_text;
	for (int i = 0; i < 9; i++) {
		rest = strstr(rest, "in the section limits\n");
		assert_non_null(rest);
		rest++;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),      cmocka_unit_test(test_limits),
		cmocka_unit_test(test_who),           cmocka_unit_test(test_files),
		cmocka_unit_test(test_bad_file),      cmocka_unit_test(test_file_that_fails),
		cmocka_unit_test(test_file_with_nul), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_old_places),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
