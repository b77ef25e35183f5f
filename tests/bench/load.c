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
	RUN_LEAST = 32, /* round trips, however large they are */
};

/* Sends a request to be held, unless the one that carried the stanza is still under way. */
static void hold_request(struct session *session)
{
	struct load *load = session->load;

	if (!session->connections[0].busy && !session->connections[1].busy) {
		send_request(session, "", "");
	}
	load->held[(load->first_held + load->n_held++) % load->n_sessions_max] = session;
}

static struct session *take_held(struct load *load)
{
	struct session *session = load->held[load->first_held];

	load->first_held = (load->first_held + 1) % load->n_sessions_max;
	load->n_held--;
	return session;
}

/* The echo of the stanza of @session has arrived. */
static void go_on(struct session *session)
{
	struct load *load = session->load;

	if (load->kind == LOAD_BOSH_HELD) {
		hold_request(session);
	}
	if (load->sending) {
		send_stanza(load->kind == LOAD_BOSH_HELD ? take_held(load) : session);
	}
}

static void set_ready(struct session *session)
{
	session->ready = true;
	session->load->n_ready++;
	if (session->load->kind == LOAD_BOSH_HELD) {
		hold_request(session);
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

static void on_message(struct session *session, struct text text)
{
	char id[32];

	if (find_text(text, "terminate") || find_text(text, "error")) {
		die("the session ended: %.*s", (int)(text.n < HEAD_SIZE ? text.n : HEAD_SIZE),
		    text.data);
	}
	if (!session->ready) {
		if (login_step(session, text)) {
			set_ready(session);
		}
		return;
	}
	snprintf(id, sizeof(id), " id='%08" PRIx32 "'", session->number);
	if (find_text(text, id)) {
		session->load->n_under_way--;
		session->load->n_round_trips++;
		note_latency(session);
		go_on(session);
	}
}

static void on_readable(struct connection *connection)
{
	struct bytes *in = &connection->flow.in;
	struct text message;
	size_t n;

	if (!flow_read(&connection->flow)) {
		die("the connection ended");
	}
	while (in->n &&
	       (n = take_message(connection->session, (struct text){in->data, in->n}, &message)) &&
	       n <= in->n) {
		connection->busy = false;
		on_message(connection->session, message);
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
}

struct load *load_new(enum load_kind kind, uint16_t port, size_t n_sessions_max, size_t n_text)
{
	struct load *load = calloc(1, sizeof(*load));

	check(load, "load");
	load->kind = kind;
	load->port = port;
	load->n_sessions_max = n_sessions_max;
	load->text = stanza_new(n_text);
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	load->sessions = calloc(n_sessions_max, sizeof(*load->sessions));
	load->held = calloc(n_sessions_max, sizeof(struct session *));
	check(load->epoll >= 0 && load->sessions && load->held, "load");
	return load;
}

struct load *load_free(struct load *load)
{
	for (size_t i = 0; i < load->n_sessions; i++) {
		for (size_t j = 0; j < 2; j++) {
			if (load->sessions[i].connections[j].session) {
				flow_close(&load->sessions[i].connections[j].flow);
			}
		}
	}
	close(load->epoll);
	free(load->sessions);
	free(load->held);
	free(load->text);
	free(load->scratch.data);
	free(load->latencies);
	free(load);
	return NULL;
}

static void open_session(struct load *load)
{
	struct session *session = &load->sessions[load->n_sessions++];

	*session = (struct session){.load = load, .rid = 1};
	if (login_start(session)) {
		set_ready(session);
	}
}

void load_open(struct load *load, size_t n)
{
	while (load->n_ready < n) {
		if (load->n_sessions < n && load->n_sessions - load->n_ready < OPENING_MAX) {
			open_session(load);
		} else {
			turn(load);
		}
	}
}

static void start(struct load *load)
{
	bool held = load->kind == LOAD_BOSH_HELD;
	size_t n = held ? load->n_sessions / 2 : load->n_sessions;

	load->sending = true;
	for (size_t i = 0; i < n; i++) {
		send_stanza(held ? take_held(load) : &load->sessions[i]);
	}
}

uint64_t load_run(struct load *load, unsigned ms)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)ms * 1000000,
		 n_before = load->n_round_trips;

	load->n_latencies = 0;
	if (!load->sending) {
		start(load);
	}
	while (clock_ns(CLOCK_MONOTONIC) < end || load->n_round_trips - n_before < RUN_LEAST) {
		turn(load);
	}
	return load->n_round_trips - n_before;
}

void load_drain(struct load *load)
{
	load->sending = false;
	while (load->n_under_way) {
		turn(load);
	}
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
