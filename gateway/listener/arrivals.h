/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Prepares an accepted connection before its first request is read. If the listener's section asks
 * for it, the PROXY header is read, which a proxy sends before the client's bytes (proxied.h), and
 * then the TLS handshake is done (secured.h). Each must be complete within header_timeout. Failures
 * are logged and counted.
 */
#include "gateway/env.h"

struct arrivals;

/* Gets each connection that is ready: @wire belongs to the callee and to no hub. Its peer is the
 * client that a proxy has named, who has the seat in the census now. */
typedef void (*arrivals_done)(void *userdata, struct wire *wire);

/* The connections wait in the hub of @env. Returns 0 or -ENOMEM. */
_must_check_ int arrivals_new(struct worker_env *env, arrivals_done done, void *userdata,
			      struct arrivals **ret_arrivals);

/* Takes @wire, which belongs to no hub and has a seat in the census; @is_proxied: one of a proxy
 * (worker_enter_proxy()), which has to send a PROXY header. */
void arrivals_take(struct arrivals *arrivals, struct wire *wire, bool is_proxied);

/* Whether a TLS handshake is under way: its client waits for us. */
bool arrivals_are_shaking(const struct arrivals *arrivals);

/* Call it after wire_hub_close(). Takes NULL; returns NULL. */
struct arrivals *arrivals_free(struct arrivals *arrivals);
