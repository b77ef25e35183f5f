/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_BOSH
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/answer.h"
#include "gateway/bosh/content.h"
#include "gateway/bosh/endpoint-state.h"
#include "policy/client.h"

/* Requests. */

/* A legacy client sends no `ver` when it creates a session. */
static bool is_of_legacy(const struct bosh_body *body)
{
	return body->has_rid && !body->sid.data && !body->has_ver;
}

/* Answers a request that has no session. */
static void refuse(struct bosh_endpoint *endpoint, const struct bosh_request *request,
		   enum bosh_condition condition, const char *text)
{
	struct blob *blob = NULL;
	unsigned status = 500;

	/* Out of memory: answer with the status alone. */
	(void)!bosh_refusal(condition, text, is_of_legacy(&request->body), &status, &blob);
	bosh_relay_answer(endpoint->relay, request->exchange, status,
			  bosh_content_type(request->body.content), blob);
}

/* The HTTP status for the condition with this name ("HTTP Conditions"). */
static unsigned status_of(const char *condition, bool is_legacy)
{
	for (enum bosh_condition i = BOSH_CONDITION_NONE; i <= BOSH_CONDITION_OTHER_REQUEST; i++) {
		if (strcmp(bosh_condition_name(i), condition) == 0) {
			return bosh_condition_status(i, is_legacy);
		}
	}
	return 200;
}

/* Answers a creation request that was not admitted. */
static void refuse_by_verdict(struct bosh_endpoint *endpoint, const struct bosh_request *request,
			      const struct admission *admission)
{
	struct bosh_answer answer = {0};
	struct blob *blob = NULL;
	struct sv payloads;
	unsigned status;

	if (admission->uri) {
		refuse(endpoint, request, BOSH_CONDITION_SEE_OTHER_URI, admission->uri);
		return;
	}
	bosh_answer_set_failure(&answer, &admission->verdict);
	/* A proxy that has another gateway asks that one, and many clients try again by
	 * themselves. */
	status = admission->verdict.kind == FAILURE_SHUTDOWN
		       ? 503
		       : status_of(answer.condition, is_of_legacy(&request->body));
	if (bosh_answer_write(&answer, &blob, &payloads) < 0) {
		status = 500;
	}
	bosh_relay_answer(endpoint->relay, request->exchange, status,
			  bosh_content_type(request->body.content), blob);
}

/* Refuses a request that has no session because of @rule. */
static void refuse_by_rule(struct bosh_endpoint *endpoint, const struct bosh_request *request,
			   enum bosh_rule rule)
{
	char client[ADDRESS_TEXT_MAX];

	if (worker_may_log(endpoint->env, CLIENT_LOG_REQUEST_REFUSED, &request->client)) {
		log_info("request-refused",
			 LOG_STR("client", address_format_host(&request->client, client)),
			 LOG_STR("transport", "bosh"), LOG_STR("rule", bosh_rule_name(rule)));
	}
	refuse(endpoint, request, bosh_rule_condition(rule), bosh_rule_sentence(rule));
}

/* Judges a request by its body alone, whichever session it names. */
static enum bosh_rule judge_body(const struct bosh_request *request)
{
	switch (request->body_result) {
	case BOSH_BODY_OK:
		return request->body.has_rid ? BOSH_RULE_NONE : BOSH_RULE_NO_RID;
	case BOSH_BODY_E_TOO_LARGE:
		return BOSH_RULE_BODY_TOO_LARGE;
	case BOSH_BODY_E_TOO_COMPLEX:
		return BOSH_RULE_BODY_TOO_COMPLEX;
	case BOSH_BODY_E_BAD_REQUEST:
		return BOSH_RULE_NOT_UNDERSTOOD;
	}
	return BOSH_RULE_NONE;
}

/* For the list of sessions. */

static const char *domain_of_log(const struct session_log *log)
{
	const struct bosh_leg *leg = bosh_leg_find(CONTAINER_OF(log, struct bosh_entry, log), 0);

	return leg ? leg->domain : "";
}

static void end_by_log(struct session_log *log, const struct failure *failure)
{
	session_log_failed(log, domain_of_log(log), failure, true);
	bosh_entry_shut(CONTAINER_OF(log, struct bosh_entry, log), failure);
}

static const struct session_log_owner log_owner = {
	.domain = domain_of_log,
	.end = end_by_log,
};

/* Creating sessions. */

static int session_new(struct bosh_endpoint *endpoint, struct bosh_request *request,
		       struct bosh_entry **ret_entry)
{
	struct bosh_entry *entry = calloc(1, sizeof(*entry));
	struct mono now = bosh_endpoint_now(endpoint);

	if (!entry) {
		return -ENOMEM;
	}
	entry->endpoint = endpoint;
	entry->armed = entry->lingers_to = MONO_NEVER;
	entry->client = request->client;
	entry->charge = bosh_entry_charge_init(endpoint);
	entry->latest_client = client_key(&request->client);
	entry->is_secure = request->is_secure;
	entry->content_type = bosh_content_type(request->body.content);
	entry->settings = endpoint->settings;
	const struct sid_owner owner = {endpoint->env->process->generation, endpoint->env->index};
	int r = sid_make(owner, entry->sid);

	if (r == 0) {
		r = bosh_session_new(&entry->settings->limits, entry->sid, &request->body,
				     request->exchange, now, &entry->engine);
	}
	if (r < 0) {
		free(entry);
		return r;
	}
	HASH_ADD(hh, endpoint->sessions, sid, SID_LENGTH, entry);
	if (!entry->hh.tbl) {
		bosh_session_free(entry->engine);
		free(entry);
		return -ENOMEM;
	}
	bosh_settings_ref(entry->settings);
	timeout_init(&entry->timer, endpoint->env->loop);
	session_log_init(&entry->log, endpoint->env, METRICS_BOSH, &entry->client,
			 sv_first(sv_from(entry->sid), SID_LOG_LENGTH), &log_owner);
	bosh_relay_created(endpoint->relay, request->exchange, entry->sid);
	*ret_entry = entry;
	return 0;
}

/* The first stream of @entry. */
static void open_session(struct bosh_entry *entry, const struct bosh_target *target,
			 struct admission *admission)
{
	struct bosh_endpoint *endpoint = entry->endpoint;
	int r;

	entry->seats.has_client = admission->seats.has_client;
	admission->seats.has_client = false;
	r = bosh_entry_open_leg(entry, 0, target, admission);
	if (r == 0) {
		r = bosh_session_flush(entry->engine, bosh_endpoint_now(endpoint),
				       &endpoint->actions);
	}
	session_log_open(&entry->log, admission->domain);
	bosh_entry_settle(entry, r);
}

/* "Session Creation Request". */
static void create(struct bosh_endpoint *endpoint, struct bosh_request *request)
{
	const struct bosh_body *body = &request->body;
	const struct bosh_target target = {body->to, body->from, body->lang, body->xmpp_version,
					   body->route};
	const struct admission_request wish = {
		.transport = METRICS_BOSH,
		.client = &request->client,
		.is_secure = request->is_secure,
		.to = body->to,
		.route = body->route,
	};
	struct bosh_entry *entry;
	struct admission admission;

	if (!body->has_rid || body->rid > BOSH_RID_MAX - 1) {
		refuse_by_rule(endpoint, request,
			       body->has_rid ? BOSH_RULE_RID_TOO_LARGE : BOSH_RULE_NO_RID);
		return;
	}
	if (!admission_judge(endpoint->env, &wish, &admission)) {
		refuse_by_verdict(endpoint, request, &admission);
		return;
	}
	if (session_new(endpoint, request, &entry) < 0) {
		admission_leave_domain(endpoint->env, &admission.seats, admission.domain);
		admission_leave_client(endpoint->env, &admission.seats, &request->client);
		refuse_by_rule(endpoint, request, BOSH_RULE_OUT_OF_MEMORY);
		return;
	}
	open_session(entry, &target, &admission);
}

static struct bosh_entry *find(const struct bosh_endpoint *endpoint, struct sv sid)
{
	struct bosh_entry *entry = NULL;

	if (sid.n == SID_LENGTH) {
		HASH_FIND(hh, endpoint->sessions, sid.data, SID_LENGTH, entry);
	}
	return entry;
}

static void log_guarded(const struct bosh_endpoint *endpoint, const struct bosh_request *request)
{
	char client[ADDRESS_TEXT_MAX];

	if (worker_may_log(endpoint->env, CLIENT_LOG_SESSION_GUARDED, &request->client)) {
		log_warning("session-guarded",
			    LOG_STR("client", address_format_host(&request->client, client)),
			    LOG_STR("transport", "bosh"),
			    LOG_SV("session", sv_first(request->body.sid, SID_LOG_LENGTH)));
	}
}

/* Whether @request may name a session that @client created, over TLS if @is_secure. A session
 * created over TLS does not exist for a request without TLS, which must not even end it
 * ("Connection Between Client and BOSH Service"). Neither does a session that is bound to an
 * address exist for another address. */
static bool may_name(const struct bosh_endpoint *endpoint, const struct bosh_request *request,
		     const struct address *client, bool is_secure, bool is_bound)
{
	if ((is_secure && !request->is_secure) ||
	    (is_bound && !client_is_same(client, &request->client))) {
		log_guarded(endpoint, request);
		return false;
	}
	return true;
}

/* Finds the session that @request names. */
static struct bosh_entry *find_for(const struct bosh_endpoint *endpoint,
				   const struct bosh_request *request)
{
	struct bosh_entry *entry = find(endpoint, request->body.sid);

	return entry && may_name(endpoint, request, &entry->client, entry->is_secure,
				 entry->settings->is_bound_to_address)
		     ? entry
		     : NULL;
}

/* There is no session that @request may name. Once the gateway stops, that is what has ended them
 * all: their clients are told to come back. */
static void refuse_sid(struct bosh_endpoint *endpoint, const struct bosh_request *request)
{
	if (endpoint->env->is_stopping) {
		refuse(endpoint, request, BOSH_CONDITION_SYSTEM_SHUTDOWN,
		       failure_sentence(FAILURE_SHUTDOWN));
	} else {
		refuse_by_rule(endpoint, request, BOSH_RULE_SID_UNKNOWN);
	}
}

/* Answers a request for a session that is not there. If it repeats one whose answer
 * may be lost, it gets that again, and else it is told how the session ended. */
static void answer_late(struct bosh_endpoint *endpoint, const struct bosh_request *request)
{
	const struct bosh_body *body = &request->body;
	const struct bosh_ended *ended =
		bosh_ended_table_find(endpoint->ended, body->sid, body->rid, body->key,
				      bosh_endpoint_ended_now(endpoint));

	if (!ended || !may_name(endpoint, request, &ended->client, ended->is_secure,
				endpoint->settings->is_bound_to_address)) {
		refuse_sid(endpoint, request);
		return;
	}
	unsigned status;
	struct blob *blob = bosh_last_answer_get(&ended->last, body->rid, body->key, &status);

	bosh_relay_answer(endpoint->relay, request->exchange, blob ? status : 503,
			  ended->content_type, blob);
}

/* A client may change its address, unless the session is bound to one. */
static void note_client(struct bosh_entry *entry, const struct address *client)
{
	uint64_t key = client_key(client);

	if (key != entry->latest_client) {
		entry->latest_client = key;
		bosh_session_moved(entry->engine);
	}
}

static void trace_request(const struct bosh_entry *entry, const struct bosh_request *request)
{
	const struct bosh_body *body = &request->body;

	log_debug("bosh-request", LOG_SV("session", sv_first(sv_from(entry->sid), SID_LOG_LENGTH)),
		  LOG_NUMBER("request", request->exchange), LOG_NUMBER("rid", body->rid),
		  LOG_NUMBER("payloads", body->n_payloads), LOG_NUMBER("bytes", body->payloads.n),
		  LOG_SV("type", body->type));
}

/* Over-activity (XEP-0124) is about empty requests and about those that are open at the same time;
 * this is about all of them, for each costs CPU, here and at the server. */
static enum bosh_rule judge_rate(struct bosh_entry *entry)
{
	struct worker_env *env = entry->endpoint->env;

	if (worker_takes_request(env, &entry->client, &entry->requests)) {
		return BOSH_RULE_NONE;
	}
	return BOSH_RULE_TOO_FAST;
}

static void on_request(void *userdata, struct bosh_request *request)
{
	struct bosh_endpoint *endpoint = userdata;
	struct bosh_entry *entry = find_for(endpoint, request);
	struct bosh_actions *actions = &endpoint->actions;
	enum bosh_rule rule = judge_body(request);
	int r;

	if (entry) {
		trace_request(entry, request);
		rule = rule ? rule : judge_rate(entry);
	}
	if (entry && rule) {
		r = bosh_session_refuse(entry->engine, request->exchange, &request->body, rule,
					actions);
	} else if (entry) {
		note_client(entry, &request->client);
		r = bosh_session_request(entry->engine, request->exchange, &request->body,
					 bosh_endpoint_now(endpoint), actions);
	} else if (request->body_result != BOSH_BODY_OK) {
		refuse_by_rule(endpoint, request, rule);
		return;
	} else if (request->body.sid.data) {
		answer_late(endpoint, request);
		return;
	} else {
		create(endpoint, request);
		return;
	}
	bosh_entry_settle(entry, r);
	if (r < 0) {
		/* The engine did not take this request, so nobody else will answer it. */
		refuse_by_rule(endpoint, request, BOSH_RULE_OUT_OF_MEMORY);
	}
}

static void on_gone(void *userdata, struct sv sid, uint64_t exchange)
{
	struct bosh_entry *entry = find(userdata, sid);

	if (entry) {
		bosh_session_gone(entry->engine, exchange, bosh_endpoint_now(entry->endpoint));
		bosh_entry_arm(entry);
	}
}

static const struct bosh_relay_callbacks relay_callbacks = {
	.request = on_request,
	.gone = on_gone,
};

/* Life of the endpoint. */

int bosh_endpoint_reload(struct bosh_endpoint *endpoint)
{
	struct bosh_settings *settings;
	int r = bosh_settings_new(endpoint->env->config, &settings);

	if (r < 0) {
		return r;
	}
	bosh_settings_unref(endpoint->settings);
	endpoint->settings = settings;
	if (endpoint->ended) {
		bosh_ended_table_set_keep(endpoint->ended, endpoint->env->config->inactivity_s);
	}
	if (endpoint->relay) {
		bosh_relay_reload(endpoint->relay);
	}
	return 0;
}

int bosh_endpoint_new(struct worker_env *env, struct bosh_endpoint **ret_endpoint)
{
	struct bosh_endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint) {
		return -ENOMEM;
	}
	endpoint->env = env;
	int r = bosh_endpoint_reload(endpoint);

	if (r == 0) {
		r = bosh_relay_new(env, &relay_callbacks, endpoint, &endpoint->relay);
	}
	if (r == 0) {
		/* For so long a client may think that its session goes on. */
		r = bosh_ended_table_new(env->config->inactivity_s, &endpoint->ended);
	}
	if (r < 0) {
		bosh_relay_free(endpoint->relay);
		bosh_settings_unref(endpoint->settings);
		free(endpoint);
		return r;
	}
	bosh_waits_init(endpoint, bosh_entry_on_due);
	*ret_endpoint = endpoint;
	return 0;
}

void bosh_endpoint_shut(struct bosh_endpoint *endpoint)
{
	struct bosh_entry *entry, *next;
	struct failure failure;

	failure_set(&failure, FAILURE_SHUTDOWN, NULL);
	HASH_ITER(hh, endpoint->sessions, entry, next) {
		session_log_set_reason(&entry->log, failure_name(failure.kind));
		bosh_entry_shut(entry, &failure);
	}
}

void bosh_endpoint_stop(struct bosh_endpoint *endpoint)
{
	if (endpoint) {
		bosh_waits_close(endpoint);
	}
}

struct bosh_endpoint *bosh_endpoint_free(struct bosh_endpoint *endpoint)
{
	if (!endpoint) {
		return NULL;
	}
	bosh_actions_deinit(&endpoint->actions);
	bosh_relay_free(endpoint->relay);
	bosh_ended_table_free(endpoint->ended);
	bosh_settings_unref(endpoint->settings);
	free(endpoint);
	return NULL;
}

struct bosh_relay *bosh_endpoint_relay(struct bosh_endpoint *endpoint)
{
	return endpoint->relay;
}
