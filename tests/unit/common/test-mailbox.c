/* SPDX-License-Identifier: MIT */
/* Messages of one thread to the loop of the same: their order, bounds and end, and its waking. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/mailbox.h"
#include "tests/unit/clock.h"

enum {
	N_LETTERS = 3,
};

struct letter {
	struct message message;
	unsigned takes_us;
	bool is_last; /* the mailbox is closed when it is handled */
};

static struct {
	uv_loop_t loop;
	struct mailbox mailbox;
	struct letter letters[N_LETTERS];
	unsigned n_handled, n_dropped;
} one;

static unsigned n_interrupted; /* how often write(2) still says that it was */

ssize_t write(int fd, const void *bytes, size_t n)
{
	if (n_interrupted) {
		n_interrupted--;
		errno = EINTR;
		return -1;
	}
	return syscall(SYS_write, fd, bytes, n);
}

static void on_letter(struct message *message, void *reader)
{
	struct letter *letter = CONTAINER_OF(message, struct letter, message);

	assert_ptr_equal(reader, &one);
	assert_ptr_equal(letter, &one.letters[one.n_handled]);
	one.n_handled++;
	clock_pass_us(letter->takes_us);
	if (letter->is_last) {
		mailbox_close(&one.mailbox);
	}
}

static void drop_letter(struct message *message)
{
	assert_ptr_equal(message, &one.letters[one.n_handled + one.n_dropped].message);
	one.n_dropped++;
}

static int setup(void **state)
{
	(void)state;
	one.n_handled = one.n_dropped = 0;
	for (size_t i = 0; i < N_LETTERS; i++) {
		one.letters[i] =
			(struct letter){.message = {.handle = on_letter, .drop = drop_letter}};
	}
	assert_int_equal(uv_loop_init(&one.loop), 0);
	assert_int_equal(mailbox_init(&one.mailbox, &one.loop, &one), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (!one.mailbox.is_closed) {
		mailbox_close(&one.mailbox);
	}
	uv_run(&one.loop, UV_RUN_DEFAULT);
	mailbox_deinit(&one.mailbox);
	return uv_loop_close(&one.loop);
}

static void post_all(void)
{
	for (size_t i = 0; i < N_LETTERS; i++) {
		assert_int_equal(mailbox_post(&one.mailbox, &one.letters[i].message), 0);
	}
}

/* What is handled holds up the loop for MAILBOX_US and the last message; the others keep their
 * places, and nobody need post again. */
static void test_share(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_LETTERS; i++) {
		one.letters[i].takes_us = MAILBOX_US;
	}
	post_all();
	for (unsigned i = 1; i <= N_LETTERS; i++) {
		uv_run(&one.loop, UV_RUN_ONCE);
		assert_int_equal(one.n_handled, i);
		assert_int_equal(one.mailbox.n_messages, N_LETTERS - i);
	}
	assert_int_equal(uv_run(&one.loop, UV_RUN_NOWAIT), 1);
	assert_int_equal(one.n_handled, N_LETTERS);
}

/* Messages that wait for a later iteration count. */
static void test_bound(void **state)
{
	static struct letter more = {.message = {.handle = on_letter, .drop = drop_letter}};
	static struct message many[MAILBOX_MESSAGES_MAX];

	(void)state;
	one.letters[0].takes_us = MAILBOX_US;
	post_all();
	uv_run(&one.loop, UV_RUN_ONCE);
	assert_int_equal(one.n_handled, 1);
	for (size_t i = 0; i < MAILBOX_MESSAGES_MAX - (N_LETTERS - 1); i++) {
		many[i] = (struct message){.handle = on_letter, .drop = drop_letter};
		assert_int_equal(mailbox_post(&one.mailbox, &many[i]), 0);
	}
	assert_int_equal(mailbox_post(&one.mailbox, &more.message), -ENOBUFS);
	/* None of these is a letter. */
	STAILQ_INIT(&one.mailbox.messages);
	one.mailbox.n_messages = N_LETTERS - 1;
	uv_run(&one.loop, UV_RUN_ONCE);
	assert_int_equal(one.n_handled, N_LETTERS);
}

/* What waits is dropped, in its order, wherever it waits. */
static void test_closed(void **state)
{
	(void)state;
	one.letters[0].takes_us = MAILBOX_US;
	post_all();
	uv_run(&one.loop, UV_RUN_ONCE);
	assert_int_equal(one.n_handled, 1);
	mailbox_close(&one.mailbox);
	assert_int_equal(one.n_dropped, N_LETTERS - 1);
	assert_int_equal(mailbox_post(&one.mailbox, &one.letters[0].message), -ESHUTDOWN);
}

static void test_closed_by_message(void **state)
{
	(void)state;
	one.letters[0].is_last = true;
	post_all();
	uv_run(&one.loop, UV_RUN_DEFAULT);
	assert_int_equal(one.n_handled, 1);
	assert_int_equal(one.n_dropped, N_LETTERS - 1);
}

/* Whether the loop of @mailbox is to look at it. */
static bool is_woken(const struct mailbox *mailbox)
{
	struct pollfd one_fd = {.fd = mailbox->fd, .events = POLLIN};

	return poll(&one_fd, 1, 0) == 1;
}

/* The reader of what a mailbox's thread posts is woken when that one has nothing more to do. */
static void test_woken_once(void **state)
{
	struct mailbox from;

	(void)state;
	assert_int_equal(mailbox_init(&from, &one.loop, NULL), 0);
	for (size_t i = 0; i < N_LETTERS; i++) {
		assert_int_equal(mailbox_post_from(&from, &one.mailbox, &one.letters[i].message),
				 0);
		assert_false(is_woken(&one.mailbox));
	}
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(one.n_handled, N_LETTERS);
	assert_false(is_woken(&one.mailbox));
	mailbox_close(&from);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	mailbox_deinit(&from);
}

/* A wake that was interrupted is made all the same. */
static void test_woken_though_interrupted(void **state)
{
	(void)state;
	n_interrupted = 2;
	post_all();
	assert_int_equal(n_interrupted, 0);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(one.n_handled, N_LETTERS);
}

static void post_last(uv_prepare_t *prepare)
{
	assert_int_equal(mailbox_post_from(prepare->data, &one.mailbox, &one.letters[0].message),
			 0);
	assert_false(is_woken(&one.mailbox));
}

/* Also for what is posted just before the loop waits, by a handle that was started later: libuv
 * runs that one first. */
static void test_woken_before_waiting(void **state)
{
	struct mailbox from;
	uv_prepare_t prepare;

	(void)state;
	assert_int_equal(mailbox_init(&from, &one.loop, NULL), 0);
	uv_prepare_init(&one.loop, &prepare);
	prepare.data = &from;
	uv_prepare_start(&prepare, post_last);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(one.n_handled, 1);
	uv_close((uv_handle_t *)&prepare, NULL);
	mailbox_close(&from);
	uv_run(&one.loop, UV_RUN_NOWAIT);
	mailbox_deinit(&from);
}

/* A mailbox that is closed does not owe anything, and its thread wakes others at once. */
static void test_woken_by_closed(void **state)
{
	struct mailbox from;

	(void)state;
	assert_int_equal(mailbox_init(&from, &one.loop, NULL), 0);
	assert_int_equal(mailbox_post_from(&from, &one.mailbox, &one.letters[0].message), 0);
	mailbox_close(&from);
	assert_true(is_woken(&one.mailbox));
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(one.n_handled, 1);
	assert_int_equal(mailbox_post_from(&from, &one.mailbox, &one.letters[1].message), 0);
	assert_true(is_woken(&one.mailbox));
	uv_run(&one.loop, UV_RUN_NOWAIT);
	assert_int_equal(one.n_handled, 2);
	mailbox_deinit(&from);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_share),           TEST(test_bound),
		TEST(test_closed),          TEST(test_closed_by_message),
		TEST(test_woken_once),      TEST(test_woken_though_interrupted),
		TEST(test_woken_by_closed), TEST(test_woken_before_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
