/* SPDX-License-Identifier: MIT */
/* Whom a listener takes connections for, over loopback. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "gateway/listener/arrivals.h"
#include "gateway/http/date.h"
#include "gateway/listener/listener.h"
#include "tests/unit/quiet.h"

enum {
	TURNS_MAX = 10000,
	STEP_MS = 5,
};

#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.1 4711 5280\r\n"

static struct {
	uv_loop_t loop;
	struct worker_env env;
	struct http_date date;
	struct config config;
	struct config_listener section;
	struct metrics_cell metrics;
	struct snapshot snapshot;
	SSL_CTX *tls;
	struct arrivals *arrivals;
	struct listener *listener;
	struct wire *wire; /* the last one that was passed on */
	struct address own;
	int fd, theirs;
} one;

static void on_arrived(void *userdata, struct wire *wire)
{
	assert_ptr_equal(userdata, &one);
	one.wire = wire;
}

static void on_connection(void *userdata, struct wire *wire, bool is_proxied)
{
	assert_ptr_equal(userdata, &one);
	arrivals_take(one.arrivals, wire, is_proxied);
}

static const struct listener_callbacks callbacks = {.connection = on_connection};

static void on_closed(void *userdata, const struct address *peer)
{
	(void)userdata;
	worker_leave_connection(&one.env, peer);
}

/* Listens on a port of its own, which has a section. */
static void listen_on_loopback(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(address);

	one.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(one.fd, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(one.fd, 8), 0);
	assert_int_equal(getsockname(one.fd, (struct sockaddr *)&address, &n), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&address, &one.own), 0);
	one.section.address = one.own;
}

static void add(struct networks *networks, const char *text)
{
	unsigned line;

	assert_int_equal(networks_add_list(networks, sv_from(text), &line), 0);
	networks_seal(networks);
}

static int setup(void **state)
{
	(void)state;
	memset(&one, 0, sizeof(one));
	log_errors_only();
	one.theirs = -1;
	one.config.limits.sessions = one.config.limits.sessions_per_client = 9;
	one.config.limits.connections_per_client = 1;
	one.config.header_timeout_s = 60;
	one.config.listeners.list = &one.section;
	one.config.listeners.n = 1;
	one.section.proxy = DOMAIN_PROXY_V1;
	one.section.idle_s = 75;
	add(&one.section.proxy_peers, "127.0.0.1");
	listen_on_loopback();
	assert_int_equal(uv_loop_init(&one.loop), 0);
	one.env = (struct worker_env){.date = &one.date,
				      .loop = &one.loop,
				      .config = &one.config,
				      .metrics = &one.metrics,
				      .n_workers = 1};
	assert_int_equal(census_new(&one.config.limits, &one.env.census), 0);
	assert_int_equal(throttle_new(&one.env.throttle), 0);
	assert_int_equal(client_log_new(&one.config.limits, &one.env.client_log), 0);
	assert_int_equal(
		wire_hub_new(&(struct wire_hub_options){.loop = &one.loop, .closed = on_closed},
			     &one.env.hub),
		0);
	assert_int_equal(arrivals_new(&one.env, on_arrived, &one, &one.arrivals), 0);
	/* One reference more than are given back. */
	one.snapshot = (struct snapshot){.n_refs = 1, .config = &one.config, .tls = &one.tls};
	struct acceptor_socket socket = {.fd = one.fd};

	return listener_new(&one.env, &callbacks, &one,
			    &(struct worker_update){
				    .snapshot = &one.snapshot, .sockets = &socket, .n_sockets = 1},
			    &one.listener);
}

static int teardown(void **state)
{
	(void)state;
	if (one.wire) {
		const struct address peer = *wire_peer(one.wire);

		wire_close(one.wire);
		worker_leave_connection(&one.env, &peer);
	}
	one.listener = listener_free(one.listener);
	wire_hub_close(one.env.hub);
	one.arrivals = arrivals_free(one.arrivals);
	uv_run(&one.loop, UV_RUN_DEFAULT);
	wire_hub_free(one.env.hub);
	assert_int_equal(uv_loop_close(&one.loop), 0);
	/* Whatever happened, nobody holds a seat. */
	assert_int_equal(census_connections(one.env.census), 0);
	client_log_free(one.env.client_log);
	throttle_free(one.env.throttle);
	census_free(one.env.census);
	networks_deinit(&one.section.proxy_peers);
	networks_deinit(&one.section.allow);
	networks_deinit(&one.section.deny);
	networks_deinit(&one.config.denied_clients);
	close(one.fd);
	if (one.theirs >= 0) {
		close(one.theirs);
	}
	return 0;
}

static void dial(const char *bytes)
{
	if (one.theirs >= 0) {
		close(one.theirs);
	}
	one.theirs = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(one.theirs, &one.own.any, address_size(&one.own)), 0);
	if (*bytes) {
		assert_int_equal(send(one.theirs, bytes, strlen(bytes), MSG_NOSIGNAL),
				 strlen(bytes));
	}
}

/* Turns the loop until a wire has been passed on. */
static const char *passed_on(char text[static ADDRESS_TEXT_MAX])
{
	for (int i = 0; i < TURNS_MAX && !one.wire; i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_non_null(one.wire);
	return address_format(wire_peer(one.wire), text);
}

/* Turns the loop until the peer finds an answer, or the end. Either takes the kernel some time. */
static ssize_t hear(char *bytes, size_t size)
{
	struct pollfd in = {.fd = one.theirs, .events = POLLIN};

	for (int i = 0; i < TURNS_MAX && poll(&in, 1, i ? STEP_MS : 0) == 0; i++) {
		uv_run(&one.loop, UV_RUN_NOWAIT);
	}
	return recv(one.theirs, bytes, size, MSG_DONTWAIT);
}

static void check_closed(void)
{
	char byte;
	ssize_t n = hear(&byte, 1);

	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	assert_null(one.wire);
}

static void test_client_of_the_header(void **state)
{
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	dial(HEADER);
	assert_string_equal(passed_on(text), "192.0.2.1:4711");
	assert_int_equal(census_connections(one.env.census), 1);
}

static void test_no_proxy(void **state)
{
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	one.section.proxy = DOMAIN_PROXY_OFF;
	dial("");
	assert_int_equal(strncmp(passed_on(text), "127.0.0.1:", 10), 0);
	assert_false(wire_is_secure(one.wire));
	assert_int_equal(wire_idle(one.wire), 75);
}

static void test_peers_that_may_connect(void **state)
{
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	one.section.proxy = DOMAIN_PROXY_OFF;
	add(&one.section.deny, "127.0.0.0/8");
	dial("");
	check_closed();
	add(&one.section.allow, "127.0.0.1");
	dial("");
	assert_int_equal(strncmp(passed_on(text), "127.0.0.1:", 10), 0);
}

/* With TLS behind a proxy, the header stands ahead of it. */
static void test_header_ahead_of_tls(void **state)
{
	char answer[12];

	(void)state;
	one.tls = SSL_CTX_new(TLS_server_method());
	dial(HEADER "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(hear(answer, sizeof(answer)), sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 400", sizeof(answer));
	SSL_CTX_free(one.tls);
	one.tls = NULL;
}

static void test_stranger(void **state)
{
	(void)state;
	networks_deinit(&one.section.proxy_peers);
	add(&one.section.proxy_peers, "10.0.0.0/8");
	dial(HEADER);
	check_closed();
}

static void test_no_header(void **state)
{
	(void)state;
	dial("GET / HTTP/1.1\r\n\r\n");
	check_closed();
}

/* The limits are those of the client, at one and two; the proxy may have any number. */
static void test_limits_of_the_client(void **state)
{
	const struct address client = {
		.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)}};

	(void)state;
	assert_null(worker_enter_connection(&one.env, &client));
	dial(HEADER);
	check_closed();
	worker_leave_connection(&one.env, &client);
	dial(HEADER);
	char text[ADDRESS_TEXT_MAX];

	assert_string_equal(passed_on(text), "192.0.2.1:4711");
}

static void test_denied_client(void **state)
{
	(void)state;
	add(&one.config.denied_clients, "192.0.2.0/24");
	dial(HEADER);
	check_closed();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_client_of_the_header, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_proxy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peers_that_may_connect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_header_ahead_of_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stranger, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_header, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits_of_the_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_denied_client, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
