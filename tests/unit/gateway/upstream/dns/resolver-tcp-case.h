/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A resolver whose answers are truncated: it asks again over TCP, on a connection for each
 * question. The DNS server truncates all answers over UDP; the test decides what it does over TCP.
 * For one source file of a program, after cmocka.h.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "gateway/upstream/dns/answers.h"
#include "gateway/upstream/dns/ares-tcp.h"
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

static inline int start_timer(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout,
			      uint64_t repeat)
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

static inline bool is_interrupted(unsigned *n)
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

/* What read(3) becomes with _FORTIFY_SOURCE where the compiler does not know the size: clang with
 * Debian 13's headers. */
ssize_t __read_chk(int fd, void *bytes, size_t n, size_t size);
ssize_t __read_chk(int fd, void *bytes, size_t n, size_t size)
{
	(void)size;
	return read(fd, bytes, n);
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

static inline bool script_truncated(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | TRUNCATED, name, type);
	return true;
}

static inline bool script_tlsa(const char *name, unsigned type, struct dns_message *message)
{
	dns_begin(message, DNS_RESPONSE | DNS_AD, name, type);
	for (unsigned i = 0; i < TLSA_RECORDS_MAX; i++) {
		dns_record(message, DNS_ANSWER, name, DNS_TLSA, 60, dns_tlsa(3, 1, 2, 64, (int)i));
	}
	return true;
}

static inline void peer_close(struct peer *peer)
{
	if (peer->is_open) {
		peer->is_open = false;
		uv_close((uv_handle_t *)&peer->stream, NULL);
		uv_close((uv_handle_t *)&peer->timer, NULL);
	}
}

/* A piece at each turn of the loop. */
static inline void on_peer_timer(uv_timer_t *timer)
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

static inline void peer_answer(struct peer *peer)
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

static inline void on_peer_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *space)
{
	struct peer *peer = handle->data;

	(void)suggested;
	*space = uv_buf_init((char *)peer->question + peer->n_question,
			     sizeof(peer->question) - (unsigned)peer->n_question);
}

static inline void on_peer_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *space)
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

static inline void on_peer(uv_stream_t *listener, int status)
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
static inline bool listen_tcp(void)
{
	struct sockaddr_in address;
	int n_address = sizeof(address);

	uv_udp_getsockname(&dns.socket, (struct sockaddr *)&address, &n_address);
	uv_tcp_init(&dns.loop, &tcp.listener);
	return uv_tcp_bind(&tcp.listener, (struct sockaddr *)&address, 0) == 0 &&
	       uv_listen((uv_stream_t *)&tcp.listener, PEERS_MAX, on_peer) == 0;
}

static inline int teardown_tcp(void **state)
{
	for (size_t i = 0; i < tcp.n_peers; i++) {
		peer_close(&tcp.peers[i]);
	}
	uv_close((uv_handle_t *)&tcp.listener, NULL);
	return teardown(state);
}

static inline int setup_tcp(void **state)
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
