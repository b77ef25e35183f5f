/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Whether a certificate is for an XMPP domain (RFC 6125, RFC 7590; RFC 6120, 13.7.1.2). Only names
 * in subjectAltName count, never the CN.
 *
 * dNSName        the domain; "*" as the whole left-most label stands for exactly one label
 * id-on-dnsSRV   "_xmpp-client." and the domain (RFC 4985)
 * id-on-xmppAddr the domain (RFC 6120, 13.7.1.4)
 */
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/sv.h"

enum certificate_name_kind {
	CERTIFICATE_NAME_OTHER, /* not used by XMPP */
	CERTIFICATE_NAME_DNS,
	CERTIFICATE_NAME_SRV,
	CERTIFICATE_NAME_XMPP,
};

/* Whether @certificate names @domain (ascii form; an address has to be an iPAddress there). */
bool certificate_names(const X509 *certificate, const char *domain);

/* Calls @each with every name of the three kinds, in the order of the certificate. The name is
 * borrowed for the call. It may hold any bytes. */
void certificate_each_name(const X509 *certificate,
			   void (*each)(void *userdata, enum certificate_name_kind kind,
					struct sv name),
			   void *userdata);

/* Writes the names of the three kinds, or "none", into @text (@size bytes, at least 1) for display:
 * printable ASCII, cut to fit. */
void certificate_list_names(const X509 *certificate, char *text, size_t size);
