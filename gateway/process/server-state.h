/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Shared by server.c (the beginning and the end of a server) and server-orders.c (what it does for
 * its supervisor in between). Private to these.
 */
#include "common/mono.h"
#include "gateway/process/control.h"
#include "gateway/process/crowd.h"
#include "gateway/process/server.h"
#include "gateway/worker.h"

struct server {
	struct launch launch;
	const char *path;
	size_t n_sessions_max; /* for which there are descriptors */
	struct process_state state;
	struct worker_shared shared;
	struct worker **workers;
	struct admin *admin; /* NULL: none */
	unsigned n_started;  /* workers */
	bool is_draining, is_stopping;
	unsigned newest; /* the generation of the last door */
	struct mono drained_until, arrived_until, alive_due;
	struct crowd crowd;
	struct control_message owed_report; /* one that could not be sent yet */
	bool owes_report;
};

/* Tells the supervisor that the server serves. */
void server_report_ready(struct server *server);

/* Obeys one order. Returns false if there is none, or none will come any more. */
bool server_read_order(struct server *server);

/* Carries out orders until one of them, or the end of a drain, stops the workers. */
void server_obey(struct server *server);

/* Has the workers stop. */
void server_stop(struct server *server);
