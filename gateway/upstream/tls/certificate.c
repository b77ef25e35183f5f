/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/tls/certificate.h"

#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "common/macro.h"
#include "policy/domain.h"

DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free);

static const struct sv srv_prefix = {"_xmpp-client.", sizeof("_xmpp-client.") - 1};

static struct sv string_sv(const ASN1_STRING *string)
{
	return (struct sv){(const char *)ASN1_STRING_get0_data(string),
			   (size_t)ASN1_STRING_length(string)};
}

/* Does not touch @ret_text for CERTIFICATE_NAME_OTHER. */
static enum certificate_name_kind other_name_kind(const OTHERNAME *other, struct sv *ret_text)
{
	switch (OBJ_obj2nid(other->type_id)) {
	case NID_SRVName:
		if (other->value->type == V_ASN1_IA5STRING) {
			*ret_text = string_sv(other->value->value.ia5string);
			return CERTIFICATE_NAME_SRV;
		}
		return CERTIFICATE_NAME_OTHER;
	case NID_XmppAddr:
		if (other->value->type == V_ASN1_UTF8STRING) {
			*ret_text = string_sv(other->value->value.utf8string);
			return CERTIFICATE_NAME_XMPP;
		}
		return CERTIFICATE_NAME_OTHER;
	default:
		return CERTIFICATE_NAME_OTHER;
	}
}

static enum certificate_name_kind name_kind(const GENERAL_NAME *name, struct sv *ret_text)
{
	switch (name->type) {
	case GEN_DNS:
		*ret_text = string_sv(name->d.dNSName);
		return CERTIFICATE_NAME_DNS;
	case GEN_OTHERNAME:
		return other_name_kind(name->d.otherName, ret_text);
	default:
		return CERTIFICATE_NAME_OTHER;
	}
}

/* A wildcard must be followed by at least two labels: nobody certifies a whole top-level domain. */
static bool dns_matches(struct sv name, struct sv domain)
{
	if (!sv_starts_with(name, SV("*."))) {
		return sv_eq_nocase(name, domain);
	}
	struct sv parent = sv_skip(name, 2);
	struct sv rest = sv_skip(domain, sv_find(domain, '.') + 1);

	return sv_find(parent, '.') < parent.n && rest.n + 1 < domain.n &&
	       sv_eq_nocase(parent, rest);
}

static bool srv_matches(struct sv name, struct sv domain)
{
	return sv_eq_nocase(sv_first(name, srv_prefix.n), srv_prefix) &&
	       sv_eq_nocase(sv_skip(name, srv_prefix.n), domain);
}

/* The only kind of name that may hold characters beyond ASCII. */
static bool xmpp_matches(struct sv name, struct sv domain)
{
	char ascii[DOMAIN_MAX + 1];

	return sv_eq_nocase(name, domain) ||
	       (domain_to_ascii(name, ascii) == 0 && sv_eq_nocase(sv_from(ascii), domain));
}

static bool name_matches(const GENERAL_NAME *name, struct sv domain)
{
	struct sv text = SV_EMPTY;

	switch (name_kind(name, &text)) {
	case CERTIFICATE_NAME_DNS:
		return dns_matches(text, domain);
	case CERTIFICATE_NAME_SRV:
		return srv_matches(text, domain);
	case CERTIFICATE_NAME_XMPP:
		return xmpp_matches(text, domain);
	case CERTIFICATE_NAME_OTHER:
		break;
	}
	return false;
}

static GENERAL_NAMES *names_of(const X509 *certificate)
{
	return X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}

/* An address is compared with the iPAddress names alone: "*.0.2.1" is no wildcard for it. */
static bool names_address(const X509 *certificate, const char *domain)
{
	struct sv text = sv_from(domain);
	char host[DOMAIN_MAX + 1];
	bool has_brackets = text.data[0] == '[';

	(void)snprintf(host, sizeof(host), "%.*s", (int)text.n - (has_brackets ? 2 : 0),
		       text.data + has_brackets);
	return X509_check_ip_asc((X509 *)(uintptr_t)certificate, host, 0) == 1;
}

bool certificate_names(const X509 *certificate, const char *domain)
{
	if (domain_is_address(domain)) {
		return names_address(certificate, domain);
	}
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = names_of(certificate);
	int n_names = names ? sk_GENERAL_NAME_num(names) : 0;

	for (int i = 0; i < n_names; i++) {
		if (name_matches(sk_GENERAL_NAME_value(names, i), sv_from(domain))) {
			return true;
		}
	}
	return false;
}

void certificate_each_name(const X509 *certificate,
			   void (*each)(void *userdata, enum certificate_name_kind kind,
					struct sv name),
			   void *userdata)
{
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = names_of(certificate);
	int n_names = names ? sk_GENERAL_NAME_num(names) : 0;

	for (int i = 0; i < n_names; i++) {
		struct sv name = SV_EMPTY;
		enum certificate_name_kind kind = name_kind(sk_GENERAL_NAME_value(names, i), &name);

		if (kind != CERTIFICATE_NAME_OTHER) {
			each(userdata, kind, name);
		}
	}
}

struct name_list {
	char *text;
	size_t n, size;
};

/* Appends as much of @view as fits. */
static void list_append(struct name_list *list, struct sv view)
{
	for (size_t i = 0; i < view.n && list->n + 1 < list->size; i++) {
		list->text[list->n++] =
			view.data[i] > ' ' && view.data[i] < 0x7f ? view.data[i] : '?';
	}
	list->text[list->n] = '\0';
}

static void list_add(void *userdata, enum certificate_name_kind kind, struct sv name)
{
	struct name_list *list = userdata;

	(void)kind;
	if (list->n) {
		list_append(list, SV(","));
	}
	list_append(list, name);
}

void certificate_list_names(const X509 *certificate, char *text, size_t size)
{
	struct name_list list = {.text = text, .size = size};

	certificate_each_name(certificate, list_add, &list);
	if (list.n == 0) {
		list_append(&list, SV("none"));
	}
}
