/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/xmpp/bounce.h"
#include "gateway/xmpp/namespace.h"
#include "tests/unit/corpus.h"
#include "tests/unit/failmalloc.h"

#define STANZAS "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
#define C "xmlns='jabber:client'"
#define UNAVAILABLE \
	"<error xmlns='jabber:client' type='wait'><recipient-unavailable " STANZAS "/></error>"
#define NO_SERVICE \
	"<error xmlns='jabber:client' type='cancel'><service-unavailable " STANZAS "/></error>"

static void check(const char *stanzas, const char *expected)
{
	struct buffer answers = BUFFER_INIT;
	struct xml_pool *pool;

	assert_int_equal(corpus_pool_new(namespaces, NS_COUNT, &pool), 0);
	assert_int_equal(bounce_stanzas(pool, sv_from(stanzas), &answers), 0);
	if (!sv_eq(buffer_sv(&answers), sv_from(expected))) {
		fail_msg("got\n%.*s\nexpected\n%s", (int)answers.n, buffer_sv(&answers).data,
			 expected);
	}
	buffer_deinit(&answers);
	xml_pool_free(pool);
}

/* XEP-0206, "recipient-unavailable": with its content, for offline storage. */
static void test_message(void **state)
{
	(void)state;
	check("<message " C " from='a@b/c' to='d@e/f' id='1' type='chat' "
	      "xml:lang='en'><body>x&lt;y</body><z/></message>",
	      "<message " C
	      " to='a@b/c' id='1' xml:lang='en' type='error'><body>x&lt;y</body><z/>" UNAVAILABLE
	      "</message>");
	check("<message " C "\n\tfrom = \"a'b\"\nto='d'\n></message\n>",
	      "<message " C " to=\"a'b\" type='error'>" UNAVAILABLE "</message>");
	check("<message " C " from='a'/>",
	      "<message " C " to='a' type='error'>" UNAVAILABLE "</message>");
	/* Declarations stay, because the content uses them; so do attributes with similar names. */
	check("<m:message xmlns:m='jabber:client' xmlns:x='urn:x' from='a' x:to='b' "
	      "x:type='/>'><x:y/></m:message>",
	      "<m:message xmlns:m='jabber:client' xmlns:x='urn:x' to='a' x:to='b' x:type='/>' "
	      "type='error'><x:y/>" UNAVAILABLE "</m:message>");
}

static void test_iq(void **state)
{
	(void)state;
	check("<iq " C " from='a' to='b' type='get' id='i'><query xmlns='q'/></iq>",
	      "<iq " C " to='a' id='i' type='error'>" NO_SERVICE "</iq>");
	check("<iq " C " from='a' type='set' id='i'/>",
	      "<iq " C " to='a' id='i' type='error'>" NO_SERVICE "</iq>");
}

static void test_silence(void **state)
{
	static const char *const rows[] = {
		"<presence " C " from='a'/>",
		"<presence " C " from='a' type='subscribe'/>",
		"<message " C " from='a' type='error'/>",
		"<iq " C " from='a' type='result' id='i'/>",
		"<iq " C " from='a' type='error' id='i'/>",
		"<iq " C " from='a' id='i'/>",
		/* A stanza without a sender is from the user's own account. */
		"<message " C " to='a'/>",
		"<iq " C " type='get' id='i'/>",
		"<message xmlns='other' from='a'/>",
		"<other " C " from='a'/>",
		"<r xmlns='urn:xmpp:sm:3'/>",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		check(rows[i], "");
	}
}

static void test_many(void **state)
{
	(void)state;
	check("<presence " C " from='a'/><message " C " from='b'/><iq " C " from='c' type='get'/>",
	      "<message " C " to='b' type='error'>" UNAVAILABLE "</message><iq " C
	      " to='c' type='error'>" NO_SERVICE "</iq>");
	/* The list ends at what cannot be parsed. */
	check("<message " C " from='b'/><x:y/><message " C " from='b'/>",
	      "<message " C " to='b' type='error'>" UNAVAILABLE "</message>");
	check("<message " C " from='b'/><message " C " from='b'",
	      "<message " C " to='b' type='error'>" UNAVAILABLE "</message>");
}

static int scenario(void *userdata)
{
	struct buffer answers = BUFFER_INIT;
	struct xml_pool *pool;
	int r = xml_pool_new(namespaces, NS_COUNT, &pool);

	(void)userdata;
	if (r < 0) {
		return r;
	}
	r = bounce_stanzas(
		pool,
		SV("<message " C " from='b'><body/></message><iq " C " from='c' type='get'/>"),
		&answers);
	buffer_deinit(&answers);
	xml_pool_free(pool);
	return r;
}

static void test_without_memory(void **state)
{
	(void)state;
	failmalloc_each(scenario, NULL, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message),        cmocka_unit_test(test_iq),
		cmocka_unit_test(test_silence),        cmocka_unit_test(test_many),
		cmocka_unit_test(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
