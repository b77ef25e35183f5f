/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One <body/> of a BOSH request (XEP-0124, "<body/> Wrapper Element"; XEP-0206): its attributes, and its payloads as the
 * bytes that go to the server.
 *
 * payload  a child of <body/>: a stanza, a SASL element. In the server's stream it stands without the body, so it is given
 *          the declarations that it inherited; one without a namespace, or in the body's, is taken as jabber:client.
 *
 * The result owns all its bytes, so it may be handed to another worker.
 */
#include <stdbool.h>

#include "common/buffer.h"
#include "common/xml.h"

enum bosh_body_result {
	BOSH_BODY_OK,
	BOSH_BODY_E_BAD_REQUEST, /* not XML, not a body, an attribute that cannot be understood */
	BOSH_BODY_E_TOO_LARGE,   /* more bytes than allowed */
	BOSH_BODY_E_TOO_COMPLEX, /* an attribute that is too long; too deep; too many namespaces */
};

enum {
	/* XEP-0124, "Request IDs": 2^53 - 1. */
	BOSH_RID_BITS = 53,
	/* Attributes are kept with the session; none of them needs to be long. */
	BOSH_ATTRIBUTE_MAX = 2048,
	BOSH_SID_MAX = 64,
};

#define BOSH_RID_MAX ((UINT64_C(1) << BOSH_RID_BITS) - 1)

/* A number that may be absent. */
struct bosh_number {
	bool set;
	uint64_t value;
};

struct bosh_body {
	bool has_rid;
	uint64_t rid;
	struct sv sid, to, from, route, lang, type, condition, content, key, newkey, stream, xmpp_version;
	bool has_ver;
	unsigned ver_major, ver_minor;
	struct bosh_number wait, hold, ack, pause;
	bool restart;
	size_t n_payloads;
	struct buffer payloads; /* ready for the server */
	struct buffer text;     /* what the views above point into */
};

/* The scan options for bodies up to @n_max bytes. */
struct xml_scan_options bosh_body_options(size_t n_max);

/* Understands @text. *ret_body is filled as far as it was understood even when the result is not OK (the `ver` decides in
 * which words the client is told), and is to be deinitialised always. Returns BOSH_BODY_* or -ENOMEM. */
_must_check_ int bosh_body_init(struct bosh_body *ret_body, struct xml_pool *pool,
				const struct xml_scan_options *options, struct sv text);
void bosh_body_deinit(struct bosh_body *body);

bool bosh_body_is_terminate(const struct bosh_body *body);
/* Whether @body may be one more than `requests` ("Overactivity"). */
bool bosh_body_is_extra(const struct bosh_body *body);
