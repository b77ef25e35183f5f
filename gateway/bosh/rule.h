/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The rules that a BOSH request can break. Breaking one ends the session that the request names
 * (XEP-0124, "Terminal Binding Conditions"). The condition alone does not tell what was wrong:
 * policy-violation stands for many rules. So the log has the name of the rule, and the client gets
 * its sentence.
 *
 * rule       what was broken
 * condition  the specification's name for it
 * sentence   the rule in words, in <text/>
 *
 * The rule about an unknown sid says the same whether the session has never existed, is over, or
 * belongs to another client. The other rules about a session are told only to clients that know its
 * sid.
 */

/* The terminal conditions that the gateway itself decides on; those on the server's side have a
 * failure. The number is the HTTP status for a legacy client ("HTTP Conditions"). */
#define BOSH_CONDITIONS(X)                                     \
	X(NONE, "", 200)                                       \
	X(BAD_REQUEST, "bad-request", 400)                     \
	X(POLICY_VIOLATION, "policy-violation", 403)           \
	X(ITEM_NOT_FOUND, "item-not-found", 404)               \
	X(IMPROPER_ADDRESSING, "improper-addressing", 200)     \
	X(HOST_UNKNOWN, "host-unknown", 200)                   \
	X(SYSTEM_SHUTDOWN, "system-shutdown", 200)             \
	X(SEE_OTHER_URI, "see-other-uri", 200)                 \
	X(INTERNAL_SERVER_ERROR, "internal-server-error", 200) \
	X(OTHER_REQUEST, "other-request", 200)

enum bosh_condition {
#define X(id, name, legacy_status) BOSH_CONDITION_##id,
	BOSH_CONDITIONS(X)
#undef X
};

/*        id              name                condition              sentence */
#define BOSH_RULES(X)                                                                             \
	X(NONE, "none", NONE, "")                                                                 \
	X(NOT_UNDERSTOOD, "not-understood", BAD_REQUEST,                                          \
	  "the request is not a BOSH body that this gateway understands")                         \
	X(NO_RID, "no-rid", BAD_REQUEST, "the request has no rid")                                \
	X(RID_TOO_LARGE, "rid-too-large", BAD_REQUEST,                                            \
	  "the first rid leaves no room for the requests of a session")                           \
	X(BODY_TOO_LARGE, "body-too-large", POLICY_VIOLATION,                                     \
	  "the request is larger than this gateway accepts")                                      \
	X(BODY_TOO_COMPLEX, "body-too-complex", POLICY_VIOLATION,                                 \
	  "the request is nested too deeply, or has too long or too many attributes")             \
	X(SID_UNKNOWN, "sid-unknown", ITEM_NOT_FOUND, "there is no session of that sid")          \
	X(INACTIVITY, "inactivity", ITEM_NOT_FOUND,                                               \
	  "the request before this one did not arrive in time")                                   \
	X(RID_WINDOW, "rid-window", ITEM_NOT_FOUND, "the rid is above the window of the session") \
	X(RESPONSE_DROPPED, "response-dropped", ITEM_NOT_FOUND,                                   \
	  "the response to that rid is no longer kept")                                           \
	X(KEY_MISMATCH, "key-mismatch", ITEM_NOT_FOUND,                                           \
	  "the key does not continue the key sequence")                                           \
	X(STREAM_UNKNOWN, "stream-unknown", ITEM_NOT_FOUND,                                       \
	  "the session has no open stream of that name")                                          \
	X(TOO_MANY_REQUESTS, "too-many-requests", POLICY_VIOLATION,                               \
	  "more requests are open than the session allows")                                       \
	X(POLLING_TOO_OFTEN, "polling-too-often", POLICY_VIOLATION,                               \
	  "empty requests follow each other faster than the polling interval allows")             \
	X(TOO_FAST, "too-fast", POLICY_VIOLATION,                                                 \
	  "requests follow each other faster than this gateway accepts")                          \
	X(TOO_MANY_REPEATS, "too-many-repeats", POLICY_VIOLATION,                                 \
	  "the same request was repeated too often")                                              \
	X(PAUSE_TOO_LONG, "pause-too-long", POLICY_VIOLATION,                                     \
	  "the pause is longer than the session allows")                                          \
	X(PAUSE_NOT_OFFERED, "pause-not-offered", POLICY_VIOLATION,                               \
	  "this gateway does not offer pauses")                                                   \
	X(TOO_MUCH_TOO_EARLY, "too-much-too-early", POLICY_VIOLATION,                             \
	  "too much was sent before the features of the stream arrived")                          \
	X(OUT_OF_MEMORY, "out-of-memory", INTERNAL_SERVER_ERROR, "the gateway ran out of memory")

enum bosh_rule {
#define X(id, name, condition, sentence) BOSH_RULE_##id,
	BOSH_RULES(X)
#undef X
		BOSH_RULE_COUNT
};

const char *bosh_rule_name(enum bosh_rule rule);
enum bosh_condition bosh_rule_condition(enum bosh_rule rule);
const char *bosh_rule_sentence(enum bosh_rule rule);
