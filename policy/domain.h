/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The XMPP domains that a client may name, and the operator's rules about them.
 *
 * domain   what the client wants to reach: the 'to' of its first request
 * ascii    the domain with A-labels, in lower case, without a final dot; used for DNS, SNI,
 *          certificates and rules
 * unicode  the domain with U-labels, as in addresses (RFC 7622, 3.2); used in the stream header
 * rule     a `domain` section of the configuration
 * pattern  "*.example.org" as the name of a rule. It matches every name below example.org, at any
 *          depth, but not example.org itself. "*" matches every name. Names are compared label by
 *          label, so evilexample.org is not below example.org.
 */
#include <stdbool.h>

#include "common/address.h"
#include "common/sv.h"
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
	DOMAIN_MAX = 255,              /* RFC 1035; the text has at most 253 characters */
	DOMAIN_UNICODE_MAX = 1023,     /* RFC 7622, 3.2 */
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
	bool gone; /* no longer served; clients are told so */
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

/* Converts @text to its ascii form (UTS 46, by libidn2). Refused are address literals and names
 * that the C library takes for one (the last label is a number), ports, names of one label other
 * than "localhost", labels that are empty, too long or begin or end with a hyphen, and names that
 * contain anything but letters, digits, hyphens and dots after the conversion. So no unchecked text
 * from a client reaches the DNS or a stream header. Returns 0, -ENOMEM, or -EINVAL when @text is
 * not such a domain. */
_must_check_ int domain_to_ascii(struct sv text, char ret_ascii[static DOMAIN_MAX + 1]);

/* Like domain_to_ascii(), for a name that the operator writes or has written: also names of one
 * label ("chat"), labels with underscores, and addresses ("192.0.2.1", "[2001:db8::1]"). */
_must_check_ int domain_host_to_ascii(struct sv text, char ret_ascii[static DOMAIN_MAX + 1]);

/* Whether @ascii, made by domain_host_to_ascii(), is an address. */
bool domain_is_address(const char *ascii);

/* Converts @ascii, made by domain_to_ascii(), to its unicode form. If there is none that converts
 * back to @ascii, the result is @ascii. Returns 0 or -ENOMEM. */
_must_check_ int domain_to_unicode(const char *ascii,
				   char ret_unicode[static DOMAIN_UNICODE_MAX + 1]);

/* Reads the name of a rule: a domain, also one for domain_host_to_ascii(), or a pattern. After "*."
 * a single label is allowed ("*.test"). Returns 0, -ENOMEM, or -EINVAL when @text is neither. */
_must_check_ int domain_pattern_parse(struct sv text, char ret_name[static DOMAIN_MAX + 1],
				      bool *ret_is_pattern);

/* Sorts the rules for domain_rules_find(). */
void domain_rules_sort(struct domain_rules *rules);

/* The rule for @ascii, made by domain_to_ascii(): the one of that name, else the longest pattern
 * that matches, else NULL. Only this rule counts; rules are not combined. Borrowed from @rules. */
const struct domain_rule *domain_rules_find(const struct domain_rules *rules, const char *ascii);

/* Judges @text, a domain that a client names: the ascii form and the rule, which may be NULL. What
 * only domain_host_to_ascii() takes is a domain if a rule of that very name says where its server
 * is. Otherwise a client could name hosts of the operator's network. Returns 0, -ENOMEM, or -EINVAL
 * when @text is not a domain. The rule is borrowed from @rules. */
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

const char *domain_tls_name(enum domain_tls tls);

/* Whether @address is in the `connect` list of @rule, which may be NULL. */
bool domain_rule_names_address(const struct domain_rule *rule, const struct address *address);
