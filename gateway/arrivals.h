/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What an accepted connection goes through before its first request is read, where its listener
 * says so: the PROXY header, which a proxy sends ahead of the client's bytes (proxied.h), and then
 * the TLS handshake (secured.h). Each has header_timeout. Logs and counts who does not get through.
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

/* Call it after wire_hub_close(). Takes NULL; returns NULL. */
struct arrivals *arrivals_free(struct arrivals *arrivals);
