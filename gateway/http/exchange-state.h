/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of an exchange, for the reader and for what gathers bodies (gather.h). Private to
 * gateway/http; users include exchange.h, and do not see the connection.
 *
 * The reader's own struct has this one as a member.
 */
#include "gateway/http/options.h"

struct http_exchange {
	const struct http_options *options;
	void *userdata;
	struct sv method, path, body;
	struct coding_wishes wishes;
	unsigned status;    /* of the answer; 0: none yet */
	enum coding coding; /* content coding of the body */
	bool too_large;     /* the body is too large; only its beginning is kept */
	bool answered, gone;
	bool secure; /* it came over TLS */
};
