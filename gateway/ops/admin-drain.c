/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <stdlib.h>

#include "common/clock.h"
#include "gateway/ops/admin-state.h"

/* The context of a connection in libmicrohttpd. Without memory for it, the drain does not wait for
 * the connection. */
struct admin_connection {
	/* It has sent no request yet, which may be on its way, or one that is not answered. Between
	 * requests a client knows that the connection may go (RFC 9112, 9.3.1). */
	bool is_owed;
};

static void set_owed(struct admin *admin, struct admin_connection *context, bool is_owed)
{
	if (!context || context->is_owed == is_owed) {
		return;
	}
	context->is_owed = is_owed;
	if (is_owed) {
		admin->n_owed++;
	} else {
		admin->n_owed--;
	}
}

static struct admin_connection *context_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void admin_on_connection(void *userdata, struct MHD_Connection *connection, void **context,
			 enum MHD_ConnectionNotificationCode what)
{
	(void)connection;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = calloc(1, sizeof(struct admin_connection));
	}
	set_owed(userdata, *context, what == MHD_CONNECTION_NOTIFY_STARTED);
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		free(*context);
		*context = NULL;
	}
}

void admin_owe(struct admin *admin, struct MHD_Connection *connection)
{
	set_owed(admin, context_of(connection), true);
}

void admin_on_request_over(void *userdata, struct MHD_Connection *connection, void **slot,
			   enum MHD_RequestTerminationCode what)
{
	(void)slot;
	(void)what;
	set_owed(userdata, context_of(connection), false);
}

int admin_wait_ms(struct admin *admin, int ms_max)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	if (MHD_get_timeout(admin->daemon, &timeout) == MHD_YES &&
	    timeout < (unsigned long long)ms_max) {
		return (int)timeout;
	}
	return ms_max;
}

static bool is_readable(int fd)
{
	return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) > 0;
}

static void close_socket(struct admin *admin)
{
	if (admin->socket.fd >= 0) {
		/* It does not close the socket, but forgets it. */
		(void)MHD_quiesce_daemon(admin->daemon);
		admin_socket_close(&admin->socket);
	}
}

void admin_drain(struct admin *admin)
{
	int epoll_fd = MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	struct mono end = mono_add_ms(clock_now(), ADMIN_DRAIN_MS);

	admin->is_draining = true;
	for (;;) {
		struct mono now = clock_now();

		MHD_run(admin->daemon);
		if (admin->socket.fd >= 0 && !is_readable(admin->socket.fd)) {
			close_socket(admin);
		}
		if (mono_reached(end, now) || (admin->socket.fd < 0 && admin->n_owed == 0)) {
			break;
		}
		(void)poll(&(struct pollfd){.fd = epoll_fd, .events = POLLIN}, 1,
			   admin_wait_ms(admin, (int)mono_diff_ms(end, now)));
	}
	admin_stop(admin);
}

void admin_stop(struct admin *admin)
{
	if (admin->daemon) {
		close_socket(admin);
		MHD_stop_daemon(admin->daemon);
		admin->daemon = NULL;
	}
}
