/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Everything that can go wrong between a client and its XMPP server, from one list. The same name
 * goes into the log; the BOSH condition (XEP-0124, Terminal Binding Conditions), the stream error
 * condition (RFC 6120, 4.9.3) and the sentence go to the client.
 *
 * kind           what went wrong
 * detail         what only the case itself knows: an address, the names in a certificate. For the
 *                log and for the operator
 * public detail  what clients are told of it. It never holds an IP address: whether everybody may
 *                know one cannot be told from the address. A private one, one of the configuration
 *                or of /etc/hosts, or one that the DNS gives to this network only would show
 *                strangers what the operator's network is like, or where a server is that hides
 *                behind another. Names are told: a client can look them up itself
 */
#include "common/sv.h"

/*        id                  name                    BOSH condition              stream error              sentence */
#define FAILURES(X)                                                                                                                     \
	X(NONE, "none", "", "", "")                                                                                                     \
	X(DOMAIN_REFUSED, "domain-refused", "host-unknown", "host-unknown", "this gateway does not serve that domain")                  \
	X(DOMAIN_GONE, "domain-gone", "host-gone", "host-gone", "the domain is no longer served")                                               \
	X(DNS_NO_NAME, "dns-no-name", "host-unknown", "host-unknown", "there is no such domain in the DNS")                             \
	X(DNS_NOT_OFFERED, "dns-not-offered", "host-unknown", "host-unknown", "the domain says in the DNS that it offers no XMPP")      \
	X(DNS_TIMEOUT, "dns-timeout", "remote-connection-failed", "remote-connection-failed", "the DNS did not answer in time")         \
	X(DNS_FAILED, "dns-failed", "remote-connection-failed", "remote-connection-failed", "the DNS lookup failed")                    \
	X(ADDRESS_REFUSED, "address-refused", "remote-connection-failed", "remote-connection-failed",                                   \
	  "the server's address is not a public one, and this gateway connects to no other")                                            \
	X(PORT_REFUSED, "port-refused", "remote-connection-failed", "remote-connection-failed",                                         \
	  "the server's port is refused by this gateway's policy")                                                                      \
	X(CONNECT_REFUSED, "connect-refused", "remote-connection-failed", "remote-connection-failed", "the server refused the connection") \
	X(CONNECT_UNREACHABLE, "connect-unreachable", "remote-connection-failed", "remote-connection-failed", "the server cannot be reached") \
	X(CONNECT_TIMEOUT, "connect-timeout", "remote-connection-failed", "remote-connection-failed", "the server did not answer in time") \
	X(TLS_NOT_OFFERED, "tls-not-offered", "remote-connection-failed", "remote-connection-failed",                                   \
	  "the server offers no TLS, and this gateway requires it")                                                                     \
	X(TLS_HANDSHAKE, "tls-handshake", "remote-connection-failed", "remote-connection-failed", "the TLS handshake failed")           \
	X(TLS_PROTOCOL, "tls-protocol", "remote-connection-failed", "remote-connection-failed",                                                 \
	  "the server speaks no version of TLS, or no cipher, that this gateway accepts")                                                       \
	X(CERTIFICATE_EXPIRED, "certificate-expired", "remote-connection-failed", "remote-connection-failed",                                   \
	  "the server's certificate has expired")                                                                                               \
	X(CERTIFICATE_EARLY, "certificate-not-yet-valid", "remote-connection-failed", "remote-connection-failed",                               \
	  "the server's certificate is not valid yet")                                                                                          \
	X(CERTIFICATE_NAME, "certificate-name", "remote-connection-failed", "remote-connection-failed",                                         \
	  "the server's certificate is for another name")                                                                                       \
	X(CERTIFICATE_UNTRUSTED, "certificate-untrusted", "remote-connection-failed", "remote-connection-failed",                               \
	  "the server's certificate is not signed by a trusted authority")                                                                      \
	X(CERTIFICATE_SELF_SIGNED, "certificate-self-signed", "remote-connection-failed", "remote-connection-failed",                           \
	  "the server's certificate is signed by itself, not by a trusted authority")                                                           \
	X(CERTIFICATE_WEAK, "certificate-weak", "remote-connection-failed", "remote-connection-failed",                                         \
	  "the server's certificate has a key or a signature that is too weak")                                                                 \
	X(CERTIFICATE_PIN, "certificate-pin", "remote-connection-failed", "remote-connection-failed",                                           \
	  "the server's key is not one that this gateway's operator has pinned")                                                                \
	X(CERTIFICATE_DANE, "certificate-dane", "remote-connection-failed", "remote-connection-failed",                                         \
	  "the server's certificate is not the one that the DNS vouches for")                                                                   \
	X(CERTIFICATE_INVALID, "certificate-invalid", "remote-connection-failed", "remote-connection-failed",                                   \
	  "the server's certificate is not acceptable")                                                                                         \
	X(STREAM_TIMEOUT, "stream-timeout", "remote-connection-failed", "remote-connection-failed",                                     \
	  "the server did not open its stream in time")                                                                                 \
	X(STREAM_MALFORMED, "stream-malformed", "remote-connection-failed", "remote-connection-failed",                                 \
	  "the server sent what is not an XMPP stream")                                                                                 \
	X(STREAM_TOO_LARGE, "stream-too-large", "remote-connection-failed", "remote-connection-failed",                                 \
	  "the server sent an element larger than this gateway carries")                                                                \
	X(STREAM_ERROR, "stream-error", "remote-stream-error", "remote-connection-failed", "the server ended the stream with an error") \
	X(STREAM_CLOSED, "stream-closed", "remote-connection-failed", "remote-connection-failed", "the server closed the stream")       \
	X(CONNECTION_LOST, "connection-lost", "remote-connection-failed", "remote-connection-failed", "the connection to the server broke") \
	X(SERVER_STALLED, "server-stalled", "remote-connection-failed", "remote-connection-failed", "the server does not read what is sent to it") \
	X(CLIENT, "client-error", "bad-request", "bad-format", "the client sent what it must not send")                                \
	X(TOO_EARLY, "too-early", "bad-request", "not-authorized", "the client sent before the server's features had come") \
	X(TOO_MANY, "too-many-sessions", "policy-violation", "policy-violation", "too many sessions")                                   \
	X(SHUTDOWN, "system-shutdown", "system-shutdown", "system-shutdown", "the gateway is being shut down")                          \
	X(INTERNAL, "internal", "internal-server-error", "internal-server-error", "the gateway ran out of a resource")

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
	/* NUL-terminated, may be empty; may hold a peer's text: escape them. */
	char detail[FAILURE_DETAIL_MAX];
	char public_detail[FAILURE_DETAIL_MAX];
};

const char *failure_name(enum failure_kind kind);
const char *failure_bosh_condition(enum failure_kind kind);
const char *failure_stream_condition(enum failure_kind kind);
const char *failure_sentence(enum failure_kind kind);

/* Fills @failure; @format may be NULL for no detail. A detail too long is cut between characters.
 * The public detail is the same but for addresses, whoever wrote them: each has become
 * "(address)". */
void failure_set(struct failure *failure, enum failure_kind kind, const char *format, ...)
	_printf_(3, 4);

/* Says it in other words to clients, after failure_set(); @format may be NULL for no detail. Here,
 * too, addresses are left out. */
void failure_set_public(struct failure *failure, const char *format, ...) _printf_(2, 3);
