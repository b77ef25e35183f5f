/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "gateway/upstream/lookups.h"
#include "gateway/upstream/resolver.h"
#include "tests/unit/dns-case.h"
#include "tests/unit/failmalloc.h"

/*
 * The resolver on a loop of its own, with a DNS server on the same loop: real packets. The server answers each
 * question by the script that the test has set, and counts.
 */

enum {
	ASKERS = 200,
	PATIENCE_MS = 300,
	/* Nothing here takes longer, unless it is stuck. */
	WATCHDOG_MS = 20000,
};

/* Writes the answer to a question, or returns false: then there is none. */
typedef bool (*script)(const char *name, unsigned type, struct dns_message *ret_message);

static struct {
	uv_loop_t loop;
	uv_udp_t socket;
	uv_timer_t watchdog;
	char address[32];
	script script;
	unsigned char packet[1500];
	size_t n_questions;
	char first_name[256]; /* of the first question, and its flags */
	unsigned first_flags;
	struct resolver *resolver;
} dns;

/* One who asks, and what he was told. */
struct asker {
	struct resolver_query *query;
	unsigned n_told;
	enum resolver_result result;
	struct srv_set srv;
	struct tlsa_set tlsa;
	struct address addresses[RESOLVER_ADDRESSES_MAX];
	size_t n_addresses;
};

static struct asker askers[ASKERS];

/* The server. */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	(void)handle, (void)suggested;
	*buffer = uv_buf_init((char *)dns.packet, sizeof(dns.packet));
}

static unsigned read_name(const unsigned char *at, char name[256])
{
	unsigned n = 0;

	while (at[n]) {
		memcpy(name + n, at + n + 1, at[n]);
		n += at[n] + 1U;
		name[n - 1] = '.';
	}
	name[n ? n - 1 : 0] = '\0';
	return n + 1;
}

static void on_question(uv_udp_t *socket, ssize_t n, const uv_buf_t *buffer, const struct sockaddr *peer,
			unsigned flags)
{
	static struct dns_message message;
	char name[256];

	(void)buffer, (void)flags;
	if (n < DNS_HEADER || !peer) {
		return;
	}
	unsigned n_name = read_name(dns.packet + DNS_HEADER, name);
	unsigned type = dns.packet[DNS_HEADER + n_name + 1];

	uv_stop(socket->loop);
	if (dns.n_questions++ == 0) {
		memcpy(dns.first_name, name, sizeof(name));
		dns.first_flags = (unsigned)dns.packet[2] << 8 | dns.packet[3];
	}
	if (dns.script && dns.script(name, type, &message)) {
		memcpy(message.data, dns.packet, 2);
		uv_buf_t answer = uv_buf_init((char *)message.data, (unsigned)message.n);

		assert_int_equal(uv_udp_try_send(socket, &answer, 1, peer), (int)message.n);
	}
}

static void on_watchdog(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("stuck after %zu questions", dns.n_questions);
}

static void start_resolver(unsigned timeout_ms, unsigned n_tries)
{
	assert_int_equal(resolver_new(&dns.loop,
				      &(struct resolver_options){
					      .servers = dns.address, .timeout_ms = timeout_ms, .n_tries = n_tries},
				      &dns.resolver),
			 0);
}

static int setup(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int n_address = sizeof(address);

	(void)state;
	memset(&dns, 0, sizeof(dns));
	memset(askers, 0, sizeof(askers));
	uv_loop_init(&dns.loop);
	uv_udp_init(&dns.loop, &dns.socket);
	assert_int_equal(uv_udp_bind(&dns.socket, (struct sockaddr *)&address, 0), 0);
	assert_int_equal(uv_udp_getsockname(&dns.socket, (struct sockaddr *)&address, &n_address), 0);
	assert_int_equal(uv_udp_recv_start(&dns.socket, on_alloc, on_question), 0);
	snprintf(dns.address, sizeof(dns.address), "127.0.0.1:%u", ntohs(address.sin_port));
	uv_timer_init(&dns.loop, &dns.watchdog);
	uv_timer_start(&dns.watchdog, on_watchdog, WATCHDOG_MS, 0);
	start_resolver(1500, 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dns.resolver = resolver_free(dns.resolver);
	uv_close((uv_handle_t *)&dns.socket, NULL);
	uv_close((uv_handle_t *)&dns.watchdog, NULL);
	uv_run(&dns.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&dns.loop);
}

/* Those who ask. */

static struct asker *told(void *userdata, enum resolver_result result)
{
	struct asker *asker = userdata;

	assert_non_null(asker->query);
	asker->query = NULL;
	asker->n_told++;
	asker->result = result;
	uv_stop(&dns.loop);
	return asker;
}

static void on_srv(void *userdata, enum resolver_result result, struct srv_target *targets, size_t n_targets)
{
	struct asker *asker = told(userdata, result);

	assert_int_equal(n_targets > 0, result == RESOLVER_OK);
	asker->srv.n_targets = n_targets;
	if (n_targets) {
		memcpy(asker->srv.targets, targets, n_targets * sizeof(*targets));
	}
}

static void on_addresses(void *userdata, enum resolver_result result, const struct address *addresses, size_t n)
{
	struct asker *asker = told(userdata, result);

	assert_int_equal(n > 0, result == RESOLVER_OK);
	asker->n_addresses = n;
	if (n) {
		memcpy(asker->addresses, addresses, n * sizeof(*addresses));
	}
}

static void on_tlsa(void *userdata, enum resolver_result result, const struct tlsa_set *set)
{
	struct asker *asker = told(userdata, result);

	assert_int_equal(set != NULL, result == RESOLVER_OK);
	if (set) {
		asker->tlsa = *set;
	}
}

static void ask_srv(struct asker *asker, const char *domain)
{
	unsigned n_told = asker->n_told;

	assert_int_equal(resolver_ask_srv(dns.resolver, domain, on_srv, asker, &asker->query), 0);
	assert_int_equal(asker->n_told, n_told);
}

static void ask_addresses(struct asker *asker, const char *host, uint16_t port)
{
	unsigned n_told = asker->n_told;

	assert_int_equal(resolver_ask_addresses(dns.resolver, host, port, on_addresses, asker, &asker->query), 0);
	assert_int_equal(asker->n_told, n_told);
}

static void ask_tlsa(struct asker *asker, const char *host, uint16_t port)
{
	unsigned n_told = asker->n_told;

	assert_int_equal(resolver_ask_tlsa(dns.resolver, host, port, on_tlsa, asker, &asker->query), 0);
	assert_int_equal(asker->n_told, n_told);
}

static void cancel(struct asker *asker)
{
	resolver_query_cancel(asker->query);
	asker->query = NULL;
}

/* Runs the loop until @asker has been told @n times. */
static void wait_told(const struct asker *asker, unsigned n)
{
	while (asker->n_told < n) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	assert_int_equal(asker->n_told, n);
	assert_null(asker->query);
}

static void wait_questions(size_t n)
{
	while (dns.n_questions < n) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
}

/* Scripts. */

static bool script_silent(const char *name, unsigned type, struct dns_message *message)
{
	(void)name, (void)type, (void)message;
	return false;
}

static bool script_servfail(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | DNS_SERVFAIL, name, type);
	return true;
}

static bool script_nothing(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | DNS_NXDOMAIN, name, type);
	dns_record(message, DNS_AUTHORITY, "example", DNS_SOA, 60, dns_soa(60));
	return true;
}

static bool is_direct(const char *name)
{
	return strncmp(name, "_xmpps-", 7) == 0;
}

static bool script_services(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | (is_direct(name) ? DNS_AD : 0), name, type);
	dns_record(message, DNS_ANSWER, name, DNS_SRV, 60,
		   is_direct(name) ? dns_srv(1, 10, 5223, "direct.example") : dns_srv(2, 20, 5222, "starttls.example"));
	return true;
}

static bool script_starttls(const char *name, unsigned type, struct dns_message *message)
{
	return !is_direct(name) && script_services(name, type, message);
}

static bool script_direct(const char *name, unsigned type, struct dns_message *message)
{
	return is_direct(name) && script_services(name, type, message);
}

/* STARTTLS is not offered; of direct TLS nobody knows. */
static bool script_half_refused(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE, name, type);
	dns_record(message, DNS_ANSWER, name, DNS_SRV, 60, dns_srv(0, 0, 0, "."));
	return !is_direct(name);
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

/* Tests. */

static void assert_target(const struct srv_target *target, const char *host, unsigned port, bool direct)
{
	assert_string_equal(target->host, host);
	assert_int_equal(target->port, port);
	assert_int_equal(target->direct, direct);
	assert_int_equal(target->authentic, direct);
}

static void test_both_services(void **state)
{
	(void)state;
	dns.script = script_services;
	ask_srv(askers, "a.example");
	wait_told(askers, 1);
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
	wait_told(askers, 1);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	ask_addresses(askers, "a.example", 1);
	wait_told(askers, 2);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	ask_tlsa(askers, "a.example", 1);
	wait_told(askers, 3);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	assert_int_equal(dns.n_questions, 5);
	/* That is remembered, too. */
	ask_srv(askers, "a.example");
	wait_told(askers, 4);
	ask_addresses(askers, "a.example", 1);
	wait_told(askers, 5);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	assert_int_equal(dns.n_questions, 5);
}

static void test_failure(void **state)
{
	(void)state;
	dns.script = script_servfail;
	ask_srv(askers, "a.example");
	wait_told(askers, 1);
	assert_int_equal(askers->result, RESOLVER_FAILED);
	ask_addresses(askers, "a.example", 1);
	wait_told(askers, 2);
	assert_int_equal(askers->result, RESOLVER_FAILED);
	/* What is signed wrongly looks so. */
	ask_tlsa(askers, "a.example", 1);
	wait_told(askers, 3);
	assert_int_equal(askers->result, RESOLVER_FAILED);
}

static void test_time_out(void **state)
{
	(void)state;
	resolver_free(dns.resolver);
	start_resolver(50, 2);
	dns.script = script_silent;
	ask_srv(askers, "a.example");
	wait_told(askers, 1);
	assert_int_equal(askers->result, RESOLVER_TIMEOUT);
	assert_int_equal(dns.n_questions, 4);
}

/* Nobody listens where the server should be: that is no answer, whether the kernel says so or not. */
static void test_no_server(void **state)
{
	(void)state;
	uv_udp_recv_stop(&dns.socket);
	resolver_free(dns.resolver);
	snprintf(dns.address, sizeof(dns.address), "127.0.0.1:1");
	start_resolver(50, 3);
	ask_srv(askers, "a.example");
	wait_told(askers, 1);
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
	wait_told(askers, 1);
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
	/* The port is the asker's, not the answer's. */
	ask_addresses(askers, "a.example", 5270);
	wait_told(askers, 2);
	assert_int_equal(address_port(&askers->addresses[1]), 5270);
	assert_int_equal(dns.n_questions, 2);
}

/* Where a name belongs. */
static void test_literals(void **state)
{
	static const char *const rows[][2] = {{"192.0.2.7", "192.0.2.7:9"}, {"2001:db8::7", "[2001:db8::7]:9"}};
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(rows); i++) {
		ask_addresses(askers, rows[i][0], 9);
		wait_told(askers, i + 1);
		assert_int_equal(askers->n_addresses, 1);
		assert_string_equal(address_format(&askers->addresses[0], text), rows[i][1]);
	}
	/* RFC 6761, 6.3: no DNS server is asked for this one. */
	ask_addresses(askers, "localhost", 9);
	wait_told(askers, 3);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(dns.n_questions, 0);
}

static void test_tlsa(void **state)
{
	(void)state;
	dns.script = script_tlsa_signed;
	ask_tlsa(askers, "Host.Example", 65535);
	wait_told(askers, 1);
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
	wait_told(askers, 2);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	ask_tlsa(askers, "host.example", 65535);
	wait_told(askers, 3);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(dns.n_questions, 2);
}

/* However many ask, in whatever case: one question for each service. Each may go by itself. */
static void test_one_question(void **state)
{
	unsigned n_told = 0;

	(void)state;
	dns.script = script_services;
	for (size_t i = 0; i < ASKERS; i++) {
		ask_srv(&askers[i], i % 2 ? "a.example" : "A.Example");
	}
	for (size_t i = 0; i < ASKERS; i += 4) {
		cancel(&askers[i]);
	}
	wait_told(&askers[1], 1);
	for (size_t i = 0; i < ASKERS; i++) {
		wait_told(&askers[i], i % 4 != 0);
		assert_int_equal(askers[i].srv.n_targets, i % 4 ? 2 : 0);
		n_told += askers[i].n_told;
	}
	assert_int_equal(n_told, ASKERS * 3 / 4);
	assert_int_equal(dns.n_questions, 2);
}

/* A question goes on when nobody waits for it, and its answer is not lost. */
static void test_cancelled_by_all(void **state)
{
	(void)state;
	dns.script = script_services;
	ask_srv(askers, "a.example");
	cancel(askers);
	wait_questions(2);
	ask_srv(askers, "a.example");
	wait_told(askers, 1);
	assert_int_equal(askers->srv.n_targets, 2);
	assert_int_equal(dns.n_questions, 2);
	/* Also one whose answer is there and not told yet. */
	ask_srv(askers, "a.example");
	cancel(askers);
	ask_srv(&askers[1], "a.example");
	wait_told(&askers[1], 1);
	assert_int_equal(askers->n_told, 1);
	resolver_query_cancel(NULL);
}

/* When one service has targets the other is waited for, but not to the end of all its tries: that would be 19 s
 * here. */
static void test_patience(void **state)
{
	static const script scripts[] = {script_starttls, script_direct};
	uint64_t start = uv_hrtime();

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(scripts); i++) {
		resolver_free(dns.resolver);
		start_resolver(PATIENCE_MS, 6);
		dns.script = scripts[i];
		ask_srv(&askers[i], "a.example");
		wait_told(&askers[i], 1);
		assert_int_equal(askers[i].result, RESOLVER_OK);
		assert_int_equal(askers[i].srv.n_targets, 1);
		assert_int_equal(askers[i].srv.targets[0].direct, i == 1);
	}
	assert_true(uv_hrtime() - start > 2ULL * PATIENCE_MS * 1000000);
	assert_true(uv_hrtime() - start < 9ULL * 1000000000);
}

/* "." is no target: the other is waited for to the end. */
static void test_no_patience_without_targets(void **state)
{
	(void)state;
	resolver_free(dns.resolver);
	start_resolver(50, 3);
	dns.script = script_half_refused;
	ask_srv(askers, "a.example");
	wait_told(askers, 1);
	assert_int_equal(askers->result, RESOLVER_TIMEOUT);
	assert_int_equal(dns.n_questions, 4);
}

/* What comes when nobody waits any more is for those who ask later. */
static void test_late_answer(void **state)
{
	(void)state;
	resolver_free(dns.resolver);
	start_resolver(PATIENCE_MS, 6);
	dns.script = script_starttls;
	ask_srv(askers, "a.example");
	wait_questions(2);
	dns.script = script_services;
	wait_told(askers, 1);
	assert_int_equal(askers->srv.n_targets, 1);
	/* The question goes on: c-ares asks a second time, and whoever asks now profits. */
	wait_questions(3);
	ask_srv(askers, "a.example");
	wait_told(askers, 2);
	assert_int_equal(askers->srv.n_targets, 2);
	assert_int_equal(dns.n_questions, 3);
}

static void test_names(void **state)
{
	char name[SRV_HOST_MAX + 2];

	(void)state;
	dns.script = script_nothing;
	memset(name, 'a', sizeof(name));
	name[SRV_HOST_MAX + 1] = '\0';
	assert_int_equal(resolver_ask_srv(dns.resolver, name, on_srv, askers, &askers->query), -EINVAL);
	assert_int_equal(resolver_ask_addresses(dns.resolver, name, 1, on_addresses, askers, &askers->query), -EINVAL);
	assert_int_equal(resolver_ask_tlsa(dns.resolver, name, 1, on_tlsa, askers, &askers->query), -EINVAL);
	assert_null(askers->query);
	/* No such name can be in the DNS. */
	name[SRV_HOST_MAX] = '\0';
	ask_srv(askers, name);
	wait_told(askers, 1);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	/* RFC 7686: the DNS is not told of these. */
	ask_srv(askers, "a.onion");
	wait_told(askers, 2);
	assert_int_equal(askers->result, RESOLVER_NO_NAME);
	assert_int_equal(dns.n_questions, 0);
}

static void test_bound(void **state)
{
	struct resolver_query *query = NULL;
	char name[32];

	(void)state;
	dns.script = script_services;
	ask_srv(askers, "a.example");
	wait_told(askers, 1);
	dns.script = script_silent;
	for (unsigned i = 0; i < LOOKUPS_MAX; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		assert_int_equal(resolver_ask_tlsa(dns.resolver, name, 1, on_tlsa, askers, &query), 0);
		/* That he goes away leaves the question. */
		resolver_query_cancel(query);
	}
	assert_int_equal(resolver_ask_tlsa(dns.resolver, "more.example", 1, on_tlsa, askers, &query), -EBUSY);
	assert_int_equal(resolver_ask_srv(dns.resolver, "more.example", on_srv, askers, &query), -EBUSY);
	/* What is known already, or asked, costs no question. */
	ask_srv(askers, "a.example");
	wait_told(askers, 2);
	ask_tlsa(askers, "n0.example", 1);
	cancel(askers);
}

/* One place is left: the first service is asked for, the second is not, and nothing is left of the query. */
static void test_bound_between_services(void **state)
{
	struct resolver_query *query = NULL;
	char name[32];

	(void)state;
	dns.script = script_silent;
	for (unsigned i = 0; i < LOOKUPS_MAX - 1; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		assert_int_equal(resolver_ask_tlsa(dns.resolver, name, 1, on_tlsa, &askers[1], &askers[1].query), 0);
	}
	assert_int_equal(resolver_ask_srv(dns.resolver, "a.example", on_srv, askers, &query), -EBUSY);
	assert_null(query);
	resolver_free(dns.resolver);
	start_resolver(1500, 3);
	dns.script = script_services;
	ask_srv(askers, "a.example");
	wait_told(askers, 1);
}

static void on_srv_ask_more(void *userdata, enum resolver_result result, struct srv_target *targets, size_t n_targets)
{
	on_srv(userdata, result, targets, n_targets);
	cancel(&askers[1]);
	ask_srv(&askers[2], "a.example");
	ask_srv(&askers[3], "b.example");
}

/* Who is told may ask anew and cancel others. */
static void test_asking_when_told(void **state)
{
	(void)state;
	dns.script = script_services;
	/* Of those who wait for the same it is told last who asked first. */
	ask_srv(&askers[1], "a.example");
	assert_int_equal(resolver_ask_srv(dns.resolver, "a.example", on_srv_ask_more, askers, &askers->query), 0);
	wait_told(askers, 1);
	wait_told(&askers[2], 1);
	wait_told(&askers[3], 1);
	assert_int_equal(askers[1].n_told, 0);
	assert_int_equal(dns.n_questions, 4);
}

static void on_srv_free(void *userdata, enum resolver_result result, struct srv_target *targets, size_t n_targets)
{
	on_srv(userdata, result, targets, n_targets);
	dns.resolver = resolver_free(dns.resolver);
}

/* Who is told may free the resolver: nobody else hears any more. */
static void test_freeing_when_told(void **state)
{
	(void)state;
	dns.script = script_services;
	ask_srv(&askers[1], "a.example");
	ask_srv(&askers[2], "b.example");
	assert_int_equal(resolver_ask_srv(dns.resolver, "a.example", on_srv_free, askers, &askers->query), 0);
	wait_told(askers, 1);
	assert_null(dns.resolver);
	for (int i = 0; i < 10; i++) {
		uv_run(&dns.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(askers[1].n_told, 0);
	assert_int_equal(askers[2].n_told, 0);
}

/* With questions, told and untold answers. */
static void test_freeing(void **state)
{
	(void)state;
	dns.script = script_services;
	ask_srv(askers, "a.example");
	wait_told(askers, 1);
	ask_srv(askers, "a.example");
	ask_srv(&askers[1], "b.example");
	ask_addresses(&askers[2], "c.example", 1);
	ask_tlsa(&askers[3], "c.example", 1);
	dns.resolver = resolver_free(dns.resolver);
	for (int i = 0; i < 10; i++) {
		uv_run(&dns.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(askers->n_told + askers[1].n_told + askers[2].n_told + askers[3].n_told, 1);
	assert_null(resolver_free(NULL));
}

static void test_bad_servers(void **state)
{
	struct resolver *resolver = NULL;

	(void)state;
	assert_int_equal(resolver_new(&dns.loop,
				      &(struct resolver_options){.servers = "nonsense", .timeout_ms = 1, .n_tries = 1},
				      &resolver),
			 -EINVAL);
	assert_null(resolver);
}

/* From the making of a resolver to what is told, twice: from the DNS and from the cache. */
static int scenario(void *userdata)
{
	struct resolver_options options = {.servers = dns.address, .timeout_ms = 50, .n_tries = 1};
	struct asker *asker = userdata;
	int r = resolver_new(&dns.loop, &options, &dns.resolver);

	for (int i = 0; r == 0 && i < 2; i++) {
		asker->query = NULL;
		asker->n_told = 0;
		r = resolver_ask_srv(dns.resolver, "a.example", on_srv, asker, &asker->query);
		while (r == 0 && asker->n_told == 0) {
			uv_run(&dns.loop, UV_RUN_DEFAULT);
		}
		if (r == 0 && asker->result == RESOLVER_NO_NAME) {
			r = -EINVAL;
		}
	}
	dns.resolver = resolver_free(dns.resolver);
	/* Its handles close at the next turn. */
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	dns.resolver = resolver_free(dns.resolver);
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	dns.script = script_services;
	/* The resolver, its lookups, cache and c-ares; a query, two lookups, answers and places in the cache. */
	failmalloc_each(scenario, askers, 12);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_both_services),
		TEST(test_nothing),
		TEST(test_failure),
		TEST(test_time_out),
		TEST(test_no_server),
		TEST(test_addresses),
		TEST(test_literals),
		TEST(test_tlsa),
		TEST(test_one_question),
		TEST(test_cancelled_by_all),
		TEST(test_patience),
		TEST(test_no_patience_without_targets),
		TEST(test_late_answer),
		TEST(test_names),
		TEST(test_bound),
		TEST(test_bound_between_services),
		TEST(test_asking_when_told),
		TEST(test_freeing_when_told),
		TEST(test_freeing),
		TEST(test_bad_servers),
		TEST(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
