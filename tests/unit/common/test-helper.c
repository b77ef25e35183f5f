/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/helper.h"
#include "tests/unit/failmalloc.h"

enum {
	N_JOBS = TURN_AHEAD_MAX + 3,
	BURNT_US = 2000,
	BURNT_MAX_US = 500 * 1000, /* with all that a slow machine adds */
	N_FEW = 100,
	N_MANY = 40000,
	N_ROUNDS = 5,
};

struct work {
	struct job job;
	struct turn_item item;
	bool is_held;  /* its run waits for `go` */
	bool is_dear;  /* its run takes BURNT_US of CPU */
	bool is_again; /* `done` adds it once more */
	uv_thread_t ran_in;
	int nice, policy;  /* of that thread */
	uint64_t slice_ns; /* likewise; 0: the kernel does not say */
	unsigned n_ran;
};

static struct {
	uv_loop_t loop;
	struct turn turn;
	struct helper *helper;
	struct work works[N_JOBS];
	uv_sem_t go;
	size_t done[N_JOBS * 2]; /* in this order */
	size_t n_done;
} one;

/* What libuv makes for helpers and tests, and the part of it that cannot be made: 1 is the next,
 * 0: all can. */
static struct {
	unsigned n_semaphores, n_threads, n_that_fails;
} made;

static bool fails(void)
{
	return made.n_that_fails && --made.n_that_fails == 0;
}

#define REAL(name) (__extension__(__typeof__(&(name))) dlsym(RTLD_NEXT, #name))

/* These take the place of libuv's. */
int uv_sem_init(uv_sem_t *semaphore, unsigned value)
{
	int r = fails() ? UV_EMFILE : REAL(uv_sem_init)(semaphore, value);

	made.n_semaphores += r == 0;
	return r;
}

void uv_sem_destroy(uv_sem_t *semaphore)
{
	made.n_semaphores--;
	REAL(uv_sem_destroy)(semaphore);
}

int uv_thread_create(uv_thread_t *thread, uv_thread_cb entry, void *argument)
{
	int r = fails() ? UV_EAGAIN : REAL(uv_thread_create)(thread, entry, argument);

	made.n_threads += r == 0;
	return r;
}

int uv_thread_join(uv_thread_t *thread)
{
	made.n_threads--;
	return REAL(uv_thread_join)(thread);
}

int uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb callback)
{
	return fails() ? UV_ENFILE : REAL(uv_async_init)(loop, async, callback);
}

static int64_t cpu_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Since Linux 6.12, sched_getattr(2) says which slice a thread has asked for. */
static uint64_t slice_ns(void)
{
	uint64_t attributes[6] = {0};
	const int i_runtime = 3;

	(void)syscall(SYS_sched_getattr, 0, attributes, sizeof(attributes), 0);
	return attributes[i_runtime];
}

static void on_run(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);
	int64_t begin_us = cpu_us();

	work->ran_in = uv_thread_self();
	work->nice = getpriority(PRIO_PROCESS, 0);
	work->policy = sched_getscheduler(0);
	work->slice_ns = slice_ns();
	work->n_ran++;
	if (work->is_held) {
		uv_sem_wait(&one.go);
	}
	/* Both times are rounded down: a difference of one more is at least BURNT_US. */
	while (work->is_dear && cpu_us() - begin_us <= BURNT_US) {
	}
}

static void on_done(struct job *job)
{
	struct work *work = CONTAINER_OF(job, struct work, job);

	assert_int_equal(job->state, JOB_IDLE);
	one.done[one.n_done++] = (size_t)(work - one.works);
	if (work->is_again) {
		work->is_again = false;
		helper_add(one.helper, job);
	}
}

static void on_turn(struct turn_item *item)
{
	(void)item;
}

static int setup(void **state)
{
	(void)state;
	one.n_done = 0;
	made.n_semaphores = made.n_threads = made.n_that_fails = 0;
	assert_int_equal(uv_loop_init(&one.loop), 0);
	assert_int_equal(uv_sem_init(&one.go, 0), 0);
	turn_init(&one.turn, &one.loop);
	assert_int_equal(helper_new(&one.loop, &one.turn, &one.helper), 0);
	for (uint32_t i = 0; i < N_JOBS; i++) {
		struct work *work = &one.works[i];

		*work = (struct work){.job = {.item = &work->item, .run = on_run, .done = on_done}};
		turn_item_init(&work->item, i, on_turn);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	helper_free(one.helper);
	turn_close(&one.turn);
	assert_int_equal(uv_run(&one.loop, UV_RUN_DEFAULT), 0);
	uv_sem_destroy(&one.go);
	assert_int_equal(made.n_semaphores, 0);
	assert_int_equal(made.n_threads, 0);
	return uv_loop_close(&one.loop);
}

static void add(size_t i)
{
	helper_add(one.helper, &one.works[i].job);
}

static void run_until(size_t n_done)
{
	while (one.n_done < n_done) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	assert_int_equal(one.n_done, n_done);
}

static void spend(size_t i, uint32_t us)
{
	turn_charge(&one.turn, &one.works[i].item, us);
}

static void test_another_thread(void **state)
{
	uv_thread_t self = uv_thread_self();

	(void)state;
	add(0);
	assert_int_equal(one.works[0].job.state, JOB_RUNNING);
	run_until(1);
	assert_int_equal(one.works[0].n_ran, 1);
	assert_false(uv_thread_equal(&one.works[0].ran_in, &self));
}

static void test_again(void **state)
{
	(void)state;
	one.works[0].is_again = true;
	add(0);
	run_until(2);
	assert_int_equal(one.works[0].n_ran, 2);
}

static void test_charged(void **state)
{
	(void)state;
	one.works[0].is_dear = true;
	add(0);
	run_until(1);
	assert_in_range(one.works[0].item.spent.us, BURNT_US, BURNT_MAX_US);
	/* Half of it for each second that has begun meanwhile. */
	assert_in_range(turn_spent_us(&one.turn, &one.works[0].item), 1, BURNT_MAX_US);
	assert_int_equal(turn_spent_us(&one.turn, &one.works[1].item), 0);
	/* Not with what the thread has spent before. */
	add(1);
	run_until(2);
	assert_true(turn_spent_us(&one.turn, &one.works[1].item) < BURNT_US);
}

/* Who has spent least is next, then who came first. */
static void test_order(void **state)
{
	(void)state;
	one.works[0].is_held = true;
	add(0);
	spend(1, 2);
	spend(2, 1);
	spend(3, 1);
	add(1);
	add(2);
	add(3);
	uv_sem_post(&one.go);
	run_until(4);
	assert_memory_equal(one.done, ((size_t[]){0, 2, 3, 1}), 4 * sizeof(size_t));
}

/* Who has spent much does not wait for ever. */
static void test_ahead_max(void **state)
{
	size_t expected[N_JOBS], n = 0;

	(void)state;
	one.works[0].is_held = true;
	spend(1, 1000000);
	for (size_t i = 0; i < N_JOBS; i++) {
		add(i);
	}
	uv_sem_post(&one.go);
	run_until(N_JOBS);
	expected[n++] = 0;
	for (size_t i = 2; i < N_JOBS; i++) {
		expected[n++] = i;
		if (i == 1 + TURN_AHEAD_MAX) {
			expected[n++] = 1;
		}
	}
	assert_memory_equal(one.done, expected, sizeof(expected));
}

/* A few of a crowd come one after the other, and others between them. */
static void test_order_of_a_crowd(void **state)
{
	(void)state;
	one.works[0].is_held = true;
	for (size_t i = 1; i < 4; i++) {
		turn_item_set_crowd(&one.works[i].item, 1);
	}
	spend(1, 1);
	add(0);
	for (size_t i = 1; i < 7; i++) {
		add(i);
	}
	/* One of which the crowd changes while it waits. */
	turn_item_set_crowd(&one.works[6].item, 7);
	assert_true(helper_remove(one.helper, &one.works[6].job));
	add(6);
	assert_true(helper_remove(one.helper, &one.works[2].job));
	uv_sem_post(&one.go);
	run_until(6);
	assert_memory_equal(one.done, ((size_t[]){0, 4, 5, 6, 1, 3}), 6 * sizeof(size_t));
}

/* Of crowds that have spent the same, the one whose job came first is next, although the other has
 * waited longer for a job that was removed. */
static void test_order_of_two_crowds(void **state)
{
	(void)state;
	one.works[0].is_held = true;
	turn_item_set_crowd(&one.works[3].item, 1);
	for (size_t i = 0; i < 4; i++) {
		add(i);
	}
	assert_true(helper_remove(one.helper, &one.works[1].job));
	uv_sem_post(&one.go);
	run_until(3);
	assert_memory_equal(one.done, ((size_t[]){0, 2, 3}), 3 * sizeof(size_t));
}

static void on_one_done(struct job *job)
{
	(void)job;
	one.n_done++;
}

static void on_quick_run(struct job *job)
{
	(void)job;
}

/* The CPU time in which the loop has N_FEW jobs run while @n of one crowd wait. */
static int64_t time_of_few(size_t n)
{
	struct work *works = calloc(n, sizeof(*works));
	int64_t begin_us;

	assert_non_null(works);
	one.works[0].is_held = true;
	one.n_done = 0;
	add(0);
	for (size_t i = 0; i < n; i++) {
		works[i].job = (struct job){
			.item = &works[i].item, .run = on_quick_run, .done = on_one_done};
		turn_item_init(&works[i].item, 1, on_turn);
		helper_add(one.helper, &works[i].job);
	}
	uv_sem_post(&one.go);
	begin_us = cpu_us();
	while (one.n_done < N_FEW) {
		uv_run(&one.loop, UV_RUN_ONCE);
	}
	int64_t took_us = cpu_us() - begin_us;

	/* The one that runs last, or another would run after it. */
	for (size_t i = n; i > 0; i--) {
		while (!helper_remove(one.helper, &works[i - 1].job)) {
			uv_run(&one.loop, UV_RUN_ONCE);
		}
	}
	free(works);
	return took_us;
}

/* Many that wait do not make the loop's part of each job longer. */
static void test_many_wait(void **state)
{
	int64_t few_us = INT64_MAX, many_us = INT64_MAX;

	(void)state;
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		int64_t us = time_of_few(N_FEW);

		few_us = us < few_us ? us : few_us;
		us = time_of_few(N_MANY);
		many_us = us < many_us ? us : many_us;
	}
	print_message("%d jobs take %ld us, with %d that wait %ld us\n", N_FEW, (long)few_us,
		      N_MANY, (long)many_us);
	assert_true(many_us < 5 * few_us);
}

static void test_removed(void **state)
{
	(void)state;
	one.works[0].is_held = true;
	add(0);
	add(1);
	add(2);
	assert_true(helper_remove(one.helper, &one.works[1].job));
	assert_true(helper_remove(one.helper, &one.works[1].job));
	assert_false(helper_remove(one.helper, &one.works[0].job));
	uv_sem_post(&one.go);
	run_until(2);
	assert_int_equal(one.works[1].n_ran, 0);
	assert_memory_equal(one.done, ((size_t[]){0, 2}), 2 * sizeof(size_t));
}

/* The one that runs ends first. */
static void test_freed(void **state)
{
	(void)state;
	one.works[0].is_held = true;
	add(0);
	uv_sem_post(&one.go);
	one.helper = helper_free(one.helper);
	assert_int_equal(one.n_done, 1);
	assert_int_equal(one.works[0].n_ran, 1);
	assert_null(helper_free(NULL));
}

/* Where they share a core, the loop goes first. */
static void test_nice(void **state)
{
	int policy = sched_getscheduler(0), own = getpriority(PRIO_PROCESS, 0);

	(void)state;
	if (policy != SCHED_OTHER && policy != SCHED_BATCH) {
		/* Others have no niceness. */
		skip();
	}
	add(0);
	run_until(1);
	assert_int_equal(one.works[0].nice, own + 10 < 19 ? own + 10 : 19);
	assert_int_equal(getpriority(PRIO_PROCESS, 0), own);
	assert_int_equal(one.works[0].policy, SCHED_BATCH);
	assert_int_equal(sched_getscheduler(0), policy);
	if (slice_ns()) {
		assert_int_equal(one.works[0].slice_ns, 100 * 1000 * 1000);
	}
}

/* Without a semaphore, a thread or a handle there is no helper, and nothing is left of it. */
static void test_cannot_be_made(void **state)
{
	static const int errors[] = {UV_EMFILE, UV_EAGAIN, UV_ENFILE};
	size_t n_live = failmalloc_n_live();
	unsigned n_semaphores = made.n_semaphores, n_threads = made.n_threads;
	struct helper *helper;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(errors); i++) {
		made.n_that_fails = i + 1;
		assert_int_equal(helper_new(&one.loop, &one.turn, &helper), errors[i]);
		assert_int_equal(failmalloc_n_live(), n_live);
		assert_int_equal(made.n_semaphores, n_semaphores);
		assert_int_equal(made.n_threads, n_threads);
	}
	failmalloc_arm(1, false);
	int r = helper_new(&one.loop, &one.turn, &helper);

	assert_int_equal(failmalloc_disarm(), 1);
	assert_int_equal(r, -ENOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* An idle process stays idle. It is another one: who has become idle cannot always go back. It has
 * no other thread: ThreadSanitizer wants that of who forks. */
static void test_idle(void **state)
{
	const struct sched_param none = {0};
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		bool is_idle = sched_setscheduler(0, SCHED_IDLE, &none) == 0;

		setup(state);
		add(0);
		run_until(1);
		_exit(is_idle && one.works[0].policy == SCHED_IDLE ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_another_thread),
		TEST(test_again),
		TEST(test_charged),
		TEST(test_order),
		TEST(test_ahead_max),
		TEST(test_removed),
		TEST(test_freed),
		TEST(test_nice),
		cmocka_unit_test(test_idle),
		TEST(test_cannot_be_made),
		TEST(test_order_of_a_crowd),
		TEST(test_order_of_two_crowds),
		TEST(test_many_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
