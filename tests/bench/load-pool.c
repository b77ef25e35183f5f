/* SPDX-License-Identifier: MIT */
#include "tests/bench/load-state.h"

#include "tests/bench/check.h"

void connection_open(struct session *session, struct connection *connection)
{
	struct load *load = session->load;
	int fd = flow_connect(session->port);

	check(fd >= 0, "connect");
	connection->is_open = true;
	connection->session = session;
	connection->port = session->port;
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

/* One of any worker or, if @moves and there is one, to another worker; NULL: there is none. Where
 * the search begins is left to chance: those that became idle together were answered by the same
 * worker. */
static struct connection *find_idle(struct load *load, const struct session *session, bool moves)
{
	struct connection *found = NULL;

	load->chance = load->chance * 1103515245 + 12345;
	for (size_t i = 0, start = load->chance >> 16; i < load->n_pool; i++) {
		struct connection *connection = &load->pool[(start + i) % load->n_pool];

		if (connection->busy || connection->port != session->port) {
			continue;
		}
		if (!moves || is_moved(connection, session)) {
			return connection;
		}
		found = connection;
	}
	return found;
}

/* Notes which worker serves @connection from the next request of @session on. As the gateway has
 * it, the first request that names a session takes its connection along, and later ROW_MAX in a
 * row. */
static void note_request(struct connection *connection, const struct session *session)
{
	const char *worker = session->sid + WORKER_AT;

	if (!session->sid[0]) {
		return;
	}
	if (!connection->asked[0]) {
		connection->n_row = ROW_MAX;
	} else if (memcmp(connection->asked, worker, WORKER_LENGTH) != 0) {
		connection->n_row = 1;
	} else {
		connection->n_row++;
	}
	memcpy(connection->asked, worker, WORKER_LENGTH);
	if (connection->n_row >= ROW_MAX) {
		memcpy(connection->worker, worker, WORKER_LENGTH);
	}
}

/* A session is created on a new connection, so that the kernel spreads the sessions over the
 * workers. */
static struct connection *choose_pooled(struct session *session)
{
	struct load *load = session->load;
	struct connection *connection = NULL;

	if (load->n_pool < load->n_pool_max) {
		return &load->pool[load->n_pool++];
	}
	connection = find_idle(load, session, load->options.pool == LOAD_MOVED);
	if (!connection) {
		die("more requests than connections");
	}
	return connection;
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
		connection_open(session, connection);
	}
	load->n_requests++;
	load->n_moved += is_moved(connection, session);
	note_request(connection, session);
	connection->session = session;
	connection->busy = true;
	session->n_busy++;
	return connection;
}

void connection_release(struct connection *connection)
{
	connection->busy = false;
	connection->session->n_busy--;
}
