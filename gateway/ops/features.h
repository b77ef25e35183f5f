/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the <stream:features/> of a server offer, for display: the login mechanisms, and the names
 * of the other features. An engine. Names are the server's words: escape them.
 *
 * usable  can work through the gateway. Channel binding (SCRAM-...-PLUS) cannot, because the client
 *         has no TLS connection to the server; nor can EXTERNAL, because the server does not see
 *         the client's certificate
 */
#include <stdbool.h>
#include <stddef.h>

#include "common/macro.h"
#include "common/sv.h"

enum {
	/* More than servers have; bounds the memory, and the screen space, that a list can take. */
	FEATURES_NAMES_MAX = 32,
	FEATURES_NAME_MAX = 63,
};

struct features_list {
	size_t n;      /* up to FEATURES_NAMES_MAX; no duplicates */
	size_t n_more; /* names that did not fit */
	char names[FEATURES_NAMES_MAX][FEATURES_NAME_MAX + 1];
};

struct features {
	struct features_list sasl;  /* RFC 6120 */
	struct features_list sasl2; /* XEP-0388 */
	struct features_list others;
	bool has_legacy; /* jabber:iq:auth (XEP-0078) */
};

/* Reads @xml, a <stream:features/> element with its namespaces. Returns 0, -ENOMEM, or -EINVAL when
 * it is malformed. */
_must_check_ int features_read(struct sv xml, struct features *ret_features);

/* Returns the usable mechanism that protects a password best; NULL if there is none. */
const char *features_best(const struct features *features);

/* The number of usable mechanisms besides the best. */
size_t features_count_others(const struct features *features);

/* Whether every usable mechanism shows the password to the server. */
bool features_are_weak(const struct features *features);

/* The content of an element, unchanged, without white space around it. */
struct sv features_inner(struct sv element);
