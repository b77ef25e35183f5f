/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_LISTENER
#include "gateway/listener/arrivals.h"

#include <errno.h>
#include <stdlib.h>

#include "common/log.h"
#include "gateway/connection-log.h"
#include "gateway/listener/proxied.h"
#include "gateway/listener/secured.h"

struct arrivals {
	struct worker_env *env;
	arrivals_done done;
	void *userdata;
	struct proxied proxied;
	struct secured secured;
};

static void lose(struct arrivals *arrivals, struct wire *wire, int r)
{
	const struct address peer = *wire_peer(wire);

	connection_log_lost(arrivals->env, &peer, r);
	wire_close(wire);
	worker_leave_connection(arrivals->env, &peer);
}

static void take_clear(struct arrivals *arrivals, struct wire *wire)
{
	if (!wire_expects_tls(wire)) {
		arrivals->done(arrivals->userdata, wire);
		return;
	}
	int r = secured_adopt(&arrivals->secured, wire, arrivals->env->config->header_timeout_s);

	if (r < 0) {
		lose(arrivals, wire, r);
	}
}

void arrivals_take(struct arrivals *arrivals, struct wire *wire, bool is_proxied)
{
	if (!is_proxied) {
		take_clear(arrivals, wire);
		return;
	}
	int r = proxied_adopt(&arrivals->proxied, wire, arrivals->env->config->header_timeout_s);

	if (r < 0) {
		lose(arrivals, wire, r);
	}
}

/* The PROXY header. */

static void on_proxied(void *userdata, struct wire *wire, const struct address *proxy,
		       const struct proxy_in *header)
{
	struct arrivals *arrivals = userdata;
	const struct address client = *wire_peer(wire);
	const char *limit =
		header->has_client ? worker_change_client(arrivals->env, proxy, &client) : NULL;

	if (limit) {
		connection_log_refused(arrivals->env, &client, limit);
		wire_close(wire);
		return;
	}
	if (header->is_secure) {
		wire_set_secure(wire);
	}
	take_clear(arrivals, wire);
}

static void on_not_proxied(void *userdata, const struct wire *wire, const char *reason)
{
	struct arrivals *arrivals = userdata;

	connection_log_failed(arrivals->env, wire_peer(wire), "proxy-header-failed", reason);
}

/* TLS. */

static void on_secured(void *userdata, struct wire *wire)
{
	struct arrivals *arrivals = userdata;
	SSL *ssl = wire_ssl(wire);
	char text[ADDRESS_TEXT_MAX];

	log_debug("tls-accepted", LOG_STR("client", address_format_host(wire_peer(wire), text)),
		  LOG_STR("version", SSL_get_version(ssl)),
		  LOG_STR("cipher", SSL_get_cipher_name(ssl)),
		  LOG_STR("resumed", SSL_session_reused(ssl) ? "yes" : "no"),
		  LOG_STR("certificate", SSL_get0_peer_certificate(ssl) ? "yes" : "no"));
	arrivals->done(arrivals->userdata, wire);
}

static void on_not_secured(void *userdata, const struct wire *wire, const char *reason)
{
	struct arrivals *arrivals = userdata;

	connection_log_failed(arrivals->env, wire_peer(wire), "handshake-failed", reason);
}

/* The beginning and the end. */

int arrivals_new(struct worker_env *env, arrivals_done done, void *userdata,
		 struct arrivals **ret_arrivals)
{
	struct arrivals *arrivals = calloc(1, sizeof(*arrivals));

	if (!arrivals) {
		return -ENOMEM;
	}
	arrivals->env = env;
	arrivals->done = done;
	arrivals->userdata = userdata;
	proxied_init(&arrivals->proxied, &(struct proxied_options){.hub = env->hub,
								   .done = on_proxied,
								   .failed = on_not_proxied,
								   .userdata = arrivals});
	secured_init(&arrivals->secured, &(struct secured_options){.hub = env->hub,
								   .date = env->date,
								   .done = on_secured,
								   .failed = on_not_secured,
								   .userdata = arrivals});
	*ret_arrivals = arrivals;
	return 0;
}

bool arrivals_are_shaking(const struct arrivals *arrivals)
{
	return secured_is_busy(&arrivals->secured);
}

struct arrivals *arrivals_free(struct arrivals *arrivals)
{
	if (arrivals) {
		proxied_deinit(&arrivals->proxied);
		secured_deinit(&arrivals->secured);
		free(arrivals);
	}
	return NULL;
}
