/* SPDX-License-Identifier: MIT */
#include "gateway/ws/endpoint-state.h"

static void on_evict(struct budget_charge *charge)
{
	struct ws_session *session = CONTAINER_OF(charge, struct ws_session, charge);

	ws_session_fail_kind(session, FAILURE_TOO_MANY_BYTES);
	framing_deinit(&session->framing);
}

struct budget_charge ws_session_charge_init(const struct ws_endpoint *endpoint)
{
	return BUDGET_CHARGE_INIT(endpoint->env->index, on_evict);
}

void ws_session_charge(struct ws_session *session)
{
	struct budget *budget = session->endpoint->env->budget;

	if (session->is_over) {
		/* The rest of a message is thrown away. Its client may take long to close. */
		framing_deinit(&session->framing);
	}
	if (session->is_over || session->is_logged_in) {
		budget_release(budget, &session->charge);
		return;
	}
	size_t n = framing_held(&session->framing) + ws_held(session->connection);

	n += session->link ? link_held(session->link) : 0;
	if (budget_hold(budget, &session->charge, &session->client.address, n) < 0) {
		ws_session_fail_kind(session, FAILURE_INTERNAL);
	}
}

void ws_session_look_for_login(struct ws_session *session)
{
	if (!session->is_logged_in && link_stream(session->link)->is_logged_in) {
		session->is_logged_in = true;
		session->framing.n_message_max = session->endpoint->env->config->n_body_max;
		session_log_online(&session->log);
	}
}
