/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The processor time of a thread. Unlike a clock, it does not advance while the thread waits for a
 * processor, or while the process is stopped.
 */
#include <stdint.h>

/* What the calling thread has used since its start; the time of the clock if the system does not
 * tell. A system call, and far more expensive than uv_hrtime(): 0.2 to 3 us. */
uint64_t thread_time_ns(void);
