/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/servers.h"

#include <assert.h>

void servers_init(struct servers *servers, int64_t timeout_ms, bool is_redirected, struct mono now)
{
	*servers = (struct servers){
		.deadline = mono_add_ms(now, timeout_ms),
		.timeout_ms = timeout_ms,
		.is_redirected = is_redirected,
	};
}

/* One try is always left to the search that is under way, so the last server is never left. */
static bool may_leave(const struct servers *servers)
{
	return servers->n_tried < SERVERS_MAX - 1;
}

struct mono servers_deadline(const struct servers *servers, bool has_others, struct mono now)
{
	struct mono share = mono_add_ms(now, servers->timeout_ms / SERVERS_MAX);

	/* A server that was named by another one is the only place to go. */
	if (has_others && !servers->is_redirected && may_leave(servers)) {
		return mono_earlier(servers->deadline, share);
	}
	return servers->deadline;
}

bool servers_redirect(struct servers *servers)
{
	if (servers->n_redirects == SERVERS_REDIRECTS_MAX) {
		return false;
	}
	servers->n_redirects++;
	servers->is_redirected = true;
	servers->is_slow = false;
	return true;
}

void servers_add_tried(struct servers *servers, const struct address *address)
{
	assert(servers->n_tried < SERVERS_MAX);
	servers->tried[servers->n_tried++] = *address;
}

void servers_note(struct servers *servers, const struct failure *failure)
{
	if (servers->first.kind == FAILURE_NONE) {
		servers->first = *failure;
	}
}

bool servers_is_of_tls(const struct failure *failure)
{
	switch (failure->kind) {
	case FAILURE_TLS_NOT_OFFERED:
	case FAILURE_TLS_HANDSHAKE:
	case FAILURE_TLS_PROTOCOL:
	case FAILURE_TLS_FLOOD:
	case FAILURE_CERTIFICATE_EARLY:
	case FAILURE_CERTIFICATE_SELF_SIGNED:
	case FAILURE_CERTIFICATE_WEAK:
	case FAILURE_CERTIFICATE_EXPIRED:
	case FAILURE_CERTIFICATE_NAME:
	case FAILURE_CERTIFICATE_UNTRUSTED:
	case FAILURE_CERTIFICATE_INVALID:
	case FAILURE_CERTIFICATE_PIN:
	case FAILURE_CERTIFICATE_DANE:
		return true;
	default:
		return false;
	}
}

/* Returns whether the server is to blame, so that another one of the domain may do better. */
static bool is_of_server(const struct failure *failure)
{
	switch (failure->kind) {
	case FAILURE_DNS_TIMEOUT:
	case FAILURE_DNS_FAILED:
	case FAILURE_STREAM_MALFORMED:
	case FAILURE_STREAM_CLOSED:
	case FAILURE_STREAM_TIMEOUT:
	case FAILURE_STREAM_TOO_LARGE:
	case FAILURE_CONNECTION_LOST:
		return true;
	default:
		/* A stream error is the server's own answer, and what fails before there is a
		 * server fails for all of them. */
		return servers_is_of_tls(failure);
	}
}

bool servers_may_try_another(const struct servers *servers, const struct failure *failure,
			     bool is_searching)
{
	if (servers->is_redirected || !is_of_server(failure)) {
		return false;
	}
	/* When the search for a better server than the slow one has ended, there is none. */
	return servers->is_slow ? is_searching : may_leave(servers);
}
