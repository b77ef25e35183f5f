/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Puts one question to the DNS servers through c-ares. Nothing is cached here.
 *
 * Records are asked for with the AD bit (RFC 6840, 5.7), so that a validating server says whether
 * the signatures are good. Addresses come from the getaddrinfo of c-ares, which reads the hosts
 * file first and sorts by RFC 6724. For addresses, neither the TTL of a negative answer nor the AD
 * bit is known.
 */
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/ares-loop.h"
#include "gateway/upstream/dns/srv.h"

enum {
	/* "_xmpps-client._tcp." or "_65535._tcp.", and a host name. */
	QUESTION_NAME_MAX = 19 + SRV_HOST_MAX,
};

struct question {
	enum dns_kind kind;
	char name[QUESTION_NAME_MAX + 1];
	/* Runs once, possibly inside question_ask() or inside c-ares: it must neither ask nor free
	 * the ares_loop, but may free the question. @reply comes with a reference; NULL when out of
	 * memory. */
	void (*answered)(struct question *question, struct dns_reply *reply);
};

/* Whether the last label of @name is @label: "onion", say. */
bool question_is_below(const char *name, const char *label);

/* @question is borrowed until its `answered` runs. */
void question_ask(struct question *question, struct ares_loop *ares);
