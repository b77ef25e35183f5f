/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The method CONNECT of HTTP/1.1 (RFC 9110, 9.3.6) as a client, with the login Basic (RFC 7617). An
 * engine.
 *
 * The answer's header fields mean nothing for a tunnel and are skipped; so are whole answers of the
 * class 1xx.
 */
#include "common/sv.h"
#include "gateway/failure.h"
#include "gateway/upstream/tunnel-step.h"

enum {
	/* A proxy whose answer never ends must not occupy a session for longer than this lasts. */
	HTTP_CONNECT_HEAD_MAX = 8192,
	/* What is kept of a line: of the first, the version, the status and some words. */
	HTTP_CONNECT_LINE_MAX = 64,
};

struct http_connect {
	char line[HTTP_CONNECT_LINE_MAX]; /* the first of the answer */
	size_t n_line;                    /* bytes of the current line, without CR */
	size_t n_head;                    /* bytes of all answers */
	unsigned status;                  /* 0: the first line is not complete */
};

/* Writes the request into @out, which is empty. Nothing is borrowed. */
void http_connect_init(struct http_connect *connect, const struct egress *egress,
		       const struct tunnel_server *server, struct tunnel_out *out);

/* Takes @bytes of the proxy. *ret_n_used is how many were its own: all of them, except those behind
 * its answer. *ret_failure is set with TUNNEL_FAILED only; then, as after TUNNEL_OPEN, the engine
 * is at its end. */
_must_check_ enum tunnel_result http_connect_feed(struct http_connect *connect, struct sv bytes,
						  size_t *ret_n_used, struct failure *ret_failure);
