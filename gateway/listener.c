/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_LISTENER
#include "gateway/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mono.h"
#include "gateway/acceptor.h"
#include "gateway/socket-policy.h"

enum {
	SWEEP_MS = 1000,
	PEEK_EVENTS = 64,
};

struct waiting {
	TAILQ_ENTRY(waiting) in_listener; /* oldest first */
	int fd;
	struct address peer;
	struct mono deadline;
};

struct listener {
	struct worker_env *env;
	const struct listener_callbacks *callbacks;
	void *userdata;
	struct peek_paths paths;
	struct acceptor *acceptor;
	TAILQ_HEAD(, waiting) waiting;
	int peek_fd; /* an epoll; edge-triggered, so that unread bytes do not wake the loop again */
	uv_poll_t peek;
	uv_timer_t sweep;
	size_t n_handles; /* not closed yet; the listener is freed with the last */
};

static void drop(struct listener *listener, int fd, const struct address *peer)
{
	close(fd);
	worker_leave_connection(listener->env, peer);
}

enum look {
	LOOK_WAIT, /* more bytes are needed */
	LOOK_TOLD,
	LOOK_DEAD,
};

/* Classifies the bytes received on @fd without consuming them. @ret_peek points into @bytes. */
static enum look look(const struct listener *listener, int fd, char bytes[static PEEK_MAX],
		      struct peek *ret_peek)
{
	ssize_t n = recv(fd, bytes, PEEK_MAX, MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return LOOK_WAIT;
	}
	if (n <= 0) {
		return LOOK_DEAD;
	}
	peek_judge((struct sv){bytes, (size_t)n}, &listener->paths, ret_peek);
	return ret_peek->kind == PEEK_MORE ? LOOK_WAIT : LOOK_TOLD;
}

static int wait_for(struct listener *listener, int fd, const struct address *peer)
{
	struct waiting *waiting = malloc(sizeof(*waiting));
	struct mono now = {(int64_t)uv_now(listener->env->loop)};
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = waiting};

	if (!waiting) {
		return -ENOMEM;
	}
	*waiting = (struct waiting){
		.fd = fd,
		.peer = *peer,
		.deadline = mono_add_s(now, listener->env->config->header_timeout_s),
	};
	if (epoll_ctl(listener->peek_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		free(waiting);
		return -errno;
	}
	TAILQ_INSERT_TAIL(&listener->waiting, waiting, in_listener);
	return 0;
}

static void log_refused(const struct listener *listener, const struct address *peer,
			const char *limit)
{
	char text[ADDRESS_TEXT_MAX];

	if (worker_may_log(listener->env, CLIENT_LOG_CONNECTION_REFUSED, peer)) {
		log_warning("connection-refused",
			    LOG_STR("client", address_format_host(peer, text)),
			    LOG_STR("limit", limit));
	}
}

static void pass_on(struct listener *listener, int fd, const struct address *peer,
		    const struct peek *peek)
{
	if (peek->kind == PEEK_POLICY) {
		socket_policy_adopt(listener->env->socket_policy, fd, peer, SITE_PLUGIN_FLASH);
	} else {
		listener->callbacks->connection(listener->userdata, fd, peer, peek);
	}
}

static void on_accepted(void *userdata, int fd, const struct address *peer)
{
	struct listener *listener = userdata;
	char bytes[PEEK_MAX];
	enum site_plugin plugin;
	struct peek peek;
	int one = 1;

	const char *limit = worker_enter_connection(listener->env, peer);

	if (limit) {
		log_refused(listener, peer, limit);
		close(fd);
		return;
	}
	if (socket_policy_is_asked(listener->env->config, fd, &plugin)) {
		socket_policy_adopt(listener->env->socket_policy, fd, peer, plugin);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	switch (look(listener, fd, bytes, &peek)) {
	case LOOK_TOLD:
		pass_on(listener, fd, peer, &peek);
		break;
	case LOOK_WAIT:
		if (wait_for(listener, fd, peer) < 0) {
			drop(listener, fd, peer);
		}
		break;
	case LOOK_DEAD:
		drop(listener, fd, peer);
		break;
	}
}

/* Call before passing the descriptor on, because the epoll would continue to report its events. */
static void forget(struct listener *listener, struct waiting *waiting)
{
	epoll_ctl(listener->peek_fd, EPOLL_CTL_DEL, waiting->fd, NULL);
	TAILQ_REMOVE(&listener->waiting, waiting, in_listener);
	free(waiting);
}

static void on_said(struct listener *listener, struct waiting *waiting, bool ended)
{
	struct waiting due = *waiting;
	char bytes[PEEK_MAX];
	struct peek peek;
	enum look told = look(listener, due.fd, bytes, &peek);

	if (told == LOOK_WAIT && ended) {
		/* The client sends no more. If its bytes need an answer, the HTTP server gives
		 * it. */
		peek = (struct peek){.kind = PEEK_HTTP};
		told = LOOK_TOLD;
	}
	if (told == LOOK_WAIT) {
		return;
	}
	forget(listener, waiting);
	if (told == LOOK_TOLD) {
		pass_on(listener, due.fd, &due.peer, &peek);
	} else {
		drop(listener, due.fd, &due.peer);
	}
}

static void on_peek(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = CONTAINER_OF(poll, struct listener, peek);
	struct epoll_event ready[PEEK_EVENTS];
	int n;

	(void)status;
	(void)events;
	n = epoll_wait(listener->peek_fd, ready, PEEK_EVENTS, 0);
	for (int i = 0; i < n; i++) {
		on_said(listener, ready[i].data.ptr,
			ready[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	}
}

static void on_sweep(uv_timer_t *timer)
{
	struct listener *listener = CONTAINER_OF(timer, struct listener, sweep);
	struct mono now = {(int64_t)uv_now(listener->env->loop)};
	struct waiting *waiting;

	while ((waiting = TAILQ_FIRST(&listener->waiting)) &&
	       mono_reached(waiting->deadline, now)) {
		struct waiting late = *waiting;

		forget(listener, waiting);
		drop(listener, late.fd, &late.peer);
	}
}

/* Creating and ending the listener. */

static void on_handle_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;

	if (--listener->n_handles == 0) {
		close(listener->peek_fd);
		free(listener);
	}
}

static void set_paths(struct listener *listener)
{
	listener->paths.bosh = sv_from(listener->env->config->bosh_path);
	listener->paths.websocket = sv_from(listener->env->config->websocket_path);
}

int listener_reload(struct listener *listener, const int *fds, size_t n_fds)
{
	set_paths(listener);
	return acceptor_set(listener->acceptor, fds, n_fds);
}

int listener_new(struct worker_env *env, const struct listener_callbacks *callbacks, void *userdata,
		 const int *fds, size_t n_fds, struct listener **ret_listener)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int r;

	if (!listener) {
		return -ENOMEM;
	}
	listener->env = env;
	listener->callbacks = callbacks;
	listener->userdata = userdata;
	set_paths(listener);
	TAILQ_INIT(&listener->waiting);
	listener->peek_fd = epoll_create1(EPOLL_CLOEXEC);
	r = listener->peek_fd < 0 ? -errno
				  : uv_poll_init(env->loop, &listener->peek, listener->peek_fd);
	if (r < 0) {
		if (listener->peek_fd >= 0) {
			close(listener->peek_fd);
		}
		free(listener);
		return r;
	}
	uv_timer_init(env->loop, &listener->sweep);
	listener->peek.data = listener;
	listener->sweep.data = listener;
	listener->n_handles = 2;
	r = acceptor_new(env->loop, on_accepted, listener, &listener->acceptor);
	if (r == 0) {
		r = acceptor_set(listener->acceptor, fds, n_fds);
	}
	if (r < 0) {
		listener_free(listener);
		return r;
	}
	uv_poll_start(&listener->peek, UV_READABLE, on_peek);
	uv_timer_start(&listener->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	*ret_listener = listener;
	return 0;
}

struct listener *listener_free(struct listener *listener)
{
	struct waiting *waiting;

	if (!listener) {
		return NULL;
	}
	while ((waiting = TAILQ_FIRST(&listener->waiting))) {
		struct waiting late = *waiting;

		forget(listener, waiting);
		drop(listener, late.fd, &late.peer);
	}
	listener->acceptor = acceptor_free(listener->acceptor);
	uv_close((uv_handle_t *)&listener->peek, on_handle_closed);
	uv_close((uv_handle_t *)&listener->sweep, on_handle_closed);
	return NULL;
}
