/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Everything that can go wrong between a client and its XMPP server, in one list. The name goes
 * into the log. The BOSH condition (XEP-0124, Terminal Binding Conditions), the stream error
 * condition (RFC 6120, 4.9.3) and the sentence go to the client.
 *
 * kind           what went wrong
 * detail         particulars for the log and the operator: an address, the names in a certificate
 * public detail  the detail as clients see it, without IP addresses. An address does not show
 *                whether it is public knowledge: a private one, one from the configuration or from
 *                /etc/hosts, or one that only the local DNS gives would reveal the operator's
 *                network or a server behind a proxy. Names stay: a client can look them up itself
 */
#include "common/sv.h"

/* For servers that could not be reached or used. */
#define FAILURE_REMOTE "remote-connection-failed"

/* clang-format off */
/* id, name, BOSH condition, stream error condition, sentence */
#define FAILURES(X)                                                                                \
	X(NONE, "none", "", "",                                                                    \
	  "")                                                                                      \
	X(DOMAIN_REFUSED, "domain-refused", "host-unknown", "host-unknown",                        \
	  "this gateway does not serve that domain")                                               \
	X(DOMAIN_MISSING, "domain-missing", "improper-addressing", "improper-addressing",          \
	  "a session needs a 'to'")                                                                \
	X(DOMAIN_MALFORMED, "domain-malformed", "host-unknown", "host-unknown",                    \
	  "'to' is not the name of a domain")                                                      \
	X(DOMAIN_GONE, "domain-gone", "host-gone", "host-gone",                                    \
	  "the domain is no longer served")                                                        \
	X(DNS_NO_NAME, "dns-no-name", "host-unknown", "host-unknown",                              \
	  "there is no such domain in the DNS")                                                    \
	X(DNS_NOT_OFFERED, "dns-not-offered", "host-unknown", "host-unknown",                      \
	  "the domain says in the DNS that it offers no XMPP")                                     \
	X(DNS_TIMEOUT, "dns-timeout", FAILURE_REMOTE, FAILURE_REMOTE,                              \
	  "the DNS did not answer in time")                                                        \
	X(DNS_FAILED, "dns-failed", FAILURE_REMOTE, FAILURE_REMOTE,                                \
	  "the DNS lookup failed")                                                                 \
	X(ADDRESS_REFUSED, "address-refused", FAILURE_REMOTE, FAILURE_REMOTE,                      \
	  "the server's address is not a public one, and this gateway connects to no other")       \
	X(PORT_REFUSED, "port-refused", FAILURE_REMOTE, FAILURE_REMOTE,                            \
	  "the server's port is refused by this gateway's policy")                                 \
	X(CONNECT_REFUSED, "connect-refused", FAILURE_REMOTE, FAILURE_REMOTE,                      \
	  "the server refused the connection")                                                     \
	X(CONNECT_UNREACHABLE, "connect-unreachable", FAILURE_REMOTE, FAILURE_REMOTE,              \
	  "the server cannot be reached")                                                          \
	X(CONNECT_TIMEOUT, "connect-timeout", FAILURE_REMOTE, FAILURE_REMOTE,                      \
	  "the server did not answer in time")                                                     \
	X(SOURCE_ADDRESS, "source-address", "internal-server-error", "internal-server-error",     \
	  "the gateway does not have the address that it is to connect from")                     \
	X(PROXY_UNREACHABLE, "proxy-unreachable", FAILURE_REMOTE, FAILURE_REMOTE,                  \
	  "the gateway cannot reach the proxy on the way to the server")                           \
	X(PROXY_REFUSED, "proxy-refused", FAILURE_REMOTE, FAILURE_REMOTE,                          \
	  "the proxy on the way to the server refused the connection")                             \
	X(PROXY_FAILED, "proxy-failed", FAILURE_REMOTE, FAILURE_REMOTE,                            \
	  "the proxy on the way to the server did not answer as a proxy does")                     \
	X(TLS_NOT_OFFERED, "tls-not-offered", FAILURE_REMOTE, FAILURE_REMOTE,                      \
	  "the server offers no TLS, and this gateway requires it")                                \
	X(TLS_HANDSHAKE, "tls-handshake", FAILURE_REMOTE, FAILURE_REMOTE,                          \
	  "the TLS handshake failed")                                                              \
	X(TLS_PROTOCOL, "tls-protocol", FAILURE_REMOTE, FAILURE_REMOTE,                            \
	  "the server speaks no version of TLS, or no cipher, that this gateway accepts")          \
	X(TLS_FLOOD, "tls-flood", FAILURE_REMOTE, FAILURE_REMOTE,                                  \
	  "the server sends too many TLS messages that carry no data")                             \
	X(CERTIFICATE_EXPIRED, "certificate-expired", FAILURE_REMOTE, FAILURE_REMOTE,              \
	  "the server's certificate has expired")                                                  \
	X(CERTIFICATE_EARLY, "certificate-not-yet-valid", FAILURE_REMOTE, FAILURE_REMOTE,          \
	  "the server's certificate is not valid yet")                                             \
	X(CERTIFICATE_NAME, "certificate-name", FAILURE_REMOTE, FAILURE_REMOTE,                    \
	  "the server's certificate is for another name")                                          \
	X(CERTIFICATE_UNTRUSTED, "certificate-untrusted", FAILURE_REMOTE, FAILURE_REMOTE,          \
	  "the server's certificate is not signed by a trusted authority")                         \
	X(CERTIFICATE_SELF_SIGNED, "certificate-self-signed", FAILURE_REMOTE, FAILURE_REMOTE,      \
	  "the server's certificate is signed by itself, not by a trusted authority")              \
	X(CERTIFICATE_WEAK, "certificate-weak", FAILURE_REMOTE, FAILURE_REMOTE,                    \
	  "the server's certificate has a key or a signature that is too weak")                    \
	X(CERTIFICATE_PIN, "certificate-pin", FAILURE_REMOTE, FAILURE_REMOTE,                      \
	  "the server's key is not one that this gateway's operator has pinned")                   \
	X(CERTIFICATE_DANE, "certificate-dane", FAILURE_REMOTE, FAILURE_REMOTE,                    \
	  "the server's certificate is not the one that the DNS vouches for")                      \
	X(CERTIFICATE_INVALID, "certificate-invalid", FAILURE_REMOTE, FAILURE_REMOTE,              \
	  "the server's certificate is not acceptable")                                            \
	X(STREAM_TIMEOUT, "stream-timeout", FAILURE_REMOTE, FAILURE_REMOTE,                        \
	  "the server did not open its stream in time")                                            \
	X(STREAM_MALFORMED, "stream-malformed", FAILURE_REMOTE, FAILURE_REMOTE,                    \
	  "the server sent something that is not an XMPP stream")                                  \
	X(STREAM_TOO_LARGE, "stream-too-large", FAILURE_REMOTE, FAILURE_REMOTE,                    \
	  "the server sent an element larger than this gateway carries")                           \
	X(STREAM_ERROR, "stream-error", "remote-stream-error", FAILURE_REMOTE,                     \
	  "the server ended the stream with an error")                                             \
	X(STREAM_CLOSED, "stream-closed", FAILURE_REMOTE, FAILURE_REMOTE,                          \
	  "the server closed the stream")                                                          \
	X(CONNECTION_LOST, "connection-lost", FAILURE_REMOTE, FAILURE_REMOTE,                      \
	  "the connection to the server broke")                                                    \
	X(SERVER_STALLED, "server-stalled", FAILURE_REMOTE, FAILURE_REMOTE,                        \
	  "the server does not read what is sent to it")                                           \
	X(CLIENT, "client-error", "bad-request", "bad-format",                                     \
	  "the client sent something that it must not send")                                       \
	X(TOO_EARLY, "too-early", "bad-request", "not-authorized",                                 \
	  "the client sent data before the server's features had arrived")                         \
	X(TOO_MANY, "too-many-sessions", "policy-violation", "policy-violation",                   \
	  "too many sessions")                                                                     \
	X(TOO_MANY_BYTES, "too-many-bytes", "policy-violation", "policy-violation",                \
	  "the gateway holds too much data that is incomplete or not read yet")                    \
	X(KICKED, "kicked", "policy-violation", "policy-violation",                                \
	  "the operator of this gateway has ended the session")                                    \
	X(TOO_FAST, "too-fast", "policy-violation", "policy-violation",                            \
	  "too many new sessions within a short time; try again later")                            \
	X(TOO_MANY_REQUESTS, "too-many-requests", "policy-violation", "policy-violation",          \
	  "too many requests or messages within a short time")                                     \
	X(LOGIN_FAILED, "login-failed", "not-authorized", "not-authorized",                        \
	  "the server refused the login")                                                          \
	X(FAILED_LOGINS, "failed-logins", "policy-violation", "policy-violation",                  \
	  "too many logins have failed; try again later")                                          \
	X(LOGIN_TIMEOUT, "login-timeout", "policy-violation", "policy-violation",                  \
	  "the client has not logged in in time")                                                  \
	X(CLIENT_REFUSED, "client-refused", "policy-violation", "policy-violation",                \
	  "this gateway does not serve the client's address")                                      \
	X(ROUTE_REFUSED, "route-refused", "host-unknown", "host-unknown",                          \
	  "this gateway finds the server by DNS and does not take that 'route'")                   \
	X(ROUTE_MALFORMED, "route-malformed", "bad-request", "bad-format",                         \
	  "'route' is not of the form xmpp:host:port")                                             \
	X(SEE_OTHER_URI, "see-other-uri", "see-other-uri", "see-other-host",                       \
	  "sessions are opened elsewhere")                                                         \
	X(SHUTDOWN, "system-shutdown", "system-shutdown", "system-shutdown",                       \
	  "the gateway is being shut down")                                                        \
	X(INTERNAL, "internal", "internal-server-error", "internal-server-error",                  \
	  "the gateway ran out of a resource")
/* clang-format on */

enum failure_kind {
#define X(id, name, bosh, stream, sentence) FAILURE_##id,
	FAILURES(X)
#undef X
		FAILURE_COUNT
};

enum {
	FAILURE_DETAIL_MAX = 200,
};

struct failure {
	enum failure_kind kind;
	/* NUL-terminated, may be empty. May hold text of a peer: escape it. */
	char detail[FAILURE_DETAIL_MAX];
	char public_detail[FAILURE_DETAIL_MAX];
};

const char *failure_name(enum failure_kind kind);
const char *failure_bosh_condition(enum failure_kind kind);
const char *failure_stream_condition(enum failure_kind kind);
const char *failure_sentence(enum failure_kind kind);

/* Fills @failure; @format may be NULL for no detail. Too long a detail is cut between characters.
 * The public detail is the same, with each address replaced by "(address)". */
_printf_(3, 4) void failure_set(struct failure *failure, enum failure_kind kind, const char *format,
				...);

/* To be called after failure_set(): replaces the public detail; @format may be NULL for none.
 * Addresses are replaced as well. */
_printf_(2, 3) void failure_set_public(struct failure *failure, const char *format, ...);
