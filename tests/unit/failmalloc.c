/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "tests/unit/failmalloc.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t n_one);
void *__real_realloc(void *block, size_t n);
void *__real_reallocarray(void *block, size_t n, size_t n_one);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void __real_free(void *block);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t n_one);
void *__wrap_realloc(void *block, size_t n);
void *__wrap_reallocarray(void *block, size_t n, size_t n_one);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
void __wrap_free(void *block);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);

/* Allocations fail only in the thread that runs the scenario. */
static _Thread_local struct {
	bool armed;
	bool lasting;     /* all later ones fail, too */
	size_t countdown; /* the allocation that fails, from 1 */
	size_t n_failed;
} fault;

static atomic_size_t n_blocks;
static atomic_size_t n_largest;

static void note_size(size_t n)
{
	size_t largest = n_largest;

	while (n > largest && !atomic_compare_exchange_weak(&n_largest, &largest, n)) {
	}
}

static bool fails(void)
{
	if (!fault.armed) {
		return false;
	}
	if (fault.countdown > 1) {
		fault.countdown--;
		return false;
	}
	if (fault.countdown == 0 && !fault.lasting) {
		return false;
	}
	fault.countdown = 0;
	fault.n_failed++;
	errno = ENOMEM;
	return true;
}

static void *counted(void *block)
{
	n_blocks += block != NULL;
	return block;
}

void *__wrap_malloc(size_t n)
{
	note_size(n);
	return fails() ? NULL : counted(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t n_one)
{
	note_size(n * n_one);
	return fails() ? NULL : counted(__real_calloc(n, n_one));
}

void *__wrap_realloc(void *block, size_t n)
{
	note_size(n);
	if (fails()) {
		return NULL;
	}
	return block ? __real_realloc(block, n) : counted(__real_malloc(n));
}

void *__wrap_reallocarray(void *block, size_t n, size_t n_one)
{
	note_size(n * n_one);
	if (fails()) {
		return NULL;
	}
	void *moved = __real_reallocarray(block, n, n_one);

	return block ? moved : counted(moved);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fails() ? NULL : counted(__real_strndup(text, n));
}

void __wrap_free(void *block)
{
	n_blocks -= block != NULL;
	__real_free(block);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
	return fails() ? ENOMEM : __real_pthread_mutex_init(mutex, attributes);
}

size_t failmalloc_n_live(void)
{
	return n_blocks;
}

size_t failmalloc_take_largest(void)
{
	return atomic_exchange(&n_largest, 0);
}

void failmalloc_arm(size_t n, bool lasting)
{
	fault.armed = true;
	fault.lasting = lasting;
	fault.countdown = n;
	fault.n_failed = 0;
}

size_t failmalloc_disarm(void)
{
	fault.armed = false;
	return fault.n_failed;
}

size_t failmalloc_n_failed(void)
{
	return fault.n_failed;
}

static size_t run_each(int (*scenario)(void *userdata), void *userdata, bool lasting)
{
	size_t n_live = n_blocks;

	for (size_t n = 1;; n++) {
		failmalloc_arm(n, lasting);
		int r = scenario(userdata);

		failmalloc_disarm();
		bool repeats = r == -EAGAIN && fault.n_failed == 0;

		if (r != -ENOMEM && r != 0 && !repeats) {
			fail_msg("allocation %zu failed (%zu in all), and the scenario came to %d",
				 n, fault.n_failed, r);
		}
		if (n_blocks != n_live) {
			fail_msg("allocation %zu failed, and %zd blocks leaked", n,
				 (ssize_t)(n_blocks - n_live));
		}
		if (repeats) {
			n--;
		} else if (fault.n_failed == 0) {
			assert_int_equal(r, 0);
			return n - 1;
		}
	}
}

void failmalloc_each(int (*scenario)(void *userdata), void *userdata, size_t n_min)
{
	size_t n = run_each(scenario, userdata, true);

	if (n < n_min) {
		fail_msg("only %zu allocations, expected %zu", n, n_min);
	}
	run_each(scenario, userdata, false);
}
