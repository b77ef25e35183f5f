/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_BOSH
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/endpoint-state.h"

static const char *domain_of(const struct bosh_entry *entry)
{
	const struct bosh_leg *leg = bosh_leg_find(entry, 0);

	return leg ? leg->domain : "";
}

/* The end of a session. */

static void on_timer_closed(uv_handle_t *handle)
{
	struct bosh_entry *entry = CONTAINER_OF((uv_timer_t *)handle, struct bosh_entry, timer.uv);

	struct bosh_leg *leg;

	while ((leg = SLIST_FIRST(&entry->legs))) {
		SLIST_REMOVE_HEAD(&entry->legs, in_session);
		free(leg);
	}
	bosh_session_free(entry->engine);
	bosh_settings_unref(entry->settings);
	free(entry);
}

/* The budget that bounds what the session holds, if one does. */
static struct budget *budget_of(const struct bosh_entry *entry)
{
	const struct worker_env *env = entry->endpoint->env;

	return entry->is_logged_in ? env->foreign_budget : env->budget;
}

/* Ends the session: it is removed from the table now; its memory is freed in a later iteration of
 * the loop. */
static void end_session(struct bosh_entry *entry)
{
	struct bosh_endpoint *endpoint = entry->endpoint;
	struct bosh_leg *leg;

	if (entry->is_over) {
		return;
	}
	entry->is_over = true;
	session_log_set_reason(&entry->log, SESSION_REASON_CLIENT);
	session_log_closed(&entry->log, domain_of(entry));
	SLIST_FOREACH(leg, &entry->legs, in_session) {
		/* Not closed in order, so that a client can resume its stream (XEP-0198). */
		bosh_leg_close(leg, true);
	}
	const struct bosh_ended ended = {
		.last = bosh_session_take_last(entry->engine),
		.content_type = entry->content_type,
		.client = entry->client,
		.is_secure = entry->is_secure,
	};

	bosh_ended_table_put(endpoint->ended, entry->sid, &ended,
			     bosh_endpoint_ended_now(endpoint));
	bosh_entry_disarm(entry);
	budget_release(budget_of(entry), &entry->charge);
	HASH_DELETE(hh, endpoint->sessions, entry);
	admission_leave_client(endpoint->env, &entry->seats, &entry->client);
	uv_close((uv_handle_t *)&entry->timer.uv, on_timer_closed);
}

/* The engine had no memory to answer the requests that wait. */
static void answer_all(struct bosh_entry *entry)
{
	uint64_t exchange;

	while ((exchange = bosh_session_take_exchange(entry->engine))) {
		bosh_relay_answer(entry->endpoint->relay, exchange, 500, entry->content_type, NULL);
	}
}

/* From the server. */

static struct bosh_actions *actions_of(const struct bosh_leg *leg)
{
	return &leg->entry->endpoint->actions;
}

static struct mono now_of(const struct bosh_leg *leg)
{
	return bosh_endpoint_now(leg->entry->endpoint);
}

/* The client learns of the stream with the features, which follow in this turn or not at all. */
static void on_header(void *userdata)
{
	struct bosh_leg *leg = userdata;
	const struct stream *stream = link_stream(leg->link);
	int r = bosh_session_header(leg->entry->engine, leg->stream, stream->id,
				    stream->from ? stream->from : leg->domain);

	if (!leg->is_ready) {
		leg->is_ready = true;
		session_log_ready(&leg->entry->log, leg->domain, leg->link, leg->opened);
	}
	(void)bosh_session_pending(leg->entry->engine, leg->stream, false, true);
	bosh_entry_settle(leg->entry, r);
}

/* Ends the stream, whose client guesses passwords. */
static void end_guesses(struct bosh_leg *leg, const struct failure *failure)
{
	int r = bosh_leg_fail(leg, failure);

	bosh_leg_close(leg, false);
	bosh_entry_settle(leg->entry, r);
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	struct bosh_leg *leg = userdata;
	struct failure failure;
	struct bosh_session *engine = leg->entry->engine;
	struct stream *stream = link_stream(leg->link);
	struct buffer *pending = bosh_session_pending(
		engine, leg->stream, stream_event_is_stream(stream), kind == STREAM_EVENT_FEATURES);
	size_t n_before = pending->n;
	int r = n_before ? stream_event_write(stream, pending) : stream_event_take(stream, pending);

	if (r == 0) {
		session_log_to_client(&leg->entry->log, 1, pending->n - n_before);
	}
	if (stream->is_managed) {
		bosh_session_set_managed(engine, leg->stream);
	}
	if (r < 0) {
		buffer_truncate(pending, n_before);
		/* If there is no memory for that either, it is lost. */
		(void)!link_return_event(leg->link);
		bosh_entry_settle(leg->entry, r);
	} else if (!login_guard_received(&leg->entry->log, leg->domain, leg->link, &failure)) {
		end_guesses(leg, &failure);
	}
}

static void on_flush(void *userdata)
{
	struct bosh_leg *leg = userdata;

	bosh_entry_settle(leg->entry,
			  bosh_session_flush(leg->entry->engine, now_of(leg), actions_of(leg)));
}

static void on_drained(void *userdata)
{
	struct bosh_leg *leg = userdata;

	bosh_entry_settle(leg->entry,
			  bosh_session_congest(leg->entry->engine, leg->stream,
					       BOSH_CONGESTION_NONE, now_of(leg), actions_of(leg)));
}

static void on_over(void *userdata, const struct failure *failure)
{
	struct bosh_leg *leg = userdata;
	int r = bosh_leg_fail(leg, failure);

	bosh_leg_close(leg, false);
	bosh_entry_settle(leg->entry, r);
}

static void on_held(void *userdata)
{
	struct bosh_leg *leg = userdata;

	if (!leg->entry->is_logged_in || leg->entry->is_foreign) {
		bosh_entry_settle(leg->entry, 0);
	}
}

static const struct link_callbacks link_callbacks = {
	.header = on_header,
	.element = on_element,
	.flush = on_flush,
	.drained = on_drained,
	.held = on_held,
	.over = on_over,
};

/* Opening. */

int bosh_entry_open_leg(struct bosh_entry *entry, unsigned stream, const struct bosh_target *target,
			struct admission *admission)
{
	entry->is_foreign = entry->is_foreign || admission->is_foreign;
	return bosh_leg_open(entry, stream, target, admission, &link_callbacks);
}

/* Has the engine tell the client that its stream was refused. Returns 0 or -ENOMEM. */
static int refuse_leg(struct bosh_entry *entry, unsigned stream, const struct admission *admission)
{
	struct bosh_leg *leg = bosh_leg_new(entry, stream, admission->domain);

	return leg ? bosh_session_fail(entry->engine, stream, &admission->verdict, now_of(leg),
				       actions_of(leg))
		   : -ENOMEM;
}

/* Opens a further stream for the client. Returns 0 or -ENOMEM. */
static int add_leg(struct bosh_entry *entry, unsigned stream, const struct bosh_target *target)
{
	const struct admission_request request = {
		.transport = METRICS_BOSH,
		.client = &entry->client,
		.is_secure = entry->is_secure,
		.session = sv_first(sv_from(entry->sid), SID_LOG_LENGTH),
		.to = target->to,
		.route = target->route,
	};
	struct admission admission;

	if (!admission_judge(entry->endpoint->env, &request, &admission)) {
		return refuse_leg(entry, stream, &admission);
	}
	int r = bosh_entry_open_leg(entry, stream, target, &admission);

	if (r == 0) {
		session_log_stream(&entry->log, admission.domain);
	}
	return r;
}

/* What it holds. */

void bosh_entry_shut(struct bosh_entry *entry, const struct failure *failure)
{
	struct bosh_endpoint *endpoint = entry->endpoint;
	int r = bosh_session_shut(entry->engine, failure, bosh_endpoint_now(endpoint),
				  &endpoint->actions);

	bosh_entry_settle(entry, r);
	end_session(entry);
}

static void on_evict(struct budget_charge *charge)
{
	struct bosh_entry *entry = CONTAINER_OF(charge, struct bosh_entry, charge);
	const struct bosh_leg *leg;
	struct failure failure;

	SLIST_FOREACH(leg, &entry->legs, in_session) {
		if (leg->link) {
			link_discard_waiting(leg->link);
		}
	}
	failure_set(&failure, FAILURE_TOO_MANY_BYTES, NULL);
	session_log_failed(&entry->log, domain_of(entry), &failure, true);
	bosh_entry_shut(entry, &failure);
}

struct budget_charge bosh_entry_charge_init(const struct bosh_endpoint *endpoint)
{
	return BUDGET_CHARGE_INIT(endpoint->env->index, on_evict);
}

static bool has_logged_in(const struct bosh_entry *entry)
{
	const struct bosh_leg *leg;

	SLIST_FOREACH(leg, &entry->legs, in_session) {
		if (leg->link && link_stream(leg->link)->is_logged_in) {
			return true;
		}
	}
	return false;
}

static size_t held(const struct bosh_entry *entry)
{
	size_t n = bosh_session_held(entry->engine);
	const struct bosh_leg *leg;

	SLIST_FOREACH(leg, &entry->legs, in_session) {
		n += leg->link ? link_held(leg->link) : 0;
	}
	return n;
}

/* Charges a budget with what the session and its links hold: one until the client has logged in,
 * the other after that, if the session is foreign. Returns 0 or -ENOMEM. */
static int charge(struct bosh_entry *entry)
{
	if (!entry->is_logged_in && has_logged_in(entry)) {
		budget_release(budget_of(entry), &entry->charge);
		entry->is_logged_in = true;
		session_log_online(&entry->log);
	}
	if (entry->is_logged_in && !entry->is_foreign) {
		return 0;
	}
	return budget_hold(budget_of(entry), &entry->charge, &entry->client, held(entry));
}

/* Carrying out the actions of the engine. */

static void trace_answer(const struct bosh_entry *entry, const struct bosh_action *action)
{
	log_debug("bosh-answer", LOG_SV("session", sv_first(sv_from(entry->sid), SID_LOG_LENGTH)),
		  LOG_NUMBER("request", action->exchange), LOG_NUMBER("status", action->status),
		  LOG_NUMBER("bytes", action->blob ? blob_sv(action->blob).n : 0));
}

/* Logs why the session ends, if its client broke a rule. */
static void log_rule(struct bosh_entry *entry, enum bosh_rule rule)
{
	if (rule == BOSH_RULE_NONE) {
		return;
	}
	if (rule != BOSH_RULE_INACTIVITY && rule != BOSH_RULE_OUT_OF_MEMORY) {
		metrics_fail(entry->endpoint->env->metrics, METRICS_BOSH, FAILURE_CLIENT);
	}
	session_log_ended(&entry->log, domain_of(entry), bosh_rule_name(rule));
}

/* Returns 0, LINK_E_* after which the stream cannot go on, or a negative errno after which the
 * session cannot. */
static int carry_out(struct bosh_entry *entry, struct bosh_action *action)
{
	struct bosh_leg *leg = bosh_leg_find(entry, action->stream);
	struct bosh_target target;

	switch (action->kind) {
	case BOSH_ACTION_ANSWER:
		trace_answer(entry, action);
		bosh_relay_answer(entry->endpoint->relay, action->exchange, action->status,
				  entry->content_type, action->blob);
		action->blob = NULL;
		return 0;
	case BOSH_ACTION_OPEN:
		target = bosh_target_read(&action->payloads);
		return add_leg(entry, action->stream, &target);
	case BOSH_ACTION_END:
		log_rule(entry, action->rule);
		end_session(entry);
		return 0;
	default:
		return leg && leg->link ? bosh_leg_carry_out(leg, action) : 0;
	}
}

/* Wipes and frees what the client has sent. Before its login all of it may be a password. */
static void deinit_payloads(const struct bosh_entry *entry, struct buffer *payloads)
{
	if (entry->is_logged_in) {
		buffer_deinit_message(payloads);
	} else {
		buffer_deinit(payloads);
	}
}

/* @r is what the engine returned. Actions may add further actions. Returns 0 or a negative errno,
 * after which the session cannot go on. */
static int carry_out_all(struct bosh_entry *entry, int r)
{
	struct bosh_actions *actions = &entry->endpoint->actions;

	for (size_t i = 0; i < actions->n; i++) {
		/* The list may grow, and so be moved, while an action is carried out. */
		struct bosh_action action = actions->items[i];
		int result;

		actions->items[i] = (struct bosh_action){0};
		result = carry_out(entry, &action);
		blob_unref(action.blob);
		deinit_payloads(entry, &action.payloads);
		if (r == 0 && result > 0) {
			r = bosh_leg_break(bosh_leg_find(entry, action.stream),
					   result == LINK_E_EARLY ? FAILURE_TOO_EARLY
								  : FAILURE_SERVER_STALLED);
		} else if (result < 0 && r == 0) {
			r = result;
		}
	}
	actions->n = 0;
	return r;
}

/* Ends a session that had no memory to go on. Little is needed, and there may be some again: then
 * what its servers have sent goes out with the last answer, or back to them. */
static void give_up(struct bosh_entry *entry)
{
	struct failure failure;

	session_log_out_of_memory(&entry->log);
	if (!entry->is_over) {
		failure_set(&failure, FAILURE_INTERNAL, "out of memory");
		(void)carry_out_all(entry, bosh_session_shut(entry->engine, &failure,
							     bosh_endpoint_now(entry->endpoint),
							     &entry->endpoint->actions));
	}
	answer_all(entry);
	end_session(entry);
}

void bosh_entry_settle(struct bosh_entry *entry, int r)
{
	r = carry_out_all(entry, r);
	if (r == 0 && !entry->is_over) {
		r = charge(entry);
	}
	if (r < 0) {
		give_up(entry);
	} else if (!entry->is_over) {
		bosh_entry_arm(entry);
	}
}

void bosh_entry_on_due(struct due_item *item)
{
	struct bosh_entry *entry = CONTAINER_OF(item, struct bosh_entry, due);

	bosh_entry_settle(entry,
			  bosh_session_expire(entry->engine, bosh_endpoint_now(entry->endpoint),
					      &entry->endpoint->actions));
}
