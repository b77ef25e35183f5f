/* SPDX-License-Identifier: MIT */
/*
 * policy/policy-request.h and policy/documents.h: what plug-ins ask for, and what they get. The
 * input is a pattern of origins, a line of ports, and the beginning of a connection.
 *
 * A request is judged as a comparison with the two requests judges it; what has become something
 * else stays so. Each document is XML for any list, and grants a page nothing without a pattern.
 * host-meta has a link for each URL; the pattern is one, if it could be.
 *
 * covers: policy/policy-request.c policy/documents.c
 */
#include "tests/fuzz/fuzz.h"

#include <expat.h>

#include "policy/documents.h"
#include "policy/policy-request.h"

static const char flash[] = "<policy-file-request/>"; /* with its NUL */

static enum policy_request expected(struct sv bytes)
{
	size_t n = bytes.n < sizeof(flash) ? bytes.n : sizeof(flash);

	if (n && memcmp(bytes.data, flash, n) != 0) {
		return POLICY_REQUEST_OTHER;
	}
	return n == sizeof(flash)     ? POLICY_REQUEST_WHOLE
	     : n == sizeof(flash) - 1 ? POLICY_REQUEST_BARE
				      : POLICY_REQUEST_MORE;
}

static void check_request(struct sv bytes)
{
	bool was_other = false;

	for (size_t n = 0; n <= bytes.n && n <= 2 * sizeof(flash); n++) {
		char *copy = fuzz_copy(sv_first(bytes, n));
		enum policy_request judged = policy_request_judge((struct sv){copy, n});

		FUZZ_CHECK(judged == expected(sv_first(bytes, n)));
		FUZZ_CHECK(!was_other || judged == POLICY_REQUEST_OTHER);
		was_other = judged == POLICY_REQUEST_OTHER;
		free(copy);
	}
}

static void on_element(void *userdata, const XML_Char *name, const XML_Char **attributes)
{
	size_t *n_grants = userdata;

	(void)attributes;
	*n_grants += strcmp(name, "allow-access-from") == 0 || strcmp(name, "domain") == 0 ||
		     strcmp(name, "Link") == 0;
}

/* Returns how many grants or links stand in the document, which is emptied. */
static size_t count_grants(struct buffer *document)
{
	XML_Parser parser = XML_ParserCreate(NULL);
	size_t n_grants = 0;

	FUZZ_CHECK(parser);
	XML_SetUserData(parser, &n_grants);
	XML_SetStartElementHandler(parser, on_element);
	if (XML_Parse(parser, buffer_sv(document).data, (int)document->n, 1) != XML_STATUS_OK) {
		fail_msg("not XML:\n%.*s", SV_ARGS(buffer_sv(document)));
	}
	XML_ParserFree(parser);
	buffer_deinit(document);
	return n_grants;
}

static size_t count_web(const struct origin_list *origins)
{
	size_t n = 0;

	for (size_t i = 0; i < origins->n_patterns; i++) {
		struct sv scheme = sv_from(origins->patterns[i].scheme);

		n += sv_eq(scheme, SV("http")) || sv_eq(scheme, SV("https"));
	}
	return n;
}

static void check_documents(const struct origin_list *origins, const struct ports *ports)
{
	struct buffer document = BUFFER_INIT;
	size_t n_web = count_web(origins);
	/* Flash has one element for each host, and one for any: its files have no schemes. */
	size_t n_flash = origins->allows_any ? 1 : n_web;
	/* Silverlight has one for each pattern. It judges http and https apart, and "*" means pages
	 * of the scheme of the resource only: two for each scheme are any. */
	size_t n_silverlight = origins->allows_any ? 4 : n_web;

	assert_int_equal(documents_crossdomain(origins, &document), 0);
	size_t n = count_grants(&document);

	FUZZ_CHECK(n <= n_flash && (n == 0) == (n_flash == 0));
	assert_int_equal(documents_clientaccesspolicy(origins, SV("/http-bind"), &document), 0);
	assert_int_equal(count_grants(&document), n_silverlight);
	assert_int_equal(documents_flash_sockets(origins, ports, &document), 0);
	assert_int_equal(count_grants(&document), ports->n_ranges ? n : 0);
	assert_int_equal(documents_silverlight_sockets(origins, ports, &document), 0);
	assert_int_equal(count_grants(&document), ports->n_ranges ? n_silverlight : 0);
}

static bool may_be_url(const char *text)
{
	for (; *text; text++) {
		if (*text < 0x21 || *text > 0x7e || strchr("\"'\\", *text)) {
			return false;
		}
	}
	return true;
}

/* Of the two URLs, each may be empty. */
static void check_host_meta(const char *bosh, const char *websocket)
{
	size_t n_links = (bosh[0] != '\0') + (websocket[0] != '\0');
	struct buffer document = BUFFER_INIT;
	size_t n_json = 0;

	assert_int_equal(documents_host_meta(bosh, websocket, &document), 0);
	assert_int_equal(count_grants(&document), n_links);
	assert_int_equal(documents_host_meta_json(bosh, websocket, &document), 0);
	/* Four texts a link, and the name of the list. */
	for (size_t i = 0; i < document.n; i++) {
		n_json += buffer_sv(&document).data[i] == '"';
	}
	assert_int_equal(n_json, 2 + 8 * n_links);
	buffer_deinit(&document);
}

void fuzz_one(struct sv input)
{
	char *pattern = fuzz_string(fuzz_part(&input, '\n'));
	char *range = fuzz_string(fuzz_part(&input, '\n'));
	const char *const patterns[] = {pattern, "https://*.example.org:*"};
	const char *const ranges[] = {range};
	struct origin_list origins;
	struct ports ports = {0};
	size_t bad;

	check_request(input);
	if (may_be_url(pattern)) {
		check_host_meta(pattern, "");
		check_host_meta("", pattern);
		check_host_meta(pattern, pattern);
	}
	if (origin_list_init(&origins, patterns, ARRAY_LENGTH(patterns), &bad) == 0) {
		if (ports_init(&ports, ranges, 1, &bad) < 0) {
			ports = (struct ports){0};
		}
		check_documents(&origins, &ports);
		ports_deinit(&ports);
		origin_list_deinit(&origins);
	}
	free(pattern);
	free(range);
}
