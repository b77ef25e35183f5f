/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "gateway/process/sockets.h"

static struct address at(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), -1, &address), 0);
	return address;
}

static int open_stream(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	return fd;
}

/* @host with a port that is free. */
static struct address free_address(const char *host)
{
	struct sockaddr_storage storage;
	socklen_t n = sizeof(storage);
	struct address address = at(host);
	int fd = open_stream();

	address_set_port(&address, 0);
	assert_int_equal(bind(fd, &address.any, address_size(&address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&storage, &n), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&storage, &address), 0);
	close(fd);
	return address;
}

static bool answers(const struct address *address)
{
	int fd = open_stream();
	bool does = connect(fd, &address->any, address_size(address)) == 0;

	close(fd);
	return does;
}

/* Returns the number of sockets that there are then. */
static size_t want(struct sockets *sockets, const struct address *address, size_t n)
{
	const int *fds;
	size_t n_fds;

	assert_int_equal(sockets_want(sockets, address, n, &fds, &n_fds), 0);
	return n_fds;
}

static struct sockets *made(const struct address *address, size_t n)
{
	struct sockets *sockets;

	assert_int_equal(sockets_new(&sockets), 0);
	sockets_begin(sockets);
	assert_int_equal(want(sockets, address, n), n);
	sockets_commit(sockets);
	return sockets;
}

static void test_the_next_list_replaces_the_last(void **state)
{
	struct address a = free_address("127.0.0.1:1");
	struct address b = free_address("127.0.0.2:1");
	struct sockets *sockets = made(&a, 2);

	(void)state;
	assert_true(answers(&a));
	/* The new one is there before the old one goes. */
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &b, 1), 1);
	assert_true(answers(&a) && answers(&b));
	sockets_commit(sockets);
	assert_true(!answers(&a) && answers(&b));
	sockets_free(sockets);
	assert_false(answers(&b));
}

static void test_sockets_are_never_fewer(void **state)
{
	struct address a = free_address("127.0.0.1:1");
	struct sockets *sockets = made(&a, 3);

	(void)state;
	sockets_begin(sockets);
	/* Connections may wait in each. */
	assert_int_equal(want(sockets, &a, 1), 3);
	sockets_commit(sockets);
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &a, 4), 4);
	sockets_commit(sockets);
	sockets_free(sockets);
}

static void test_a_list_that_fails(void **state)
{
	struct address a = free_address("127.0.0.1:1");
	struct address b = free_address("127.0.0.2:1");
	struct address taken = free_address("127.0.0.3:1");
	struct sockets *sockets = made(&a, 1);
	struct sockets *others = made(&taken, 1);
	const int *fds;
	size_t n_fds;

	(void)state;
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &b, 1), 1);
	assert_int_equal(want(sockets, &a, 2), 2);
	assert_int_equal(sockets_want(sockets, &taken, 1, &fds, &n_fds), -EADDRINUSE);
	sockets_abort(sockets);
	assert_true(answers(&a) && !answers(&b));
	/* As before: the second socket of the first address is gone, too. */
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &a, 1), 1);
	sockets_commit(sockets);
	sockets_free(others);
	sockets_free(sockets);
}

static void test_a_wider_address_on_the_same_port(void **state)
{
	struct address narrow = free_address("127.0.0.1:1");
	struct address wide = at("0.0.0.0:1");
	struct sockets *sockets = made(&narrow, 1);

	(void)state;
	address_set_port(&wide, address_port(&narrow));
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &wide, 2), 2);
	sockets_commit(sockets);
	assert_true(answers(&narrow));
	sockets_free(sockets);
}

static void test_given(void **state)
{
	struct address a = free_address("127.0.0.1:1");
	struct address ignored = free_address("127.0.0.2:1");
	struct sockets *manager = made(&a, 1);
	struct sockets *sockets;
	const int *fds;
	size_t n_fds;

	(void)state;
	assert_int_equal(sockets_new(&sockets), 0);
	assert_int_equal(sockets_want(manager, &a, 1, &fds, &n_fds), 0);
	int given = dup(fds[0]);

	assert_int_equal(fcntl(given, F_SETFL, 0), 0);
	assert_int_equal(sockets_give(sockets, open_stream()), -EINVAL);
	assert_false(sockets_are_given(sockets));
	assert_int_equal(sockets_give(sockets, given), 0);
	assert_true(sockets_are_given(sockets));
	assert_true(fcntl(given, F_GETFL) & O_NONBLOCK);
	sockets_begin(sockets);
	assert_int_equal(sockets_want(sockets, &ignored, 4, &fds, &n_fds), 0);
	assert_int_equal(n_fds, 1);
	assert_int_equal(fds[0], given);
	sockets_commit(sockets);
	assert_false(answers(&ignored));
	sockets_free(sockets);
	sockets_free(manager);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_next_list_replaces_the_last),
		cmocka_unit_test(test_sockets_are_never_fewer),
		cmocka_unit_test(test_a_list_that_fails),
		cmocka_unit_test(test_a_wider_address_on_the_same_port),
		cmocka_unit_test(test_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
