/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>

#include "tests/unit/gateway/upstream/dns/resolver-case.h"

/* Results of the resolver. */

enum { DESCRIPTORS_MAX = 100 };

static bool script_servfail(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | DNS_SERVFAIL, name, type);
	return true;
}

static bool script_addresses(const char *name, unsigned type, struct dns_message *message)
{
	struct dns_data v4 = {.n = 4, .data = {192, 0, 2, 1}};
	struct dns_data v6 = {.n = 16, .data = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};

	dns_begin(message, DNS_RESPONSE, name, type);
	dns_record(message, DNS_ANSWER, name, DNS_CNAME, 60, dns_name("alias.example"));
	dns_record(message, DNS_ANSWER, "alias.example", type, 60, type == DNS_A ? v4 : v6);
	return true;
}

static bool script_tlsa_unsigned(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE, name, type);
	dns_record(message, DNS_ANSWER, name, DNS_TLSA, 60, dns_tlsa(3, 1, 1, 32, 0x5a));
	dns_record(message, DNS_ANSWER, name, DNS_TLSA, 60, dns_tlsa(2, 0, 2, 64, 0xa5));
	return true;
}

static bool script_tlsa_signed(const char *name, unsigned type, struct dns_message *message)
{
	script_tlsa_unsigned(name, type, message);
	message->data[3] |= DNS_AD;
	return true;
}

static bool script_direct(const char *name, unsigned type, struct dns_message *message)
{
	return is_direct(name) && script_services(name, type, message);
}

static unsigned n_direct; /* questions for direct TLS */

/* STARTTLS is not offered; the lookup for direct TLS fails. */
static bool script_half_refused(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE, name, type);
	dns_record(message, DNS_ANSWER, name, DNS_SRV, 60, dns_srv(0, 0, 0, "."));
	n_direct += is_direct(name);
	return !is_direct(name);
}

static void assert_target(const struct srv_target *target, const char *host, unsigned port,
			  bool direct)
{
	assert_string_equal(target->host, host);
	assert_int_equal(target->port, port);
	assert_int_equal(target->is_direct, direct);
	assert_int_equal(target->is_authentic, direct);
}

static void test_both_services(void **state)
{
	(void)state;
	dns.script = script_services;
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(askers->srv.n_targets, 2);
	assert_target(&askers->srv.targets[0], "starttls.example", 5222, false);
	assert_target(&askers->srv.targets[1], "direct.example", 5223, true);
	assert_int_equal(dns.n_questions, 2);
	assert_string_equal(dns.first_name, "_xmpp-client._tcp.a.example");
	/* Recursion and authentic data are wanted, nothing else. */
	assert_int_equal(dns.first_flags, 0x0100 | DNS_AD);
}

static void test_nothing(void **state)
{
	(void)state;
	dns.script = script_nothing;
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	ask_addresses(askers, "a.example", 1);
	wait_results(askers, 2);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	ask_tlsa(askers, "a.example", 1);
	wait_results(askers, 3);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	assert_int_equal(dns.n_questions, 5);
	/* This is cached as well. */
	ask_srv(askers, "a.example");
	wait_results(askers, 4);
	ask_addresses(askers, "a.example", 1);
	wait_results(askers, 5);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	assert_int_equal(dns.n_questions, 5);
}

static void test_failure(void **state)
{
	(void)state;
	dns.script = script_servfail;
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_FAILED);
	ask_addresses(askers, "a.example", 1);
	wait_results(askers, 2);
	assert_int_equal(askers->result, RESOLVER_FAILED);
	/* Wrong signatures have this effect. */
	ask_tlsa(askers, "a.example", 1);
	wait_results(askers, 3);
	assert_int_equal(askers->result, RESOLVER_FAILED);
}

static void test_time_out(void **state)
{
	(void)state;
	resolver_free(dns.resolver);
	start_resolver(TRY_MS, 2);
	dns.script = script_silent;
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_TIMEOUT);
	wait_questions(4);
	read_questions();
	assert_int_equal(dns.n_questions, 4);
}

/* Asks for one name more with each millisecond, as long as there are names. */
static void on_each_millisecond(uv_timer_t *timer)
{
	struct asker *asker = timer->data;
	char host[32];

	if (++asker == askers + ASKERS) {
		uv_stop(timer->loop);
		return;
	}
	timer->data = asker;
	snprintf(host, sizeof(host), "host%u.example", (unsigned)(asker - askers));
	ask_addresses(asker, host, 5222);
}

/* c-ares 1.34 waits for 250 ms, even if it is told less; there are names for ASKERS ms. */
enum {
#ifdef HAVE_ARES_DNSREC
	FIRST_MS = 150,
#else
	FIRST_MS = 1,
#endif
};

/* Questions that keep coming do not put off the time-outs of earlier ones. */
static void test_time_out_of_many(void **state)
{
	static uv_timer_t timer;

	(void)state;
	resolver_free(dns.resolver);
	start_resolver(TRY_MS, 1);
	dns.script = script_silent;
	ask_addresses(&askers[0], "host.example", 5222);
	uv_timer_init(&dns.loop, &timer);
	timer.data = askers;
	uv_timer_start(&timer, on_each_millisecond, FIRST_MS, 1);
	while (!askers[0].n_results && (struct asker *)timer.data < askers + ASKERS - 1) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	uv_close((uv_handle_t *)&timer, NULL);
	assert_int_equal(askers[0].n_results, 1);
	assert_int_equal(askers[0].result, RESOLVER_TIMEOUT);
}

/* Waits for the next datagram of a socket. */
static void wait_datagram(int fd)
{
	assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, WATCHDOG_MS), 1);
}

/* The socket of the resolver, besides that of the server. */
static int resolver_socket(int servers)
{
	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
		socklen_t n = sizeof(int);
		int type = 0;

		if (fd != servers && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
		    type == SOCK_DGRAM) {
			return fd;
		}
	}
	fail_msg("no socket");
	return -1;
}

/* The thread was busy with something else when the answer came, until the time-out had passed: it
 * is the answer that counts. */
static void test_late_thread(void **state)
{
	struct sockaddr_in peer;
	socklen_t n_peer = sizeof(peer);
	int fd = -1;

	(void)state;
	resolver_free(dns.resolver);
	start_resolver(TRY_MS, 1);
	dns.script = script_tlsa_signed;
	ask_tlsa(askers, "a.example", 1);
	/* The loop does not run meanwhile. */
	assert_int_equal(uv_fileno((uv_handle_t *)&dns.socket, &fd), 0);
	wait_datagram(fd);
	ssize_t n =
		recvfrom(fd, dns.packet, sizeof(dns.packet), 0, (struct sockaddr *)&peer, &n_peer);

	on_question(&dns.socket, n, NULL, (struct sockaddr *)&peer, 0);
	wait_datagram(resolver_socket(fd));
	uv_sleep(2 * TRY_MS);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(dns.n_questions, 1);
}

/* Nobody listens at the server's address. That is not a reply, whether or not the kernel reports an
 * error. */
static void test_no_server(void **state)
{
	(void)state;
	uv_udp_recv_stop(&dns.socket);
	resolver_free(dns.resolver);
	snprintf(dns.address, sizeof(dns.address), "127.0.0.1:1");
	start_resolver(TRY_MS, 3);
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	assert_true(askers->result == RESOLVER_FAILED || askers->result == RESOLVER_TIMEOUT);
}

static void test_addresses(void **state)
{
	char text[ADDRESS_TEXT_MAX];
	bool has_v4 = false;
	bool has_v6 = false;

	(void)state;
	dns.script = script_addresses;
	ask_addresses(askers, "a.example", 5269);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(askers->n_addresses, 2);
	for (size_t i = 0; i < askers->n_addresses; i++) {
		address_format(&askers->addresses[i], text);
		has_v4 = has_v4 || strcmp(text, "192.0.2.1:5269") == 0;
		has_v6 = has_v6 || strcmp(text, "[2001:db8::1]:5269") == 0;
	}
	assert_true(has_v4);
	assert_true(has_v6);
	assert_int_equal(dns.n_questions, 2);
	/* The port comes from the query, not from the reply. */
	ask_addresses(askers, "a.example", 5270);
	wait_results(askers, 2);
	assert_int_equal(address_port(&askers->addresses[1]), 5270);
	assert_int_equal(dns.n_questions, 2);
}

/* Addresses in place of names. */
static void test_literals(void **state)
{
	static const char *const rows[][2] = {{"192.0.2.7", "192.0.2.7:9"},
					      {"2001:db8::7", "[2001:db8::7]:9"}};
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(rows); i++) {
		ask_addresses(askers, rows[i][0], 9);
		wait_results(askers, i + 1);
		assert_int_equal(askers->n_addresses, 1);
		assert_string_equal(address_format(&askers->addresses[0], text), rows[i][1]);
	}
	/* RFC 6761, 6.3: no DNS server is asked for this one. */
	ask_addresses(askers, "localhost", 9);
	wait_results(askers, 3);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(dns.n_questions, 0);
}

static void test_tlsa(void **state)
{
	(void)state;
	dns.script = script_tlsa_signed;
	ask_tlsa(askers, "Host.Example", 65535);
	wait_results(askers, 1);
	assert_string_equal(dns.first_name, "_65535._tcp.host.example");
	assert_int_equal(dns.first_flags, 0x0100 | DNS_AD);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(askers->tlsa.n_records, 2);
	assert_int_equal(askers->tlsa.records[0].usage, 3);
	assert_int_equal(askers->tlsa.records[0].selector, 1);
	assert_int_equal(askers->tlsa.records[0].matching, 1);
	assert_int_equal(askers->tlsa.records[0].n_data, 32);
	assert_int_equal(askers->tlsa.records[0].data[31], 0x5a);
	assert_int_equal(askers->tlsa.records[1].n_data, 64);
	assert_int_equal(askers->tlsa.records[1].data[63], 0xa5);
	/* Another port is another question. */
	dns.script = script_tlsa_unsigned;
	ask_tlsa(askers, "host.example", 5222);
	wait_results(askers, 2);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	ask_tlsa(askers, "host.example", 65535);
	wait_results(askers, 3);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(dns.n_questions, 2);
}

/* When one service has targets, the other is waited for only for the grace period, not for all its
 * tries: that would be 6 s here. */
static void test_grace_period(void **state)
{
	enum {
		SHORT_PATIENCE_MS = 100,
	};
	static const script scripts[] = {script_starttls, script_direct};
	uint64_t start = uv_hrtime();

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(scripts); i++) {
		resolver_free(dns.resolver);
		start_resolver(SHORT_PATIENCE_MS, 6);
		dns.script = scripts[i];
		ask_srv(&askers[i], "a.example");
		wait_results(&askers[i], 1);
		assert_int_equal(askers[i].result, RESOLVER_OK);
		assert_int_equal(askers[i].srv.n_targets, 1);
		assert_int_equal(askers[i].srv.targets[0].is_direct, i == 1);
	}
	/* A timer counts from when the loop has last read the clock, which may be a while ago. */
	assert_true(uv_hrtime() - start > 1ULL * SHORT_PATIENCE_MS * 1000000);
	assert_true(uv_hrtime() - start < 5ULL * 1000000000);
}

/* Answers from the cache, one in each iteration of the loop, do not put off the end of the grace
 * period. */
static void test_grace_is_not_put_off(void **state)
{
	enum {
		SHORT_PATIENCE_MS = 100,
	};
	struct asker *busy = &askers[1];
	uint64_t start = uv_hrtime();

	(void)state;
	resolver_free(dns.resolver);
	start_resolver(SHORT_PATIENCE_MS, 6);
	dns.script = script_services;
	ask_srv(busy, "cached.example");
	wait_results(busy, 1);
	dns.script = script_direct;
	ask_srv(askers, "a.example");
	for (unsigned n_asked = 1; !askers->n_results;) {
		if (busy->n_results == n_asked) {
			ask_srv(busy, "cached.example");
			n_asked++;
		}
		uv_run(&dns.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(askers->srv.n_targets, 1);
	assert_true(uv_hrtime() - start < 2ULL * 1000000000);
}

/* "." is not a target: the other service is waited for to the end. */
static void test_no_grace_without_targets(void **state)
{
	(void)state;
	resolver_free(dns.resolver);
	start_resolver(TRY_MS, 3);
	n_direct = 0;
	dns.script = script_half_refused;
	ask_srv(askers, "a.example");
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_TIMEOUT);
	while (n_direct < 3) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	read_questions();
	assert_int_equal(n_direct, 3);
}

static void test_names(void **state)
{
	char name[SRV_HOST_MAX + 2];

	(void)state;
	dns.script = script_nothing;
	memset(name, 'a', sizeof(name));
	name[SRV_HOST_MAX + 1] = '\0';
	assert_int_equal(
		resolver_ask_srv(dns.resolver,
				 &(struct resolver_question){.name = name, .crowd = TURN_NO_CROWD},
				 on_srv, askers, &askers->query),
		RESOLVER_E_NAME);
	assert_int_equal(resolver_ask_addresses(dns.resolver,
						&(struct resolver_question){.name = name,
									    .port = 1,
									    .crowd = TURN_NO_CROWD},
						on_addresses, askers, &askers->query),
			 RESOLVER_E_NAME);
	assert_int_equal(resolver_ask_tlsa(dns.resolver,
					   &(struct resolver_question){
						   .name = name, .port = 1, .crowd = TURN_NO_CROWD},
					   on_tlsa, askers, &askers->query),
			 RESOLVER_E_NAME);
	assert_null(askers->query);
	/* Such a name cannot exist in the DNS. */
	name[SRV_HOST_MAX] = '\0';
	ask_srv(askers, name);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	/* RFC 7686: these must not be sent to the DNS. */
	ask_srv(askers, "a.onion");
	wait_results(askers, 2);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	assert_int_equal(dns.n_questions, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_both_services),
		TEST(test_nothing),
		TEST(test_failure),
		TEST(test_time_out),
		TEST(test_time_out_of_many),
		TEST(test_late_thread),
		TEST(test_no_server),
		TEST(test_addresses),
		TEST(test_literals),
		TEST(test_tlsa),
		TEST(test_grace_period),
		TEST(test_grace_is_not_put_off),
		TEST(test_no_grace_without_targets),
		TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
