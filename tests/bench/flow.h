/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Connections that never block, for the programs of the benchmark: a large message must not stop
 * one of them while the other side waits for it, too. In clear or with TLS.
 *
 * Functions end the program on failure.
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	char *data;
	size_t n, size;
};

struct flow {
	int fd, epoll; /* fd -1: closed */
	SSL *ssl;      /* NULL: in clear */
	bool waits;    /* for the kernel to take more */
	struct bytes in, out;
	void *owner;
};

/* Appends, and makes room for @n more. */
void bytes_add(struct bytes *bytes, const void *data, size_t n);
void bytes_reserve(struct bytes *bytes, size_t n);

/* Drops the first @n. */
void bytes_drop(struct bytes *bytes, size_t n);

/* Takes @fd, and has @epoll report what arrives, with the flow as its data. */
void flow_init(struct flow *flow, int epoll, int fd);
void flow_close(struct flow *flow);

/* From now on with TLS, as a server or as a client; the handshake runs with what follows. A server
 * without @gives_tickets makes every handshake a full one. */
SSL_CTX *flow_tls_server(const char *certificate, const char *key, bool gives_tickets);
SSL_CTX *flow_tls_client(void);
void flow_secure(struct flow *flow, SSL_CTX *context);

/* Reads into `in` what there is, 64 KB at most in clear. Returns false at the end of the
 * connection. */
bool flow_read(struct flow *flow);

/* Sends @data, or as much as the kernel takes; the rest follows with flow_flush(). */
void flow_send(struct flow *flow, const void *data, size_t n);
void flow_flush(struct flow *flow);

/* The length of the first HTTP message in @data, whose head is complete, and in *ret_n_head that of
 * its head. 0: the head is incomplete. */
size_t http_length(const char *data, size_t n, size_t *ret_n_head);

/* A listening socket on the loopback and its port, and a connection to @port there: -1 when nobody
 * listens. */
int flow_listen(uint16_t *ret_port);
int flow_connect(uint16_t port);
