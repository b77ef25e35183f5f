/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Looks at the names of a DNS message before glibc expands them. An engine.
 *
 * pointer  stands for the rest of a name that was written before (RFC 1035, 4.1.4). It follows
 *          labels, or is the whole name. glibc follows any number of them, one behind the other: a
 *          message of 20 KB could have 7,000 in the name of each of its records, which are read
 *          nine times (DNS_REPLY_ALIASES_MAX). That took 43 ms.
 */
#include <stdbool.h>
#include <stddef.h>

enum {
	/* Pointers of one name, as many as c-ares follows. A program writes one for each label of a
	 * name at most. */
	DNS_NAME_POINTERS_MAX = 50,
};

/* Whether no name of a record of @message has more pointers than that, nor has a name in CNAME and
 * SRV records. Says nothing about what else may be wrong with the message. */
bool dns_names_are_short(const unsigned char *message, size_t n);
