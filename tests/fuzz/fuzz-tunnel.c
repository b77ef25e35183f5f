/* SPDX-License-Identifier: MIT */
/*
 * upstream/tunnel.h and policy/egress.h. The input is a proxy as the operator writes it, up to the
 * first zero, and what that proxy says. Whole or cut, the outcome is the same, and so is where the
 * server's own bytes begin; what is written fits.
 *
 * covers: gateway/upstream/tunnel.c gateway/upstream/socks.c gateway/upstream/http-connect.c
 * covers: policy/egress.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/upstream/tunnel.h"

static const struct tunnel_server server = {.host = "xmpp.example.org", .port = 5222};

static void log_result(enum tunnel_result result, size_t n_used, const struct failure *failure,
		       struct buffer *log)
{
	LOG(log, "%d after %zu", (int)result, n_used);
	if (result == TUNNEL_FAILED) {
		FUZZ_CHECK(failure->kind != FAILURE_NONE);
		FUZZ_CHECK(strnlen(failure->detail, FAILURE_DETAIL_MAX) < FAILURE_DETAIL_MAX);
		LOG(log, " %d %s", (int)failure->kind, failure->detail);
	}
}

static void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	enum tunnel_result result = TUNNEL_MORE;
	struct failure failure = {0};
	struct tunnel tunnel;
	struct sv piece;
	size_t n_used = 0, n;

	tunnel_init(&tunnel, userdata, &server);
	FUZZ_CHECK(tunnel.out.n > 0);
	while (result == TUNNEL_MORE && pieces_next(pieces, &piece)) {
		FUZZ_CHECK(tunnel.out.n <= TUNNEL_OUT_MAX);
		LOG(log, "> %.*s\n", (int)tunnel.out.n, tunnel.out.data);
		/* A proxy may answer what has not been written to it yet. */
		result = tunnel_feed(&tunnel, piece, &n, &failure);
		FUZZ_CHECK(n <= piece.n && (n == piece.n || result != TUNNEL_MORE));
		n_used += n;
	}
	/* How much is written when depends on the pieces. */
	buffer_clear(log);
	log_result(result, n_used, &failure, log);
	LOG(log, "> %.*s\n", (int)tunnel.out.n, tunnel.out.data);
	tunnel_written(&tunnel, tunnel.out.n);
	FUZZ_CHECK(tunnel.out.n == 0);
	tunnel_deinit(&tunnel);
	tunnel_deinit(&tunnel);
}

void fuzz_one(struct sv input)
{
	struct sv text = fuzz_part(&input, '\0');
	char written[EGRESS_TEXT_MAX];
	struct egress egress = {0}, again = {0};

	if (egress_parse(text, &egress) == 0) {
		FUZZ_CHECK(egress.kind != EGRESS_NONE);
		FUZZ_CHECK(!egress.password || strlen(egress.password) <= EGRESS_LOGIN_MAX);
		assert_int_equal(egress_parse(sv_from(egress_format(&egress, written)), &again), 0);
		FUZZ_CHECK(again.kind == egress.kind && again.port == egress.port);
		FUZZ_CHECK(!again.user && !again.password);
		egress_deinit(&again);
		fuzz_check_cuts(input, run, &egress);
	}
	egress_deinit(&egress);
}
