/* SPDX-License-Identifier: MIT */
/*
 * gateway/bosh/session.h with a client that follows all rules, over a bad network, and with servers
 * that fail: session-model.h. The input decides what happens and when.
 *
 * covers: gateway/bosh/session.c gateway/bosh/request.c gateway/bosh/process.c
 * covers: gateway/bosh/release.c gateway/bosh/ending.c gateway/bosh/response.c
 * covers: gateway/bosh/payloads.c gateway/bosh/streams.c gateway/bosh/reply-cache.c
 * covers: gateway/bosh/slots.c gateway/bosh/early.c gateway/bosh/last-answer.c
 * covers: gateway/bosh/actions.c gateway/bosh/answer.c gateway/bosh/key.c
 */
#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/session-model.h"

void fuzz_one(struct sv input)
{
	session_model_run(&(struct choices){.input = input}, "input");
}
