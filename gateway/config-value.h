/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What config.c and config-domain.c share: how mistakes are reported, and the callbacks of
 * libconfuse that check a value while its line is still known. A callback that refuses a value
 * reports it and lets libconfuse go on, so that one run finds all mistakes.
 *
 * libconfuse passes no pointer of ours to its callbacks, so the mistakes are collected in a static
 * variable. libconfuse has global variables itself, and reads one file at a time.
 */
#include <confuse.h>
#include <stddef.h>
#include <stdio.h>

#include "common/macro.h"

/* Begins a file: mistakes will be printed to @stream, after @path (NULL for the defaults). Both are
 * borrowed until config_errors_end(). */
void config_errors_begin(const char *path, FILE *stream);

/* Returns 0, -EINVAL when there have been mistakes, or -ENOMEM. */
_must_check_ int config_errors_end(void);

/* Prints a mistake. @line is 0 when none is known. */
void config_error(unsigned line, const char *format, ...) _printf_(2, 3);

/* Prints a warning in the same form; the configuration is still taken. */
void config_warning(unsigned line, const char *format, ...) _printf_(2, 3);

/* Notes that there was no memory. Prints nothing, as this is not a mistake in the file. */
void config_error_memory(void);

/* The line of the last mistake, or 0. */
unsigned config_errors_line(void);

/* Callbacks for CFG_STR_CB() and the like, each for one kind of value. */
int config_value_bool(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);
int config_value_level(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);
int config_value_path(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);
int config_value_uri(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);
int config_value_listen(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);
int config_value_resolver(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);
int config_value_origin(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);
int config_value_network(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);
int config_value_route(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);
int config_value_ports(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result);

enum {
	CONFIG_PORT_LISTEN = 5280,  /* IANA: xmpp-bosh */
	CONFIG_PORT_CONNECT = 5222, /* IANA: xmpp-client */
	CONFIG_PORT_DNS = 53,
};
