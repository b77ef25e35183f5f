/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_ADMIN
#include <errno.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/log.h"
#include "gateway/ops/admin-state.h"
#include "gateway/ops/exposition.h"
#include "gateway/ops/page/status-page.h"
#include "policy/budget.h"

enum form {
	FORM_JSON,
	FORM_TEXT,
	FORM_PAGE,
};

struct question {
	struct admin *admin;
	struct MHD_Connection *connection;
	enum form form;
};

struct answer {
	unsigned status;
	const char *type;
	struct buffer body;
};

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_JSON "application/json"

/* Answers. */

static int set_text(struct answer *answer, unsigned status, const char *text)
{
	answer->status = status;
	answer->type = TYPE_TEXT;
	return buffer_printf(&answer->body, "%s\n", text);
}

static int set_file(struct answer *answer, const char *type, const unsigned char *data, size_t n)
{
	answer->type = type;
	return buffer_append(&answer->body, data, n);
}

static enum MHD_Result send_answer(const struct question *question, const struct answer *answer)
{
	static const char *const headers[][2] = {
		{MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
		{"Content-Security-Policy",
		 "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
		 "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
	};
	struct sv body = buffer_sv(&answer->body);
	struct MHD_Response *response = MHD_create_response_from_buffer(
		body.n, (void *)(uintptr_t)body.data, MHD_RESPMEM_MUST_COPY);

	if (!response) {
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
	}
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, POST");
	}
	if (question->admin->is_draining) {
		/* The next request is for the process that has taken over. */
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	}
	enum MHD_Result result = MHD_queue_response(question->connection, answer->status, response);

	MHD_destroy_response(response);
	return result;
}

/* Questions. */

static struct sv header_of(const struct question *question, const char *name)
{
	return sv_from(MHD_lookup_connection_value(question->connection, MHD_HEADER_KIND, name));
}

static struct sv argument_of(const struct question *question, const char *name)
{
	return sv_from(
		MHD_lookup_connection_value(question->connection, MHD_GET_ARGUMENT_KIND, name));
}

static enum form choose_form(struct sv accept)
{
	if (sv_contains(accept, SV("text/html"))) {
		return FORM_PAGE;
	}
	return sv_starts_with(accept, SV("text/plain")) ? FORM_TEXT : FORM_JSON;
}

/* Whether Host is what a name that a stranger owns cannot be: an address or localhost. */
static bool is_host_trusted(struct sv host)
{
	struct address address;
	struct sv name = host;

	if (host.n && host.data[host.n - 1] != ']') {
		const char *colon = memrchr(host.data, ':', host.n);

		name = colon ? sv_first(host, (size_t)(colon - host.data)) : host;
	}
	return host.n == 0 || sv_eq_nocase(name, SV("localhost")) ||
	       address_parse(host, 1, &address) == 0;
}

/* What is told. */

static int gather(struct admin *admin, const struct config *config, const struct session_list *list,
		  struct status *ret_status)
{
	const struct metrics *metrics = admin->options.metrics;

	*ret_status = (struct status){
		.now = clock_now(),
		.config = config,
		.process = admin->options.process,
		.metrics = metrics,
		.samples = &admin->samples,
		.workers = admin->workers,
		.n_log_lost = log_lost(),
		/* All workers share them. */
		.n_login_bytes = budget_bytes(admin->options.envs[0]->budget),
		.n_foreign_bytes = budget_bytes(admin->options.envs[0]->foreign_budget),
	};
	ret_status->uptime_ms = mono_diff_ms(ret_status->now, admin->started);
	process_facts_read(&admin->facts, &ret_status->numbers);
	for (unsigned i = 0; i < metrics->n_cells; i++) {
		const struct metrics_cell *cell = &metrics->cells[i];
		int64_t n = 0;

		for (unsigned value = METRIC_CONNECTING_BOSH; value <= METRIC_ONLINE_WEBSOCKET;
		     value++) {
			n += metrics_read(&cell->values[value]);
		}
		admin->workers[i].n_sessions = n;
	}
	return status_count_domains(ret_status, list);
}

enum report {
	REPORT_METRICS,
	REPORT_STATUS,
};

static int write_report(const struct question *question, enum report report,
			const struct status *status, struct answer *answer)
{
	if (report == REPORT_METRICS) {
		answer->type = "text/plain; version=0.0.4; charset=utf-8";
		return exposition_write(status, &answer->body);
	}
	if (question->form == FORM_TEXT) {
		answer->type = TYPE_TEXT;
		return status_write_text(status, argument_of(question, "colour").n > 0,
					 &answer->body);
	}
	answer->type = TYPE_JSON;
	return status_write_json(status, &answer->body);
}

static int answer_report(const struct question *question, enum report report, struct answer *answer)
{
	struct admin *admin = question->admin;
	_cleanup_(session_list_deinit) struct session_list list = {0};
	struct status status;
	int r = session_list_read(admin->options.envs, admin->options.metrics->n_cells, &list);

	if (r < 0) {
		return r;
	}
	pthread_mutex_lock(&admin->mutex);
	r = gather(admin, admin->options.config, &list, &status);
	if (r == 0) {
		r = write_report(question, report, &status, answer);
	}
	pthread_mutex_unlock(&admin->mutex);
	return r;
}

static int answer_metrics(const struct question *question, struct answer *answer)
{
	return answer_report(question, REPORT_METRICS, answer);
}

static int answer_status(const struct question *question, struct answer *answer)
{
	return question->form == FORM_PAGE
		     ? set_file(answer, "text/html; charset=utf-8", status_html, n_status_html)
		     : answer_report(question, REPORT_STATUS, answer);
}

static int answer_style(const struct question *question, struct answer *answer)
{
	(void)question;
	return set_file(answer, "text/css; charset=utf-8", status_css, n_status_css);
}

static int answer_script(const struct question *question, struct answer *answer)
{
	(void)question;
	return set_file(answer, "text/javascript; charset=utf-8", status_js, n_status_js);
}

static int answer_health(const struct question *question, struct answer *answer)
{
	const struct admin_options *options = &question->admin->options;
	char words[STATUS_WORDS_MAX];
	bool is_healthy = status_is_healthy(options->process, options->metrics, clock_now(), words);

	return set_text(answer, is_healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, words);
}

static int answer_sessions(const struct question *question, struct answer *answer)
{
	const struct admin_options *options = &question->admin->options;
	_cleanup_(session_list_deinit) struct session_list list = {0};
	int r = session_list_read(options->envs, options->metrics->n_cells, &list);

	if (r < 0) {
		return r;
	}
	if (question->form == FORM_TEXT) {
		answer->type = TYPE_TEXT;
		return status_write_sessions_text(&list, &answer->body);
	}
	answer->type = TYPE_JSON;
	return status_write_sessions_json(&list, &answer->body);
}

static int answer_kick(const struct question *question, struct answer *answer)
{
	const struct admin_options *options = &question->admin->options;
	struct sv name = argument_of(question, "session");
	struct sv client = argument_of(question, "client");
	struct address address;

	if (header_of(question, "Origin").n) {
		return set_text(answer, MHD_HTTP_FORBIDDEN, "A web page may not end sessions.");
	}
	if (name.n == 0 || (client.n && address_parse(client, 1, &address) < 0)) {
		return set_text(answer, MHD_HTTP_BAD_REQUEST,
				"Expected session=NAME, and client=ADDRESS or none.");
	}
	int r = session_list_kick(options->envs, options->metrics->n_cells, name,
				  client.n ? &address : NULL);

	switch (r) {
	case SESSION_KICK_DONE:
		log_info("session-kicked", LOG_SV("session", name));
		return set_text(answer, MHD_HTTP_OK, "The session has been ended.");
	case SESSION_KICK_E_UNKNOWN:
		return set_text(answer, MHD_HTTP_NOT_FOUND, "There is no such session.");
	case SESSION_KICK_E_AMBIGUOUS:
		return set_text(answer, MHD_HTTP_CONFLICT,
				"Several sessions have this name: add the client's address, as in "
				"SESSION@192.0.2.1.");
	case SESSION_KICK_E_SILENT:
		return set_text(answer, MHD_HTTP_SERVICE_UNAVAILABLE, "A worker did not answer.");
	default:
		return r;
	}
}

static const struct {
	const char *path;
	bool is_post;
	bool is_open; /* names no client, so whichever Host may ask */
	int (*answer)(const struct question *question, struct answer *answer);
} routes[] = {
	{"/", false, false, answer_status},         {"/healthz", false, true, answer_health},
	{"/kick", true, false, answer_kick},        {"/metrics", false, true, answer_metrics},
	{"/readyz", false, true, answer_health},    {"/sessions", false, false, answer_sessions},
	{"/status", false, false, answer_status},   {"/status.css", false, true, answer_style},
	{"/status.js", false, true, answer_script},
};

static int dispatch(const struct question *question, const char *path, const char *method,
		    struct answer *answer)
{
	bool is_post = strcmp(method, "POST") == 0;
	bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;

	for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
		if (strcmp(path, routes[i].path) != 0) {
			continue;
		}
		if (routes[i].is_post ? !is_post : !is_read) {
			return set_text(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "Another method.");
		}
		if (!routes[i].is_open && !is_host_trusted(header_of(question, "Host"))) {
			return set_text(answer, MHD_HTTP_FORBIDDEN,
					"Ask by an address or as localhost, not by another name.");
		}
		return routes[i].answer(question, answer);
	}
	return set_text(answer, MHD_HTTP_NOT_FOUND, "There is nothing here. See /status.");
}

/* Called first with the head alone, then for the body, which is thrown away, then to answer. */
enum MHD_Result admin_on_request(void *userdata, struct MHD_Connection *connection,
				 const char *path, const char *method, const char *version,
				 const char *data, size_t *n_data, void **slot)
{
	struct question question = {.admin = userdata, .connection = connection};
	struct answer answer = {.status = MHD_HTTP_OK};

	(void)version;
	(void)data;
	if (!*slot) {
		admin_owe(userdata, connection);
	}
	if (!*slot || *n_data) {
		*slot = userdata;
		*n_data = 0;
		return MHD_YES;
	}
	question.form = choose_form(header_of(&question, MHD_HTTP_HEADER_ACCEPT));
	int r = dispatch(&question, path, method, &answer);
	/* Without memory for an answer the connection is closed. */
	enum MHD_Result result = r < 0 ? MHD_NO : send_answer(&question, &answer);

	buffer_deinit(&answer.body);
	return result;
}
