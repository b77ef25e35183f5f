/* SPDX-License-Identifier: MIT */
#pragma once
/* Sessions of a WebSocket endpoint whose connections and links are the test's. For one source file
 * of a program, after cmocka.h. */
#include "common/log.h"
#include "gateway/ws/endpoint-state.h"
#include "gateway/xmpp/namespace.h"
#include "tests/unit/gateway/fake-link.h"
#include "tests/unit/quiet.h"

enum {
	N_LOGIN_MAX = 500,
	N_ELEMENT_MAX = 2000,
};

#define OPEN "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>"
#define CLOSE "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"
#define SERVER                                                                                  \
	"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' " \
	"id='s' "                                                                               \
	"from='example.org' version='1.0'>"

static struct census *census;
static struct throttle *throttle;
static struct budget *budget;
static struct metrics_cell metrics;
static struct config config;
static char nowhere[] = "";

static inline int setup(void **state)
{
	const struct census_limits limits = {.sessions = SIZE_MAX,
					     .sessions_per_client = SIZE_MAX,
					     .connections_per_client = SIZE_MAX};

	const struct budget_limits no_limits = {.n_client = SIZE_MAX, .n_total = SIZE_MAX};
	int r = census_new(&limits, &census);

	(void)state;
	config.n_login_message_max = N_LOGIN_MAX;
	config.n_body_max = N_ELEMENT_MAX;
	config.websocket_see_other_uri = nowhere;
	log_errors_only();
	if (r == 0) {
		r = throttle_new(&throttle);
	}
	return r < 0 ? r : budget_new(&no_limits, 1, &budget);
}

static inline int teardown(void **state)
{
	(void)state;
	budget = budget_free(budget);
	census = census_free(census);
	throttle = throttle_free(throttle);
	return 0;
}

/* The WebSocket below. */

static bool ws_refuses; /* as without memory */

int ws_send(struct ws_connection *connection, struct sv text, struct sv rest)
{
	/* As the real one may. */
	char *copy = ws_refuses ? NULL : malloc(text.n + rest.n + 1);

	(void)connection;
	if (!copy) {
		return -ENOMEM;
	}
	memcpy(copy, text.data, text.n);
	if (rest.n) {
		memcpy(copy + text.n, rest.data, rest.n);
	}
	script_add("to client", (struct sv){copy, text.n + rest.n});
	free(copy);
	return 0;
}

void ws_close(struct ws_connection *connection, enum ws_close_status status, struct sv reason)
{
	char text[200];

	(void)connection;
	(void)snprintf(text, sizeof(text), "%d%s%.*s", status, reason.n ? " " : "",
		       SV_ARGS(reason));
	script_add("end", sv_from(text));
}

void ws_set_deadline(struct ws_connection *connection, unsigned seconds)
{
	(void)connection;
	(void)seconds;
}

static bool ws_waits; /* for a client that does not read */

bool ws_is_waiting(const struct ws_connection *connection)
{
	(void)connection;
	return ws_waits;
}

void ws_return_unsent(struct ws_connection *connection)
{
	(void)connection;
	script_add("return unsent", SV(""));
}

bool ws_is_congested(const struct ws_connection *connection)
{
	(void)connection;
	return false;
}

size_t ws_held(const struct ws_connection *connection)
{
	(void)connection;
	return 0;
}

void ws_cut(struct ws_connection *connection)
{
	(void)connection;
	script_add("cut", SV(""));
}

void ws_pause(struct ws_connection *connection, bool pause)
{
	(void)connection;
	(void)pause;
}

/* An endpoint with what its worker has. */
struct stage {
	struct worker_env env;
	struct ws_endpoint endpoint;
};

static inline void stage_init(struct stage *stage, struct xml_pool *pool)
{
	*stage = (struct stage){
		.env = {.loop = uv_default_loop(),
			.config = &config,
			.census = census,
			.throttle = throttle,
			.budget = budget,
			.foreign_budget = budget,
			.metrics = &metrics,
			.pool = pool},
		.endpoint = {.scan_options = framing_options(N_ELEMENT_MAX)},
	};
	stage->env.link.pool = pool;
	stage->env.link.scan_options = stream_options(N_ELEMENT_MAX);
	stage->endpoint.env = &stage->env;
	LIST_INIT(&stage->endpoint.sessions);
}

static inline void stage_deinit(struct stage *stage)
{
	assert_true(LIST_EMPTY(&stage->endpoint.sessions));
	buffer_deinit(&stage->endpoint.scratch);
	xml_pool_free(stage->env.pool);
}
