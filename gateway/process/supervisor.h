/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The process that the operator starts. It does not serve clients: it holds the listening sockets
 * (sockets.h), starts the server (launch.h) and tells it what the signals want. Its process id is
 * the gateway's: it stays the same over all upgrades, so a shell keeps its job, systemd its main
 * process, and a container its process 1.
 *
 * SIGHUP   the newest server reads its configuration anew (reload.h)
 * SIGUSR1  the servers log a count of each kind of failure
 * SIGUSR2  upgrade: starts a server from the program's file as it is now. When that serves, it
 *          accepts all connections; the one before goes on with its sessions until they have
 *          ended. If it does not start, nothing has changed but a line in the log
 * SIGTERM, SIGINT
 *          drain: the listening sockets are closed, the servers end their sessions in order and
 *          then themselves. A second one ends them at once
 *
 * The supervisor reads nothing that a client sends, and it is small, so that there is no reason to
 * replace it: an upgrade replaces the servers. Only the servers lock themselves in (sandbox.h),
 * which is why they cannot start programs or read new files: the supervisor does that for them.
 *
 * A server that ends without having been told to ends the gateway, with the server's status, or 1
 * if that is 0. The service manager should start it again. The log says how each server ended. If
 * the supervisor is killed, its servers end, too.
 */

enum {
	/* Servers at the same time, with the newest. Each may hold the sessions of its time and has
	 * their memory, so an operator who upgrades every minute must wait for the oldest. */
	SUPERVISOR_SERVERS_MAX = 16,
};

/* Runs until the last server has ended. @argv is the program's own. Returns the exit status. */
int supervisor_run(char *const *argv);
