/* SPDX-License-Identifier: MIT */
/*
 * policy/forwarded.h. The input is the values of X-Forwarded-For, X-Forwarded-Proto and Forwarded,
 * a line for each. What the client claims, to the left of what trusted proxies have written,
 * changes nothing; from a peer that is no proxy nothing is believed.
 *
 * covers: policy/forwarded.c policy/client.c
 */
#include "tests/fuzz/fuzz.h"

#include "policy/forwarded.h"

static const char *const proxy_texts[] = {"10.0.0.0/8", "2001:db8::/32", "127.0.0.1"};

struct setting {
	struct networks proxies;
	enum forwarded_notation notation;
};

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), 4711, &address), 0);
	return address;
}

static bool is_equal(const struct forwarded_client *a, const struct forwarded_client *b)
{
	return address_is_same_host(&a->address, &b->address) && a->is_secure == b->is_secure &&
	       a->is_ignored == b->is_ignored;
}

static struct sv join(struct buffer *text, struct sv left, struct sv right)
{
	assert_int_equal(buffer_append_sv(text, left), 0);
	assert_int_equal(buffer_append_sv(text, SV(", ")), 0);
	assert_int_equal(buffer_append_sv(text, right), 0);
	return buffer_sv(text);
}

/* The client sends @claim, and one proxy, @peer, adds the client's address and scheme. */
static void check_claim(const struct setting *setting, const struct forwarded_headers *claim)
{
	const struct address peer = address_of("10.1.2.3"), client = address_of("203.0.113.7");
	struct buffer x_for = BUFFER_INIT, x_proto = BUFFER_INIT, forwarded = BUFFER_INIT;
	const struct forwarded_headers headers = {
		.x_for = join(&x_for, claim->x_for, SV("203.0.113.7")),
		.x_proto = join(&x_proto, claim->x_proto, SV("https")),
		.forwarded = join(&forwarded, claim->forwarded, SV("for=203.0.113.7;proto=https")),
	};
	struct forwarded_client found =
		forwarded_client(&setting->proxies, setting->notation, &peer, &headers);

	FUZZ_CHECK(address_is_same_host(&found.address, &client) && found.is_secure);
	FUZZ_CHECK(!found.is_ignored && address_port(&found.address) == 0);
	buffer_deinit(&x_for);
	buffer_deinit(&x_proto);
	buffer_deinit(&forwarded);
}

static void check_notation(const struct setting *setting, const struct forwarded_headers *headers)
{
	const struct address proxy = address_of("[2001:db8::1]"), other = address_of("192.0.2.9");
	struct forwarded_client found =
		forwarded_client(&setting->proxies, setting->notation, &proxy, headers);
	/* Only the notation that the operator has named counts. */
	const struct forwarded_headers own =
		setting->notation == FORWARDED_X
			? (struct forwarded_headers){headers->x_for, headers->x_proto, SV_EMPTY}
			: (struct forwarded_headers){SV_EMPTY, SV_EMPTY, headers->forwarded};
	struct forwarded_client same =
		forwarded_client(&setting->proxies, setting->notation, &proxy, &own);

	FUZZ_CHECK(is_equal(&found, &same) && !found.is_ignored);
	found = forwarded_client(&setting->proxies, setting->notation, &other, headers);
	FUZZ_CHECK(address_is_same_host(&found.address, &other) && !found.is_secure);
	FUZZ_CHECK(found.is_ignored == (own.x_for.n || own.x_proto.n || own.forwarded.n));
	check_claim(setting, headers);
}

void fuzz_one(struct sv input)
{
	struct setting setting = {.notation = FORWARDED_X};
	struct forwarded_headers headers;

	headers.x_for = fuzz_part(&input, '\n');
	headers.x_proto = fuzz_part(&input, '\n');
	headers.forwarded = fuzz_part(&input, '\n');
	for (size_t i = 0; i < ARRAY_LENGTH(proxy_texts); i++) {
		struct network network;

		assert_int_equal(network_parse(sv_from(proxy_texts[i]), &network), 0);
		assert_int_equal(networks_add(&setting.proxies, &network), 0);
	}
	networks_seal(&setting.proxies);
	setting.notation = FORWARDED_X;
	check_notation(&setting, &headers);
	setting.notation = FORWARDED_RFC7239;
	check_notation(&setting, &headers);
	networks_deinit(&setting.proxies);
}
