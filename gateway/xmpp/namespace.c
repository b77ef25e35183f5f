/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/namespace.h"

const char *const namespaces[NS_COUNT] = {
#define X(id, uri) uri,
	NAMESPACES(X)
#undef X
};
