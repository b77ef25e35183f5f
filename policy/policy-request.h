/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a plug-in sends to ask for a socket policy, before it opens sockets of its own: Adobe Flash
 * "<policy-file-request/>" and a NUL, Microsoft Silverlight the same without the NUL.
 */
#include <stddef.h>

#include "common/sv.h"

enum {
	/* Bytes with the NUL. */
	POLICY_REQUEST_LENGTH = 23,
};

enum policy_request {
	POLICY_REQUEST_MORE, /* may become one */
	POLICY_REQUEST_BARE, /* is one of Silverlight, and may become one of Flash */
	POLICY_REQUEST_WHOLE,
	POLICY_REQUEST_OTHER, /* something else */
};

/* Judges the first @bytes of a connection. What follows the request is not looked at. */
enum policy_request policy_request_judge(struct sv bytes);
