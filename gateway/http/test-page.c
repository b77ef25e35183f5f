/* SPDX-License-Identifier: MIT */
#include "gateway/http/test-page.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/writer.h"
#include "gateway/failure.h"
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

/* Appends what the page knows failures by: an object of their sentences, each with its name. */
static int list_failures(struct buffer *ret_list)
{
	struct writer writer = writer_begin(ret_list);

	writer_put(&writer, SV("{"));
	for (enum failure_kind kind = FAILURE_NONE + 1; kind < FAILURE_COUNT; kind++) {
		json_member_string(&writer, failure_sentence(kind), sv_from(failure_name(kind)));
	}
	writer_put(&writer, SV("}"));
	return writer_end(&writer);
}

/* Returns 0 or -ENOMEM. */
static int hash(struct sv text, char ret_text[static HASH_TEXT_SIZE])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	if (!SHA256((const unsigned char *)text.data, text.n, digest)) {
		return -ENOMEM;
	}
	EVP_EncodeBlock((unsigned char *)ret_text, digest, sizeof(digest));
	return 0;
}

/* Writes the policy for a page of @style and @script. Returns 0 or -ENOMEM. */
static int write_policy(struct sv style, struct sv script, char **ret_policy)
{
	char style_hash[HASH_TEXT_SIZE], script_hash[HASH_TEXT_SIZE];
	char text[POLICY_SIZE];

	if (hash(style, style_hash) < 0 || hash(script, script_hash) < 0) {
		return -ENOMEM;
	}
	snprintf(text, sizeof(text),
		 "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "
		 "connect-src 'self' ws: wss: http: https:; img-src data:; base-uri 'none'; "
		 "form-action 'none'; frame-ancestors 'none'",
		 script_hash, style_hash);
	*ret_policy = strdup(text);
	return *ret_policy ? 0 : -ENOMEM;
}

int test_page_make(const struct config *config, struct blob **ret_document, char **ret_policy)
{
	_cleanup_(buffer_deinit) struct buffer page = BUFFER_INIT;
	_cleanup_(buffer_deinit) struct buffer failures = BUFFER_INIT;
	struct sv html = {(const char *)page_html, n_page_html};
	struct sv style = {(const char *)page_css, n_page_css};
	struct sv script = {(const char *)page_js, n_page_js};
	char *policy = NULL;
	int r = list_failures(&failures);
	const struct mark marks[] = {
		{SV("@STYLE@"), style},
		{SV("@SCRIPT@"), script},
		{SV("@FAILURES@"), buffer_sv(&failures)},
		{SV("@BOSH@"), sv_from(config->bosh_path)},
		{SV("@WEBSOCKET@"), sv_from(config->websocket_path)},
		{SV("@PUBLIC_BOSH@"), sv_from(config->web.bosh_url)},
		{SV("@PUBLIC_WEBSOCKET@"), sv_from(config->web.websocket_url)},
		{SV("@VERSION@"), SV(DOAB_VERSION)},
	};

	if (r == 0) {
		r = fill(html, marks, ARRAY_LENGTH(marks), &page);
	}
	if (r == 0) {
		r = write_policy(style, script, &policy);
	}
	if (r == 0) {
		r = blob_copy(buffer_sv(&page), ret_document);
	}
	if (r < 0) {
		free(policy);
		return r;
	}
	*ret_policy = policy;
	return 0;
}
