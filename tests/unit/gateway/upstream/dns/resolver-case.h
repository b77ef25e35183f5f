/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A resolver and a DNS server on one loop, with real packets. The server answers each question by
 * the script that the test has set, and counts the questions. Included after cmocka.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/turn.h"
#include "gateway/upstream/dns/resolver.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/upstream/dns/dns-case.h"

enum {
	ASKERS = 200,
	TRY_MS = 50, /* for a server that does not answer */
	/* Longer than any test takes, so that no question is repeated on a busy machine. */
	LONG_MS = 100 * 1000,
	/* Nothing takes longer unless it hangs. */
	WATCHDOG_MS = 60 * 1000,
};

/* Writes the answer to a question, or returns false: no answer. */
typedef bool (*script)(const char *name, unsigned type, struct dns_message *ret_message);

static struct {
	uv_loop_t loop;
	uv_udp_t socket;
	uv_timer_t watchdog;
	char address[32];
	script script;
	unsigned char packet[1500];
	size_t n_questions;
	bool is_marked;       /* see read_questions() */
	char first_name[256]; /* of the first question, and its flags */
	unsigned first_flags;
	struct resolver *resolver;
} dns;

/* The owner of a query, and its result. */
struct asker {
	struct resolver_query *query;
	unsigned n_results;
	enum resolver_result result;
	struct srv_set srv;
	struct tlsa_set tlsa;
	struct address addresses[RESOLVER_ADDRESSES_MAX];
	size_t n_addresses;
};

static struct asker askers[ASKERS];

/* The server. */

static inline void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	(void)handle, (void)suggested;
	*buffer = uv_buf_init((char *)dns.packet, sizeof(dns.packet));
}

static inline unsigned read_name(const unsigned char *at, char name[256])
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

static inline void on_question(uv_udp_t *socket, ssize_t n, const uv_buf_t *buffer,
			       const struct sockaddr *peer, unsigned flags)
{
	static struct dns_message message;
	char name[256];

	(void)buffer, (void)flags;
	dns.is_marked |= n == 1;
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

static inline void on_watchdog(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("stuck after %zu questions", dns.n_questions);
}

static inline void start_resolver(unsigned timeout_ms, unsigned n_tries)
{
	assert_int_equal(resolver_new(&dns.loop,
				      &(struct resolver_options){.servers = dns.address,
								 .timeout_ms = timeout_ms,
								 .n_tries = n_tries},
				      &dns.resolver),
			 0);
}

static inline int setup(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int n_address = sizeof(address);

	(void)state;
	memset(&dns, 0, sizeof(dns));
	memset(askers, 0, sizeof(askers));
	uv_loop_init(&dns.loop);
	uv_udp_init(&dns.loop, &dns.socket);
	assert_int_equal(uv_udp_bind(&dns.socket, (struct sockaddr *)&address, 0), 0);
	assert_int_equal(uv_udp_getsockname(&dns.socket, (struct sockaddr *)&address, &n_address),
			 0);
	assert_int_equal(uv_udp_recv_start(&dns.socket, on_alloc, on_question), 0);
	snprintf(dns.address, sizeof(dns.address), "127.0.0.1:%u", ntohs(address.sin_port));
	uv_timer_init(&dns.loop, &dns.watchdog);
	uv_timer_start(&dns.watchdog, on_watchdog, WATCHDOG_MS, 0);
	start_resolver(LONG_MS, 3);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	dns.resolver = resolver_free(dns.resolver);
	uv_close((uv_handle_t *)&dns.socket, NULL);
	uv_close((uv_handle_t *)&dns.watchdog, NULL);
	uv_run(&dns.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&dns.loop);
}

/* Queries. */

static struct asker *note_result(void *userdata, enum resolver_result result)
{
	struct asker *asker = userdata;

	assert_non_null(asker->query);
	asker->query = NULL;
	asker->n_results++;
	asker->result = result;
	uv_stop(&dns.loop);
	return asker;
}

static inline void on_srv(void *userdata, enum resolver_result result, struct srv_target *targets,
			  size_t n_targets)
{
	struct asker *asker = note_result(userdata, result);

	assert_int_equal(n_targets > 0, result == RESOLVER_OK);
	asker->srv.n_targets = n_targets;
	if (n_targets) {
		memcpy(asker->srv.targets, targets, n_targets * sizeof(*targets));
	}
}

static inline void on_addresses(void *userdata, enum resolver_result result,
				const struct address *addresses, size_t n)
{
	struct asker *asker = note_result(userdata, result);

	assert_int_equal(n > 0, result == RESOLVER_OK);
	asker->n_addresses = n;
	if (n) {
		memcpy(asker->addresses, addresses, n * sizeof(*addresses));
	}
}

static inline void on_tlsa(void *userdata, enum resolver_result result, const struct tlsa_set *set)
{
	struct asker *asker = note_result(userdata, result);

	assert_int_equal(set != NULL, result == RESOLVER_OK);
	if (set) {
		asker->tlsa = *set;
	}
}

static inline void ask_srv(struct asker *asker, const char *domain)
{
	unsigned n_results = asker->n_results;

	assert_int_equal(resolver_ask_srv(dns.resolver,
					  &(struct resolver_question){.name = domain,
								      .crowd = TURN_NO_CROWD},
					  on_srv, asker, &asker->query),
			 0);
	assert_int_equal(asker->n_results, n_results);
}

static inline void ask_addresses(struct asker *asker, const char *host, uint16_t port)
{
	unsigned n_results = asker->n_results;

	assert_int_equal(resolver_ask_addresses(dns.resolver,
						&(struct resolver_question){.name = host,
									    .port = port,
									    .crowd = TURN_NO_CROWD},
						on_addresses, asker, &asker->query),
			 0);
	assert_int_equal(asker->n_results, n_results);
}

static inline void ask_tlsa(struct asker *asker, const char *host, uint16_t port)
{
	unsigned n_results = asker->n_results;

	assert_int_equal(resolver_ask_tlsa(dns.resolver,
					   &(struct resolver_question){.name = host,
								       .port = port,
								       .crowd = TURN_NO_CROWD},
					   on_tlsa, asker, &asker->query),
			 0);
	assert_int_equal(asker->n_results, n_results);
}

static inline void cancel(struct asker *asker)
{
	resolver_query_cancel(asker->query);
	asker->query = NULL;
}

/* Runs the loop until @asker has got @n results. */
static inline void wait_results(const struct asker *asker, unsigned n)
{
	while (asker->n_results < n) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	assert_int_equal(asker->n_results, n);
	assert_null(asker->query);
}

static inline void wait_questions(size_t n)
{
	while (dns.n_questions < n) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
}

/* The server reads all questions that are under way: until a mark that was sent behind them. */
static inline void read_questions(void)
{
	uv_buf_t mark = uv_buf_init((char[]){'x'}, 1);
	struct sockaddr_storage address;
	int n_address = sizeof(address);

	dns.is_marked = false;
	assert_int_equal(uv_udp_getsockname(&dns.socket, (struct sockaddr *)&address, &n_address),
			 0);
	assert_int_equal(uv_udp_try_send(&dns.socket, &mark, 1, (struct sockaddr *)&address), 1);
	while (!dns.is_marked) {
		uv_run(&dns.loop, UV_RUN_ONCE);
	}
}

/* What a scenario of failmalloc_each() comes to. Some failed allocations cause a time-out. On a
 * slow machine there are others, which show nothing: such a scenario is called once more. */
static inline int judge_without_memory(const struct asker *asker)
{
	if (asker->result == RESOLVER_OK ||
	    (failmalloc_n_failed() && asker->result != RESOLVER_NO_NAME)) {
		return 0;
	}
	return asker->result == RESOLVER_TIMEOUT ? -EAGAIN : -EINVAL;
}

/* Scripts. */

static inline bool script_silent(const char *name, unsigned type, struct dns_message *message)
{
	(void)name, (void)type, (void)message;
	return false;
}

static inline bool script_nothing(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | DNS_NXDOMAIN, name, type);
	dns_record(message, DNS_AUTHORITY, "example", DNS_SOA, 60, dns_soa(60));
	return true;
}

static inline bool is_direct(const char *name)
{
	return strncmp(name, "_xmpps-", 7) == 0;
}

static inline bool script_services(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | (is_direct(name) ? DNS_AD : 0), name, type);
	dns_record(message, DNS_ANSWER, name, DNS_SRV, 60,
		   is_direct(name) ? dns_srv(1, 10, 5223, "direct.example")
				   : dns_srv(2, 20, 5222, "starttls.example"));
	return true;
}

static inline bool script_starttls(const char *name, unsigned type, struct dns_message *message)
{
	return !is_direct(name) && script_services(name, type, message);
}
