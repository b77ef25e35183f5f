/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Confines the server process, so that an attacker who takes it over through a bug in a parser gets
 * no more than the server has: its memory and its connections. To be entered before threads are
 * started, because they inherit it.
 *
 * no new privileges  programs with set-user-id do not get them (PR_SET_NO_NEW_PRIVS)
 * no dump            the memory, which has passwords in it, does not get into a core dump, and
 *                    other processes of the same user cannot attach (PR_SET_DUMPABLE)
 * Landlock           files: the system's own (/etc, /usr), and the folders of the files that the
 *                    configuration names, can be read; the folder of the log can be written.
 *                    Nothing else, and no file can be executed. Skipped on kernels before 5.13
 * seccomp            system calls: those that the server uses. All others fail with EPERM, which
 *                    the kernel logs; they do not kill the process, because a library may try a
 *                    new one and fall back to an older. clone3 fails with ENOSYS, because its
 *                    arguments cannot be examined, and clone(2) only makes threads
 *
 * Nothing that the server does needs more: it starts no programs, and the supervisor, which is not
 * locked in, binds its sockets and starts its successor (supervisor.h). The supervisor can be left
 * out because it reads nothing that clients or servers send.
 *
 * A reload cannot read files of folders that the configuration did not name at the start. An
 * upgrade (SIGUSR2) can: it starts a process.
 *
 * Sanitizers look into the process as a debugger does, so builds with them enter no sandbox.
 */
#include "gateway/config/config.h"

/* What is in force. */
struct sandbox {
	bool restricts_files, restricts_calls; /* are restricted */
};

/* Does nothing if the configuration says so. Returns 0 or a negative errno. */
_must_check_ int sandbox_enter(const struct config *config, struct sandbox *ret_sandbox);

void sandbox_log(const struct sandbox *sandbox);
