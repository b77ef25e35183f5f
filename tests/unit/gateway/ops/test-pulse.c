/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "gateway/ops/pulse.h"

enum {
	BUSY_MS = PULSE_MS + 200,
};

static struct metrics_cell cell;

static void on_busy(uv_timer_t *timer)
{
	static const struct timespec busy = {.tv_nsec = BUSY_MS * 1000000L};

	nanosleep(&busy, NULL);
	uv_close((uv_handle_t *)timer, NULL);
}

/* A loop that was held up says so, and one that was not does not. */
static void test_lag(void **state)
{
	uv_loop_t loop;
	uv_timer_t timer;
	struct pulse pulse;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	pulse_init(&pulse, &loop, &cell);
	assert_int_equal(metrics_read(&cell.beat_ms), 0);
	uv_run(&loop, UV_RUN_NOWAIT);
	int64_t first_ms = metrics_read(&cell.beat_ms);

	assert_true(first_ms > 0);
	assert_int_equal(metrics_read(&cell.lag_us), 0);

	/* The timer is due while the loop is busy for longer than its interval. */
	uv_update_time(&loop);
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, on_busy, 1, 0);
	while (metrics_read(&cell.beat_ms) == first_ms) {
		uv_run(&loop, UV_RUN_ONCE);
	}
	assert_true(metrics_read(&cell.lag_us) >= (BUSY_MS - PULSE_MS) * 1000);
	assert_true(metrics_read(&cell.beat_ms) >= first_ms + BUSY_MS);
	assert_true(metrics_read(&cell.cpu_us) > 0);
	pulse_close(&pulse);
	assert_int_equal(metrics_read(&cell.beat_ms), 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lag)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
