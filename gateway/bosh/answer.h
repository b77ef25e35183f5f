/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Writes the <body/> elements that a session answers with (XEP-0124, "<body/> Wrapper Element"). Private to gateway/bosh.
 *
 * All texts are borrowed for the call; those that came from a peer are escaped here.
 */
#include "common/blob.h"
#include "gateway/bosh/session.h"

/* What only the answer to a creation request says ("Session Creation Response"). */
struct bosh_creation {
	const char *sid;
	unsigned wait_s, hold, requests, inactivity_s, polling_s, maxpause_s;
	bool codings; /* compressed requests are understood */
	bool has_ver;
	unsigned ver_major, ver_minor;
};

struct bosh_answer {
	const struct bosh_creation *creation; /* NULL but for the first answer */
	const char *from;      /* the server's name, said once; NULL: not now */
	const char *authid;    /* the server's stream id, likewise (XEP-0206) */
	bool uses_stream;      /* declare xmlns:stream */
	const char *stream;    /* the name of the stream that the answer is about; NULL: there is but one, or it is about none */
	bool opens;            /* that stream is new */
	uint64_t ack, report;  /* rids; 0: none ("Acknowledgements") */
	unsigned report_ms;    /* how long ago the answer to `report` was sent */
	const char *type;      /* "terminate", "error" or NULL */
	const char *condition; /* NULL: none */
	const char *text;      /* in words, behind the payloads; NULL: none */
	const char *detail;    /* behind text; may be empty */
	const char *uri;       /* where to go instead; NULL: none */
	struct sv payloads;
};

/* Makes @answer say @failure, apart from what is pending of its stream. Borrows the detail. */
void bosh_answer_set_failure(struct bosh_answer *answer, const struct failure *failure);

/* Returns 0 with *ret_blob and where in it the payloads are, or -ENOMEM. */
_must_check_ int bosh_answer_write(const struct bosh_answer *answer, struct blob **ret_blob,
				   struct sv *ret_payloads);

const char *bosh_condition_name(enum bosh_condition condition);
/* The HTTP status: 200, or what a legacy client is to be told ("HTTP Conditions"). */
unsigned bosh_condition_status(enum bosh_condition condition, bool legacy);
