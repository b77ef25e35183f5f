/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Parses the <body/> of a BOSH request (XEP-0124, "<body/> Wrapper Element"; XEP-0206) into its
 * attributes and its payloads, the bytes that go to the server.
 *
 * payload  a child of <body/>: a stanza, a SASL element. The server gets it without the body, so
 *          the namespace declarations that it inherited are added. A payload without a namespace,
 *          or in that of the body, is taken as jabber:client; one that has a prefix for that of the
 *          body is refused.
 *
 * The result owns all its bytes, so it can be handed to another worker.
 */
#include <stdbool.h>

#include "common/buffer.h"
#include "common/xml.h"

enum bosh_body_result {
	BOSH_BODY_OK,
	BOSH_BODY_E_BAD_REQUEST, /* not XML, not a body, or an attribute with a wrong value */
	BOSH_BODY_E_TOO_LARGE,   /* more bytes than allowed */
	BOSH_BODY_E_TOO_COMPLEX, /* an attribute too long, nested too deeply, too many namespaces */
};

enum {
	/* XEP-0124, "Request IDs": 2^53 - 1. */
	BOSH_RID_BITS = 53,
	/* Attributes are kept with the session, and none of them needs to be long. A longer one
	 * would let a client fill our memory. */
	BOSH_ATTRIBUTE_MAX = 2048,
	BOSH_SID_MAX = 64,
};

#define BOSH_RID_MAX ((UINT64_C(1) << BOSH_RID_BITS) - 1)

/* A number that may be absent. */
struct bosh_number {
	bool is_set;
	uint64_t value;
};

struct bosh_body {
	bool has_rid;
	uint64_t rid;
	struct sv sid, to, from, route, lang, type, condition, content, key, newkey, stream,
		xmpp_version;
	bool has_ver;
	unsigned ver_major, ver_minor;
	struct bosh_number wait, hold, ack, pause;
	bool wants_restart;
	size_t n_payloads;
	struct buffer payloads; /* as they go to the server */
	struct buffer text;     /* the views above point into it */
};

/* The scan options for bodies up to @n_max bytes. */
struct xml_scan_options bosh_body_options(size_t n_max);

/* Parses @text. Returns BOSH_BODY_* or -ENOMEM. *ret_body has what could be parsed even when the
 * result is not OK (the refusal depends on `ver`), and must be deinitialised in any case. */
_must_check_ int bosh_body_init(struct bosh_body *ret_body, struct xml_pool *pool,
				const struct xml_scan_options *options, struct sv text);

/* The same. If the payloads are large and stand in @text as they go to the server, one behind the
 * other, and half of its memory is theirs, the body takes the memory of @text, which is empty then,
 * instead of copying them. */
_must_check_ int bosh_body_init_taking(struct bosh_body *ret_body, struct xml_pool *pool,
				       const struct xml_scan_options *options, struct buffer *text);

void bosh_body_deinit(struct bosh_body *body);

/* A body that is parsed in portions, so that a large one does not hold up everything else. */
struct bosh_reading;

/* @options is borrowed until bosh_reading_free(). Returns 0 or -ENOMEM. */
_must_check_ int bosh_reading_new(struct xml_pool *pool, const struct xml_scan_options *options,
				  struct bosh_reading **ret_reading);
/* Takes NULL; returns NULL. */
struct bosh_reading *bosh_reading_free(struct bosh_reading *reading);

/* Parses at most @n bytes more of @text, which is the same whole body each time. Returns whether
 * the whole body has been parsed, or an error ends the parsing. */
_must_check_ bool bosh_reading_go_on(struct bosh_reading *reading, struct sv text, size_t n);

/* Parses what is left of @text. The result is that of bosh_body_init(). Frees @reading. */
_must_check_ int bosh_reading_finish(struct bosh_reading *reading, struct sv text,
				     struct bosh_body *ret_body);

bool bosh_body_is_terminate(const struct bosh_body *body);
/* Whether @body may be one more than `requests`: it pauses or terminates ("Overactivity"). */
bool bosh_body_is_extra(const struct bosh_body *body);
