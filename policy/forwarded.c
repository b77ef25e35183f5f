/* SPDX-License-Identifier: MIT */
#include "policy/forwarded.h"

/* What a proxy says about one hop. */
struct hop {
	struct sv from;  /* as text; empty: not said */
	struct sv proto; /* likewise */
};

static bool is_escaped(struct sv text, size_t i)
{
	size_t n_backslashes = 0;

	while (n_backslashes < i && text.data[i - n_backslashes - 1] == '\\') {
		n_backslashes++;
	}
	return n_backslashes % 2 == 1;
}

/* Removes what stands behind the last comma. With @has_quotes (RFC 9110, 5.6.4), a comma within a
 * quoted string does not count. Quotes are counted from the right, for a client that sends half a
 * pair must not be able to hide what the proxies added. Returns false at the end. */
static bool take_last(struct sv *rest, bool has_quotes, struct sv *ret_item)
{
	bool is_quoted = false;
	size_t start = rest->n;

	if (!rest->data) {
		return false;
	}
	for (; start > 0; start--) {
		char c = rest->data[start - 1];

		if (has_quotes && c == '"' && !is_escaped(*rest, start - 1)) {
			is_quoted = !is_quoted;
		} else if (c == ',' && !is_quoted) {
			break;
		}
	}
	*ret_item = sv_trim(sv_skip(*rest, start));
	*rest = start ? sv_first(*rest, start - 1) : SV_EMPTY;
	return true;
}

/* Some proxies add the port of the client, which is meaningless here. A zone is refused: it would
 * name a network interface of this host. */
static bool parse_address(struct sv item, struct address *ret_address)
{
	if (sv_has(item, '%') || address_parse(item, 0, ret_address) < 0) {
		return false;
	}
	address_set_port(ret_address, 0);
	return true;
}

/* The value of a pair: a token, or a quoted string. One with an escaped character is no address and
 * no scheme, so it need not be unescaped. */
static struct sv unquote(struct sv value)
{
	bool is_quoted = value.n >= 2 && value.data[0] == '"' && value.data[value.n - 1] == '"';

	return is_quoted ? sv_first(sv_skip(value, 1), value.n - 2) : value;
}

/* RFC 7239, 4: forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] ). A name that
 * comes twice makes the element ambiguous: it says nothing. */
static struct hop read_element(struct sv element)
{
	struct hop hop = {0};
	struct sv pair;

	while (sv_split(&element, ';', &pair)) {
		size_t n = sv_find(pair, '=');
		struct sv name = sv_first(pair, n);
		struct sv value = unquote(sv_skip(pair, n + 1));
		struct sv *member = sv_eq_nocase(name, SV("for"))   ? &hop.from
				  : sv_eq_nocase(name, SV("proto")) ? &hop.proto
								    : NULL;

		if (member && member->data) {
			return (struct hop){0};
		}
		if (member) {
			*member = value;
		}
	}
	return hop;
}

/* Reads chains from the right. */
struct chain {
	enum forwarded_notation notation;
	struct sv addresses, protos; /* what has not been read yet */
	struct sv only_proto;        /* the one that counts for all hops; data NULL: none */
};

static struct chain chain_begin(enum forwarded_notation notation,
				const struct forwarded_headers *headers)
{
	struct chain chain = {.notation = notation};
	struct sv protos = headers->x_proto;
	struct sv only;

	if (notation == FORWARDED_RFC7239) {
		chain.addresses = headers->forwarded;
		return chain;
	}
	chain.addresses = headers->x_for;
	chain.protos = headers->x_proto;
	if (take_last(&protos, false, &only) && !protos.data) {
		chain.only_proto = only;
	}
	return chain;
}

/* Returns false when the chain is at its end. */
static bool chain_next(struct chain *chain, struct hop *ret_hop)
{
	struct hop hop = {0};
	struct sv item;
	bool is_rfc7239 = chain->notation == FORWARDED_RFC7239;
	bool has_next = take_last(&chain->addresses, is_rfc7239, &item);

	if (is_rfc7239) {
		*ret_hop = has_next ? read_element(item) : hop;
		return has_next;
	}
	hop.from = has_next ? item : SV_EMPTY;
	if (take_last(&chain->protos, false, &item)) {
		hop.proto = item;
	}
	if (chain->only_proto.data) {
		hop.proto = chain->only_proto;
	}
	*ret_hop = hop;
	return has_next;
}

static bool has_headers(enum forwarded_notation notation, const struct forwarded_headers *headers)
{
	return notation == FORWARDED_X ? headers->x_for.n || headers->x_proto.n
				       : headers->forwarded.n > 0;
}

struct forwarded_client forwarded_client(const struct networks *proxies,
					 enum forwarded_notation notation,
					 const struct address *peer,
					 const struct forwarded_headers *headers)
{
	struct forwarded_client client = {.address = *peer};
	struct chain chain = chain_begin(notation, headers);
	struct address address;
	struct hop hop = {0};

	if (!networks_contain(proxies, peer)) {
		client.is_ignored = has_headers(notation, headers);
		return client;
	}
	/* The first hop's scheme counts even when no proxy tells an address. */
	bool has_next = chain_next(&chain, &hop);

	while (has_next && parse_address(hop.from, &address)) {
		client.address = address;
		if (!networks_contain(proxies, &address) || !chain.addresses.data) {
			break;
		}
		has_next = chain_next(&chain, &hop);
	}
	client.is_secure = sv_eq_nocase(hop.proto, SV("https"));
	return client;
}
