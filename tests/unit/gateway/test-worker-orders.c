/* SPDX-License-Identifier: MIT */
/* What a worker does about a reload of which a part fails. The parts are the test's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/outbound.h"
#include "gateway/worker-state.h"
#include "gateway/worker-update.h"

static struct {
	struct worker worker;
	struct snapshot snapshot;
	int result; /* of the part that may fail */
	unsigned n_reloads, n_listener_reloads;
	int fd; /* of the last update */
} one;

int outbound_reload(struct link_env *env, const struct config *config)
{
	(void)env;
	(void)config;
	one.n_reloads++;
	return one.result;
}

void ws_endpoint_reload(struct ws_endpoint *endpoint)
{
	(void)endpoint;
}

int bosh_endpoint_reload(struct bosh_endpoint *endpoint)
{
	(void)endpoint;
	return 0;
}

int front_reload(struct front *front)
{
	(void)front;
	return 0;
}

void front_give_idle(struct front *front)
{
	(void)front;
}

int listener_reload(struct listener *listener, const struct worker_update *update)
{
	assert_non_null(listener);
	assert_int_equal(update->n_sockets, 1);
	one.n_listener_reloads++;
	return 0;
}

void listener_finish(struct listener *listener)
{
	assert_non_null(listener);
}

struct listener *listener_free(struct listener *listener)
{
	(void)listener;
	return NULL;
}

static void on_order(uv_async_t *order)
{
	worker_on_order(order);
}

static int setup(void **state)
{
	static char listener;

	(void)state;
	memset(&one, 0, sizeof(one));
	one.snapshot.n_refs = 100;
	one.worker.snapshot = &one.snapshot;
	one.worker.listener = (struct listener *)&listener;
	uv_loop_init(&one.worker.loop);
	timeout_init(&one.worker.retry, &one.worker.loop);
	return uv_async_init(&one.worker.loop, &one.worker.order, on_order);
}

static int teardown(void **state)
{
	(void)state;
	uv_close((uv_handle_t *)&one.worker.order, NULL);
	uv_close((uv_handle_t *)&one.worker.retry.uv, NULL);
	uv_run(&one.worker.loop, UV_RUN_DEFAULT);
	worker_update_free(one.worker.update);
	return uv_loop_close(&one.worker.loop);
}

/* Orders a reload with one socket. */
static void order_reload(void)
{
	struct worker_update *update = calloc(1, sizeof(*update));

	update->snapshot = snapshot_ref(&one.snapshot);
	update->sockets = calloc(1, sizeof(*update->sockets));
	update->n_sockets = 1;
	one.fd = update->sockets->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	worker_update_free(atomic_exchange(&one.worker.update, update));
	worker_on_order(&one.worker.order);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* What failed is tried again until it succeeds; the other parts go on at once. */
static void test_retry(void **state)
{
	(void)state;
	one.result = -EMFILE;
	order_reload();
	assert_int_equal(one.n_reloads, 1);
	assert_int_equal(one.n_listener_reloads, 1);
	assert_true(is_open(one.fd));
	one.result = 0;
	while (one.n_reloads == 1) {
		uv_run(&one.worker.loop, UV_RUN_ONCE);
	}
	assert_false(is_open(one.fd));
	assert_null(one.worker.update);
}

static void test_newer_update(void **state)
{
	(void)state;
	one.result = -ENOMEM;
	order_reload();
	int fd = one.fd;

	one.result = 0;
	order_reload();
	assert_false(is_open(fd));
	assert_false(is_open(one.fd));
	assert_int_equal(one.n_reloads, 2);
}

/* Kept open for another try, its sockets would let clients connect whom nobody accepts. */
static void test_draining_while_a_part_waits(void **state)
{
	(void)state;
	one.result = -EMFILE;
	order_reload();
	one.worker.has_to_drain = true;
	worker_on_order(&one.worker.order);
	assert_null(one.worker.listener);
	assert_false(is_open(one.fd));
	assert_null(one.worker.update);
}

static void test_draining(void **state)
{
	(void)state;
	one.worker.has_to_drain = true;
	worker_on_order(&one.worker.order);
	one.result = -EMFILE;
	order_reload();
	assert_int_equal(one.n_reloads, 1);
	assert_int_equal(one.n_listener_reloads, 0);
	assert_false(is_open(one.fd));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_retry),
		TEST(test_newer_update),
		TEST(test_draining_while_a_part_waits),
		TEST(test_draining),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
