/* SPDX-License-Identifier: MIT */
/*
 * A resolver whose answers are truncated: it asks again over TCP, on a connection for each
 * question. The DNS server truncates all answers over UDP; the test decides what it does over TCP.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gateway/upstream/dns/answers.h"
#include "gateway/upstream/dns/ares-tcp.h"
#include "tests/unit/failmalloc.h"
#include "tests/unit/gateway/upstream/dns/resolver-case.h"

enum {
	PEERS_MAX = ARES_TCP_EXCHANGES_MAX + 1,
	PORT_TRIES = 50,
	TRUNCATED = 0x0200,
	/* So many octets of an answer are sent one by one. */
	N_SINGLE = 30,
};

/* A connection to the server: the question, and the rest of the answer. */
struct peer {
	uv_tcp_t stream;
	uv_timer_t timer;
	unsigned char question[512];
	size_t n_question;
	unsigned char answer[2 + 4096];
	size_t n_answer, n_sent;
	bool is_open;
};

static struct {
	uv_tcp_t listener;
	struct peer peers[PEERS_MAX];
	size_t n_peers;
	script script; /* NULL: no answer */
	bool is_other; /* the answer has another id than the question */
	bool is_whole; /* it is sent at once */
	bool is_begun; /* it says that it is longer, and the rest never comes */
} tcp;

/* The timer of the last exchange. */
static uv_timer_t *exchange_timer;
static uv_timer_cb on_exchange_timer;

static int start_timer(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout, uint64_t repeat)
{
	static int (*start)(uv_timer_t *, uv_timer_cb, uint64_t, uint64_t);

	if (!start) {
		*(void **)&start = dlsym(RTLD_NEXT, "uv_timer_start");
	}
	return start(timer, callback, timeout, repeat);
}

/* Takes the place of libuv's. */
int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout, uint64_t repeat)
{
	if (timeout == ARES_TCP_TIMEOUT_MS) {
		exchange_timer = timer;
		on_exchange_timer = callback;
	}
	return start_timer(timer, callback, timeout, repeat);
}

/* Of any kind. */
static size_t n_sockets;

int socket(int family, int type, int protocol)
{
	n_sockets++;
	return (int)syscall(SYS_socket, family, type, protocol);
}

/* How often a signal still interrupts a system call: those on a counter, by which c-ares is woken,
 * and those on its datagrams. */
static struct {
	unsigned n_writes, n_reads, n_sent, n_received;
} interrupted;
static size_t n_wakes_taken;

static bool is_interrupted(unsigned *n)
{
	if (*n == 0) {
		return false;
	}
	--*n;
	errno = EINTR;
	return true;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	return n == sizeof(uint64_t) && is_interrupted(&interrupted.n_writes)
		     ? -1
		     : syscall(SYS_write, fd, bytes, n);
}

ssize_t read(int fd, void *bytes, size_t n)
{
	if (n == sizeof(uint64_t) && is_interrupted(&interrupted.n_reads)) {
		return -1;
	}
	n_wakes_taken += n == sizeof(uint64_t);
	return syscall(SYS_read, fd, bytes, n);
}

ssize_t writev(int fd, const struct iovec *parts, int n_parts)
{
	return is_interrupted(&interrupted.n_sent) ? -1 : syscall(SYS_writev, fd, parts, n_parts);
}

ssize_t recvfrom(int fd, void *data, size_t size, int flags, __SOCKADDR_ARG from, socklen_t *n_from)
{
	return is_interrupted(&interrupted.n_received)
		     ? -1
		     : syscall(SYS_recvfrom, fd, data, size, flags, from.__sockaddr__, n_from);
}

static bool script_truncated(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | TRUNCATED, name, type);
	return true;
}

static bool script_tlsa(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | DNS_AD, name, type);
	for (unsigned i = 0; i < TLSA_RECORDS_MAX; i++) {
		dns_record(message, DNS_ANSWER, name, DNS_TLSA, 60, dns_tlsa(3, 1, 2, 64, (int)i));
	}
	return true;
}

/* More addresses of each family than are looked at. */
static bool script_addresses(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE, name, type);
	for (unsigned i = 0; i < 2 * DNS_ANSWERS_ADDRESSES_MAX; i++) {
		struct dns_data data = {.n = 4, .data = {192, 0, 2, (unsigned char)i}};

		if (type == DNS_AAAA) {
			data = (struct dns_data){
				.n = 16, .data = {0x20, 1, 0x0d, 0xb8, [15] = (unsigned char)i}};
		}
		dns_record(message, DNS_ANSWER, name, type, 60, data);
	}
	return true;
}

static void peer_close(struct peer *peer)
{
	if (peer->is_open) {
		peer->is_open = false;
		uv_close((uv_handle_t *)&peer->stream, NULL);
		uv_close((uv_handle_t *)&peer->timer, NULL);
	}
}

/* A piece at each turn of the loop. */
static void on_peer_timer(uv_timer_t *timer)
{
	struct peer *peer = timer->data;
	bool is_single = !tcp.is_whole && peer->n_sent < N_SINGLE;
	size_t n = is_single ? 1 : peer->n_answer - peer->n_sent;
	uv_buf_t piece = uv_buf_init((char *)peer->answer + peer->n_sent, (unsigned)n);

	assert_int_equal(uv_try_write((uv_stream_t *)&peer->stream, &piece, 1), (int)n);
	peer->n_sent += n;
	if (peer->n_sent < peer->n_answer) {
		uv_timer_start(&peer->timer, on_peer_timer, 1, 0);
	}
}

static void peer_answer(struct peer *peer)
{
	static struct dns_message message;
	const unsigned char *question = peer->question + 2;
	char name[256];
	unsigned n_name = read_name(question + DNS_HEADER, name);

	if (!tcp.script || !tcp.script(name, question[DNS_HEADER + n_name + 1], &message)) {
		return;
	}
	memcpy(message.data, question, 2);
	message.data[0] ^= tcp.is_other;
	dns_put(peer->answer, 2, tcp.is_begun ? UINT16_MAX : (uint32_t)message.n);
	memcpy(peer->answer + 2, message.data, message.n);
	peer->n_answer = 2 + message.n;
	on_peer_timer(&peer->timer);
}

static void on_peer_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *space)
{
	struct peer *peer = handle->data;

	(void)suggested;
	*space = uv_buf_init((char *)peer->question + peer->n_question,
			     sizeof(peer->question) - (unsigned)peer->n_question);
}

static void on_peer_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *space)
{
	struct peer *peer = stream->data;

	(void)space;
	uv_stop(stream->loop);
	if (n < 0) {
		peer_close(peer);
		return;
	}
	peer->n_question += (size_t)n;
	if (peer->n_question > 2 &&
	    peer->n_question == 2U + (unsigned)(peer->question[0] << 8 | peer->question[1])) {
		peer_answer(peer);
	}
}

static void on_peer(uv_stream_t *listener, int status)
{
	struct peer *peer = &tcp.peers[tcp.n_peers++];

	assert_int_equal(status, 0);
	assert_true(tcp.n_peers <= PEERS_MAX);
	uv_stop(listener->loop);
	*peer = (struct peer){0};
	uv_tcp_init(listener->loop, &peer->stream);
	uv_timer_init(listener->loop, &peer->timer);
	peer->stream.data = peer;
	peer->timer.data = peer;
	peer->is_open = true;
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&peer->stream), 0);
	uv_tcp_nodelay(&peer->stream, 1);
	assert_int_equal(uv_read_start((uv_stream_t *)&peer->stream, on_peer_alloc, on_peer_read),
			 0);
}

/* Whether the port of the UDP socket is free for TCP as well. */
static bool listen_tcp(void)
{
	struct sockaddr_in address;
	int n_address = sizeof(address);

	uv_udp_getsockname(&dns.socket, (struct sockaddr *)&address, &n_address);
	uv_tcp_init(&dns.loop, &tcp.listener);
	return uv_tcp_bind(&tcp.listener, (struct sockaddr *)&address, 0) == 0 &&
	       uv_listen((uv_stream_t *)&tcp.listener, PEERS_MAX, on_peer) == 0;
}

static int teardown_tcp(void **state)
{
	for (size_t i = 0; i < tcp.n_peers; i++) {
		peer_close(&tcp.peers[i]);
	}
	uv_close((uv_handle_t *)&tcp.listener, NULL);
	return teardown(state);
}

static int setup_tcp(void **state)
{
	for (int i = 0; i < PORT_TRIES; i++) {
		memset(&tcp, 0, sizeof(tcp));
		setup(state);
		if (listen_tcp()) {
			dns.script = script_truncated;
			resolver_free(dns.resolver);
			start_resolver(LONG_MS, 1);
			return 0;
		}
		teardown_tcp(state);
	}
	return -1;
}

/* Single octets, then the rest; one question over UDP and one over TCP. */
static void test_answer(void **state)
{
	(void)state;
	tcp.script = script_tlsa;
	ask_tlsa(askers, "a.example", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(askers->tlsa.n_records, TLSA_RECORDS_MAX);
	assert_int_equal(askers->tlsa.records[TLSA_RECORDS_MAX - 1].data[63], TLSA_RECORDS_MAX - 1);
	assert_int_equal(dns.n_questions, 1);
	assert_int_equal(tcp.n_peers, 1);
	/* It is the same question. */
	assert_memory_equal(tcp.peers->question + 2 + 2, dns.packet + 2,
			    tcp.peers->n_question - 2 - 2);
}

/* A wake that was interrupted is made all the same, and taken: otherwise the answer would not be
 * read, or the loop would be woken for ever. */
static void test_interrupted_wakes(void **state)
{
	(void)state;
	tcp.script = script_tlsa;
	interrupted.n_writes = interrupted.n_reads = 1;
	n_wakes_taken = 0;
	ask_tlsa(askers, "a.example", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(interrupted.n_writes + interrupted.n_reads, 0);
	assert_int_equal(n_wakes_taken, 1);
}

/* c-ares would take that for a broken connection: all that were sent on it would lose a try. */
static void test_interrupted_datagrams(void **state)
{
	(void)state;
	tcp.script = script_tlsa;
	interrupted.n_sent = interrupted.n_received = 1;
	ask_tlsa(askers, "a.example", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(dns.n_questions, 1);
	assert_int_equal(interrupted.n_sent + interrupted.n_received, 0);
}

/* Any number of truncated answers at once: each question gets its answer on a connection of its
 * own. */
static void test_answers(void **state)
{
	enum { N = 20 };
	char name[32];

	(void)state;
	tcp.script = script_tlsa;
	for (size_t i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "h%zu.example", i);
		ask_tlsa(&askers[i], name, 5222);
	}
	for (size_t i = 0; i < N; i++) {
		wait_results(&askers[i], 1);
		assert_int_equal(askers[i].result, RESOLVER_OK);
	}
	assert_int_equal(tcp.n_peers, N);
}

/* c-ares takes a socket for each address, to sort them. */
static void check_sockets(void)
{
	n_sockets = 0;
	/* A short name: c-ares would ask again over TCP if a datagram had more than 512 octets. */
	ask_addresses(askers, "a", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	assert_int_equal(askers->n_addresses, RESOLVER_ADDRESSES_MAX);
	assert_in_range(n_sockets, 2 * DNS_ANSWERS_ADDRESSES_MAX,
			2 * DNS_ANSWERS_ADDRESSES_MAX + 10);
}

static void test_many_addresses(void **state)
{
	(void)state;
	tcp.script = script_addresses;
	tcp.is_whole = true;
	check_sockets();
}

static void test_many_addresses_in_datagrams(void **state)
{
	(void)state;
	dns.script = script_addresses;
	check_sockets();
}

/* The addresses that are used are there: what follows is not read. */
static void test_rest_is_not_awaited(void **state)
{
	(void)state;
	tcp.script = script_addresses;
	tcp.is_whole = true;
	tcp.is_begun = true;
	check_sockets();
}

/* Who asks pays for the exchanges, and for what c-ares does with their answers. */
static void test_charge(void **state)
{
	static struct turn turn;
	const uint32_t crowd = 7;

	(void)state;
	resolver_free(dns.resolver);
	turn_init(&turn, &dns.loop);
	assert_int_equal(resolver_new(&dns.loop,
				      &(struct resolver_options){.servers = dns.address,
								 .timeout_ms = LONG_MS,
								 .n_tries = 1,
								 .turn = &turn},
				      &dns.resolver),
			 0);
	tcp.script = script_addresses;
	assert_int_equal(resolver_ask_addresses(dns.resolver,
						&(struct resolver_question){.name = "a.example",
									    .port = 5222,
									    .crowd = crowd},
						on_addresses, askers, &askers->query),
			 0);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
	for (size_t i = 0; i < TURN_CROWDS; i++) {
		assert_int_equal(turn.crowds[i].us > 0, i == crowd);
	}
	turn_close(&turn);
}

/* An answer to another question ends the exchange; c-ares alone would wait for another one. */
static void test_other_answer(void **state)
{
	(void)state;
	tcp.script = script_tlsa;
	tcp.is_other = true;
	ask_tlsa(askers, "a.example", 5222);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_FAILED);
}

/* Until @n questions have come over TCP. */
static void wait_peers(size_t n)
{
	while (tcp.n_peers < n || tcp.peers[n - 1].n_question == 0) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
}

/* The time of an exchange passes while the thread is busy with something else. What has arrived
 * meanwhile counts. */
static void test_late_thread(void **state)
{
	int fd, n_left;

	(void)state;
	tcp.script = script_tlsa;
	tcp.is_whole = true;
	ask_tlsa(askers, "a.example", 5222);
	while (tcp.peers->n_answer == 0) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	assert_int_equal(askers->n_results, 0);
	/* The loop does not run until the kernel has passed the answer on. */
	assert_int_equal(uv_fileno((uv_handle_t *)&tcp.peers->stream, &fd), 0);
	do {
		assert_int_equal(ioctl(fd, SIOCOUTQ, &n_left), 0);
	} while (n_left);
	start_timer(exchange_timer, on_exchange_timer, 0, 0);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_OK);
}

/* The time passes, and nothing has arrived. */
static void test_no_answer(void **state)
{
	(void)state;
	ask_tlsa(askers, "a.example", 5222);
	wait_peers(1);
	start_timer(exchange_timer, on_exchange_timer, 0, 0);
	wait_results(askers, 1);
	assert_int_equal(askers->result, RESOLVER_FAILED);
}

/* The maximum of exchanges without answers. One more makes the oldest fail, and no other. */
static void test_bound(void **state)
{
	char name[32];

	(void)state;
	for (size_t i = 0; i < ARES_TCP_EXCHANGES_MAX; i++) {
		snprintf(name, sizeof(name), "h%zu.example", i);
		ask_tlsa(&askers[i], name, 5222);
		wait_peers(i + 1);
	}
	for (size_t i = 0; i < ARES_TCP_EXCHANGES_MAX; i++) {
		assert_int_equal(askers[i].n_results, 0);
	}
	tcp.script = script_tlsa;
	ask_tlsa(&askers[ARES_TCP_EXCHANGES_MAX], "one-more.example", 5222);
	wait_results(&askers[ARES_TCP_EXCHANGES_MAX], 1);
	assert_int_equal(askers[ARES_TCP_EXCHANGES_MAX].result, RESOLVER_OK);
	wait_results(&askers[0], 1);
	assert_int_equal(askers[0].result, RESOLVER_FAILED);
	for (size_t i = 1; i < ARES_TCP_EXCHANGES_MAX; i++) {
		assert_int_equal(askers[i].n_results, 0);
	}
}

/* The resolver is freed while exchanges are under way: before they are connected, and after the
 * question has arrived. */
static void test_freeing(void **state)
{
	(void)state;
	ask_tlsa(askers, "a.example", 5222);
	wait_peers(1);
	ask_tlsa(&askers[1], "b.example", 5222);
	wait_questions(2);
	dns.resolver = resolver_free(dns.resolver);
	while (tcp.peers->is_open) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	assert_int_equal(askers[0].n_results + askers[1].n_results, 0);
}

static int scenario(void *userdata)
{
	struct resolver_options options = {
		.servers = dns.address, .timeout_ms = TRY_MS, .n_tries = 1};
	struct asker *asker = userdata;
	int r = resolver_new(&dns.loop, &options, &dns.resolver);

	tcp.n_peers = 0;
	asker->query = NULL;
	asker->n_results = 0;
	if (r == 0) {
		r = resolver_ask_tlsa(dns.resolver,
				      &(struct resolver_question){.name = "a.example",
								  .port = 5222,
								  .crowd = TURN_NO_CROWD},
				      on_tlsa, asker, &asker->query);
	}
	while (r == 0 && asker->n_results == 0) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	r = r < 0 ? r : judge_without_memory(asker);
	dns.resolver = resolver_free(dns.resolver);
	/* Its handles, and the server's end, close at the next turn of the loop. */
	while (tcp.n_peers && tcp.peers->is_open) {
		uv_run(&dns.loop, UV_RUN_DEFAULT);
	}
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	dns.resolver = resolver_free(dns.resolver);
	uv_run(&dns.loop, UV_RUN_NOWAIT);
	tcp.script = script_tlsa;
	tcp.is_whole = true;
	/* Besides the resolver: a stand-in, its query, an exchange, its answer, and the answers to
	 * read. */
	failmalloc_each(scenario, askers, 12);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_tcp, teardown_tcp)
	const struct CMUnitTest tests[] = {
		TEST(test_answer),
		TEST(test_answers),
		TEST(test_other_answer),
		TEST(test_late_thread),
		TEST(test_no_answer),
		TEST(test_bound),
		TEST(test_freeing),
		TEST(test_no_memory),
		TEST(test_many_addresses),
		TEST(test_many_addresses_in_datagrams),
		TEST(test_charge),
		TEST(test_rest_is_not_awaited),
		TEST(test_interrupted_wakes),
		TEST(test_interrupted_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
