/* SPDX-License-Identifier: MIT */
#include "common/helper.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/thread-time.h"

enum {
	NS_PER_US = 1000,
	SLICE_NS = 100 * 1000 * 1000, /* the most that the kernel takes */
	NICE_MORE = 10,               /* than the loop's */
};

/* The first form of struct sched_attr (sched_setattr(2)); Debian 12's C library has none. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns, period_ns;
};

TAILQ_HEAD(jobs, job);

/* The jobs of a crowd that wait, all zero until the first one does. */
struct helper_crowd {
	LIST_ENTRY(helper_crowd) in_busy;
	struct jobs jobs;
};

LIST_HEAD(helper_crowds, helper_crowd);

struct helper {
	struct turn *turn;
	struct jobs waiting;
	/* The same jobs by crowd, so that the next one is found without looking at each. */
	struct helper_crowd crowds[TURN_CROWDS + 1];
	struct helper_crowds busy; /* those with jobs */
	uint64_t n_added;
	struct job *running;
	unsigned n_ahead; /* jobs that have run while an older one waits */
	/* The job that the thread takes when `wake` is posted; NULL: it ends. */
	_Atomic(struct job *) next;
	uv_sem_t wake;
	uv_thread_t thread;
	atomic_bool has_run;
	uint64_t cpu_ns; /* of the job that has run; read once `has_run` is set */
	uv_async_t report;
};

/* Has the kernel run the loop as soon as the loop has something to do, where both share a core.
 *
 * SCHED_BATCH  A thread of this policy that wakes up interrupts no other one. With another policy
 *              the helper would interrupt the loop for each new job.
 *              An idle process keeps SCHED_IDLE: with SCHED_BATCH the helper would get nearly all
 *              of a core that it shares with the loop, where it may have that policy at all.
 * slice        Since Linux 6.12, a thread that wakes up interrupts one with a longer slice, unless
 *              that has used up nearly all of it.
 * niceness     A thread that has just run for longer than its share does not interrupt. The nicer
 *              the helper is, the larger is the loop's share.
 *
 * When the loop cannot interrupt the helper, it waits for the kernel's next tick, up to 4 ms. If
 * both always are busy, the helper gets a tenth of the core. */
static void let_others_ahead(void)
{
	const struct attributes attributes = {
		.size = sizeof(attributes),
		.policy = sched_getscheduler(0) == SCHED_IDLE ? SCHED_IDLE : SCHED_BATCH,
		.nice = getpriority(PRIO_PROCESS, 0) + NICE_MORE,
		.runtime_ns = SLICE_NS,
	};

	(void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static void run(void *argument)
{
	struct helper *helper = argument;
	struct job *job;

	let_others_ahead();
	for (;;) {
		uv_sem_wait(&helper->wake);
		job = atomic_exchange(&helper->next, NULL);
		if (!job) {
			return;
		}
		uint64_t begin_ns = thread_time_ns();

		job->run(job);
		helper->cpu_ns = thread_time_ns() - begin_ns;
		atomic_store(&helper->has_run, true);
		uv_async_send(&helper->report);
	}
}

static void enqueue(struct helper *helper, struct job *job)
{
	struct helper_crowd *crowd = &helper->crowds[job->item->crowd];

	if (TAILQ_EMPTY(&crowd->jobs)) {
		TAILQ_INIT(&crowd->jobs);
		LIST_INSERT_HEAD(&helper->busy, crowd, in_busy);
	}
	job->crowd = job->item->crowd;
	job->number = helper->n_added++;
	TAILQ_INSERT_TAIL(&crowd->jobs, job, in_crowd);
	TAILQ_INSERT_TAIL(&helper->waiting, job, in_queue);
}

static void dequeue(struct helper *helper, struct job *job)
{
	struct helper_crowd *crowd = &helper->crowds[job->crowd];

	TAILQ_REMOVE(&helper->waiting, job, in_queue);
	TAILQ_REMOVE(&crowd->jobs, job, in_crowd);
	if (TAILQ_EMPTY(&crowd->jobs)) {
		LIST_REMOVE(crowd, in_busy);
	}
}

/* Of jobs that wait, that of the crowd which has spent least, or the oldest if it has waited for
 * enough of these. There may be as many as there are connections: one client that opens hundreds
 * must not make the loop look at all of them for each. */
static struct job *choose(const struct helper *helper)
{
	struct helper_crowd *crowd;
	struct job *best = NULL;
	uint32_t best_us = 0;

	if (helper->n_ahead == TURN_AHEAD_MAX) {
		return TAILQ_FIRST(&helper->waiting);
	}
	LIST_FOREACH(crowd, &helper->busy, in_busy) {
		struct job *job = TAILQ_FIRST(&crowd->jobs);
		uint32_t us = turn_spent_us(helper->turn, job->item);

		if (!best || us < best_us || (us == best_us && job->number < best->number)) {
			best = job;
			best_us = us;
		}
	}
	return best;
}

static void run_next(struct helper *helper)
{
	struct job *job = helper->running ? NULL : choose(helper);

	if (job) {
		helper->n_ahead = job == TAILQ_FIRST(&helper->waiting) ? 0 : helper->n_ahead + 1;
		dequeue(helper, job);
		job->state = JOB_RUNNING;
		helper->running = job;
		atomic_store(&helper->next, job);
		uv_sem_post(&helper->wake);
	}
}

static void end_job(struct helper *helper)
{
	struct job *job = helper->running;

	helper->running = NULL;
	job->state = JOB_IDLE;
	turn_charge(helper->turn, job->item, (uint32_t)(helper->cpu_ns / NS_PER_US));
	run_next(helper);
	job->done(job);
}

static void on_report(uv_async_t *report)
{
	struct helper *helper = CONTAINER_OF(report, struct helper, report);

	if (atomic_exchange(&helper->has_run, false)) {
		end_job(helper);
	}
}

static int start(struct helper *helper, uv_loop_t *loop)
{
	int r = uv_sem_init(&helper->wake, 0);

	if (r < 0) {
		return r;
	}
	r = uv_thread_create(&helper->thread, run, helper);
	if (r == 0) {
		r = uv_async_init(loop, &helper->report, on_report);
		if (r == 0) {
			return 0;
		}
		uv_sem_post(&helper->wake);
		uv_thread_join(&helper->thread);
	}
	uv_sem_destroy(&helper->wake);
	return r;
}

int helper_new(uv_loop_t *loop, struct turn *turn, struct helper **ret_helper)
{
	struct helper *helper = calloc(1, sizeof(*helper));

	if (!helper) {
		return -ENOMEM;
	}
	helper->turn = turn;
	TAILQ_INIT(&helper->waiting);
	LIST_INIT(&helper->busy);
	int r = start(helper, loop);

	if (r < 0) {
		free(helper);
		return r;
	}
	*ret_helper = helper;
	return 0;
}

static void on_closed(uv_handle_t *report)
{
	free(CONTAINER_OF(report, struct helper, report));
}

struct helper *helper_free(struct helper *helper)
{
	if (!helper) {
		return NULL;
	}
	assert(TAILQ_EMPTY(&helper->waiting));
	uv_sem_post(&helper->wake);
	uv_thread_join(&helper->thread);
	uv_sem_destroy(&helper->wake);
	if (helper->running) {
		end_job(helper);
	}
	uv_close((uv_handle_t *)&helper->report, on_closed);
	return NULL;
}

void helper_add(struct helper *helper, struct job *job)
{
	assert(job->state == JOB_IDLE);
	job->state = JOB_WAITING;
	enqueue(helper, job);
	run_next(helper);
}

bool helper_remove(struct helper *helper, struct job *job)
{
	if (job->state == JOB_WAITING) {
		dequeue(helper, job);
		job->state = JOB_IDLE;
	}
	return job->state == JOB_IDLE;
}
