/* SPDX-License-Identifier: MIT */
#include "policy/documents.h"

#include <stdbool.h>

/* The list in the terms of Adobe's file, which knows hosts and whether they must have used TLS, and
 * neither other schemes nor ports. */
struct site {
	struct sv host;
	bool secure;
};

/* False for the origins that no plugin has: those of browser extensions and of apps. */
static bool site_from_origin(const char *origin, struct site *ret_site)
{
	struct sv view = sv_from(origin);
	size_t n;

	if (sv_starts_with(view, SV("https://"))) {
		ret_site->secure = true;
		view = sv_skip(view, strlen("https://"));
	} else if (sv_starts_with(view, SV("http://"))) {
		ret_site->secure = false;
		view = sv_skip(view, strlen("http://"));
	} else {
		return false;
	}
	n = view.n && view.data[0] == '[' ? sv_find(view, ']') + 1 : sv_find(view, ':');
	ret_site->host = sv_first(view, n);
	return true;
}

/* One element a host: several origins of it become one, at its first place in the list, and it
 * needs TLS only when none of them goes without. */
static bool site_at(const struct origin_list *origins, size_t index, struct site *ret_site)
{
	struct site other;

	if (!site_from_origin(origins->origins[index], ret_site)) {
		return false;
	}
	for (size_t i = 0; i < origins->n_origins; i++) {
		if (!site_from_origin(origins->origins[i], &other) ||
		    !sv_eq(other.host, ret_site->host)) {
			continue;
		}
		if (i < index) {
			return false;
		}
		ret_site->secure = ret_site->secure && other.secure;
	}
	return true;
}

static int append_site(struct buffer *document, const char *before, const struct site *site,
		       const char *attributes)
{
	int r = buffer_printf(document, "  <%s domain=\"", before);

	if (r < 0) {
		return r;
	}
	r = buffer_append_escaped(document, site->host);
	if (r < 0) {
		return r;
	}
	return buffer_printf(document, "\"%s secure=\"%s\"/>\n", attributes,
			     site->secure ? "true" : "false");
}

static int append_sites(struct buffer *document, const struct origin_list *origins,
			const char *element, const char *attributes)
{
	static const struct site any = {{"*", 1}, false};
	struct site site;
	int r = 0;

	if (origins->any) {
		return append_site(document, element, &any, attributes);
	}
	for (size_t i = 0; i < origins->n_origins && r == 0; i++) {
		if (site_at(origins, i, &site)) {
			r = append_site(document, element, &site, attributes);
		}
	}
	return r;
}

int documents_crossdomain(const struct origin_list *origins, struct buffer *ret_document)
{
	/* master-only: no other file of this host is a policy, so nothing that the gateway relays
	 * can be taken for one. */
	const struct sv head =
		SV("<?xml version=\"1.0\"?>\n"
		   "<!DOCTYPE cross-domain-policy SYSTEM"
		   " \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\">\n"
		   "<cross-domain-policy>\n"
		   "  <site-control permitted-cross-domain-policies=\"master-only\"/>\n");
	int r = buffer_append_sv(ret_document, head);

	/* The order is the DTD's: all of the one kind, then all of the other. */
	if (r == 0) {
		r = append_sites(ret_document, origins, "allow-access-from", "");
	}
	if (r == 0) {
		r = append_sites(ret_document, origins, "allow-http-request-headers-from",
				 " headers=\"Content-Type\"");
	}
	if (r == 0) {
		r = buffer_append_sv(ret_document, SV("</cross-domain-policy>\n"));
	}
	return r;
}

static int append_domain(struct buffer *document, const char *uri)
{
	int r = buffer_append_sv(document, SV("        <domain uri=\""));

	if (r == 0) {
		r = buffer_append_escaped(document, sv_from(uri));
	}
	return r < 0 ? r : buffer_append_sv(document, SV("\"/>\n"));
}

static int append_policy(struct buffer *document, const struct origin_list *origins,
			 const char *bosh_path)
{
	struct site site;
	int r = buffer_append_sv(document,
				 SV("    <policy>\n"
				    "      <allow-from http-request-headers=\"Content-Type\">\n"));

	if (r == 0 && origins->any) {
		/* "*" alone keeps pages without TLS away from a service with TLS. */
		r = append_domain(document, "*");
		if (r == 0) {
			r = append_domain(document, "http://*");
		}
	}
	for (size_t i = 0; i < origins->n_origins && r == 0; i++) {
		if (site_from_origin(origins->origins[i], &site)) {
			r = append_domain(document, origins->origins[i]);
		}
	}
	if (r == 0) {
		r = buffer_append_sv(document, SV("      </allow-from>\n"
						  "      <grant-to>\n"
						  "        <resource path=\""));
	}
	if (r == 0) {
		r = buffer_append_escaped(document, sv_from(bosh_path));
	}
	if (r == 0) {
		r = buffer_append_sv(document, SV("\" include-subpaths=\"false\"/>\n"
						  "      </grant-to>\n"
						  "    </policy>\n"));
	}
	return r;
}

int documents_clientaccesspolicy(const struct origin_list *origins, const char *bosh_path,
				 struct buffer *ret_document)
{
	bool has_site = origins->any;
	struct site site;
	int r;

	for (size_t i = 0; i < origins->n_origins; i++) {
		has_site = has_site || site_from_origin(origins->origins[i], &site);
	}
	r = buffer_append_sv(ret_document, SV("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
					      "<access-policy>\n"
					      "  <cross-domain-access>\n"));
	/* A policy that allows from nowhere is no valid one: an empty list of policies says the
	 * same. */
	if (r == 0 && has_site) {
		r = append_policy(ret_document, origins, bosh_path);
	}
	if (r == 0) {
		r = buffer_append_sv(ret_document, SV("  </cross-domain-access>\n"
						      "</access-policy>\n"));
	}
	return r;
}
