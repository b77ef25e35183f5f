/* SPDX-License-Identifier: MIT */
#include "tests/bench/load-state.h"

#include <inttypes.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/check.h"

enum {
	OPENING_MAX = 20, /* at once; more could overflow the listen queue */
	EVENTS_MAX = 64,
	SILENCE_MS = 20000,
	POOL_FACTOR =
		3, /* connections of a pool for each session, which has two requests at most */
};

/* Sends a request to be held, unless the one that carried the stanza is still under way. */
static void hold_request(struct session *session)
{
	struct load *load = session->load;

	if (session->n_busy == 0) {
		send_request(session, "", "");
	}
	load->held[(load->first_held + load->n_held++) % load->options.n_sessions_max] = session;
}

static struct session *take_held(struct load *load)
{
	struct session *session = load->held[load->first_held];

	load->first_held = (load->first_held + 1) % load->options.n_sessions_max;
	load->n_held--;
	return session;
}

/* The echo of the stanza of @session has arrived. */
static void go_on(struct session *session)
{
	struct load *load = session->load;
	bool holds = load->options.kind == LOAD_BOSH_HELD;

	if (holds) {
		hold_request(session);
	}
	if (load->sending) {
		send_stanza(holds ? take_held(load) : session);
	}
}

static void note_latency(struct session *session)
{
	struct load *load = session->load;

	if (load->n_latencies == load->n_latencies_max) {
		load->n_latencies_max = load->n_latencies_max * 2 + 1024;
		load->latencies =
			realloc(load->latencies, load->n_latencies_max * sizeof(*load->latencies));
		check(load->latencies, "memory");
	}
	load->latencies[load->n_latencies++] =
		(uint32_t)((clock_ns(CLOCK_MONOTONIC) - session->sent_ns) / 1000);
}

static void set_ready(struct session *session)
{
	session->stage = STAGE_READY;
	session->load->n_ready++;
	if (session->load->turns_over) {
		note_latency(session);
		login_end(session);
	} else if (session->load->options.kind == LOAD_BOSH_HELD) {
		hold_request(session);
	}
}

static void open_session(struct load *load, struct session *session)
{
	size_t i = (size_t)(session - load->sessions) % load->options.n_ports;

	*session = (struct session){.load = load,
				    .rid = 1,
				    .port = load->options.ports[i],
				    .sent_ns = clock_ns(CLOCK_MONOTONIC)};
	if (login_start(session)) {
		set_ready(session);
	}
}

static void close_session(struct session *session)
{
	for (size_t i = 0; i < 2; i++) {
		if (session->own[i].is_open) {
			flow_close(&session->own[i].flow);
		}
	}
	free(session->text);
	session->text = NULL;
}

static void on_echo(struct session *session, struct text text)
{
	char id[32];

	snprintf(id, sizeof(id), " id='%08" PRIx32 "'", session->number);
	if (find_text(text, id)) {
		session->load->n_under_way--;
		session->load->n_round_trips++;
		note_latency(session);
		go_on(session);
	}
}

static void on_message(struct connection *connection, struct text text)
{
	struct session *session = connection->session;

	if (connection->busy) {
		connection_release(connection);
	}
	if (session->stage >= STAGE_END) {
		if (session->stage == STAGE_END) {
			session->stage = STAGE_OVER;
			TAILQ_INSERT_TAIL(&session->load->ended, session, ended);
		}
		return;
	}
	if (find_text(text, "terminate") || find_text(text, "error")) {
		die("the session ended: %.*s", (int)(text.n < HEAD_SIZE ? text.n : HEAD_SIZE),
		    text.data);
	}
	if (session->stage == STAGE_READY) {
		on_echo(session, text);
		return;
	}
	if (login_step(session, text)) {
		set_ready(session);
	}
	if (!connection->worker[0]) {
		/* It has created the session, which is where the connection is. */
		memcpy(connection->worker, session->sid + WORKER_AT, WORKER_LENGTH);
	}
}

static void on_readable(struct connection *connection)
{
	struct bytes *in = &connection->flow.in;
	struct text message;
	size_t n;

	if (!flow_read(&connection->flow) && connection->session->stage < STAGE_END) {
		die("the connection ended");
	}
	while (in->n &&
	       (n = take_message(connection->session, (struct text){in->data, in->n}, &message)) &&
	       n <= in->n) {
		on_message(connection, message);
		bytes_drop(in, n);
	}
}

static void on_event(struct flow *flow, uint32_t events)
{
	if (events & EPOLLOUT) {
		flow_flush(flow);
	}
	if (events & ~(uint32_t)EPOLLOUT) {
		on_readable(flow->owner);
	}
}

/* After the events, none of which may be one of a connection that is gone. */
static void renew_ended(struct load *load)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&load->ended))) {
		TAILQ_REMOVE(&load->ended, session, ended);
		close_session(session);
		load->n_round_trips++;
		load->n_ready--;
		if (load->sending) {
			open_session(load, session);
		} else {
			load->n_under_way--;
		}
	}
}

static void turn(struct load *load)
{
	struct epoll_event ready[EVENTS_MAX];
	int n = epoll_wait(load->epoll, ready, EVENTS_MAX, SILENCE_MS);

	if (n <= 0) {
		die("%zu stanzas did not come back, %zu sessions did not open", load->n_under_way,
		    load->n_sessions - load->n_ready);
	}
	for (int i = 0; i < n; i++) {
		on_event(ready[i].data.ptr, ready[i].events);
	}
	renew_ended(load);
}

/* Lifetime. */

static void new_pool(struct load *load)
{
	load->n_pool_max = POOL_FACTOR * load->options.n_sessions_max;
	load->pool = calloc(load->n_pool_max, sizeof(*load->pool));
	check(load->pool, "load");
}

struct load *load_new(const struct load_options *options)
{
	struct load *load = calloc(1, sizeof(*load));
	size_t n_max = options->n_sessions_max;

	check(load, "load");
	load->options = *options;
	load->text = stanza_new("echo@bench.test", options->n_text);
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	load->sessions = calloc(n_max, sizeof(*load->sessions));
	load->held = calloc(n_max, sizeof(struct session *));
	check(load->epoll >= 0 && load->sessions && load->held, "load");
	load->tls = options->tls ? flow_tls_client() : NULL;
	TAILQ_INIT(&load->ended);
	if (options->pool != LOAD_OWN) {
		new_pool(load);
	}
	return load;
}

struct load *load_free(struct load *load)
{
	for (size_t i = 0; i < load->n_sessions; i++) {
		close_session(&load->sessions[i]);
	}
	for (size_t i = 0; i < load->n_pool; i++) {
		flow_close(&load->pool[i].flow);
	}
	close(load->epoll);
	SSL_CTX_free(load->tls);
	free(load->sessions);
	free(load->pool);
	free(load->held);
	free(load->text);
	free(load->scratch.data);
	free(load->latencies);
	free(load);
	return NULL;
}

/* Running. */

void load_open(struct load *load, size_t n)
{
	while (load->n_ready < n) {
		if (load->n_sessions < n && load->n_sessions - load->n_ready < OPENING_MAX) {
			open_session(load, &load->sessions[load->n_sessions++]);
		} else {
			turn(load);
		}
	}
}

static void start(struct load *load)
{
	bool held = load->options.kind == LOAD_BOSH_HELD;
	size_t n = held ? load->n_sessions / 2 : load->n_sessions;

	load->sending = true;
	for (size_t i = 0; i < n; i++) {
		send_stanza(held ? take_held(load) : &load->sessions[i]);
	}
}

static uint64_t run(struct load *load, unsigned ms)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * 1000000,
		 n_before = load->n_round_trips;

	load->n_latencies = 0;
	while (clock_ns(CLOCK_MONOTONIC) < end ||
	       load->n_round_trips - n_before < load->n_sessions) {
		turn(load);
	}
	return load->n_round_trips - n_before;
}

uint64_t load_run(struct load *load, unsigned ms)
{
	if (!load->sending) {
		start(load);
	}
	return run(load, ms);
}

uint64_t load_turn_over(struct load *load, size_t n, unsigned ms)
{
	load->turns_over = load->sending = true;
	while (load->n_sessions < n) {
		load->n_under_way++;
		open_session(load, &load->sessions[load->n_sessions++]);
	}
	return run(load, ms);
}

void load_drain(struct load *load)
{
	load->sending = false;
	while (load->n_under_way) {
		turn(load);
	}
}

void load_close(struct load *load)
{
	bool is_bosh = load->options.kind == LOAD_BOSH || load->options.kind == LOAD_BOSH_HELD;

	for (size_t i = 0; is_bosh && i < load->n_sessions; i++) {
		if (load->sessions[i].stage == STAGE_READY) {
			load->n_under_way++;
			login_end(&load->sessions[i]);
		}
	}
	load_drain(load);
}

static int compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

uint32_t load_latency(struct load *load, unsigned percent)
{
	if (load->n_latencies == 0) {
		return 0;
	}
	qsort(load->latencies, load->n_latencies, sizeof(*load->latencies), compare);
	return load->latencies[(load->n_latencies - 1) * percent / 100];
}

uint64_t load_requests(const struct load *load, uint64_t *ret_n_moved)
{
	*ret_n_moved = load->n_moved;
	return load->n_requests;
}
