/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The operator's rules about domains (domain.h): who is served, and how their servers are reached.
 *
 * rule  a `domain` section of the configuration; its name is a domain, another host, or a pattern.
 *       A domain has one rule, the most specific one, or none; rules are not combined
 * pin   the hash of a public key that a server may have
 */
#include <stdbool.h>

#include "common/address.h"
#include "common/sv.h"
#include "policy/domain.h"
#include "policy/egress.h"

/* How TLS is used for a server: name, as it is written in the configuration.
 *
 * REQUIRED       STARTTLS; no stream without it
 * DIRECT         TLS before the first byte
 * OPPORTUNISTIC  STARTTLS if the server offers it; certificate not checked */
#define DOMAIN_TLS_MODES(X)               \
	X(REQUIRED, "required")           \
	X(DIRECT, "direct")               \
	X(OPPORTUNISTIC, "opportunistic") \
	X(OFF, "off")

enum domain_tls {
#define X(name, text) DOMAIN_TLS_##name,
	DOMAIN_TLS_MODES(X)
#undef X
};

/* The PROXY header that tells a server the client's address (gateway/upstream/proxy-header.h). */
#define DOMAIN_PROXIES(X) \
	X(OFF, "off")     \
	X(V1, "v1")       \
	X(V2, "v2")

enum domain_proxy {
#define X(name, text) DOMAIN_PROXY_##name,
	DOMAIN_PROXIES(X)
#undef X
};

enum {
	DOMAIN_CONNECT_MAX = 8,        /* fixed addresses of one rule */
	DOMAIN_PINS_MAX = 8,           /* pinned keys of one rule */
	DOMAIN_SESSIONS_MAX = 1000000, /* of max_sessions; more than one machine can hold */
	PIN_SIZE = 32,                 /* SHA-256 */
};

/* The hash of a public key (SubjectPublicKeyInfo of a certificate). */
struct pin {
	unsigned char sha256[PIN_SIZE];
};

/* A server that the operator names: an address, or a host and a port. */
struct domain_server {
	char *host;             /* owned by the rule; NULL for an address */
	struct address address; /* with the port */
	uint16_t port;          /* of the host */
};

/* The form in which the domain is written in the stream header (`to`). */
#define DOMAIN_FORMS(X)       \
	X(UNICODE, "unicode") \
	X(ASCII, "ascii")

enum domain_form {
#define X(name, text) DOMAIN_FORM_##name,
	DOMAIN_FORMS(X)
#undef X
};

struct domain_rule {
	char name[DOMAIN_MAX + 1]; /* ascii form; of a pattern without the "*.", of "*" empty */
	bool is_pattern;
	struct domain_server connect[DOMAIN_CONNECT_MAX];
	size_t n_connect;
	enum domain_form form;
	enum domain_tls tls;
	char *ca_file;                    /* owned by the rule; NULL for the system's store */
	struct pin pins[DOMAIN_PINS_MAX]; /* if any: the server's key must be one of them */
	size_t n_pins;
	/* Only with connect: no other server may learn the clients' addresses. */
	enum domain_proxy proxy;
	struct egress egress; /* the proxy that connects to the servers */
	/* The proxy looks up the names of servers, too. The addresses are then known to nobody
	 * here, so no policy can judge them. */
	bool egress_resolves;
	struct egress_sources sources; /* of connections; none: those of the configuration */
	bool deny;
	bool is_gone; /* no longer served; clients are told so */
	/* Concurrent sessions to one domain, 0 for no limit. Under a pattern, each domain that it
	 * matches has a limit of its own. */
	size_t max_sessions;
	/* Allows private addresses from the DNS or a redirect. Those in connect are always
	 * allowed. */
	bool allow_private;
};

/* Sorted by domain_rules_sort(). Owned by the configuration, read-only while workers run. */
struct domain_rules {
	struct domain_rule *rules;
	size_t n_rules;
};

/* Sorts the rules for domain_rules_find(). */
void domain_rules_sort(struct domain_rules *rules);

/* The rule for @ascii, made by domain_to_ascii(): the one of that name, else the longest pattern
 * that matches, else NULL. Only this rule counts; rules are not combined. Borrowed from @rules. */
const struct domain_rule *domain_rules_find(const struct domain_rules *rules, const char *ascii);

/* Judges @text, the domain that a client names. *ret_ascii is its ascii form, *ret_rule its rule,
 * borrowed from @rules, or NULL if it has none. A client may name what domain_to_ascii() takes.
 * What only domain_host_to_ascii() takes (an address, a single label) it may name if a rule of
 * exactly that name has `connect`: otherwise clients could have hosts of the operator's network
 * looked up and dialled. Returns 0, -ENOMEM, or -EINVAL when @text is not such a domain. */
_must_check_ int domain_rules_judge(const struct domain_rules *rules, struct sv text,
				    char ret_ascii[static DOMAIN_MAX + 1],
				    const struct domain_rule **ret_rule);

/* Whether there can be sessions whose certificates are verified against the system's trust store.
 * They fail if the system has none. */
bool domain_rules_need_system_store(const struct domain_rules *rules);

/* How TLS is used for a domain with @rule, which may be NULL. */
static inline enum domain_tls domain_rule_tls(const struct domain_rule *rule)
{
	return rule ? rule->tls : DOMAIN_TLS_REQUIRED;
}

/* Whether the operator knows the domains of @rule, which may be NULL: he names them, or their
 * servers. The server of any other may be an attacker's own. */
bool domain_rule_is_known(const struct domain_rule *rule);

const char *domain_tls_name(enum domain_tls tls);

/* Whether @address is in the `connect` list of @rule, which may be NULL. */
bool domain_rule_names_address(const struct domain_rule *rule, const struct address *address);
