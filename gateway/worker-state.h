/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the files of the worker share (worker.h). Private to worker*.c.
 */
#include "common/timeout.h"
#include "common/turn.h"
#include "gateway/bosh/endpoint.h"
#include "gateway/front.h"
#include "gateway/http/date.h"
#include "gateway/listener/listener.h"
#include "gateway/ops/pulse.h"
#include "gateway/ops/trace.h"
#include "gateway/worker.h"
#include "gateway/ws/endpoint.h"

struct worker {
	struct worker_env env;
	uv_loop_t loop;
	uv_thread_t thread;
	uv_sem_t released; /* of worker_release() */
	struct mailbox mailbox;
	struct mailbox **mailboxes; /* of all workers, by index */
	struct listener *listener;
	struct front front;
	struct bosh_endpoint *bosh;
	struct ws_endpoint *ws;
	uv_async_t order; /* not a message: it must arrive when the mailbox is full */
	uv_async_t evict; /* likewise */
	/* The orders, set by the main thread. */
	atomic_bool has_to_trim, has_to_drain, has_to_stop;
	_Atomic(struct worker_update *) update; /* the newest; the worker takes it out */
	struct timeout retry;                   /* of an update of which a part failed */
	struct snapshot *snapshot;
	uv_poll_t reserve; /* of descriptors_reserve() */
	uv_timer_t grace;  /* while the worker stops: looks whether somebody is awaited */
	struct timeout grace_end;
	struct turn turn;
	struct http_date date;
	struct pulse pulse;
	struct trace trace;
	bool is_started;
};

/* Runs the orders that have come. */
void worker_on_order(uv_async_t *order);

/* Closes all handles, after which the loop ends. Parts that were never created are NULL. */
void worker_close_rest(struct worker *worker);
