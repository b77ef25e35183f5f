/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The command line.
 *
 * OPTIONS_LIST is the only list of the options. `doab --help` prints it; conf/reference.py reads it
 * from this file for the manual page and the completion of shells. To add an option, add it to the
 * list, and act on it where main() acts on the others.
 *
 *   X(ID, letter, "name", "VALUE", ROLE, "what it does")
 *
 *   letter   the short form, or 0
 *   VALUE    what its value is called, or NULL for an option without a value. The completion of a
 *            FILE offers files.
 *   text     what follows the name in --help; "\n" where a line of the help ends
 *   ROLE     SETTING  has a value, and goes with every action
 *            ACTION   is done instead of serving; only one may be asked for, and once
 *            FLAG     has no value, and goes with --probe only
 *
 * OPTIONS_USAGES shows how they go together, in --help and in the manual.
 */
#include <stdbool.h>

#include "common/macro.h"

/* clang-format off */
#define OPTIONS_LIST(X)                                                                            \
	X(CONFIG, 'c', "config", "FILE", SETTING,                                                  \
	  "read the configuration from FILE instead of using the defaults")                        \
	X(CHECK, 0, "check", "FILE", ACTION,                                                       \
	  "check the configuration in FILE and exit")                                              \
	X(DUMP, 0, "dump", NULL, ACTION,                                                           \
	  "print the configuration in force, as a file with all keys, and exit")                   \
	X(PROBE, 0, "probe", "DOMAIN", ACTION,                                                     \
	  "try to open a session to DOMAIN, show each step, and exit with\n"                       \
	  "status 0 if it works, 1 if it does not, 2 if it could not be tried")                    \
	X(JSON, 0, "json", NULL, FLAG,                                                             \
	  "with --probe: print one JSON document at the end instead of the steps")                 \
	X(STATUS, 0, "status", NULL, ACTION,                                                       \
	  "show how the running gateway is doing: sessions, failures, load")                       \
	X(SESSIONS, 0, "sessions", NULL, ACTION,                                                   \
	  "list the open sessions of the running gateway")                                         \
	X(KICK, 0, "kick", "SESSION", ACTION,                                                      \
	  "end a session of the running gateway; SESSION@ADDRESS where several\n"                  \
	  "have the same id")                                                                      \
	X(VERSION, 'V', "version", NULL, ACTION,                                                   \
	  "print the version and exit")                                                            \
	X(HELP, 'h', "help", NULL, ACTION,                                                         \
	  "print this text and exit")

#define OPTIONS_USAGES(X)                                                                          \
	X("[--config FILE]")                                                                       \
	X("--check FILE")                                                                          \
	X("[--config FILE] --dump")                                                                \
	X("[--config FILE] --probe DOMAIN [--json]")                                               \
	X("--config FILE --status | --sessions | --kick SESSION")
/* clang-format on */

enum option_id {
	OPTION_NONE,
#define X(id, letter, name, value, role, text) OPTION_##id,
	OPTIONS_LIST(X)
#undef X
};

struct options {
	const char *config;    /* the file, or NULL for the defaults; with --check that file */
	enum option_id action; /* OPTION_NONE to serve */
	const char *value;     /* of the action, or NULL */
	bool wants_json;
};

enum options_result {
	OPTIONS_OK,
	OPTIONS_EXIT = 1, /* nothing is left to do but to exit */
};

/* Reads the command line. Acts on --help and --version by itself. The texts in @ret_options are
 * borrowed from @argv. Returns OPTIONS_EXIT with the exit status in @ret_status, after a message on
 * standard error if the command line is wrong. */
_must_check_ enum options_result options_read(int argc, char **argv, struct options *ret_options,
					      int *ret_status);

/* Writes what standard output still holds. Returns the exit status: EXIT_FAILURE, after a message,
 * if it could not be written. */
_must_check_ int options_flush_output(void);
