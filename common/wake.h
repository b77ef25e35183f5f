/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Wakes a thread or a loop that polls an eventfd(2). Linux interrupts no call on one that does not
 * block, but its manual allows that, and a wake that is lost is lost for ever where nobody wakes a
 * second time.
 */

/* Makes @fd readable, if it is not. */
void wake_send(int fd);

/* Makes @fd, an eventfd that does not block, not readable any more. */
void wake_take(int fd);
