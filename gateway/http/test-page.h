/* SPDX-License-Identifier: MIT */
#pragma once
/* Makes the test page: one document from its three files, and the policy that browsers apply to
 * it. */
#include "common/blob.h"
#include "gateway/config/config.h"

/* *ret_document is the page, *ret_policy the value of Content-Security-Policy, which must be freed.
 * Returns 0 or -ENOMEM. */
_must_check_ int test_page_make(const struct config *config, struct blob **ret_document,
				char **ret_policy);
