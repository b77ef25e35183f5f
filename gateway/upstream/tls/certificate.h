/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Whether a certificate names an XMPP domain (RFC 6125, RFC 7590; RFC 6120, 13.7.1.2). What counts is in
 * subjectAltName and nowhere else; the CN never does.
 *
 * dNSName        the domain, or "*" as the whole left-most label, which stands for exactly one label
 * id-on-dnsSRV   "_xmpp-client." and the domain (RFC 4985)
 * id-on-xmppAddr the domain (RFC 6120, 13.7.1.4)
 */
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/sv.h"

enum certificate_name_kind {
	CERTIFICATE_NAME_OTHER, /* of no use to XMPP */
	CERTIFICATE_NAME_DNS,
	CERTIFICATE_NAME_SRV,
	CERTIFICATE_NAME_XMPP,
};

/* Whether @certificate names @domain (ascii form). */
bool certificate_names(const X509 *certificate, const char *domain);

/* Calls @each with every name of @certificate that is of a kind that counts, in its order. A name is what whoever made the
 * certificate wrote, and borrowed for the call. */
void certificate_each_name(const X509 *certificate,
			   void (*each)(void *userdata, enum certificate_name_kind kind, struct sv name),
			   void *userdata);

/* Writes the names of @certificate into @text (@size bytes, at least 1) for a human: printable ASCII, cut to
 * fit. "none" when it has no name of a kind that counts. */
void certificate_list_names(const X509 *certificate, char *text, size_t size);
