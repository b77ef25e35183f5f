/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One question put to the DNS servers through c-ares, and its answer. Nothing is remembered here.
 *
 * Records are asked for with the AD bit (RFC 6840, 5.7): a server that checks signatures then says whether it found
 * them right. Addresses come by c-ares' getaddrinfo: the hosts file is asked first, they are sorted by RFC 6724;
 * but the TTL of a negative answer, and what the server found of its signatures, are not known.
 */
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/ares-loop.h"
#include "gateway/upstream/dns/srv.h"

enum {
	/* "_xmpps-client._tcp." or "_65535._tcp." and a host name. */
	QUESTION_NAME_MAX = 19 + SRV_HOST_MAX,
};

struct question {
	enum dns_kind kind;
	char name[QUESTION_NAME_MAX + 1];
	/* Runs once, perhaps from question_ask() itself, with c-ares on the stack: it must neither ask nor free the
	 * ares_loop, but may free the question. @reply comes with a reference; NULL for want of memory. */
	void (*answered)(struct question *question, struct dns_reply *reply);
};

/* @question is borrowed until its `answered` runs. */
void question_ask(struct question *question, struct ares_loop *ares);
