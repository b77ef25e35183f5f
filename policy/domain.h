/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Which XMPP domains a client may name, and what the operator said about each.
 *
 * domain   what the client wants to reach: the 'to' of its first request
 * ascii    the domain with A-labels, lower case, without a final dot: for DNS, SNI, certificates, rules
 * unicode  the domain with U-labels, as it stands in addresses (RFC 7622, 3.2): for the stream header
 * rule     a `domain` section of the configuration
 * pattern  "*.example.org" as the name of a rule: every name below example.org, at any depth, and not example.org itself.
 *          "*" is every name. Compared label by label, so that evilexample.org is not below example.org.
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

/* Whether a server is told who the client is (gateway/upstream/proxy-header.h). */
enum domain_proxy {
	DOMAIN_PROXY_OFF,
	DOMAIN_PROXY_V1,
	DOMAIN_PROXY_V2,
};

enum {
	DOMAIN_MAX = 255,         /* RFC 1035: room for a name; its text has 253 characters at most */
	DOMAIN_UNICODE_MAX = 1023, /* RFC 7622, 3.2 */
	DOMAIN_CONNECT_MAX = 8,   /* fixed addresses of one rule: an operator's list, not an attack */
	DOMAIN_PINS_MAX = 8,      /* pinned keys of one rule, likewise */
	DOMAIN_SESSIONS_MAX = 1000000, /* what max_sessions may be: more than one machine has */
	PIN_SIZE = 32,            /* SHA-256 */
};

/* Of a public key, as in a certificate (SubjectPublicKeyInfo). */
struct pin {
	unsigned char sha256[PIN_SIZE];
};

struct domain_rule {
	char name[DOMAIN_MAX + 1]; /* ascii form; of a pattern what stands behind the "*.", and nothing of "*" */
	bool is_pattern;
	struct address connect[DOMAIN_CONNECT_MAX];
	size_t n_connect;
	enum domain_tls tls;
	char *ca_file; /* owned by the rule; NULL for the system's store */
	struct pin pins[DOMAIN_PINS_MAX]; /* the server's key must be one of these, if there are any */
	size_t n_pins;
	enum domain_proxy proxy; /* only beside connect: clients' addresses are told to nobody else */
	bool deny;
	bool gone;           /* it was served once, and its users shall be told so */
	size_t max_sessions; /* at the same time to one domain: each that a pattern stands for by itself; 0: no limit of its own */
	bool allow_private; /* also addresses that the DNS or the server names; those of connect need it not */
};

/* Rules in the order that domain_rules_sort() makes; owned by the configuration, read-only while workers run. */
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

/* Turns @ascii, which domain_to_ascii() made, into its unicode form; what has none that leads back to @ascii stays as it is.
 * Returns 0 or -ENOMEM. */
_must_check_ int domain_to_unicode(const char *ascii, char ret_unicode[static DOMAIN_UNICODE_MAX + 1]);

/* Reads the name of a rule, a domain or a pattern. Behind a "*." there may be one label ("*.test").
 * Returns 0, -EINVAL, -ENOMEM. */
_must_check_ int domain_pattern_parse(struct sv text, char ret_name[static DOMAIN_MAX + 1], bool *ret_is_pattern);

/* Puts the rules into the order in which they are found. */
void domain_rules_sort(struct domain_rules *rules);

/* The rule that says most about @ascii, which domain_to_ascii() made: the one of that name, else the longest pattern; NULL
 * when there is none. Rules do not add up. Borrowed from @rules. */
const struct domain_rule *domain_rules_find(const struct domain_rules *rules, const char *ascii);

/* Whether a session to some domain is verified against the system's trust store, so that nothing works without one. */
bool domain_rules_need_system_store(const struct domain_rules *rules);

/* How TLS is used for a domain with @rule, which may be NULL. */
static inline enum domain_tls domain_rule_tls(const struct domain_rule *rule)
{
	return rule ? rule->tls : DOMAIN_TLS_REQUIRED;
}

const char *domain_tls_name(enum domain_tls tls);
_must_check_ int domain_tls_parse(struct sv name, enum domain_tls *ret_tls);

/* "off", "v1", "v2". Returns 0 or -EINVAL. */
_must_check_ int domain_proxy_parse(struct sv name, enum domain_proxy *ret_proxy);

/* Whether @address is one of those that @rule, which may be NULL, names. */
bool domain_rule_names_address(const struct domain_rule *rule, const struct address *address);
