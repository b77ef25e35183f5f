/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of the admin listener. Private to gateway/ops/admin*.c; users include admin.h.
 *
 * admin.c         the thread: socket, libmicrohttpd, samples
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
	struct process_facts facts;
	struct samples samples;
	struct mono started;
	struct status_worker *workers;
	int64_t *cpu_us; /* of each worker, at the last sample */
	struct mono cpu_at;
};

/* The time of the clock of the workers' loops. */
static inline struct mono admin_now(void)
{
	return (struct mono){(int64_t)(uv_hrtime() / 1000000)};
}

/* libmicrohttpd's callback for a request; @userdata is the admin. */
enum MHD_Result admin_on_request(void *userdata, struct MHD_Connection *connection,
				 const char *path, const char *method, const char *version,
				 const char *data, size_t *n_data, void **slot);
