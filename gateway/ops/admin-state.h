/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of the admin listener. Private to gateway/ops/admin*.c; users include admin.h.
 *
 * admin.c         the thread: socket, libmicrohttpd, samples
 * admin-drain.c   the end: which connections are owed an answer, and waiting for it
 * admin-answer.c  what is asked, and the answers
 */
#include <microhttpd.h>
#include <pthread.h>

#include "gateway/ops/admin-socket.h"
#include "gateway/ops/admin.h"

struct admin {
	struct admin_options options;
	char *place;
	pthread_mutex_t mutex; /* guards options.config */
	struct admin_socket socket;
	struct MHD_Daemon *daemon;
	pthread_t thread;
	int wake; /* eventfd: the thread has to end */
	/* Used by the thread alone. */
	size_t n_owed; /* connections (struct admin_connection) */
	bool is_draining;
	struct process_facts facts;
	struct samples samples;
	struct mono started;
	struct status_worker *workers;
	int64_t *cpu_us; /* of each worker, at the last sample */
	struct mono cpu_at;
};

/* libmicrohttpd's callbacks: a connection has begun or ended, with a struct of admin-drain.c as its
 * context; a request has ended. @userdata is the admin. */
void admin_on_connection(void *userdata, struct MHD_Connection *connection, void **context,
			 enum MHD_ConnectionNotificationCode what);
void admin_on_request_over(void *userdata, struct MHD_Connection *connection, void **slot,
			   enum MHD_RequestTerminationCode what);

/* Milliseconds until libmicrohttpd has something to do, at most @ms_max. */
int admin_wait_ms(struct admin *admin, int ms_max);

/* A request has begun on @connection. */
void admin_owe(struct admin *admin, struct MHD_Connection *connection);

/* Accepts what waits in the socket and closes it, then serves until no connection is owed an answer
 * any more, for up to ADMIN_DRAIN_MS, and stops. */
void admin_drain(struct admin *admin);

/* Closes the socket and the connections. May run twice. */
void admin_stop(struct admin *admin);

/* libmicrohttpd's callback for a request; @userdata is the admin. */
enum MHD_Result admin_on_request(void *userdata, struct MHD_Connection *connection,
				 const char *path, const char *method, const char *version,
				 const char *data, size_t *n_data, void **slot);
