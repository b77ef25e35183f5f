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
	/* As long as there is a reader, also while the worker stops: their requests may be here. */
	int r = front->reader ? http_reader_adopt(front->reader, wire, is_first) : -ESHUTDOWN;

	if (r < 0) {
		if (r != -ESHUTDOWN) {
			connection_log_lost(front->env, wire_peer(wire), r);
		}
		handover_drop(front->env, wire);
	}
}

/* What becomes of a connection whose next request is for a server behind that door. */
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

/* Passes the clear text of @wire, which has TLS, or of which bytes were fetched as the other server
 * began: this process goes on pumping the bytes until it ends. If the door does not take it, it is
 * a connection like others from then on, and is judged again. */
static enum http_first pass_pumped(struct front *front, unsigned generation, unsigned worker,
				   struct wire *wire)
{
	struct worker_env *env = front->env;
	const struct wire_peer peer = wire_describe(wire);
	int fd = wire_into_fd(wire);

	if (fd < 0) {
		return HTTP_FIRST_PAUSE;
	}
	if (doors_pass(env->doors, generation, worker, fd, &peer) != DOOR_OPEN &&
	    wire_new_again(fd, &peer, &wire) == 0) {
		front_adopt(front, wire, false);
		return HTTP_FIRST_TAKEN;
	}
	close(fd);
	worker_leave_connection(env, &peer.address);
	return HTTP_FIRST_TAKEN;
}

/* Passes a connection to another server. Unless it is TAKEN, it stays where it is. */
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

/* Of a retired server: where its connections go when nothing is due on them. */
static bool has_successor(const struct worker_env *env)
{
	int successor = env->process->successor;

	return successor >= 0 && doors_have(env->doors, (unsigned)successor);
}

/* The receiver distributes them. */
static enum http_first pass_on(struct front *front, struct wire *wire)
{
	return pass(front, (unsigned)front->env->process->successor, front->env->index, wire);
}

/* One that cannot be passed now stays here until its next request. */
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

/* What becomes of a connection whose next request is for the server @generation. TAKEN: pass it. */
static enum http_first ask_door(const struct front *front, unsigned generation, bool is_free)
{
	enum http_first first = first_of(doors_ask(front->env->doors, generation));

	return first != HTTP_FIRST_KEEP && !is_free ? HTTP_FIRST_LATER : first;
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
	return owner.worker < env->n_workers && owner.worker != env->index && is_free &&
			       handover_post(front->mailboxes[owner.worker], wire, env,
					     front->callbacks.handed_over) == 0
		     ? HTTP_FIRST_TAKEN
		     : HTTP_FIRST_KEEP;
}

/* What a retired server gets without a session, the next one serves; but over TLS, which cannot
 * outlive this process, it is served here, and the client makes a new connection for what
 * follows. So is a request of which a part had been read before there was a next server. */
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

/* Of the request on @wire, no more can be told yet. */
static enum http_first wait_for_more(struct front *front, struct wire *wire,
				     const struct http_head *head, struct sv bytes, bool is_free)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const struct iovec part = {text, sizeof(text) - 1};

	if (!head->expects_continue || bytes.n > head->n) {
		return HTTP_FIRST_MORE;
	}
	/* The client sends the body only after it was asked for it. Without an upgrade under way,
	 * the reader asks. */
	if (!doors_exist(front->env->doors)) {
		return HTTP_FIRST_KEEP;
	}
	if (!is_free) {
		return HTTP_FIRST_LATER;
	}
	return wire_send(wire, &part, 1) < 0 ? HTTP_FIRST_KEEP : HTTP_FIRST_MORE;
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
		return beginning.more ? wait_for_more(front, wire, head, bytes, is_free)
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
