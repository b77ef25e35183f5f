/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a server's <stream:features/> offers, read for a human: the ways to log in, and the names of the rest. Pure. Names are the
 * server's words: whoever shows them escapes them.
 *
 * usable  said of a mechanism that can work through the gateway. Channel binding (SCRAM-...-PLUS) cannot, because the client has
 *         no TLS with the server; nor can EXTERNAL, because the server does not see its certificate.
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"
#include "common/sv.h"

enum {
	/* More than any server has: what a stranger's list takes of memory, and of the screen. */
	FEATURES_NAMES_MAX = 32,
	FEATURES_NAME_MAX = 63,
};

struct features_list {
	size_t n; /* up to FEATURES_NAMES_MAX, each once */
	size_t n_more; /* what there was no room for */
	char names[FEATURES_NAMES_MAX][FEATURES_NAME_MAX + 1];
};

struct features {
	struct features_list sasl;  /* RFC 6120 */
	struct features_list sasl2; /* XEP-0388 */
	struct features_list others;
	bool legacy; /* jabber:iq:auth (XEP-0078) */
};

/* Reads @xml, which is <stream:features/> with its namespaces. Returns 0, -EINVAL when that cannot be read, -ENOMEM. */
_must_check_ int features_read(struct sv xml, struct features *ret_features);

bool features_is_usable(const char *mechanism);

/* The usable mechanism that keeps a password best; NULL when there is none. */
const char *features_best(const struct features *features);

/* How many usable mechanisms there are besides the best. */
size_t features_count_others(const struct features *features);

/* Whether who has a password can only give it away in plain. */
bool features_are_weak(const struct features *features);

/* The content of an element, as it stands, without blanks around it. */
struct sv features_inner(struct sv element);
