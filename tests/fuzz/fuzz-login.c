/* SPDX-License-Identifier: MIT */
/*
 * xmpp/login.h. The input is what the client sends, a zero, and what the server answers. A try is
 * found in whatever expat reads as an element of one of the four names. The count of open tries
 * never wraps, and the mechanism is made of the characters of one.
 *
 * covers: gateway/xmpp/login.c
 */
#include "tests/fuzz/fuzz.h"

#include <expat.h>
#include <limits.h>

#include "gateway/xmpp/login.h"
#include "gateway/xmpp/namespace.h"

enum {
	ELEMENT_MAX = 2000,
};

static struct xml_pool *pool;

static void XMLCALL count_try(void *userdata, const XML_Char *name, const XML_Char **attributes)
{
	size_t *n_tries = userdata;
	const char *colon = strchr(name, ':');

	(void)attributes;
	name = colon ? colon + 1 : name;
	*n_tries += strcmp(name, "auth") == 0 || strcmp(name, "authenticate") == 0 ||
		    strcmp(name, "password") == 0 || strcmp(name, "digest") == 0;
}

/* The elements of these names that are in @elements; 0 if it is not well-formed. */
static size_t count_tries(struct sv elements)
{
	XML_Parser parser = XML_ParserCreate("UTF-8");
	size_t n_tries = 0;

	FUZZ_CHECK(parser);
	XML_SetUserData(parser, &n_tries);
	XML_SetStartElementHandler(parser, count_try);
	bool is_good = XML_Parse(parser, "<r>", 3, 0) == XML_STATUS_OK &&
		       XML_Parse(parser, elements.data, (int)elements.n, 0) == XML_STATUS_OK &&
		       XML_Parse(parser, "</r>", 4, 1) == XML_STATUS_OK;

	XML_ParserFree(parser);
	return is_good ? n_tries : 0;
}

static void check_sent(struct login *login, struct sv elements)
{
	unsigned n_before = login->n_open;
	size_t n = login_sent(login, elements);
	size_t n_tries = count_tries(elements);

	FUZZ_CHECK(n >= (n_tries < UCHAR_MAX ? n_tries : UCHAR_MAX));
	FUZZ_CHECK(login->n_open >= n_before);
	FUZZ_CHECK(login->n_open == (n_before + n < UCHAR_MAX ? n_before + n : UCHAR_MAX));
	FUZZ_CHECK(strlen(login->mechanism) <= LOGIN_MECHANISM_MAX);
	FUZZ_CHECK(login->is_legacy ||
		   strspn(login->mechanism, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
			   strlen(login->mechanism));
}

static void check_received(struct login *login, struct sv answer)
{
	const struct xml_scan_options options = {.n_element_max = ELEMENT_MAX,
						 .with_children = NS_BIT(SASL) | NS_BIT(SASL2)};
	struct xml_scan scan;
	struct xml_item item;
	struct sv condition;
	int r;

	xml_scan_init_rootless(&scan, pool, &options);
	r = xml_scan_feed(&scan, answer.data, answer.n);
	FUZZ_CHECK(r >= 0);
	while (xml_scan_next(&scan, &item, &r)) {
		unsigned n_before = login->n_open;
		enum login_result result = LOGIN_NONE;

		if (item.kind == XML_ITEM_ELEMENT) {
			result = login_received(login, &scan, &item, &condition);
		}
		FUZZ_CHECK(login->n_open == n_before || login->n_open + 1U == n_before);
		FUZZ_CHECK(result == LOGIN_NONE || n_before == 0 || login->n_open < n_before);
	}
	xml_scan_deinit(&scan);
}

void fuzz_one(struct sv input)
{
	struct sv elements = fuzz_part(&input, '\0');
	char *copy = fuzz_copy(elements);
	struct login login = {0};

	if (!pool) {
		assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &pool), 0);
	}
	check_sent(&login, (struct sv){copy, elements.n});
	check_sent(&login, (struct sv){copy, elements.n});
	free(copy);
	check_received(&login, input);
}
