/* SPDX-License-Identifier: MIT */
#include "policy/documents.h"

#include <stdbool.h>

#include "common/writer.h"
#include "policy/cors.h"

static bool pattern_has_scheme(const struct origin_pattern *pattern, struct sv scheme)
{
	return sv_eq(sv_from(pattern->scheme), scheme);
}

/* Plug-ins do not run in pages of other schemes, such as those of browser extensions. */
static bool is_web(const struct origin_pattern *pattern)
{
	return pattern_has_scheme(pattern, SV("https")) || pattern_has_scheme(pattern, SV("http"));
}

static void write_host(struct writer *writer, const struct host_pattern *host)
{
	writer_put(writer, host->is_wildcard ? SV("*.") : SV_EMPTY);
	writer_escaped(writer, sv_from(host->name));
}

static void write_ports(struct writer *writer, const struct ports *ports)
{
	for (size_t i = 0; i < ports->n_ranges; i++) {
		const struct ports_range *range = &ports->ranges[i];

		writer_printf(writer, "%s%u", i ? "," : "", range->first);
		if (range->last != range->first) {
			writer_printf(writer, "-%u", range->last);
		}
	}
}

/* Flash. */

/* What an element for pages grants. */
struct grant {
	const char *element;
	const char *attributes; /* as they stand in the element */
};

static bool is_same_host(const struct host_pattern *a, const struct host_pattern *b)
{
	return a->is_wildcard == b->is_wildcard && sv_eq(sv_from(a->name), sv_from(b->name));
}

/* Adobe's file has hosts and whether they must use TLS, but no ports and no schemes, so each host
 * gets one element. It requires TLS only if all origins of that host do. Returns false if an
 * earlier pattern has the same host. */
static bool is_first_of_host(const struct origin_list *origins, size_t index, bool *ret_is_secure)
{
	*ret_is_secure = true;
	for (size_t i = 0; i < origins->n_patterns; i++) {
		const struct origin_pattern *other = &origins->patterns[i];

		if (!is_web(other) || !is_same_host(&other->host, &origins->patterns[index].host)) {
			continue;
		}
		if (i < index) {
			return false;
		}
		*ret_is_secure = *ret_is_secure && pattern_has_scheme(other, SV("https"));
	}
	return true;
}

static void write_grant(struct writer *writer, const struct grant *grant,
			const struct host_pattern *host, bool is_secure)
{
	writer_printf(writer, "  <%s domain=\"", grant->element);
	if (host) {
		write_host(writer, host);
	} else {
		writer_put(writer, SV("*"));
	}
	writer_printf(writer, "\"%s secure=\"%s\"/>\n", grant->attributes,
		      is_secure ? "true" : "false");
}

static void write_grants(struct writer *writer, const struct origin_list *origins,
			 const struct grant *grant)
{
	bool is_secure;

	if (origins->allows_any) {
		write_grant(writer, grant, NULL, false);
		return;
	}
	for (size_t i = 0; i < origins->n_patterns; i++) {
		const struct origin_pattern *pattern = &origins->patterns[i];

		if (is_web(pattern) && is_first_of_host(origins, i, &is_secure)) {
			write_grant(writer, grant, &pattern->host, is_secure);
		}
	}
}

/* master-only: no other document of this host is a policy. Otherwise a plug-in could be made to
 * read one from a stanza that the gateway relays. */
static void begin_crossdomain(struct writer *writer)
{
	writer_put(writer,
		   SV("<?xml version=\"1.0\"?>\n"
		      "<!DOCTYPE cross-domain-policy SYSTEM"
		      " \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\">\n"
		      "<cross-domain-policy>\n"
		      "  <site-control permitted-cross-domain-policies=\"master-only\"/>\n"));
}

int documents_crossdomain(const struct origin_list *origins, struct buffer *ret_document)
{
	struct writer writer = writer_begin(ret_document);

	begin_crossdomain(&writer);
	/* The grammar requires all elements of one kind before those of the other. */
	write_grants(&writer, origins, &(struct grant){"allow-access-from", ""});
	write_grants(&writer, origins,
		     &(struct grant){"allow-http-request-headers-from",
				     " headers=\"" CORS_HEADERS_DEFAULT "\""});
	writer_put(&writer, SV("</cross-domain-policy>\n"));
	return writer_end(&writer);
}

int documents_flash_sockets(const struct origin_list *origins, const struct ports *ports,
			    struct buffer *ret_document)
{
	_cleanup_(buffer_deinit) struct buffer to_ports = BUFFER_INIT;
	struct writer attribute = writer_begin(&to_ports);
	struct writer writer = writer_begin(ret_document);

	writer_put(&attribute, SV(" to-ports=\""));
	write_ports(&attribute, ports);
	writer_put(&attribute, SV("\"\0"));
	writer_fail(&writer, writer_end(&attribute));
	begin_crossdomain(&writer);
	if (ports->n_ranges) {
		write_grants(&writer, origins,
			     &(struct grant){"allow-access-from", buffer_sv(&to_ports).data});
	}
	writer_put(&writer, SV("</cross-domain-policy>\n"));
	return writer_end(&writer);
}

/* Silverlight. */

/* What a <grant-to/> grants: a path, or ports for sockets. */
struct resources {
	struct sv path; /* data is NULL: none */
	const struct ports *ports;
};

static void write_resources(struct writer *writer, const struct resources *resources)
{
	if (resources->path.data) {
		writer_put(writer, SV("        <resource path=\""));
		writer_escaped(writer, resources->path);
		writer_put(writer, SV("\" include-subpaths=\"true\"/>\n"));
	}
	for (size_t i = 0; resources->ports && i < resources->ports->n_ranges; i++) {
		const struct ports one = {&resources->ports->ranges[i], 1};

		writer_put(writer, SV("        <socket-resource port=\""));
		write_ports(writer, &one);
		writer_put(writer, SV("\" protocol=\"tcp\"/>\n"));
	}
}

static void write_domain(struct writer *writer, const struct origin_pattern *pattern)
{
	writer_printf(writer, "        <domain uri=\"%s://", pattern->scheme);
	write_host(writer, &pattern->host);
	if (pattern->port) {
		writer_printf(writer, ":%u", pattern->port);
	}
	writer_put(writer, SV("\"/>\n"));
}

static bool has_scheme(const struct origin_list *origins, struct sv scheme)
{
	for (size_t i = 0; i < origins->n_patterns; i++) {
		if (pattern_has_scheme(&origins->patterns[i], scheme)) {
			return true;
		}
	}
	return false;
}

/* The callers of one scheme: Silverlight judges "http://..." and "https://..." apart, and "*" means
 * only pages of the scheme of the resource. The methods are the default, GET and POST. */
static void write_policy(struct writer *writer, const struct origin_list *origins, struct sv scheme,
			 const struct resources *resources)
{
	/* A <policy> without a domain is not valid. */
	if (!origins->allows_any && !has_scheme(origins, scheme)) {
		return;
	}
	writer_put(writer,
		   SV("    <policy>\n"
		      "      <allow-from http-request-headers=\"" CORS_HEADERS_DEFAULT "\">\n"));
	if (origins->allows_any) {
		writer_put(writer, SV("        <domain uri=\"*\"/>\n"));
		writer_printf(writer, "        <domain uri=\"%.*s://*\"/>\n", SV_ARGS(scheme));
	}
	for (size_t i = 0; !origins->allows_any && i < origins->n_patterns; i++) {
		if (pattern_has_scheme(&origins->patterns[i], scheme)) {
			write_domain(writer, &origins->patterns[i]);
		}
	}
	writer_put(writer, SV("      </allow-from>\n"
			      "      <grant-to>\n"));
	write_resources(writer, resources);
	writer_put(writer, SV("      </grant-to>\n"
			      "    </policy>\n"));
}

/* A document without a policy allows nobody. */
static int write_access_policy(const struct origin_list *origins, const struct resources *resources,
			       struct buffer *ret_document)
{
	struct writer writer = writer_begin(ret_document);

	writer_put(&writer, SV("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
			       "<access-policy>\n"
			       "  <cross-domain-access>\n"));
	if (resources->path.data || resources->ports->n_ranges) {
		write_policy(&writer, origins, SV("https"), resources);
		write_policy(&writer, origins, SV("http"), resources);
	}
	writer_put(&writer, SV("  </cross-domain-access>\n"
			       "</access-policy>\n"));
	return writer_end(&writer);
}

int documents_clientaccesspolicy(const struct origin_list *origins, struct sv bosh_path,
				 struct buffer *ret_document)
{
	return write_access_policy(origins, &(struct resources){.path = bosh_path}, ret_document);
}

int documents_silverlight_sockets(const struct origin_list *origins, const struct ports *ports,
				  struct buffer *ret_document)
{
	return write_access_policy(origins, &(struct resources){.ports = ports}, ret_document);
}

/* host-meta. */

#define REL_BOSH "urn:xmpp:alt-connections:xbosh"
#define REL_WEBSOCKET "urn:xmpp:alt-connections:websocket"

static void write_link(struct writer *writer, const char *rel, const char *url)
{
	if (!url[0]) {
		return;
	}
	writer_printf(writer, "  <Link rel=\"%s\" href=\"", rel);
	writer_escaped(writer, sv_from(url));
	writer_put(writer, SV("\"/>\n"));
}

int documents_host_meta(const char *bosh_url, const char *websocket_url,
			struct buffer *ret_document)
{
	struct writer writer = writer_begin(ret_document);

	writer_put(&writer, SV("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
			       "<XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">\n"));
	write_link(&writer, REL_BOSH, bosh_url);
	write_link(&writer, REL_WEBSOCKET, websocket_url);
	writer_put(&writer, SV("</XRD>\n"));
	return writer_end(&writer);
}

static void write_json_link(struct writer *writer, const char *rel, const char *url, bool follows)
{
	if (url[0]) {
		writer_printf(writer, "%s\n    {\"rel\": \"%s\", \"href\": \"", follows ? "," : "",
			      rel);
		writer_put(writer, sv_from(url));
		writer_put(writer, SV("\"}"));
	}
}

int documents_host_meta_json(const char *bosh_url, const char *websocket_url,
			     struct buffer *ret_document)
{
	struct writer writer = writer_begin(ret_document);

	writer_put(&writer, SV("{\n  \"links\": ["));
	write_json_link(&writer, REL_BOSH, bosh_url, false);
	write_json_link(&writer, REL_WEBSOCKET, websocket_url, bosh_url[0]);
	writer_put(&writer, SV("\n  ]\n}\n"));
	return writer_end(&writer);
}
