/* SPDX-License-Identifier: MIT */
#include "policy/policy-request.h"

enum policy_request policy_request_judge(struct sv bytes)
{
	static const char request[POLICY_REQUEST_LENGTH] = "<policy-file-request/>";
	struct sv whole = {request, POLICY_REQUEST_LENGTH};

	if (!sv_may_become(bytes, whole)) {
		return POLICY_REQUEST_OTHER;
	}
	if (bytes.n >= whole.n) {
		return POLICY_REQUEST_WHOLE;
	}
	return bytes.n == whole.n - 1 ? POLICY_REQUEST_BARE : POLICY_REQUEST_MORE;
}
