/* SPDX-License-Identifier: MIT */
/*
 * proxy-in.h and upstream/proxy-header.h. Whole or cut, the verdict is the same, and what is behind
 * the header does not count. Of a header that is taken, the one that the gateway would write for
 * the same client is taken, too, and gives the same client.
 *
 * covers: gateway/listener/proxy-in.c gateway/upstream/proxy-header.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/listener/proxy-in.h"
#include "gateway/upstream/proxy-header.h"

static enum proxy_in_result parse(struct sv bytes, struct proxy_in *ret_header)
{
	char *copy = fuzz_copy(bytes);
	enum proxy_in_result result = proxy_in_parse((struct sv){copy, bytes.n}, ret_header);

	free(copy);
	return result;
}

static void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	enum proxy_in_result result = PROXY_IN_MORE;
	struct buffer bytes = BUFFER_INIT;
	struct proxy_in header = {0};
	char text[ADDRESS_TEXT_MAX];
	struct sv piece;

	(void)userdata;
	while (result == PROXY_IN_MORE && pieces_next(pieces, &piece)) {
		assert_int_equal(buffer_append_sv(&bytes, piece), 0);
		result = parse(buffer_sv(&bytes), &header);
	}
	LOG(log, "%d", (int)result);
	if (result == PROXY_IN_OK) {
		FUZZ_CHECK(header.n > 0 && header.n <= bytes.n && header.n <= PROXY_IN_MAX);
		LOG(log, " %zu %d %d %s", header.n, header.has_client, header.is_secure,
		    header.has_client ? address_format(&header.client, text) : "");
	} else {
		FUZZ_CHECK(result == PROXY_IN_E_BAD || bytes.n < PROXY_IN_MAX);
	}
	buffer_deinit(&bytes);
}

static void check_written(const struct proxy_in *header, enum domain_proxy version,
			  const char *gateway_text)
{
	char bytes[PROXY_HEADER_MAX];
	struct proxy_in again = {0};
	struct address gateway;

	assert_int_equal(address_parse(sv_from(gateway_text), -1, &gateway), 0);
	size_t n = proxy_header_write(version, header->has_client ? &header->client : NULL,
				      &gateway, bytes);

	FUZZ_CHECK(n > 0 && n <= PROXY_HEADER_MAX);
	FUZZ_CHECK(parse((struct sv){bytes, n}, &again) == PROXY_IN_OK && again.n == n);
	FUZZ_CHECK(again.has_client == header->has_client && !again.is_secure);
	if (header->has_client) {
		FUZZ_CHECK(address_is_same_host(&again.client, &header->client));
		FUZZ_CHECK(address_port(&again.client) == address_port(&header->client));
	}
	/* A part of it is no header yet. */
	for (size_t i = 0; i < n; i++) {
		FUZZ_CHECK(parse((struct sv){bytes, i}, &again) == PROXY_IN_MORE);
	}
}

void fuzz_one(struct sv input)
{
	struct proxy_in header = {0};

	fuzz_check_cuts(input, run, NULL);
	if (proxy_in_parse(input, &header) != PROXY_IN_OK) {
		return;
	}
	struct proxy_in alone = {0};

	FUZZ_CHECK(parse(sv_first(input, header.n), &alone) == PROXY_IN_OK);
	FUZZ_CHECK(alone.n == header.n && alone.has_client == header.has_client);
	FUZZ_CHECK(parse(sv_first(input, header.n - 1), &alone) == PROXY_IN_MORE);
	check_written(&header, DOMAIN_PROXY_V1, "192.0.2.1:5222");
	check_written(&header, DOMAIN_PROXY_V1, "[2001:db8::1]:5222");
	check_written(&header, DOMAIN_PROXY_V2, "192.0.2.1:5222");
	check_written(&header, DOMAIN_PROXY_V2, "[2001:db8::1]:5222");
}
