/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The service manager's protocol, sd_notify(3) and sd_listen_fds(3): a datagram of "KEY=value"
 * lines to the socket that NOTIFY_SOCKET names, and listening sockets that the service manager
 * opened, from descriptor 3 on. It is written here because it takes a few lines, and libsystemd
 * would bring five libraries into the process.
 *
 * Only the supervisor (supervisor.h) speaks it. Its process id never changes, also not when the
 * program is upgraded, so MAINPID= is never needed and NotifyAccess=main is enough.
 *
 * Without a service manager all of it does nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

enum {
	NOTIFY_FIRST_FD = 3, /* SD_LISTEN_FDS_START */
	/* More are refused: the list of their names is one environment variable. */
	NOTIFY_SOCKETS_MAX = 64,
};

/* Sends @state, for instance "READY=1". Returns 0, also when nobody wants to know, or a negative
 * errno. The service manager may be gone, so the caller has no better answer than to go on. */
int notify_send(const char *state);

/* Sends RELOADING=1 with the time, which systemd needs for Type=notify-reload. */
int notify_reloading(void);

/* How often WATCHDOG=1 must be sent, in milliseconds; 0: never. */
int64_t notify_watchdog_ms(void);

/* The number of sockets that were passed to this process; they have the descriptors from
 * NOTIFY_FIRST_FD on. Returns 0, or -E2BIG if there are more than NOTIFY_SOCKETS_MAX. */
_must_check_ int notify_sockets(size_t *ret_n);

/* Copies the name of socket @index (FileDescriptorName=), cut if it is too long; "" if it has
 * none. */
void notify_socket_name(size_t index, size_t n_max, char *ret_name);

/* Removes the variables of the protocol from the environment, so that a process that is started
 * later does not take them for its own. The functions above must not be called afterwards, except
 * for notify_send() and notify_reloading(), which remember the address. */
void notify_forget(void);
