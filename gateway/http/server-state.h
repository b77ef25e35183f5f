/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of the HTTP server. Private to gateway/http; users include server.h.
 *
 * server.c    shards and connections: adopts sockets and runs libmicrohttpd
 * server-exchange.c  requests and their answers
 * cut.c       answers to requests that are cut off while they are received
 */
#include <microhttpd.h>
#include <sys/queue.h>

#include "common/mono.h"
#include "gateway/http/gather.h"
#include "gateway/http/server.h"

struct http_shard {
	SLIST_ENTRY(http_shard) in_server;
	struct http_server *server;
	LIST_HEAD(, http_connection) connections;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	size_t n_connections;
	bool large; /* of HTTP_POOL_LARGE */
	bool due;   /* there is work left: run the shard before the loop sleeps */
};

struct http_connection {
	LIST_ENTRY(http_connection) in_shard;
	struct http_shard *shard;
	struct wire_peer peer;
	int fd;                        /* libmicrohttpd's */
	struct mhd_exchange *exchange; /* the current one, or NULL */
	struct mono since;             /* when it was accepted, or its last request ended */
	bool served;                   /* it has had at least one request */
	bool detached;
	/* the client closed its side: a request that is held will not be waited for */
	bool hung_up;
};

/* An exchange whose request libmicrohttpd receives. */
struct mhd_exchange {
	struct http_exchange base;
	struct http_connection *connection;
	struct MHD_Connection *mhd;
	char *path;
	struct http_gather gather; /* until the request is dispatched */
	bool dispatched, suspended;
};

struct http_server {
	struct http_options options;
	SLIST_HEAD(, http_shard) shards;
	size_t n_handles; /* not closed yet; the server is freed with the last */
	uv_check_t check;
	uv_prepare_t prepare;
	uv_idle_t idle; /* active while a shard is due: the loop does not sleep */
	uv_timer_t timer;
	uv_poll_t watch; /* of watch_fd */
	/* an epoll that reports clients that hang up while their request is suspended */
	int watch_fd;
	struct http_connection *adopting;
	bool closing; /* new requests are not accepted any more */
};

static inline struct mono http_server_now(const struct http_server *server)
{
	return (struct mono){(int64_t)uv_now(server->options.loop)};
}

static inline struct mhd_exchange *mhd_exchange_of(const struct http_exchange *exchange)
{
	return CONTAINER_OF(exchange, struct mhd_exchange, base);
}

/* The client of a suspended request has hung up. */
void mhd_exchange_hang_up(struct mhd_exchange *exchange);

/* Answers a request that is cut off. */
void mhd_exchange_answer_cut(struct mhd_exchange *exchange, const struct http_answer *answer);

/* libmicrohttpd's callbacks for a piece of a request and for its end. */
enum MHD_Result mhd_exchange_on_access(void *userdata, struct MHD_Connection *mhd, const char *path,
				       const char *method, const char *version, const char *data,
				       size_t *n_data, void **exchange_slot);
void mhd_exchange_on_completed(void *userdata, struct MHD_Connection *mhd, void **exchange_slot,
			       enum MHD_RequestTerminationCode code);
