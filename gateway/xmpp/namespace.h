/* SPDX-License-Identifier: MIT */
#pragma once
/* The XML namespaces that the gateway knows. Their numbers stand in xml_item.ns. */

#define NAMESPACES(X)                                              \
	X(CLIENT, "jabber:client")                                 \
	X(STREAMS, "http://etherx.jabber.org/streams")             \
	X(STREAM_ERRORS, "urn:ietf:params:xml:ns:xmpp-streams")    \
	X(TLS, "urn:ietf:params:xml:ns:xmpp-tls")                  \
	X(SASL, "urn:ietf:params:xml:ns:xmpp-sasl")                \
	X(COMPRESS, "http://jabber.org/protocol/compress")         \
	X(COMPRESS_FEATURE, "http://jabber.org/features/compress") \
	X(HTTPBIND, "http://jabber.org/protocol/httpbind")         \
	X(XBOSH, "urn:xmpp:xbosh")                                 \
	X(FRAMING, "urn:ietf:params:xml:ns:xmpp-framing")          \
	X(SASL2, "urn:xmpp:sasl:2")                                \
	X(SM2, "urn:xmpp:sm:2")                                    \
	X(SM3, "urn:xmpp:sm:3")                                    \
	X(XML, "http://www.w3.org/XML/1998/namespace")

enum namespace {
#define X(id, uri) NS_##id,
	NAMESPACES(X)
#undef X
		NS_COUNT
};

#define NS_BIT(id) (UINT32_C(1) << NS_##id)

/* For xml_pool_new(). */
extern const char *const namespaces[NS_COUNT];
