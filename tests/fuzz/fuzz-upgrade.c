/* SPDX-License-Identifier: MIT */
/*
 * ws/upgrade.h. The input is the headers of a handshake, a line for each. What is accepted is what
 * RFC 6455 asks for, and the answer has no line that the client has written.
 *
 * covers: gateway/ws/upgrade.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/ws/upgrade.h"

static void check_answer(const struct upgrade *upgrade)
{
	struct buffer answer = BUFFER_INIT;
	size_t n_lines = 0;

	assert_int_equal(upgrade_write(upgrade->key, upgrade_offers_deflate(upgrade->extensions),
				       SV_EMPTY, &answer),
			 0);
	struct sv rest = buffer_sv(&answer);

	FUZZ_CHECK(sv_starts_with(rest, SV("HTTP/1.1 101 ")));
	while (rest.n) {
		struct sv line = fuzz_part(&rest, '\n');

		FUZZ_CHECK(line.n > 0 && sv_find(line, '\r') == line.n - 1);
		FUZZ_CHECK(line.n > 1 || rest.n == 0);
		FUZZ_CHECK(n_lines++ < 8);
	}
	buffer_deinit(&answer);
}

void fuzz_one(struct sv input)
{
	struct upgrade upgrade = {.origin_is_allowed = true};

	upgrade.connection = fuzz_part(&input, '\n');
	upgrade.upgrade = fuzz_part(&input, '\n');
	upgrade.version = fuzz_part(&input, '\n');
	upgrade.key = fuzz_part(&input, '\n');
	upgrade.protocol = fuzz_part(&input, '\n');
	upgrade.extensions = fuzz_part(&input, '\n');
	enum upgrade_result result = upgrade_check(&upgrade);

	if (result == UPGRADE_OK) {
		FUZZ_CHECK(sv_has_token(upgrade.connection, SV("upgrade")));
		FUZZ_CHECK(sv_has_token(upgrade.upgrade, SV("websocket")));
		FUZZ_CHECK(sv_eq(sv_trim(upgrade.version), SV("13")));
		FUZZ_CHECK(sv_trim(upgrade.key).n == UPGRADE_KEY_LENGTH);
		check_answer(&upgrade);
		upgrade.origin_is_allowed = false;
		FUZZ_CHECK(upgrade_check(&upgrade) == UPGRADE_E_ORIGIN);
	} else {
		FUZZ_CHECK(result == UPGRADE_E_ORIGIN ||
			   (upgrade_status(result) >= 400 && upgrade_sentence(result)[0]));
	}
}
