/* SPDX-License-Identifier: MIT */
#pragma once
/* The system calls that a server may make (sandbox.h), with libseccomp. */
#include "common/macro.h"

/* For this thread and those that it starts, for good. Returns 0 or a negative errno. */
_must_check_ int calls_restrict(void);
