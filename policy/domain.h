/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Which XMPP domains a client may name, and what the operator said about each.
 *
 * domain   what the client wants to reach: the 'to' of its first request
 * ascii    the domain with A-labels, lower case, without a final dot: for DNS, SNI, certificates, rules
 * rule     a `domain` section of the configuration
 */
#include <stdbool.h>

#include "common/address.h"
#include "common/sv.h"

enum domain_tls {
	DOMAIN_TLS_REQUIRED,      /* STARTTLS, and no stream without it */
	DOMAIN_TLS_DIRECT,        /* TLS before the first byte */
	DOMAIN_TLS_OPPORTUNISTIC, /* STARTTLS when it is offered, certificate not checked */
	DOMAIN_TLS_OFF,
};

enum {
	DOMAIN_MAX = 255,         /* RFC 1035: room for a name; its text has 253 characters at most */
	DOMAIN_CONNECT_MAX = 8,   /* fixed addresses of one rule: an operator's list, not an attack */
	DOMAIN_PINS_MAX = 8,      /* pinned keys of one rule, likewise */
	PIN_SIZE = 32,            /* SHA-256 */
};

/* Of a public key, as in a certificate (SubjectPublicKeyInfo). */
struct pin {
	unsigned char sha256[PIN_SIZE];
};

struct domain_rule {
	char name[DOMAIN_MAX + 1]; /* ascii form */
	struct address connect[DOMAIN_CONNECT_MAX];
	size_t n_connect;
	enum domain_tls tls;
	char *ca_file; /* owned by the rule; NULL for the system's store */
	struct pin pins[DOMAIN_PINS_MAX]; /* the server's key must be one of these, if there are any */
	size_t n_pins;
	bool deny;
	bool allow_private; /* also addresses that the DNS or the server names; those of connect need it not */
};

/* Rules sorted by name; owned by the configuration, read-only while workers run. */
struct domain_rules {
	struct domain_rule *rules;
	size_t n_rules;
};

/* Turns @text into its ascii form (UTS 46 through libidn2). Refused: an address literal or what the C library
 * takes for one (a last label that is a number), a port, a name of one label but "localhost", labels that are empty or too
 * long or begin or end with a hyphen, any character that is no letter, digit, hyphen or dot afterwards. So nothing of the
 * client's text reaches DNS or a stream header unchecked.
 * Returns 0, -EINVAL for what is not a domain, -ENOMEM. */
_must_check_ int domain_to_ascii(struct sv text, char ret_ascii[static DOMAIN_MAX + 1]);

/* The rule for exactly @ascii, which domain_to_ascii() made, or NULL. Borrowed from @rules. */
const struct domain_rule *domain_rules_find(const struct domain_rules *rules, const char *ascii);

const char *domain_tls_name(enum domain_tls tls);
_must_check_ int domain_tls_parse(struct sv name, enum domain_tls *ret_tls);
