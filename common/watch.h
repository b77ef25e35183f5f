/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Waits for a descriptor with libuv, without ending the process where the kernel refuses that.
 * uv_poll_start() only notes the descriptor. If the kernel refuses it at the next iteration of the
 * loop, for want of memory or at its limit of watches (fs.epoll.max_user_watches), libuv calls
 * abort(3). So these functions ask the kernel first. Each uv_poll_start() needs that, because libuv
 * takes the descriptor out of the epoll each time.
 */
#include <uv.h>

#include "common/macro.h"

/* As uv_poll_start(). Returns 0 or a negative errno; then @poll is stopped. */
_must_check_ int watch_start(uv_poll_t *poll, int events, uv_poll_cb callback);
