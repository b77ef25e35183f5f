/* SPDX-License-Identifier: MIT */
#include "tests/bench/load-state.h"

#include "tests/bench/check.h"

void connection_open(struct load *load, struct connection *connection)
{
	int fd = flow_connect(load->options.port);

	check(fd >= 0, "connect");
	connection->is_open = true;
	connection->flow.owner = connection;
	flow_init(&connection->flow, load->epoll, fd);
	if (load->tls) {
		flow_secure(&connection->flow, load->tls);
	}
}

/* Whether @connection leads to another worker than that of @session. */
static bool is_moved(const struct connection *connection, const struct session *session)
{
	return connection->worker[0] && session->sid[0] &&
	       memcmp(connection->worker, session->sid + WORKER_AT, WORKER_LENGTH) != 0;
}

static struct connection *grow_pool(struct load *load)
{
	if (load->n_pool == load->n_pool_max) {
		die("more requests than connections");
	}
	return &load->pool[load->n_pool++];
}

/* A session is created on a new connection, so that the kernel spreads the sessions over the
 * workers. */
static struct connection *choose_pooled(struct session *session)
{
	struct load *load = session->load;
	struct connection *connection = session->sid[0] ? TAILQ_FIRST(&load->idle) : NULL;

	if (load->options.pool == LOAD_MOVED) {
		while (connection && !is_moved(connection, session)) {
			connection = TAILQ_NEXT(connection, idle);
		}
	}
	if (!connection && load->n_pool == load->n_pool_max) {
		connection = TAILQ_FIRST(&load->idle);
	}
	if (connection) {
		TAILQ_REMOVE(&load->idle, connection, idle);
		return connection;
	}
	return grow_pool(load);
}

/* The second one is opened when it is first needed. */
static struct connection *choose_own(struct session *session)
{
	struct connection *connection = &session->own[session->own[0].busy];

	if (connection->busy) {
		die("more requests than connections");
	}
	return connection;
}

struct connection *connection_take(struct session *session)
{
	struct load *load = session->load;
	struct connection *connection = load->pool ? choose_pooled(session) : choose_own(session);

	if (!connection->is_open) {
		connection_open(load, connection);
	}
	load->n_requests++;
	load->n_moved += is_moved(connection, session);
	if (!connection->worker[0]) {
		/* The first request with a sid takes its connection to its worker. */
		memcpy(connection->worker, session->sid + WORKER_AT, WORKER_LENGTH);
	}
	connection->session = session;
	connection->busy = true;
	session->n_busy++;
	return connection;
}

void connection_release(struct connection *connection)
{
	struct load *load = connection->session->load;

	connection->busy = false;
	connection->session->n_busy--;
	if (load->pool) {
		TAILQ_INSERT_TAIL(&load->idle, connection, idle);
	}
}
