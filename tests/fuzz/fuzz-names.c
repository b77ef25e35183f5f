/* SPDX-License-Identifier: MIT */
/*
 * policy/domain.h, redirect.h, route.h and ports.h. What is taken is taken again in the form that
 * it got, as the same; nothing but the bytes of host names remains.
 *
 * covers: policy/domain.c policy/redirect.c policy/route.c policy/ports.c
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "policy/domain.h"
#include "policy/ports.h"
#include "policy/route.h"

#define HOST_BYTES "abcdefghijklmnopqrstuvwxyz0123456789-."

static void check_domain(struct sv text)
{
	char ascii[DOMAIN_MAX + 1], again[DOMAIN_MAX + 1], unicode[DOMAIN_UNICODE_MAX + 1];
	int r = domain_to_ascii(text, ascii);

	FUZZ_CHECK(r == 0 || r == -EINVAL);
	if (r < 0) {
		return;
	}
	size_t n = strlen(ascii);

	FUZZ_CHECK(n > 0 && n <= 253 && strspn(ascii, HOST_BYTES) == n && ascii[n - 1] != '.');
	FUZZ_CHECK(!domain_is_address(ascii));
	FUZZ_CHECK(domain_to_ascii(sv_from(ascii), again) == 0 && strcmp(ascii, again) == 0);
	FUZZ_CHECK(domain_host_to_ascii(sv_from(ascii), again) == 0 && strcmp(ascii, again) == 0);
	assert_int_equal(domain_to_unicode(ascii, unicode), 0);
	FUZZ_CHECK(strlen(unicode) <= DOMAIN_UNICODE_MAX);
	FUZZ_CHECK(domain_to_ascii(sv_from(unicode), again) == 0 && strcmp(ascii, again) == 0);
}

static void check_host(struct sv text)
{
	char ascii[DOMAIN_MAX + 1], again[DOMAIN_MAX + 1];
	bool is_pattern;

	if (domain_host_to_ascii(text, ascii) == 0) {
		FUZZ_CHECK(domain_host_to_ascii(sv_from(ascii), again) == 0);
		FUZZ_CHECK(strcmp(ascii, again) == 0);
		FUZZ_CHECK(strspn(ascii, HOST_BYTES "_:[]") == strlen(ascii));
	}
	if (domain_pattern_parse(text, ascii, &is_pattern) == 0) {
		FUZZ_CHECK(is_pattern || ascii[0]);
		FUZZ_CHECK(sv_find(sv_from(ascii), '*') == strlen(ascii));
	}
}

static void check_redirect(struct sv text)
{
	struct redirect redirect, again;
	struct buffer written = BUFFER_INIT;
	char address[ADDRESS_TEXT_MAX];

	if (redirect_parse(text, &redirect) < 0) {
		return;
	}
	if (redirect.host[0]) {
		LOG(&written, "%s", redirect.host);
		if (redirect.port) {
			LOG(&written, ":%u", redirect.port);
		}
	} else {
		LOG(&written, "%s", address_format(&redirect.address, address));
	}
	/* An address without a port is written with ":0", which is none. */
	if (redirect.host[0] || address_port(&redirect.address)) {
		assert_int_equal(redirect_parse(buffer_sv(&written), &again), 0);
		FUZZ_CHECK(again.port == redirect.port && strcmp(again.host, redirect.host) == 0);
		FUZZ_CHECK(redirect.host[0] ||
			   address_is_same_host(&again.address, &redirect.address));
	}
	buffer_deinit(&written);
}

/* Without a list only the default is allowed, and it leads nowhere. */
static void check_route(struct sv text)
{
	static const char *const listed[] = {"xmpp.example.org:5222", "192.0.2.1:5222"};
	const struct routes none = {0};
	struct routes routes;
	struct redirect destination;
	size_t bad;

	int r = routes_find(&none, text, "a.example", &destination);

	FUZZ_CHECK(r == ROUTE_DEFAULT || r == ROUTE_E_MALFORMED || r == ROUTE_E_REFUSED);
	FUZZ_CHECK(r != ROUTE_DEFAULT || sv_starts_with(text, SV("xmpp:")));
	assert_int_equal(routes_init(&routes, listed, ARRAY_LENGTH(listed), &bad), 0);
	int r_listed = routes_find(&routes, text, "a.example", &destination);

	FUZZ_CHECK(r_listed == r || (r_listed == ROUTE_LISTED && r == ROUTE_E_REFUSED));
	if (r_listed == ROUTE_LISTED) {
		FUZZ_CHECK(strcmp(destination.host, "xmpp.example.org") == 0 ||
			   destination.host[0] == '\0');
		FUZZ_CHECK(destination.port == 5222 || !destination.host[0]);
	}
	routes_deinit(&routes);
}

static void check_ports(struct sv text)
{
	char *string = fuzz_string(text);
	const char *const texts[] = {string};
	struct ports ports;
	size_t bad = 1;
	int r = ports_init(&ports, texts, 1, &bad);

	FUZZ_CHECK(r == 0 || (r == -EINVAL && bad == 0));
	if (r == 0) {
		FUZZ_CHECK(!ports_allow(&ports, 0) && ports.n_ranges == 1);
		FUZZ_CHECK(ports_allow(&ports, ports.ranges[0].first));
		ports_deinit(&ports);
	}
	free(string);
}

void fuzz_one(struct sv input)
{
	check_domain(input);
	check_host(input);
	check_redirect(input);
	check_route(input);
	check_ports(input);
}
