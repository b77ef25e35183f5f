/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the first bytes of a connection ask for, so that the listener knows who is to have it. An engine: bytes in, a verdict out.
 * HTTP is parsed by those who get the connection; only a WebSocket handshake is judged by what is told here (ws/upgrade.h).
 */
#include "common/sv.h"

enum {
	/* Bytes that are looked at: what is not understood by then goes to HTTP, which has its own limits. */
	PEEK_MAX = 4096,
};

enum peek_kind {
	PEEK_MORE,      /* too little to tell */
	PEEK_HTTP,      /* anything that HTTP answers */
	PEEK_BOSH,      /* a BOSH request that names a session: `sid` */
	PEEK_WEBSOCKET, /* a whole WebSocket handshake: `head` and its headers */
};

struct peek_paths {
	struct sv bosh, websocket;
};

/* Views into the bytes. */
struct peek {
	enum peek_kind kind;
	struct sv sid;
	struct sv head; /* the request line and the headers, whole */
	struct sv host, origin, forwarded_for;
	struct sv connection, upgrade, version, key, protocol;
};

void peek_judge(struct sv bytes, const struct peek_paths *paths, struct peek *ret_peek);

/* A path as paths are compared: a trailing slash does not matter. */
struct sv peek_without_slash(struct sv path);
