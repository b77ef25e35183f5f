/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A second thread beside that of a loop, for work that would hold up all whom the loop serves.
 *
 * job   a piece of such work. Jobs run one after the other. Of those that wait, the one whose crowd
 *       (turn.h) has spent least runs next; of equal ones the oldest. But after TURN_AHEAD_MAX that
 *       have run while an older one waits, the oldest runs, as heavy items do
 *
 * Only `run` is called in the helper's thread. All else belongs to the thread of the loop.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "common/turn.h"

struct helper;

enum job_state {
	JOB_IDLE,
	JOB_WAITING,
	JOB_RUNNING, /* until `done` is called */
};

/* Embedded in its object; all zero but for the functions and the item. */
struct job {
	TAILQ_ENTRY(job) in_queue;
	TAILQ_ENTRY(job) in_crowd;
	uint64_t number; /* which one it is of all that were added */
	uint16_t crowd;  /* the item's when it was added */
	enum job_state state;
	/* For whom it is. Borrowed until `done`; it is charged with the CPU time of the job. */
	struct turn_item *item;
	void (*run)(struct job *job);
	/* The job has run, and may be added again or freed. Called from the loop, or from
	 * helper_free(). */
	void (*done)(struct job *job);
};

/* @turn is borrowed until helper_free(). Returns 0 or a negative errno. */
_must_check_ int helper_new(uv_loop_t *loop, struct turn *turn, struct helper **ret_helper);

/* Ends the thread, after the job that runs; no job may wait. The loop must run once more. Returns
 * NULL; takes NULL. */
struct helper *helper_free(struct helper *helper);

/* @job, which is idle, runs as soon as it can. It is borrowed until `done`. */
void helper_add(struct helper *helper, struct job *job);

/* Takes @job back if it waits. Returns whether it is idle now. If not, it runs, and `done` is still
 * to come. */
bool helper_remove(struct helper *helper, struct job *job);
