/* SPDX-License-Identifier: MIT */
#include "gateway/front-owner.h"

#include <errno.h>
#include <unistd.h>

#include "gateway/bosh/sid.h"
#include "gateway/connection-log.h"
#include "gateway/http/beginning.h"
#include "gateway/process/door.h"

void front_adopt(struct front *front, struct wire *wire, bool is_first)
{
	/* A worker that stops still takes connections, because their requests may be for sessions
	 * that it is ending. */
	int r = front->reader ? http_reader_adopt(front->reader, wire, is_first) : -ESHUTDOWN;

	if (r < 0) {
		if (r != -ESHUTDOWN) {
			connection_log_lost(front->env, wire_peer(wire), r);
		}
		handover_drop(front->env, wire);
	}
}

enum {
	/* So many requests in a row for sessions of another worker take the connection there. To
	 * move it costs as much as to pass on about ten requests (bosh/relay.h), and a proxy, which
	 * uses it for the sessions of all workers, would have it moved with every second one. */
	FRONT_ROW_MAX = 16,
};

/* What follows for a connection when the door of the server that should get it answers @result. */
static enum http_first first_of(enum door_result result)
{
	switch (result) {
	case DOOR_OPEN:
		return HTTP_FIRST_TAKEN;
	case DOOR_E_FULL:
		return HTTP_FIRST_PAUSE;
	case DOOR_E_NONE:
		break;
	}
	return HTTP_FIRST_KEEP;
}

/* The door has refused @fd, one end of a pair of sockets. This worker reads it like any connection,
 * and judges its next request again. It has no seat: the client's connection, which is pumped,
 * keeps its own, and is one connection. */
static void serve_pumped(struct front *front, int fd, const struct wire_peer *peer)
{
	struct wire *wire;
	int r = wire_new_again(fd, peer, &wire);

	if (r < 0) {
		close(fd);
		connection_log_lost(front->env, &peer->address, r);
		return;
	}
	wire_set_silent(wire);
	front_adopt(front, wire, false);
}

/* Passes a connection whose bytes are not all in its socket: it has TLS, or bytes were fetched
 * before there was another server. The other server gets one end of a pair of sockets, and this
 * process copies the bytes between the other end and the client for as long as the connection
 * exists (wire_into_fd()). Until then the client keeps its seat here. */
static enum http_first pass_pumped(struct front *front, unsigned generation, unsigned worker,
				   struct wire *wire)
{
	const struct wire_peer peer = wire_describe(wire);
	int fd = wire_into_fd(wire);

	if (fd < 0) {
		return HTTP_FIRST_PAUSE;
	}
	if (doors_pass(front->env->doors, generation, worker, fd, &peer) == DOOR_OPEN) {
		close(fd);
	} else {
		serve_pumped(front, fd, &peer);
	}
	return HTTP_FIRST_TAKEN;
}

/* Passes a connection to @worker of the server @generation. The wire stays as it is unless the
 * result is HTTP_FIRST_TAKEN. */
static enum http_first pass(struct front *front, unsigned generation, unsigned worker,
			    struct wire *wire)
{
	const struct wire_peer peer = wire_describe(wire);
	int fd = wire_fd(wire);

	if (fd < 0) {
		return pass_pumped(front, generation, worker, wire);
	}
	enum door_result result = doors_pass(front->env->doors, generation, worker, fd, &peer);

	if (result == DOOR_OPEN) {
		wire_close(wire);
	}
	return first_of(result);
}

/* Whether this server is retired, and its successor can be passed connections. */
static bool has_successor(const struct worker_env *env)
{
	int successor = env->process->successor;

	return successor >= 0 && doors_have(env->doors, (unsigned)successor);
}

/* Passes a connection that any worker of the successor may serve. Each worker passes its own to the
 * worker of the same number, so that all of them get some. */
static enum http_first pass_on(struct front *front, struct wire *wire)
{
	return pass(front, (unsigned)front->env->process->successor, front->env->index, wire);
}

/* Returns whether @wire was taken. If it cannot be passed now, its next request is judged. */
static bool on_idle(void *userdata, struct wire *wire)
{
	return pass_on(userdata, wire) == HTTP_FIRST_TAKEN;
}

void front_give_idle(struct front *front)
{
	if (front->reader && has_successor(front->env)) {
		http_reader_give_idle(front->reader, on_idle);
	}
}

/* What to do with a connection whose next request is for the server @generation; HTTP_FIRST_TAKEN
 * says that it can be passed now. */
static enum http_first ask_door(const struct front *front, unsigned generation, bool is_free)
{
	enum http_first first = first_of(doors_ask(front->env->doors, generation));

	return first != HTTP_FIRST_KEEP && !is_free ? HTTP_FIRST_LATER : first;
}

/* Notes on @wire that its next request is for a session of @worker. Returns whether it should be
 * there: the request is the first one that names a session, or so many in a row were for
 * @worker. */
static bool should_be_at(struct wire *wire, unsigned worker)
{
	enum { ROW = FRONT_ROW_MAX + 1 };
	uint32_t note = wire_note(wire); /* the worker of the last request, and how many in a row */
	unsigned n = note % ROW;

	if (!note) {
		n = FRONT_ROW_MAX;
	} else if (worker != note / ROW) {
		n = 1;
	} else if (n < FRONT_ROW_MAX) {
		n++;
	}
	wire_set_note(wire, worker * ROW + n);
	return n == FRONT_ROW_MAX;
}

/* Gives a connection to the worker that has the session @owner, here or in another server. */
static enum http_first send_to(struct front *front, struct sid_owner owner, struct wire *wire,
			       bool is_free)
{
	struct worker_env *env = front->env;

	if (owner.generation != env->process->generation) {
		enum http_first first = ask_door(front, owner.generation, is_free);

		return first == HTTP_FIRST_TAKEN ? pass(front, owner.generation, owner.worker, wire)
						 : first;
	}
	if (owner.worker >= env->n_workers) {
		return HTTP_FIRST_KEEP;
	}
	if (!should_be_at(wire, owner.worker) || owner.worker == env->index || !is_free) {
		/* A request for another worker goes there alone (bosh/relay.h). */
		return HTTP_FIRST_KEEP;
	}
	return handover_post(front->mailboxes[owner.worker], wire, env,
			     front->callbacks.handed_over) == 0
		     ? HTTP_FIRST_TAKEN
		     : HTTP_FIRST_KEEP;
}

/* Gives a connection whose next request names no session to the successor, if there is one. Two
 * kinds of requests are served here all the same: over TLS, because it cannot outlive this process
 * (the connection ends with the answer, and the client makes a new one for what follows), and a
 * request of which a part was read before there was a successor. */
static enum http_first send_on(struct front *front, struct wire *wire, bool is_free)
{
	int successor = front->env->process->successor;

	if (successor >= 0 && wire_ssl(wire)) {
		return HTTP_FIRST_LAST;
	}
	if (successor < 0 || !wire_is_whole(wire)) {
		return HTTP_FIRST_KEEP;
	}
	enum http_first first = ask_door(front, (unsigned)successor, is_free);

	return first == HTTP_FIRST_TAKEN ? pass_on(front, wire) : first;
}

/* The part of the request that has arrived does not tell yet whether it names a session. */
static enum http_first wait_for_more(struct front *front, struct wire *wire,
				     const struct http_head *head, struct sv bytes, bool is_free)
{
	if (!head->expects_continue || bytes.n > head->n) {
		return HTTP_FIRST_MORE;
	}
	/* The reader would tell the client, too, but a request whose head it has read cannot be
	 * passed to another server. */
	if (!doors_exist(front->env->doors)) {
		return HTTP_FIRST_KEEP;
	}
	if (!is_free) {
		return HTTP_FIRST_LATER;
	}
	return http_reader_tell_to_continue(wire) < 0 ? HTTP_FIRST_KEEP : HTTP_FIRST_MORE;
}

static enum http_first on_bosh(struct front *front, struct wire *wire, const struct http_head *head,
			       struct sv bytes, bool is_free)
{
	_cleanup_(http_beginning_deinit) struct http_beginning beginning = {0};
	struct coder *coder = front->env->config->coding ? front->coder : NULL;
	struct sid_owner owner;
	struct sv sid;

	if (http_beginning_init(&beginning, head, bytes, coder, SID_FIND_MAX) < 0) {
		return HTTP_FIRST_KEEP;
	}
	if (!sid_find(beginning.text, &sid)) {
		return beginning.has_more ? wait_for_more(front, wire, head, bytes, is_free)
					  : HTTP_FIRST_KEEP;
	}
	return sid_owner(sid, &owner) ? send_to(front, owner, wire, is_free)
				      : send_on(front, wire, is_free);
}

static bool is_for_bosh(const struct front *front, const struct http_head *head, struct sv bytes)
{
	struct sv path = http_span_sv(head->path, bytes.data);
	char text[HTTP_TARGET_MAX];

	if (head->is_escaped) {
		path = (struct sv){text, http_path_unescape(path, text)};
	}
	return http_path_eq(path, sv_from(front->env->config->bosh_path));
}

enum http_first front_owner_first(void *userdata, struct wire *wire, const struct http_head *head,
				  struct sv bytes, bool is_free)
{
	struct front *front = userdata;
	struct worker_env *env = front->env;

	if (env->n_workers == 1 && !doors_exist(env->doors)) {
		return HTTP_FIRST_KEEP;
	}
	return is_for_bosh(front, head, bytes) ? on_bosh(front, wire, head, bytes, is_free)
					       : send_on(front, wire, is_free);
}

bool front_owner_asks_always(void *userdata)
{
	const struct worker_env *env = ((struct front *)userdata)->env;

	return env->n_workers > 1 || doors_exist(env->doors);
}

bool front_owner_passes(void *userdata)
{
	return doors_exist(((struct front *)userdata)->env->doors);
}
