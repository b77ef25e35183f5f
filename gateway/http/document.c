/* SPDX-License-Identifier: MIT */
#include "gateway/http/document.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/writer.h"
#include "gateway/http/page/page.h"

enum {
	HASH_TEXT_SIZE = 4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1,
	POLICY_SIZE = 512, /* some 300 with two hashes */
};

struct mark {
	struct sv name;
	struct sv value;
};

/* Appends @text with each mark replaced by its value. Returns 0 or -ENOMEM. */
static int fill(struct sv text, const struct mark *marks, size_t n_marks, struct buffer *ret_filled)
{
	struct writer writer = writer_begin(ret_filled);

	while (text.n) {
		size_t at = text.n;
		const struct mark *found = NULL;

		for (size_t i = 0; i < n_marks; i++) {
			size_t here = sv_find_sv(text, marks[i].name);

			if (here < at) {
				at = here;
				found = &marks[i];
			}
		}
		writer_put(&writer, sv_first(text, at));
		writer_put(&writer, found ? found->value : SV_EMPTY);
		text = sv_skip(text, at + (found ? found->name.n : 0));
	}
	return writer_end(&writer);
}

static void hash(struct sv text, char ret_text[static HASH_TEXT_SIZE])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)text.data, text.n, digest);
	EVP_EncodeBlock((unsigned char *)ret_text, digest, sizeof(digest));
}

int document_page(const struct config *config, struct blob **ret_document, char **ret_policy)
{
	_cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
	struct sv html = {(const char *)page_html, n_page_html};
	struct sv style = {(const char *)page_css, n_page_css};
	struct sv script = {(const char *)page_js, n_page_js};
	char style_hash[HASH_TEXT_SIZE], script_hash[HASH_TEXT_SIZE];
	const struct mark marks[] = {
		{SV("@STYLE@"), style},
		{SV("@SCRIPT@"), script},
		{SV("@BOSH@"), sv_from(config->bosh_path)},
		{SV("@WEBSOCKET@"), sv_from(config->websocket_path)},
		{SV("@VERSION@"), SV(DOAB_VERSION)},
	};
	char text[POLICY_SIZE];
	int r = fill(html, marks, ARRAY_LENGTH(marks), &page);

	if (r < 0) {
		return r;
	}
	hash(style, style_hash);
	hash(script, script_hash);
	snprintf(text, sizeof(text),
		 "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "
		 "connect-src 'self' ws: wss: http: https:; img-src data:; base-uri 'none'; "
		 "form-action 'none'; frame-ancestors 'none'",
		 script_hash, style_hash);
	char *policy = strdup(text);

	if (!policy) {
		return -ENOMEM;
	}
	r = blob_new(page.n, ret_document);
	if (r < 0) {
		free(policy);
		return r;
	}
	memcpy((*ret_document)->data, buffer_sv(&page).data, page.n);
	*ret_policy = policy;
	return 0;
}
