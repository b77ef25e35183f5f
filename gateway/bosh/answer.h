/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Writes the <body/> elements that a session answers with (XEP-0124, "<body/> Wrapper Element").
 * Private to gateway/bosh.
 *
 * All texts are borrowed for the call. Those that came from a peer are escaped here.
 */
#include "common/blob.h"
#include "gateway/bosh/session.h"

/* What only the creation answer says ("Session Creation Response"). */
struct bosh_creation {
	const char *sid;
	unsigned wait_s, hold, requests, inactivity_s, polling_s, maxpause_s;
	bool accepts_codings; /* compressed requests are accepted */
	bool has_ver;
	unsigned ver_major, ver_minor;
};

struct bosh_answer {
	const struct bosh_creation *creation; /* NULL but for the first answer */
	const char *from;      /* the server's name. One answer has it, the others NULL */
	const char *authid;    /* the server's stream id, likewise (XEP-0206) */
	bool uses_stream;      /* declare xmlns:stream */
	const char *stream;    /* the stream that it is about; NULL: none, or there is only one */
	bool opens;            /* that stream is new */
	uint64_t ack, report;  /* rids; 0: none ("Acknowledgements") */
	unsigned report_ms;    /* how long ago the answer to `report` was sent */
	const char *type;      /* "terminate", "error" or NULL */
	const char *condition; /* NULL: none */
	const char *text;      /* words, written behind the payloads; NULL: none */
	const char *detail;    /* written behind text; may be empty or NULL */
	const char *uri;       /* where to go instead; NULL: none */
	struct sv payloads;
};

/* Makes @answer end the session or stream because of @failure. Borrows the detail. */
void bosh_answer_set_failure(struct bosh_answer *answer, const struct failure *failure);

/* Returns 0 with *ret_blob, and with *ret_payloads pointing to the payloads in it, or -ENOMEM. */
_must_check_ int bosh_answer_write(const struct bosh_answer *answer, struct blob **ret_blob,
				   struct sv *ret_payloads);

/* The same for an answer whose payloads are all that @pending has (NULL: there are none). If they
 * are large, the blob takes their memory, where there is room for what stands around them
 * (stream_event_take()); @pending is empty then. After -ENOMEM it is unchanged. */
_must_check_ int bosh_answer_write_taking(const struct bosh_answer *answer, struct buffer *pending,
					  struct blob **ret_blob, struct sv *ret_payloads);

const char *bosh_condition_name(enum bosh_condition condition);
/* The HTTP status: 200, or for a legacy client that of the condition ("HTTP Conditions"). */
unsigned bosh_condition_status(enum bosh_condition condition, bool is_legacy);
