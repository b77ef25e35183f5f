/* SPDX-License-Identifier: MIT */
#pragma once
/* The files that a server may open (sandbox.h), with Landlock. */
#include "gateway/config/config.h"

/* For this thread and those that it starts, for good. Sets *ret_is_restricted to false if the
 * kernel has no Landlock. A folder that does not exist is left out. Returns 0 or a negative
 * errno. */
_must_check_ int files_restrict(const struct config *config, bool *ret_is_restricted);
