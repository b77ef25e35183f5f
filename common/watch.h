/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Waiting for a descriptor with libuv, which ends the process where that can fail: uv_poll_start()
 * only notes the descriptor, and when the kernel refuses it at the next iteration of the loop,
 * without memory or at its limit of watches (fs.epoll.max_user_watches), libuv calls abort(3). Here
 * the kernel is asked first. Each uv_poll_start() needs that, because libuv takes the descriptor
 * out of the epoll each time.
 */
#include <uv.h>

#include "common/macro.h"

/* As uv_poll_start(). Returns 0 or a negative errno; then @poll is stopped. */
_must_check_ int watch_start(uv_poll_t *poll, int events, uv_poll_cb callback);
