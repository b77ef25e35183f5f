/* SPDX-License-Identifier: MIT */
#include "policy/documents.h"

#include <stdbool.h>

#include "common/writer.h"

/* An origin in the terms of Adobe's file, which has hosts and whether they must use TLS, but no
 * ports and no other schemes. */
struct site {
	struct sv host;
	bool secure;
};

/* Returns false for origins that plug-ins cannot have, such as those of browser extensions. */
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

/* Returns the site of origin @index, or false when an earlier origin has the same host: each host
 * gets one element. It requires TLS only if all origins of that host do. */
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

static void write_site(struct writer *writer, const char *element, const struct site *site,
		       const char *attributes)
{
	writer_printf(writer, "  <%s", element);
	writer_put(writer, SV(" domain=\""));
	writer_escaped(writer, site->host);
	writer_printf(writer, "\"%s secure=\"%s\"/>\n", attributes,
		      site->secure ? "true" : "false");
}

static void write_sites(struct writer *writer, const struct origin_list *origins,
			const char *element, const char *attributes)
{
	static const struct site any = {{"*", 1}, false};
	struct site site;

	if (origins->any) {
		write_site(writer, element, &any, attributes);
		return;
	}
	for (size_t i = 0; i < origins->n_origins; i++) {
		if (site_at(origins, i, &site)) {
			write_site(writer, element, &site, attributes);
		}
	}
}

int documents_crossdomain(const struct origin_list *origins, struct buffer *ret_document)
{
	struct writer writer = writer_begin(ret_document);

	/* master-only: no other document of this host is a policy. Otherwise a plug-in could be
	 * made to read one from a stanza that the gateway relays. */
	writer_put(&writer,
		   SV("<?xml version=\"1.0\"?>\n"
		      "<!DOCTYPE cross-domain-policy SYSTEM"
		      " \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\">\n"
		      "<cross-domain-policy>\n"
		      "  <site-control permitted-cross-domain-policies=\"master-only\"/>\n"));
	/* The DTD requires all elements of one kind before those of the other. */
	write_sites(&writer, origins, "allow-access-from", "");
	write_sites(&writer, origins, "allow-http-request-headers-from",
		    " headers=\"Content-Type\"");
	writer_put(&writer, SV("</cross-domain-policy>\n"));
	return writer_end(&writer);
}

static void write_domain(struct writer *writer, const char *uri)
{
	writer_put(writer, SV("        <domain uri=\""));
	writer_escaped(writer, sv_from(uri));
	writer_put(writer, SV("\"/>\n"));
}

static void write_policy(struct writer *writer, const struct origin_list *origins,
			 const char *bosh_path)
{
	struct site site;

	writer_put(writer, SV("    <policy>\n"
			      "      <allow-from http-request-headers=\"Content-Type\">\n"));
	if (origins->any) {
		/* "*" alone would not allow pages without TLS to use a service with TLS. */
		write_domain(writer, "*");
		write_domain(writer, "http://*");
	}
	for (size_t i = 0; i < origins->n_origins; i++) {
		if (site_from_origin(origins->origins[i], &site)) {
			write_domain(writer, origins->origins[i]);
		}
	}
	writer_put(writer, SV("      </allow-from>\n"
			      "      <grant-to>\n"
			      "        <resource path=\""));
	writer_escaped(writer, sv_from(bosh_path));
	writer_put(writer, SV("\" include-subpaths=\"false\"/>\n"
			      "      </grant-to>\n"
			      "    </policy>\n"));
}

int documents_clientaccesspolicy(const struct origin_list *origins, const char *bosh_path,
				 struct buffer *ret_document)
{
	struct writer writer = writer_begin(ret_document);
	bool has_site = origins->any;
	struct site site;

	for (size_t i = 0; i < origins->n_origins; i++) {
		has_site = has_site || site_from_origin(origins->origins[i], &site);
	}
	writer_put(&writer, SV("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
			       "<access-policy>\n"
			       "  <cross-domain-access>\n"));
	/* A <policy> without a domain is invalid. A document without a policy allows nobody
	 * either. */
	if (has_site) {
		write_policy(&writer, origins, bosh_path);
	}
	writer_put(&writer, SV("  </cross-domain-access>\n"
			       "</access-policy>\n"));
	return writer_end(&writer);
}
