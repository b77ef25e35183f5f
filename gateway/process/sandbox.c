/* SPDX-License-Identifier: MIT */
#include "gateway/process/sandbox.h"

#include <errno.h>
#include <sys/prctl.h>

#include "common/log.h"
#include "gateway/process/calls.h"
#include "gateway/process/files.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

int sandbox_enter(const struct config *config, struct sandbox *ret_sandbox)
{
	*ret_sandbox = (struct sandbox){0};
	if (!config->has_sandbox) {
		return 0;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		return -errno;
	}
	if (IS_SANITIZED) {
		return 0;
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		return -errno;
	}
	int r = files_restrict(config, &ret_sandbox->restricts_files);

	if (r == 0) {
		r = calls_restrict();
	}
	ret_sandbox->restricts_calls = r == 0;
	return r;
}

void sandbox_log(const struct sandbox *sandbox)
{
	log_info("sandbox", LOG_STR("files", sandbox->restricts_files ? "restricted" : "any"),
		 LOG_STR("calls", sandbox->restricts_calls ? "restricted" : "any"));
}
