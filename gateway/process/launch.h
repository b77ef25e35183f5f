/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Starting a server (control.h) and what it finds when it starts. The supervisor executes the
 * program's file again, with the same arguments: after an upgrade that is the new one. The
 * descriptors are inherited; one environment variable, LAUNCH_VARIABLE, tells their numbers:
 *
 *     DOAB_SERVER=PROTOCOL:GENERATION:CONTROL:BINDER:DOOR:ALIVE
 */
#include <stdbool.h>
#include <sys/types.h>

#include "common/macro.h"

#define LAUNCH_VARIABLE "DOAB_SERVER"

/* The server's ends. */
struct launch {
	unsigned generation;
	int control, binder, door;
	unsigned alive_ms; /* how often CONTROL_ALIVE is wanted; 0: never */
};

/* What launch_read() finds. */
enum launch_result {
	LAUNCH_NONE,       /* this process was started by the operator */
	LAUNCH_FOUND,      /* this process is a server */
	LAUNCH_E_PROTOCOL, /* a server of another version's supervisor: a restart is necessary */
};

/* Remembers the file of this program. To be called at the start: after an upgrade the kernel no
 * longer knows the file by its name. @name is argv[0]. It is used if it is a path to the program,
 * because that may be a symbolic link, which an upgrade points to another version, or if /proc is
 * not there. */
void launch_init(const char *name);

/* Executes the file with @argv and the descriptors of @launch, which stay the caller's. The signal
 * mask is inherited. Returns the process id or a negative errno. */
_must_check_ pid_t launch_start(const struct launch *launch, char *const *argv);

/* Reads the variable and removes it. The descriptors are closed on exec from then on. */
enum launch_result launch_read(struct launch *ret_launch);
