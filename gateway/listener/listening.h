/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The listening sockets of a configuration, and which worker accepts from which of them.
 *
 * Normally each worker has one socket for each address. There are more when an earlier server of
 * the same gateway had more workers: then a worker accepts from several, because connections may
 * wait in each. There are fewer when the service manager opened them, and there is one of a unix
 * socket: then workers share it.
 */
#include "gateway/listener/bind.h"

enum {
	/* Not a listener of the configuration, but a port for plug-ins. */
	LISTENING_PLUGIN = -1,
	LISTENING_PLUGIN_BACKLOG = 1024,
};

struct listening_address {
	char name[BIND_NAME_MAX]; /* for the log */
	int listener;             /* which one of config->listeners; or LISTENING_PLUGIN */
	int *fds;
	size_t n_fds;
};

/* Owns the descriptors. */
struct listening {
	struct listening_address *addresses;
	size_t n_addresses;
};

/* How many sockets of @address worker @index of @n_workers accepts from. */
size_t listening_share(const struct listening_address *address, unsigned index, unsigned n_workers);

/* Returns the descriptor of socket @i of that share. */
int listening_fd(const struct listening_address *address, unsigned index, unsigned n_workers,
		 size_t i);

/* Logs each address. */
void listening_log(const struct listening *listening);

/* Closes the descriptors; may run twice. */
void listening_deinit(struct listening *listening);
