/* SPDX-License-Identifier: MIT */
#include "gateway/http/fixed.h"

#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/http/coder.h"
#include "gateway/http/test-page.h"
#include "gateway/http/head.h"
#include "policy/documents.h"

/* Where each text is served by HTTP, and as what. The socket policies are not. */
static const struct {
	const char *path;
	const char *content_type;
} kinds[FIXED_COUNT] = {
	[FIXED_PAGE] = {NULL, "text/html; charset=utf-8"},
	/* The type that Flash wants of policies that are not the master. */
	[FIXED_CROSSDOMAIN] = {"/crossdomain.xml", "text/x-cross-domain-policy"},
	[FIXED_CLIENTACCESS] = {"/clientaccesspolicy.xml", "text/xml; charset=utf-8"},
	/* RFC 6415, 3. */
	[FIXED_HOST_META] = {"/.well-known/host-meta", "application/xrd+xml; charset=utf-8"},
	[FIXED_HOST_META_JSON] = {"/.well-known/host-meta.json", "application/json"},
};

/* The policy for sockets of Flash: to the ports that the operator names, or those of HTTP. */
static int write_flash_sockets(const struct config *config, struct buffer *ret_text)
{
	struct ports ports = config->web.flash_ports;

	if (ports.n_ranges) {
		return documents_flash_sockets(&config->origins, &ports, ret_text);
	}
	ports.ranges = calloc(config->listeners.n + 1, sizeof(*ports.ranges));
	if (!ports.ranges) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < config->listeners.n; i++) {
		const struct config_listener *listener = &config->listeners.list[i];

		uint16_t port = address_port(&listener->address);

		if (listener->kind == CONFIG_LISTENER_ADDRESS && !ports_allow(&ports, port)) {
			ports.ranges[ports.n_ranges++] = (struct ports_range){port, port};
		}
	}
	int r = documents_flash_sockets(&config->origins, &ports, ret_text);

	free(ports.ranges);
	return r;
}

/* Appends the document @id as it is made from the configuration; nothing if there is none. */
static int write_document(enum fixed_id id, const struct config *config, struct buffer *ret_text)
{
	const struct config_web *web = &config->web;
	bool has_url = web->bosh_url[0] || web->websocket_url[0];
	struct sv bosh_path = sv_from(config->bosh_path);

	if (bosh_path.data[bosh_path.n - 1] == '/') {
		bosh_path.n--;
	}
	switch (id) {
	case FIXED_CROSSDOMAIN:
		return documents_crossdomain(&config->origins, ret_text);
	case FIXED_CLIENTACCESS:
		return documents_clientaccesspolicy(&config->origins, bosh_path, ret_text);
	case FIXED_HOST_META:
		return has_url ? documents_host_meta(web->bosh_url, web->websocket_url, ret_text)
			       : 0;
	case FIXED_HOST_META_JSON:
		return has_url
			     ? documents_host_meta_json(web->bosh_url, web->websocket_url, ret_text)
			     : 0;
	case FIXED_FLASH_SOCKETS:
		return write_flash_sockets(config, ret_text);
	case FIXED_SILVERLIGHT_SOCKETS:
		return documents_silverlight_sockets(&config->origins, &web->silverlight_ports,
						     ret_text);
	default:
		return 0;
	}
}

/* The operator's own text for the document @id; NULL: there is none. */
static const char *replacement(enum fixed_id id, const struct config_web *web)
{
	switch (id) {
	case FIXED_CROSSDOMAIN:
		return web->crossdomain;
	case FIXED_CLIENTACCESS:
		return web->clientaccesspolicy;
	case FIXED_HOST_META:
		return web->host_meta;
	case FIXED_HOST_META_JSON:
		return web->host_meta_json;
	case FIXED_FLASH_SOCKETS:
		return web->flash_sockets;
	case FIXED_SILVERLIGHT_SOCKETS:
		return web->silverlight_sockets;
	default:
		return NULL;
	}
}

static int make_document(struct fixed_text *text, enum fixed_id id, const struct config *config)
{
	_cleanup_(buffer_deinit) struct buffer made = BUFFER_INIT;
	const char *own = replacement(id, &config->web);

	if (own) {
		return blob_copy(sv_from(own), &text->in[CODING_IDENTITY]);
	}
	int r = write_document(id, config, &made);

	return r < 0 || made.n == 0 ? r : blob_copy(buffer_sv(&made), &text->in[CODING_IDENTITY]);
}

/* Returns 0 or -ENOMEM. */
static int make_tag(struct fixed_text *text)
{
	const struct blob *blob = text->in[CODING_IDENTITY];
	unsigned char digest[SHA256_DIGEST_LENGTH];
	uint64_t number;

	if (!SHA256((const unsigned char *)blob->data, blob->n, digest)) {
		return -ENOMEM;
	}
	memcpy(&number, digest, sizeof(number));
	snprintf(text->tag, sizeof(text->tag), "W/\"%016llx\"", (unsigned long long)number);
	return 0;
}

static int encode(struct fixed_text *text, struct coder *coder)
{
	struct sv plain = blob_sv(text->in[CODING_IDENTITY]);
	int r = 0;

	if (plain.n < CODING_TEXT_MIN || plain.n > CODING_TEXT_MAX) {
		return 0;
	}
	for (enum coding coding = CODING_IDENTITY + 1; r == 0 && coding < CODING_COUNT; coding++) {
		r = coder_encode(coder, coding, plain, &text->in[coding]);
	}
	return r;
}

static int encode_all(struct fixed *fixed)
{
	struct coder *coder;
	int r = coder_new(&coder);

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; r == 0 && i < FIXED_COUNT; i++) {
		if (fixed->texts[i].in[CODING_IDENTITY]) {
			r = encode(&fixed->texts[i], coder);
		}
	}
	coder_free(coder);
	return r;
}

int fixed_init(struct fixed *fixed, const struct config *config)
{
	*fixed = (struct fixed){.page_policy = NULL};
	int r = test_page_make(config, &fixed->texts[FIXED_PAGE].in[CODING_IDENTITY],
			       &fixed->page_policy);

	for (size_t i = 0; r == 0 && i < FIXED_COUNT; i++) {
		struct fixed_text *text = &fixed->texts[i];

		text->path = kinds[i].path;
		text->content_type = kinds[i].content_type;
		if (i != FIXED_PAGE) {
			r = make_document(text, i, config);
		}
		if (r == 0 && text->in[CODING_IDENTITY]) {
			r = make_tag(text);
		}
	}
	return r == 0 && config->coding ? encode_all(fixed) : r;
}

void fixed_deinit(struct fixed *fixed)
{
	for (size_t i = 0; i < FIXED_COUNT; i++) {
		for (size_t coding = 0; coding < CODING_COUNT; coding++) {
			blob_unref(fixed->texts[i].in[coding]);
		}
	}
	free(fixed->page_policy);
	*fixed = (struct fixed){.page_policy = NULL};
}

const struct fixed_text *fixed_find(const struct fixed *fixed, struct sv path)
{
	for (size_t i = 0; i < FIXED_COUNT; i++) {
		const struct fixed_text *text = &fixed->texts[i];

		if (text->path && text->in[CODING_IDENTITY] &&
		    http_path_eq(path, sv_from(text->path))) {
			return text;
		}
	}
	return NULL;
}

/* Weak tags are compared without the W/ (RFC 9110, 8.8.3.2). */
static struct sv opaque(struct sv tag)
{
	return sv_starts_with(tag, SV("W/")) ? sv_skip(tag, strlen("W/")) : tag;
}

bool fixed_text_is_known(const struct fixed_text *text, struct sv tags)
{
	struct sv tag;

	/* Our tags have no comma. */
	while (sv_split(&tags, ',', &tag)) {
		if (sv_eq(tag, SV("*")) || sv_eq(opaque(tag), opaque(sv_from(text->tag)))) {
			return true;
		}
	}
	return false;
}
