/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The main thread of a server (control.h): reads the configuration, gets the listening sockets from
 * the supervisor, starts the workers, and does what the supervisor orders: reload, drain, retire,
 * stop.
 *
 * draining  the listening sockets are closed, the sessions go on. It ends when the last one has
 *           ended, after drain_timeout, or when the supervisor says stop
 * retired   draining because a newer server has taken over; the requests of its clients are passed
 *           to this one
 */
#include "gateway/process/launch.h"

enum {
	/* How long a retired server goes on if drain_timeout is 0, which otherwise means to end at
	 * once: an upgrade is to lose no session. After a day those that are left are ended,
	 * because each server has its own memory and the libraries of its time. */
	SERVER_RETIRED_S = 24 * 3600,
	/* How long a retired server without sessions waits for the requests of connections that it
	 * has accepted: a TLS handshake and a request take a few round trips. */
	SERVER_ARRIVALS_S = 5,
	/* How often a draining server looks whether the last session has ended. */
	SERVER_DRAIN_POLL_MS = 20,
};

/* Runs until the supervisor says so or is gone. @path is the configuration file, or NULL. Returns
 * the exit status. */
int server_run(const struct launch *launch, const char *path);
