/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Judges from the first bytes of a connection what they ask for, so that the listener knows which
 * part takes the connection. An engine: bytes in, a verdict out. That part parses HTTP itself. Only
 * a WebSocket handshake is judged by what is found here (ws/upgrade.h).
 */
#include "common/sv.h"

enum {
	/* The number of bytes that are examined. A longer head goes to HTTP, which has its own
	 * limits. */
	PEEK_MAX = 4096,
};

enum peek_kind {
	PEEK_MORE,      /* undecided: more bytes are needed */
	PEEK_HTTP,      /* everything else, which HTTP answers */
	PEEK_BOSH,      /* a BOSH request that names a session: `sid` */
	PEEK_POLICY,    /* the request for a socket policy (policy/policy-request.h) */
	PEEK_WEBSOCKET, /* a complete WebSocket handshake: `head` and the headers */
};

struct peek_paths {
	struct sv bosh, websocket;
};

/* All members are views into the bytes. */
struct peek {
	enum peek_kind kind;
	struct sv sid;
	struct sv head; /* the request line and all headers */
	struct sv host, origin, forwarded_for, forwarded_proto;
	struct sv connection, upgrade, version, key, protocol;
};

/* Judges the first @bytes of a connection. With PEEK_MORE, to be called again with more of them. */
void peek_judge(struct sv bytes, const struct peek_paths *paths, struct peek *ret_peek);

/* @path without a trailing slash, which does not count when paths are compared. */
struct sv peek_without_slash(struct sv path);
