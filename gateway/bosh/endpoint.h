/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * BOSH sessions of a worker: joins requests (relay.h), the session engine (session.h) and links.
 *
 * Sessions are found by their sid. One that is over is not found any more, and is freed in a later
 * iteration of the loop.
 */
#include "gateway/bosh/relay.h"

struct bosh_endpoint;

/* @env is borrowed for the endpoint's life. Returns 0 or -ENOMEM. */
_must_check_ int bosh_endpoint_new(struct worker_env *env, struct bosh_endpoint **ret_endpoint);

/* The configuration of the environment has been replaced: new sessions use it. Returns 0 or
 * -ENOMEM; then new sessions are opened as before. */
_must_check_ int bosh_endpoint_reload(struct bosh_endpoint *endpoint);

/* Tells all sessions that the gateway is being shut down, and ends them. New ones are refused. */
void bosh_endpoint_shut(struct bosh_endpoint *endpoint);

/* Closes the endpoint's handles. Call it after bosh_endpoint_shut(), or if nothing was ever served.
 * Takes NULL. */
void bosh_endpoint_stop(struct bosh_endpoint *endpoint);

/* Call it after bosh_endpoint_stop(), when the loop has nothing left to do. Takes NULL; returns
 * NULL. */
struct bosh_endpoint *bosh_endpoint_free(struct bosh_endpoint *endpoint);

/* Where HTTP's exchanges go, and the messages of other workers. */
struct bosh_relay *bosh_endpoint_relay(struct bosh_endpoint *endpoint);
