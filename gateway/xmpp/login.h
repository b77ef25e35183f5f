/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What can be seen of a client's login as it passes through: an engine. It changes nothing, and it
 * sees no password: only that a login is tried, by which mechanism, and how the server decides.
 *
 * try        <auth/> of SASL (RFC 6120, 6.4.2), <authenticate/> of SASL2 (XEP-0388), or the query
 *            of XEP-0078 that has the password
 * open       tried and not decided yet. A client waits for the answer before it tries again
 * condition  why it failed: the name of the SASL error (RFC 6120, 6.5) or of the stanza error
 *
 * Tries are found by the local names of elements, in any namespace, because a prefix and character
 * references could hide the namespace, but nothing can hide a name. So something that is no login
 * may count as a try (a registration, XEP-0077, has <password/>, too). That does no harm: it is
 * open until the server answers it.
 */
#include "common/xml.h"

enum {
	LOGIN_MECHANISM_MAX = 20, /* RFC 4422, 3.1 */
	/* Open tries of one session. Otherwise a client could send a thousand passwords at once,
	 * before the first is found to be wrong. */
	LOGIN_OPEN_MAX = 2,
};

enum login_result {
	LOGIN_NONE, /* not about a login */
	LOGIN_SUCCEEDED,
	LOGIN_FAILED,  /* the server said so: the client has no account, or the password is wrong */
	LOGIN_UNTRIED, /* the server did not look at a password: aborted, mechanism not offered */
};

/* All zero at the start. */
struct login {
	char mechanism[LOGIN_MECHANISM_MAX + 1]; /* of the last try; "" if it cannot be told */
	unsigned char n_open;                    /* counts no further than UCHAR_MAX */
	bool is_legacy;                          /* the last try was one of XEP-0078 */
};

/* Notes the tries in @elements, which the client sends before its login. Returns their number. */
size_t login_sent(struct login *login, struct sv elements);

/* What @item, which the server sends, says about the login. @scan must report the children of
 * SASL's elements. With LOGIN_FAILED and _UNTRIED, *ret_condition is the condition, valid as long
 * as @item. */
enum login_result login_received(struct login *login, const struct xml_scan *scan,
				 const struct xml_item *item, struct sv *ret_condition);
