/* SPDX-License-Identifier: MIT */
#include "gateway/ws/endpoint-state.h"

static struct budget *budget_of(const struct ws_session *session)
{
	const struct worker_env *env = session->endpoint->env;

	return session->is_logged_in ? env->foreign_budget : env->budget;
}

/* The client is told first. If what waits for it is still too much after that, because it does not
 * read, the connection is cut. */
static void on_evict(struct budget_charge *charge)
{
	struct ws_session *session = CONTAINER_OF(charge, struct ws_session, charge);

	if (session->is_over) {
		ws_cut(session->connection);
		return;
	}
	if (session->link) {
		link_discard_waiting(session->link);
	}
	ws_session_fail_kind(session, FAILURE_TOO_MANY_BYTES);
	framing_deinit(&session->framing);
	ws_session_charge(session);
}

struct budget_charge ws_session_charge_init(const struct ws_endpoint *endpoint)
{
	return BUDGET_CHARGE_INIT(endpoint->env->index, on_evict);
}

void ws_session_charge(struct ws_session *session)
{
	if (session->is_over) {
		/* The rest of a message is thrown away. Its client may take long to close. */
		framing_deinit(&session->framing);
	}
	if (session->is_logged_in && !session->is_foreign) {
		return;
	}
	size_t n = framing_held(&session->framing) + ws_held(session->connection);

	n += session->link ? link_held(session->link) : 0;
	if (budget_hold(budget_of(session), &session->charge, &session->client.address, n) < 0 &&
	    !session->is_over) {
		ws_session_fail_kind(session, FAILURE_INTERNAL);
	}
}

void ws_session_release_charge(struct ws_session *session)
{
	budget_release(budget_of(session), &session->charge);
}

void ws_session_look_for_login(struct ws_session *session)
{
	if (!session->is_logged_in && link_stream(session->link)->is_logged_in) {
		ws_session_release_charge(session);
		session->is_logged_in = true;
		session->framing.n_message_max = session->endpoint->env->config->n_body_max;
		session_log_online(&session->log);
	}
}
