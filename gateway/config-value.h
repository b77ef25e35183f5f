/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What config.c and config-domain.c share: how a mistake is told, and libconfuse's callbacks that
 * check one value where its line is still known. A callback that refuses has told so and lets the
 * reading go on, so that one run finds all mistakes.
 *
 * libconfuse hands its callbacks no pointer of ours, so what they collect is a static; it keeps
 * globals itself, and reads one file at a time.
 */
#include <confuse.h>
#include <stddef.h>
#include <stdio.h>

#include "common/macro.h"

/* From here on mistakes go to @stream, with @path before them (NULL: the defaults). Both are
 * borrowed. */
void config_errors_begin(const char *path, FILE *stream);

/* Returns 0, -EINVAL when there were mistakes, or -ENOMEM. */
_must_check_ int config_errors_end(void);

/* Tells a mistake; @line is 0 where none can be named. */
void config_error(unsigned line, const char *format, ...) _printf_(2, 3);

/* Prints a warning in the same form; the configuration is still taken. */
void config_warning(unsigned line, const char *format, ...) _printf_(2, 3);

/* What ran out of memory was no mistake: nothing is printed. */
void config_error_memory(void);

/* The line of the last mistake, or 0. */
unsigned config_errors_line(void);

/* cfg_callback_t each. */
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
